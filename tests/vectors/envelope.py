"""A second implementation of the envelope, in the words of proto/README.md.

Writes envelope.json, which tests/vectors/envelope.rs reads:

    python3 tests/vectors/envelope.py > tests/vectors/envelope.json

Nothing but the standard library; Keccak-256 is written out from FIPS 202, with Keccak's own padding.
"""

import hashlib
import json
from fractions import Fraction

MASK = (1 << 64) - 1


def rotate(lane, by):
    return ((lane << by) | (lane >> (64 - by))) & MASK if by else lane


def permute(a):
    """Keccak-f[1600] on a[x][y], FIPS 202 section 3.3."""
    lfsr = 1
    for _ in range(24):
        c = [a[x][0] ^ a[x][1] ^ a[x][2] ^ a[x][3] ^ a[x][4] for x in range(5)]
        d = [c[(x + 4) % 5] ^ rotate(c[(x + 1) % 5], 1) for x in range(5)]
        a = [[a[x][y] ^ d[x] for y in range(5)] for x in range(5)]
        x, y, lane = 1, 0, a[1][0]
        for t in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            lane, a[x][y] = a[x][y], rotate(lane, (t + 1) * (t + 2) // 2 % 64)
        a = [[a[x][y] ^ (~a[(x + 1) % 5][y] & a[(x + 2) % 5][y]) for y in range(5)] for x in range(5)]
        for j in range(7):
            lfsr = ((lfsr << 1) ^ ((lfsr >> 7) * 0x71)) % 256
            if lfsr & 2:
                a[0][0] ^= 1 << ((1 << j) - 1)
    return a


def sponge(message, suffix):
    rate = 136
    padded = bytearray(message + b"\0" * (rate - len(message) % rate))
    padded[len(message)] ^= suffix
    padded[-1] ^= 0x80
    a = [[0] * 5 for _ in range(5)]
    for at in range(0, len(padded), rate):
        for lane in range(rate // 8):
            start = at + 8 * lane
            a[lane % 5][lane // 5] ^= int.from_bytes(padded[start : start + 8], "little")
        a = permute(a)
    return b"".join(a[lane][0].to_bytes(8, "little") for lane in range(4))


def keccak256(message):
    return sponge(message, 0x01)


# The permutation is right if SHA3-256, which differs in its suffix alone, is the library's.
for length in (0, 1, 135, 136, 137, 500):
    assert sponge(bytes(length), 0x06) == hashlib.sha3_256(bytes(length)).digest()


def varint(number):
    low, rest = number & 0x7F, number >> 7
    return bytes([low]) if not rest else bytes([low | 0x80]) + varint(rest)


def prefix(expiry, ttl, topic, data):
    return (
        b"\x09" + expiry.to_bytes(8, "little")
        + b"\x15" + ttl.to_bytes(4, "little")
        + b"\x1a\x04" + topic
        + b"\x22" + varint(len(data)) + data
    )


def suffix(nonce):
    return b"\x29" + nonce.to_bytes(8, "little")


def work(digest, nonce):
    target = keccak256(digest + bytes(24) + nonce.to_bytes(8, "big"))
    return 256 - int.from_bytes(target, "big").bit_length()


def rating(bits, size, ttl):
    return Fraction(2 ** min(bits, 64), size * max(ttl, 600))


def required(floor, size, ttl):
    least = rating(floor, 2048, 86400)
    return next(bits for bits in range(65) if rating(bits, size, ttl) >= least)


def vector(about, expiry, ttl, topic, data, start, floor):
    head = prefix(expiry, ttl, topic, data)
    digest = keccak256(head)
    size = len(head) + 9
    bits = required(floor, size, ttl)
    nonce = start
    while work(digest, nonce) < bits:
        nonce = (nonce + 1) % 2**64
    encoding = head + suffix(nonce)
    return {
        "about": about,
        "expiry": str(expiry),
        "ttl": ttl,
        "topic": topic.hex(),
        "data": data.hex(),
        "nonce": str(nonce),
        "start": str(start),
        "floor": floor,
        "required": bits,
        "work": work(digest, nonce),
        "digest": digest.hex(),
        "id": keccak256(encoding).hex(),
        "encoding": encoding.hex(),
    }


HOUR = 472_222 * 3600
NOW = HOUR + 1


def pattern(length):
    return bytes((7 * i + i // 256) % 256 for i in range(length))


def carried():
    topic = bytes([0xDE, 0xAD, 0xBE, 0xEF])
    yield vector("no data", HOUR + 600 + 600, 600, bytes(4), b"", 0, 0)
    yield vector("one byte", HOUR + 3600 + 21600, 21600, topic, b"\x00", 2**64 - 2, 12)
    yield vector("the longest length of one byte", HOUR + 1200, 600, topic, pattern(127), 5, 10)
    yield vector("the shortest length of two bytes", HOUR + 1200, 600, topic, pattern(128), 5, 10)
    yield vector("the one size", HOUR + 3600 + 86400, 86400, topic, pattern(2016), 2**63, 8)
    yield vector("a week", HOUR + 3600 + 604800, 604800, topic, pattern(300), 1, 6)
    yield vector("a life of one second is charged ten minutes", HOUR + 600, 1, topic, b"", 1, 20)


def refused():
    good = prefix(HOUR + 1200, 600, b"abcd", b"data"), suffix(0)
    head, tail = good
    fields = [head[:9], head[9:14], head[14:20], head[20:], tail]

    def case(about, refusal, encoding):
        return {"about": about, "refusal": refusal, "encoding": encoding.hex()}

    yield case("nothing", "Malformed", b"")
    for index, name in enumerate(["expiry", "ttl", "topic", "data", "nonce"]):
        others = fields[:index] + fields[index + 1 :]
        yield case("without " + name, "Malformed", b"".join(others))
        yield case(name + " twice", "Malformed", b"".join(fields[: index + 1] + fields[index:]))
    yield case("the nonce first", "Malformed", tail + head)
    yield case("a byte after the end", "Malformed", head + tail + b"\x00")
    yield case("an unknown field at the end", "Malformed", head + tail + b"\x30\x01")
    yield case("an unknown field at the front", "Malformed", b"\x30\x01" + head + tail)
    yield case("a length of two bytes where one does", "Malformed", head[:20] + b"\x22\x84\x00data" + tail)
    yield case("a length past the end", "Malformed", head[:20] + b"\x22\x7fdata" + tail)
    yield case("a length past all memory", "Malformed", head[:20] + b"\x22" + b"\xff" * 9 + b"\x01data" + tail)
    yield case("a topic of 3 bytes", "Malformed", head[:14] + b"\x1a\x03abc" + head[20:] + tail)
    yield case("a topic of 5 bytes", "Malformed", head[:14] + b"\x1a\x05abcde" + head[20:] + tail)
    yield case("a ttl as a varint", "Malformed", head[:9] + b"\x10\x05" + head[14:] + tail)
    yield case("a key of two bytes where one does", "Malformed", b"\x89\x00" + head[1:] + tail)

    def times(about, refusal, expiry, ttl):
        return case(about, refusal, prefix(expiry, ttl, b"abcd", b"") + tail)

    yield times("no life", "BadTtl", HOUR, 0)
    yield times("a second more than a week", "BadTtl", HOUR, 604801)
    yield times("off the ten-minute grid", "OffGrid", HOUR + 601, 600)
    yield times("off the hour grid", "OffGrid", HOUR + 600, 3600)
    yield times("expired by the tolerance", "Expired", HOUR - 600, 600)
    yield times("further ahead than its life, a step and the tolerance", "Early", HOUR + 1800, 600)
    poor = prefix(HOUR + 1200, 600, b"abcd", pattern(40)) + tail
    yield case("little work", "LittleWork", poor)


def main():
    everything = {
        "source": "tests/vectors/envelope.py, an implementation of its own",
        "now": str(NOW),
        "carried": list(carried()),
        "refused_floor": 24,
        "refused": list(refused()),
    }
    print(json.dumps(everything, indent=1))


main()
