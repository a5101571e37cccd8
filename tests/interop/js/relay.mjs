// A JavaScript libp2p node that carries Undertone's envelopes and decrypts nothing.
//
//   node relay.mjs --topic /undertone/1/main/20 [--listen /ip4/127.0.0.1/tcp/0]
//                  [--dial MULTIADDR]... [--beat SECONDS]
//
// Prints `listening MULTIADDR` for each address, `peers N` when the number of neighbours in the
// flood changes, and `carried N BYTES` for each envelope. Ends with its standard input, or on
// SIGTERM. See README.md and proto/network.md.

import './node20.mjs'

import { parseArgs } from 'node:util'

import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { createLibp2p } from 'libp2p'

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

const node = await createLibp2p({
  addresses: { listen: [flags.listen] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: {
    // Each side learns from it that the other speaks gossipsub.
    identify: identify(),
    ping: ping(),
    pubsub: gossipsub({
      // Anonymous messages: no author, no sequence number, no signature.
      globalSignaturePolicy: 'StrictNoSign',
      // An envelope's id is the Keccak-256 of its bytes (Ethereum's padding, not SHA-3's).
      msgIdFn: (message) => keccak_256(message.data),
      // Only the mesh is given an envelope, so that sending marks nobody as its author.
      floodPublish: false,
      D: 8,
      Dlo: 8,
      Dhi: 12
    })
  }
})
const pubsub = node.services.pubsub

let carried = 0
pubsub.addEventListener('gossipsub:message', ({ detail: { msg } }) => {
  if (msg.topic !== flags.topic) return
  carried += 1
  console.log(`carried ${carried} ${msg.data.length}`)
})
let neighbours = 0
pubsub.addEventListener('subscription-change', () => {
  const count = pubsub.getSubscribers(flags.topic).length
  if (count !== neighbours) console.log(`peers ${neighbours = count}`)
})
pubsub.subscribe(flags.topic)

// Signs of life: joining and leaving this topic tells neighbours that the gossip stream works.
// Optional; whoever never gives one is never parted with for lack of them.
const beat = `${flags.topic}/beat`
const pause = Number(flags.beat) * 1000
if (pause > 0) {
  let joined = false
  setInterval(() => {
    joined = !joined
    if (joined) pubsub.subscribe(beat)
    else pubsub.unsubscribe(beat)
  }, pause).unref()
}

for (const address of node.getMultiaddrs()) console.log(`listening ${address}`)
for (const address of flags.dial) await node.dial(multiaddr(address))

const end = async () => {
  await node.stop()
  process.exit(0)
}
process.once('SIGTERM', end)
process.once('SIGINT', end)
process.stdin.once('end', end).resume()
