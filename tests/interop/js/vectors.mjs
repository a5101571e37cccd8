// Holds envelope.mjs to tests/vectors/envelope.json.
//
//   node vectors.mjs
//
// Prints a line and exits 0, or says what differs and exits 1.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'

import { inspect, messageId, untimely } from './envelope.mjs'

const file = new URL('../../vectors/envelope.json', import.meta.url)
const vectors = JSON.parse(await readFile(file, 'utf8'))
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, 'hex'))
const hex = (id) => Buffer.from(id).toString('hex')
const refusal = (encoding, now, floor) => inspect(encoding, floor) ?? untimely(encoding, Number(now))

for (const list of ['carried', 'refused', 'in_time', 'message_ids']) assert(vectors[list].length > 5, list)
for (const { about, encoding, id, now, floor } of vectors.carried) {
  assert.equal(hex(messageId('flood', 'flood', bytes(encoding))), id, about)
  assert.equal(refusal(bytes(encoding), now, floor), undefined, about)
}
for (const { about, encoding, now, refusal: expected } of vectors.refused) {
  assert.equal(refusal(bytes(encoding), now, vectors.refused_floor), expected, about)
}
for (const { about, encoding, now } of vectors.in_time) {
  assert.equal(refusal(bytes(encoding), now, vectors.refused_floor), undefined, about)
}
for (const { about, topic, data, id } of vectors.message_ids) {
  assert.equal(hex(messageId(vectors.flood_topic, topic, bytes(data))), id, about)
}
console.log('ok  envelopes and message ids are those of the vectors')
