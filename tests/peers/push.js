// A bank's program in Node: pushes over mutual TLS with a PKCS #12 file, in one kept connection.
// node push.js HOST PORT AUTHORITY.pem CLIENT.p12 PASSPHRASE REF...: prints a line of JSON an answer.
"use strict";

const fs = require("node:fs");
const https = require("node:https");

const [host, port, authority, file, passphrase, ...refs] = process.argv.slice(2);
const agent = new https.Agent({
  keepAlive: true,
  maxSockets: 1,
  ca: fs.readFileSync(authority),
  pfx: fs.readFileSync(file),
  passphrase,
  minVersion: "TLSv1.2",
});

function push(ref) {
  const message = { ref, to: "+375291110001", class: "service", text: `Your card is ready, ${ref}`, sender: "EXBANK" };
  const body = JSON.stringify(message);
  const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const asked = https.request({ host, port, agent, method: "POST", path: "/v1/messages", headers }, (answer) => {
      const pieces = [];
      answer.on("data", (piece) => pieces.push(piece));
      answer.on("end", () => {
        const { reusedSocket } = asked;
        resolve({ status: answer.statusCode, reused: reusedSocket, body: JSON.parse(Buffer.concat(pieces).toString()) });
      });
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

(async () => {
  for (const ref of refs) {
    console.log(JSON.stringify(await push(ref)));
  }
  agent.destroy();
})().catch((error) => {
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
});
