// An operator on the npm package `smpp`: it decodes what comes, by its own lights, and says so, one line of JSON a submit.
//   node smsc.js SYSTEM_ID PASSWORD   prints {"port": N} first.
// What it does with a message follows from its count and from the last two digits of the number, so that a test can tell
// beforehand: 66 is refused (ESME_RINVDSTADR), 77 gets a receipt of failure, all others one of delivery.
'use strict';
const smpp = require('smpp');
const [systemId, password] = process.argv.slice(2);
const FIRST = 0x9f000000; // in hexadecimal it has a letter: no id can be read both ways
const sessions = [];
let count = 0;

const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');

function forms(n) {
  const id = FIRST + n;
  const decimal = String(id);
  const hex = id.toString(16);
  return [
    [decimal, decimal],
    [hex, decimal],
    [decimal, hex.toUpperCase()],
    [decimal, decimal.padStart(20, '0')],
  ][n % 4];
}

function receipt(submit, id, n) {
  const failed = submit.destination_addr.endsWith('77');
  const word = failed ? 'UNDELIV' : 'DELIVRD';
  const text = `id:${id} sub:001 dlvrd:${failed ? '000' : '001'} submit date:2611220549 done date:2611220550 stat:${word} err:${failed ? '011' : '000'} text:`;
  const fields = {
    esm_class: 4, data_coding: 0,
    source_addr_ton: 1, source_addr_npi: 1, source_addr: submit.destination_addr, destination_addr: submit.source_addr,
  };
  // Three dialects: text, TLVs, both.
  if (n % 3 !== 1) fields.short_message = Buffer.from(text, 'latin1');
  if (n % 3 !== 0) Object.assign(fields, { receipted_message_id: id, message_state: failed ? 5 : 2 });
  return fields;
}

function onSubmit(session, submit) {
  const n = count++;
  const [answered, told] = forms(n);
  const refused = submit.destination_addr.endsWith('66');
  const body = submit.short_message;
  say({
    n, bind: sessions.indexOf(session), to: submit.destination_addr, from: submit.source_addr,
    ton: [submit.source_addr_ton, submit.source_addr_npi, submit.dest_addr_ton, submit.dest_addr_npi],
    coding: submit.data_coding, udh: (body.udh || []).map((each) => each.toString('hex')), text: body.message,
    validity: submit.validity_period instanceof Date ? (submit.validity_period - Date.now()) / 1000 : null,
    registered: submit.registered_delivery, umr: submit.user_message_reference, refused,
  });
  const answer = () => session.send(submit.response(
    refused ? { command_status: smpp.ESME_RINVDSTADR } : { message_id: answered }));
  const way = n % 5 === 0 ? sessions[(sessions.indexOf(session) + 1) % sessions.length] : session;
  const deliver = () => refused || way.deliver_sm(receipt(submit, told, n));
  if (n % 7 === 0) {
    deliver(); // the receipt overtakes its response
    setTimeout(answer, 2);
  } else {
    setTimeout(answer, n % 11);
    setTimeout(deliver, 20 + (n % 50));
  }
}

const server = smpp.createServer((session) => {
  const bind = (pdu) => {
    const known = pdu.system_id === systemId && pdu.password === password;
    session.send(pdu.response(known ? {} : { command_status: smpp.ESME_RINVPASWD }));
    if (known) sessions.push(session);
  };
  session.on('bind_transceiver', bind);
  session.on('submit_sm', (pdu) => onSubmit(session, pdu));
  session.on('deliver_sm_resp', (pdu) => say({ acknowledged: pdu.command_status }));
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => { session.send(pdu.response()); session.close(); });
  session.on('error', () => {});
  session.on('close', () => { if (sessions.includes(session)) sessions.splice(sessions.indexOf(session), 1); });
});
server.listen(0, '127.0.0.1', () => say({ port: server.address().port }));
