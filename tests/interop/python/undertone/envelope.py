"""The envelope, in the words of proto/README.md, and its test vectors."""

from fractions import Fraction

from Crypto.Hash import keccak

from .primitives import Refused


def keccak256(message):
    return keccak.new(digest_bits=256, data=message).digest()


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


def vectors():
    return {
        "source": "tests/interop/python/undertone/envelope.py",
        "now": str(NOW),
        "carried": list(carried()),
        "refused_floor": 24,
        "refused": list(refused()),
    }
