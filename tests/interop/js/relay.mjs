// A JavaScript libp2p node that carries Undertone's envelopes and decrypts nothing.
//
//   node relay.mjs --topic /undertone/2/main/21 [--listen /ip4/127.0.0.1/tcp/0]
//                  [--dial MULTIADDR]... [--beat SECONDS]
//
// Prints `listening MULTIADDR` for each address, `peers N` when the number of neighbours in the
// flood changes, and `carried N BYTES` for each envelope. Ends with its standard input, or on
// SIGTERM. See README.md and proto/network.md.

import { parseArgs } from 'node:util'

import { join } from './flood.mjs'

const { values: flags } = parseArgs({
  options: {
    topic: { type: 'string' },
    listen: { type: 'string', default: '/ip4/127.0.0.1/tcp/0' },
    dial: { type: 'string', multiple: true, default: [] },
    beat: { type: 'string', default: '60' }
  }
})
if (flags.topic === undefined) {
  console.error('usage: node relay.mjs --topic TOPIC [--listen ADDR] [--dial ADDR]... [--beat S]')
  process.exit(2)
}

let count = 0
const { node } = await join({
  topic: flags.topic,
  listen: [flags.listen],
  dial: flags.dial,
  beat: Number(flags.beat),
  carried: (envelope) => console.log(`carried ${count += 1} ${envelope.length}`),
  peers: (neighbours) => console.log(`peers ${neighbours}`)
})
for (const address of node.getMultiaddrs()) console.log(`listening ${address}`)
