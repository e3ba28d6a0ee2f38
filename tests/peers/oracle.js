// The npm package `smpp` as an oracle: one question in JSON a line, one answer a line.
//   {"pack": "submit_sm", "fields": {...}}   -> {"hex": "..."}
//   {"parse": "<hex of a PDU>"}              -> {"command": "...", "fields": {...}}
//   {"gsm": "text"} / {"ungsm": "<hex>"}     -> {"hex": "..."} / {"text": "..."}; {"fits": "text"} -> {"gsm": true}
// Octet strings travel as {"hex": "..."} in both directions. Its own guesses at alphabets and times are switched off.
'use strict';
const readline = require('readline');
const smpp = require('smpp');
smpp.PDU.prototype._filter = function () {};

const inward = (value) => (value && typeof value === 'object' && 'hex' in value ? Buffer.from(value.hex, 'hex') : value);
const outward = (value) => (Buffer.isBuffer(value) ? { hex: value.toString('hex') } : value);
const each = (object, change) => Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));

function answer(question) {
  if ('pack' in question) {
    return { hex: new smpp.PDU(question.pack, each(question.fields, inward)).toBuffer().toString('hex') };
  }
  if ('parse' in question) {
    const { command, ...fields } = smpp.PDU.fromBuffer(Buffer.from(question.parse, 'hex'));
    return { command, fields: each(fields, outward) };
  }
  if ('gsm' in question) return { hex: smpp.encodings.ASCII.encode(question.gsm).toString('hex') };
  if ('ungsm' in question) return { text: smpp.encodings.ASCII.decode(Buffer.from(question.ungsm, 'hex')) };
  if ('fits' in question) return { gsm: smpp.encodings.ASCII.match(question.fits) };
  return { error: 'no such question' };
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  let reply;
  try {
    reply = answer(JSON.parse(line));
  } catch (error) {
    reply = { error: String(error) };
  }
  process.stdout.write(JSON.stringify(reply) + '\n');
});
