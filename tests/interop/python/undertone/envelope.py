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


def search(digest, bits, start):
    """The first nonce from `start` on that shows so many bits."""
    nonce = start
    while work(digest, nonce) < bits:
        nonce = (nonce + 1) % 2**64
    return nonce


def make(topic, data, now, ttl, floor, start=0):
    """An envelope made at `now`, with the work that a network of this floor asks for."""
    step = 3600 if ttl >= 3600 else 600
    head = prefix(-(-(now + ttl) // step) * step, ttl, topic, data)
    bits = required(floor, len(head) + 9, ttl)
    return head + suffix(search(keccak256(head), bits, start))


def read(encoding):
    """The topic and the data of an envelope; work and times are the carrier's to check."""
    expiry, ttl = int.from_bytes(encoding[1:9], "little"), int.from_bytes(encoding[10:14], "little")
    length = shift = 0
    for at in range(21, min(24, len(encoding))):
        length |= (encoding[at] & 0x7F) << shift
        shift += 7
        if encoding[at] < 0x80:
            break
    topic, data = encoding[16:20], encoding[len(encoding) - 9 - length : len(encoding) - 9]
    # One envelope has one encoding: what is written again must be what was read.
    if len(encoding) > 65536 or prefix(expiry, ttl, topic, data) + suffix_of(encoding) != encoding:
        raise Refused("not an envelope")
    return topic, data


def suffix_of(encoding):
    return suffix(int.from_bytes(encoding[-8:], "little"))


def vector(about, expiry, ttl, topic, data, start, floor):
    head = prefix(expiry, ttl, topic, data)
    digest = keccak256(head)
    size = len(head) + 9
    bits = required(floor, size, ttl)
    nonce = search(digest, bits, start)
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
