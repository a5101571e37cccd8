// The flood as lines of text, for a program that has no libp2p.
//
//   node pipe.mjs --topic /undertone/2/main/21 --dial MULTIADDR
//
// A line of hexadecimal digits on standard input is an envelope to publish. It prints `peers N` when the
// number of neighbours in the flood changes, `envelope HEX` for each that arrives, and `refused REASON` for
// what could not be published. Ends with its standard input, or on SIGTERM.

import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'

import { join } from './flood.mjs'

const { values: flags } = parseArgs({
  options: { topic: { type: 'string' }, dial: { type: 'string', multiple: true, default: [] } }
})
if (flags.topic === undefined || flags.dial.length === 0) {
  console.error('usage: node pipe.mjs --topic TOPIC --dial ADDR...')
  process.exit(2)
}

const { pubsub } = await join({
  topic: flags.topic,
  listen: [],
  dial: flags.dial,
  beat: 60,
  carried: (envelope) => console.log(`envelope ${Buffer.from(envelope).toString('hex')}`),
  peers: (neighbours) => console.log(`peers ${neighbours}`)
})
createInterface({ input: process.stdin }).on('line', (line) => {
  pubsub.publish(flags.topic, Uint8Array.from(Buffer.from(line, 'hex')))
    .catch((error) => console.log(`refused ${error.message}`))
})
