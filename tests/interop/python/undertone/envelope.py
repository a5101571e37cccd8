"""The envelope, in the words of proto/README.md."""

import hashlib

from Crypto.Hash import keccak

from .primitives import Refused

LARGEST = 65_536
BLOCK = 2_048
GRID = 3_600
HEAD_START = 120
TOLERANCE = 300
# The units of each life, in seconds.
UNITS = {ttl: (ttl + 86_400) // 21_600 for ttl in (21_600, 86_400, 604_800)}


def keccak256(message):
    return keccak.new(digest_bits=256, data=message).digest()


def varint(number):
    low, rest = number & 0x7F, number >> 7
    return bytes([low]) if not rest else bytes([low | 0x80]) + varint(rest)


def prefix(expiry, ttl, topic, data):
    return (
        b"\x09"
        + expiry.to_bytes(8, "little")
        + b"\x15"
        + ttl.to_bytes(4, "little")
        + b"\x1a\x04"
        + topic
        + b"\x22"
        + varint(len(data))
        + data
    )


def suffix(nonce):
    return b"\x29" + nonce.to_bytes(8, "little")


def fields(encoding):
    """Expiry, ttl, topic, data and nonce of a canonical encoding; `Refused` for all other bytes."""
    expiry, ttl = int.from_bytes(encoding[1:9], "little"), int.from_bytes(encoding[10:14], "little")
    length = shift = 0
    for at in range(21, min(24, len(encoding))):
        length |= (encoding[at] & 0x7F) << shift
        shift += 7
        if encoding[at] < 0x80:
            break
    topic, data = encoding[16:20], encoding[len(encoding) - 9 - length : len(encoding) - 9]
    nonce = int.from_bytes(encoding[-8:], "little")
    # One envelope has one encoding: what is written again must be what was read.
    if len(encoding) > LARGEST or prefix(expiry, ttl, topic, data) + suffix(nonce) != encoding:
        raise Refused("not an envelope")
    return expiry, ttl, topic, data, nonce


def work_digest(digest, nonce):
    """The id of the envelope that has this nonce after a prefix of this digest."""
    return keccak256(digest + bytes(24) + nonce.to_bytes(8, "big"))


def identify(encoding):
    """The id of canonical bytes; `Refused` for others."""
    nonce = fields(encoding)[4]
    return work_digest(keccak256(encoding[:-9]), nonce)


def message_id(flood, topic, data):
    """Gossipsub's id of a message in any topic; `flood` is the topic for envelopes."""
    if topic == flood:
        try:
            return identify(data)
        except Refused:
            pass
    name = topic.encode()
    lengths = len(name).to_bytes(4, "little"), len(data).to_bytes(4, "little")
    return hashlib.sha3_256(lengths[0] + name + lengths[1] + data[:64]).digest()


def shown(name):
    """`d` of an id."""
    return int.from_bytes(name[:12], "big")


def blocks(size):
    return -(-size // BLOCK)


def target(floor, step, charge):
    """A search succeeds at a `d` below it."""
    return min(-(-(2 ** (99 - floor - step)) // charge), 2**96)


def search(digest, below, start):
    """The first nonce from `start` on whose `d` is below this target."""
    nonce = start
    while shown(work_digest(digest, nonce)) >= below:
        nonce = (nonce + 1) % 2**64
    return nonce


def expiry_of(now, ttl):
    """When an envelope ends that is made at `now`."""
    return -(-(now + HEAD_START + ttl) // GRID) * GRID


def make(topic, data, now, ttl, floor, start=0, step=0):
    """An envelope made at `now`, with the work that a network of this floor asks for at this step."""
    head = prefix(expiry_of(now, ttl), ttl, topic, data)
    charge = blocks(len(head) + 9) * UNITS[ttl]
    return head + suffix(search(keccak256(head), target(floor, step, charge), start))


def inspect(encoding, floor):
    """Why every node of this floor refuses these bytes, or `None`. Needs no clock."""
    if len(encoding) > LARGEST:
        return "TooLarge"
    try:
        expiry, ttl, _, _, _ = fields(encoding)
    except Refused:
        return "Malformed"
    if ttl not in UNITS:
        return "BadTtl"
    if expiry % GRID:
        return "OffGrid"
    charge = blocks(len(encoding)) * UNITS[ttl]
    if shown(identify(encoding)) * charge >= 2 ** (99 - floor):
        return "LittleWork"
    return None


def refusal(encoding, now, floor):
    """Why a node whose clock says `now` does not carry it, or `None`."""
    if found := inspect(encoding, floor):
        return found
    expiry, ttl, _, _, _ = fields(encoding)
    if expiry + TOLERANCE <= now:
        return "Expired"
    if expiry > now + ttl + GRID + HEAD_START + TOLERANCE:
        return "Early"
    return None


def read(encoding):
    """The topic and the data of an envelope; work and times are the carrier's to check."""
    _, _, topic, data, _ = fields(encoding)
    return topic, data
