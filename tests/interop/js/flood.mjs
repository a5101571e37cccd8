// A libp2p node in the flood of one topic, as proto/network.md has it: what relay.mjs and pipe.mjs share.

import './node20.mjs'

import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { TopicValidatorResult, gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

import { inspect, messageId, untimely } from './envelope.mjs'

/**
 * Joins the flood of `topic`, whose last part is the floor; `carried(envelope)` is called for each envelope that arrives, `peers(count)` when
 * the number of neighbours changes. Ends with standard input, or on SIGTERM.
 */
export async function join({ topic, listen, dial, beat, carried, peers }) {
  const floor = Number(topic.split('/').at(-1))
  if (!/^\/undertone\/2\/[a-z0-9-]{1,32}\/(0|[1-9][0-9]?)$/.test(topic) || floor > 48) {
    throw new Error(`not a topic for envelopes: ${topic}`)
  }
  const node = await createLibp2p({
    addresses: { listen },
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
        msgIdFn: (message) => messageId(topic, message.topic, message.data),
        // Called before an id is computed and remembered: what every node refuses takes nobody's.
        dataTransform: {
          inboundTransform: (where, data) => {
            const refusal = where === topic ? inspect(data, floor) : 'ForeignTopic'
            if (refusal !== undefined) throw new Error(refusal)
            return data
          },
          outboundTransform: (where, data) => data
        },
        // Only the mesh is given an envelope, so that sending marks nobody as its author; and everybody in the
        // flood is in the mesh, for nothing is announced to others.
        floodPublish: false,
        D: 112,
        Dlo: 112,
        Dhi: 113,
        Dlazy: 0,
        gossipFactor: 0
      })
    }
  })
  const pubsub = node.services.pubsub

  pubsub.addEventListener('gossipsub:message', ({ detail: { msg } }) => {
    if (msg.topic === topic) carried(msg.data)
  })
  let neighbours = 0
  pubsub.addEventListener('subscription-change', () => {
    const count = pubsub.getSubscribers(topic).length
    if (count !== neighbours) peers(neighbours = count)
  })
  // Only clocks are left to differ about, and nobody is blamed for those.
  pubsub.topicValidators.set(topic, (peer, { data }) =>
    untimely(data, Math.floor(Date.now() / 1000)) === undefined
      ? TopicValidatorResult.Accept
      : TopicValidatorResult.Ignore)
  pubsub.subscribe(topic)
  if (beat > 0) giveSignsOfLife(pubsub, `${topic}/beat`, beat * 1000)

  for (const address of dial) await node.dial(multiaddr(address))

  const end = async () => {
    await node.stop()
    process.exit(0)
  }
  process.once('SIGTERM', end)
  process.once('SIGINT', end)
  process.stdin.once('end', end).resume()
  return { node, pubsub }
}

// Joining and leaving this topic tells neighbours that the gossip stream works. Optional; whoever never
// gives a sign is never parted with for lack of them.
function giveSignsOfLife(pubsub, beat, pause) {
  let joined = false
  setInterval(() => {
    joined = !joined
    if (joined) pubsub.subscribe(beat)
    else pubsub.unsubscribe(beat)
  }, pause).unref()
}
