// The envelope, as proto/README.md has it: what it is named, and why a node refuses it.

import { keccak_256, sha3_256 } from '@noble/hashes/sha3.js'
import { bytesToHex, concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'

const LARGEST = 65_536
const GRID = 3_600n
const HEAD_START = 120n
const TOLERANCE = 300n
// By the life in seconds.
const UNITS = new Map([[21_600, 5n], [86_400, 8n], [604_800, 32n]])

const varint = (number) => number < 0x80 ? [number] : [number & 0x7f | 0x80, ...varint(number >> 7)]

/** Expiry, ttl and nonce of a canonical encoding; `undefined` for all other bytes. */
export function read(bytes) {
  const { length } = bytes
  if (length < 31 || length > LARGEST) return undefined
  const keys = [[0, 0x09], [9, 0x15], [14, 0x1a], [15, 4], [20, 0x22], [length - 9, 0x29]]
  if (keys.some(([at, key]) => bytes[at] !== key)) return undefined
  // The length of the data, as it has to be written in so many bytes.
  const written = [1, 2, 3].map((width) => varint(length - 30 - width)).find(({ length: width }, at) => width === at + 1)
  if (written?.every((byte, at) => byte === bytes[21 + at]) !== true) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, length)
  return {
    expiry: view.getBigUint64(1, true),
    ttl: view.getUint32(10, true),
    nonce: view.getBigUint64(length - 8, true)
  }
}

/** The id of canonical bytes: the digest that shows the work. */
function digest(bytes, nonce) {
  const block = new Uint8Array(64)
  block.set(keccak_256(bytes.subarray(0, -9)))
  new DataView(block.buffer).setBigUint64(56, nonce)
  return keccak_256(block)
}

/** Gossipsub's id of a message; `flood` is the topic for envelopes. */
export function messageId(flood, topic, data) {
  const envelope = topic === flood ? read(data) : undefined
  if (envelope !== undefined) return digest(data, envelope.nonce)
  const name = utf8ToBytes(topic)
  return sha3_256(concatBytes(u32(name.length), name, u32(data.length), data.subarray(0, 64)))
}

function u32(number) {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, number, true)
  return bytes
}

/** Why every node of this floor refuses these bytes, without a clock; `undefined` if none does. */
export function inspect(bytes, floor) {
  if (bytes.length > LARGEST) return 'TooLarge'
  const envelope = read(bytes)
  if (envelope === undefined) return 'Malformed'
  const units = UNITS.get(envelope.ttl)
  if (units === undefined) return 'BadTtl'
  if (envelope.expiry % GRID !== 0n) return 'OffGrid'
  const d = BigInt(`0x${bytesToHex(digest(bytes, envelope.nonce).subarray(0, 12))}`)
  const charge = BigInt(Math.ceil(bytes.length / 2048)) * units
  return d * charge < 1n << BigInt(99 - floor) ? undefined : 'LittleWork'
}

/** Why a node whose clock says `now`, in seconds, does not carry what it would at another time. */
export function untimely(bytes, now) {
  const { expiry, ttl } = read(bytes)
  const clock = BigInt(now)
  if (expiry + TOLERANCE <= clock) return 'Expired'
  return expiry > clock + BigInt(ttl) + GRID + HEAD_START + TOLERANCE ? 'Early' : undefined
}
