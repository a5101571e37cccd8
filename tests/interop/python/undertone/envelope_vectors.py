"""What tests/vectors/envelope.json says: envelopes carried and refused, message ids, prices.

Each case is asked of envelope.py before it is written.
"""

import hashlib
from collections import Counter
from fractions import Fraction
from math import inf

from .envelope import (
    UNITS,
    blocks,
    expiry_of,
    identify,
    inspect,
    keccak256,
    make,
    message_id,
    prefix,
    refusal,
    search,
    shown,
    suffix,
    target,
    work_digest,
)

HOUR = 472_222 * 3600
NOW = HOUR + 1
SIX_HOURS, DAY, WEEK = UNITS
TOPIC = bytes([0xDE, 0xAD, 0xBE, 0xEF])
# What refused envelopes are refused by.
FLOOR = 12
FLOOD = "/undertone/2/vectors/12"
CASES = 1_000_000


def pattern(length):
    return bytes((7 * i + i // 256) % 256 for i in range(length))


def vector(about, ttl, data, start, floor, step=0, now=NOW, topic=TOPIC):
    encoding = make(topic, data, now, ttl, floor, start, step)
    nonce = int.from_bytes(encoding[-8:], "little")
    charge = blocks(len(encoding)) * UNITS[ttl]
    assert refusal(encoding, now, floor) is None, about
    return {
        "about": about,
        "now": str(now),
        "expiry": str(expiry_of(now, ttl)),
        "ttl": ttl,
        "topic": topic.hex(),
        "data": data.hex(),
        "nonce": str(nonce),
        "start": str(start),
        "floor": floor,
        "step": step,
        "blocks": blocks(len(encoding)),
        "units": UNITS[ttl],
        "charge": charge,
        "target": str(target(floor, step, charge)),
        "d": identify(encoding)[:12].hex(),
        "digest": keccak256(encoding[:-9]).hex(),
        "id": identify(encoding).hex(),
        "encoding": encoding.hex(),
    }


def carried():
    yield vector("6 hours, no data", SIX_HOURS, b"", 0, 0, topic=bytes(4))
    yield vector("one byte; the nonce after the last is 0", SIX_HOURS, pattern(1), 2**64 - 2, 12)
    yield vector("the longest length of one byte", DAY, pattern(127), 5, 10)
    yield vector("the shortest length of two bytes", DAY, pattern(128), 5, 10)
    yield vector("the one size, 2,048 bytes: one block", DAY, pattern(2016), 2**63, 8)
    yield vector("2,049 bytes: two blocks", DAY, pattern(2017), 2**63, 8)
    yield vector("a week", WEEK, pattern(300), 1, 6)
    yield vector("65,536 bytes for a week: the largest charge", WEEK, pattern(65_503), 7, 0)
    yield vector("three steps", DAY, pattern(40), 9, 6, step=3)
    yield vector("eight steps", SIX_HOURS, pattern(41), 9, 3, step=8)
    yield vector("120 seconds before an hour begins", DAY, b"", 0, 4, now=HOUR - 120)
    yield vector("119 seconds before an hour begins", DAY, b"", 0, 4, now=HOUR - 119)
    for floor in range(13):
        yield vector(f"floor {floor}", DAY, pattern(floor), 1000 * floor, floor)


def refused():
    def case(about, expected, encoding, now=NOW):
        assert refusal(encoding, now, FLOOR) == expected, about
        return {"about": about, "refusal": expected, "now": str(now), "encoding": encoding.hex()}

    good = make(TOPIC, b"data", NOW, DAY, FLOOR)
    assert refusal(good, NOW, FLOOR) is None
    head, tail = good[:-9], good[-9:]
    parts = [head[:9], head[9:14], head[14:20], head[20:], tail]
    yield case("nothing", "Malformed", b"")
    for index, name in enumerate(["expiry", "ttl", "topic", "data", "nonce"]):
        part, others = parts[index], parts[:index] + parts[index + 1 :]
        yield case("without " + name, "Malformed", b"".join(others))
        yield case(name + " twice", "Malformed", b"".join(parts[: index + 1] + parts[index:]))
        for about, key in (("another type", part[0] ^ 3), ("another number", part[0] + 0x30)):
            changed = parts[:index] + [bytes([key]) + part[1:]] + parts[index + 1 :]
            yield case(f"{name} under a key of {about}", "Malformed", b"".join(changed))
    yield case("the nonce first", "Malformed", tail + head)
    yield case("a byte after the end", "Malformed", good + b"\x00")
    yield case("a byte too few", "Malformed", good[:-1])
    yield case("an unknown field at the end", "Malformed", good + b"\x30\x01")
    yield case("an unknown field at the front", "Malformed", b"\x30\x01" + good)
    yield case("a length of two bytes where one does", "Malformed", head[:20] + b"\x22\x84\x00data" + tail)
    yield case("a length past the end", "Malformed", head[:20] + b"\x22\x7fdata" + tail)
    long = b"\x22" + b"\xff" * 9 + b"\x01data"
    yield case("a length past all memory", "Malformed", head[:20] + long + tail)
    yield case("a topic of 3 bytes", "Malformed", head[:14] + b"\x1a\x03abc" + head[20:] + tail)
    yield case("a topic of 5 bytes", "Malformed", head[:14] + b"\x1a\x05abcde" + head[20:] + tail)
    yield case("a ttl as a varint", "Malformed", head[:9] + b"\x10\x05" + head[14:] + tail)
    yield case("a key of two bytes where one does", "Malformed", b"\x89\x00" + good[1:])
    yield case("the 64 bytes that hash to an id", "Malformed", hashed(good))

    # The clock and the work are not looked at.
    for ttl in (0, 1, 600, 3600, 21599, 21601, 86399, 86401, 604799, 604801, 2**32 - 1):
        end = HOUR + 2 * DAY
        yield case(f"a life of {ttl}", "BadTtl", prefix(end, ttl, TOPIC, b"") + tail)
    yield case("another life, off the grid", "BadTtl", prefix(HOUR + 1, 600, TOPIC, b"") + tail)
    for off in (1, 600, 1800, 3599):
        end = HOUR + DAY + off
        yield case(f"{off} off the grid", "OffGrid", prefix(end, DAY, TOPIC, b"") + tail)
    yield case("off the grid, the last second there is", "OffGrid", prefix(2**64 - 1, DAY, TOPIC, b"") + tail)

    yield case("no work", "LittleWork", unpaid(make(TOPIC, pattern(40), NOW, DAY, FLOOR)))
    old = make(TOPIC, pattern(41), NOW - 30 * DAY, DAY, FLOOR)
    yield case("no work, and expired", "LittleWork", unpaid(old))
    yield case("no work, and early", "LittleWork", unpaid(make(TOPIC, b"", NOW + DAY, DAY, FLOOR)))
    yield case("half the work", "LittleWork", between(prefix(HOUR + DAY, DAY, TOPIC, b""), 8, 4))
    yield case("a week for a day's work", "LittleWork", between(prefix(HOUR + WEEK, WEEK, TOPIC, b""), 32, 8))
    two = prefix(HOUR + DAY, DAY, TOPIC, pattern(2017))
    yield case("two blocks for the work of one", "LittleWork", between(two, 16, 8))

    for ttl in UNITS:
        end, encoding = expiry_of(NOW, ttl), make(TOPIC, b"times", NOW, ttl, FLOOR)
        yield case(f"{ttl}: expired by exactly the tolerance", "Expired", encoding, end + 300)
        yield case(f"{ttl}: early by one second", "Early", encoding, end - ttl - 4021)
    first = prefix(0, DAY, TOPIC, b"")
    yield case("expired in 1970", "Expired", paid(first, 8))
    last = prefix(2**64 // 3600 * 3600, DAY, TOPIC, b"")
    yield case("the last hour there is", "Early", paid(last, 8))


def in_time():
    """Carried, but a second later or earlier they are not."""
    for ttl in UNITS:
        end, encoding = expiry_of(NOW, ttl), make(TOPIC, b"times", NOW, ttl, FLOOR)
        for about, now in (("not yet expired", end + 299), ("no longer early", end - ttl - 4020)):
            assert refusal(encoding, now, FLOOR) is None
            yield {"about": f"{ttl}: {about}", "now": str(now), "encoding": encoding.hex()}


def hashed(encoding):
    """The 64 bytes whose Keccak-256 is the id."""
    nonce = int.from_bytes(encoding[-8:], "little")
    return keccak256(encoding[:-9]) + bytes(24) + nonce.to_bytes(8, "big")


def paid(head, charge):
    return head + suffix(search(keccak256(head), target(FLOOR, 0, charge), 0))


def unpaid(encoding):
    """The same with a nonce that shows nothing."""
    head = encoding[:-9]
    nonce = next(n for n in range(100) if inspect(head + suffix(n), 1) == "LittleWork")
    return head + suffix(nonce)


def between(head, charge, less):
    """Paid as if it were charged `less`, and not for what it is charged, `charge`."""
    digest, nonce = keccak256(head), 0
    while not target(FLOOR, 0, charge) <= shown(work_digest(digest, nonce)) < target(FLOOR, 0, less):
        nonce += 1
    return head + suffix(nonce)


def message_ids():
    envelope = make(TOPIC, b"an envelope", NOW, DAY, FLOOR)
    short_lived = prefix(HOUR + 600, 600, TOPIC, b"") + suffix(3)
    cases = [
        ("an envelope", FLOOD, envelope),
        ("canonical, though every node refuses it", FLOOD, short_lived),
        ("a byte after an envelope", FLOOD, envelope + b"\0"),
        ("nothing", FLOOD, b""),
        ("the 64 bytes that hash to the envelope's id", FLOOD, hashed(envelope)),
        ("the same in another topic", "x", hashed(envelope)),
        ("65 bytes, of which 64 are hashed", FLOOD, hashed(envelope) + b"\0"),
        ("the envelope in the topic for signs of life", FLOOD + "/beat", envelope),
        ("the envelope in another topic", "x", envelope),
        ("the envelope in a topic without a name", "", envelope),
        ("a name whose letters take two bytes", "/undertone/2/größe/12", b"x"),
    ]
    named = [(about, topic, data, message_id(FLOOD, topic, data)) for about, topic, data in cases]
    assert named[0][3] == identify(envelope)
    assert len({name for _, _, _, name in named}) == len(named)
    return [
        {"about": about, "topic": topic, "data": data.hex(), "id": name.hex()}
        for about, topic, data, name in named
    ]


def targets():
    for floor in (0, 21, 48):
        for step in (0, 3, 8):
            for count, units in ((1, 5), (1, 8), (3, 5), (32, 32)):
                below = target(floor, step, count * units)
                limit = Fraction(8, 2 ** (floor + step))
                assert Fraction((below - 1) * count * units, 2**96) < limit
                assert below == 2**96 or Fraction(below * count * units, 2**96) >= limit
                yield {"blocks": count, "units": units, "floor": floor, "step": step, "target": str(below)}


def price_case(index):
    """Case `index`, by fractions: bit 0 carried; bits 1 and 2 how the first ranks beside the second,
    0 below, 1 alike, 2 above."""
    drawn = hashlib.sha3_256(b"undertone price" + index.to_bytes(8, "little")).digest()
    d = int.from_bytes(drawn[:12], "big") >> drawn[12] % 97
    charge = (1 + drawn[13] % 32) * (5, 8, 32)[drawn[14] % 3]
    floor, step = drawn[15] % 49, drawn[16] % 9
    other = int.from_bytes(drawn[17:29], "big") >> drawn[29] % 97
    other_charge = (1 + drawn[30] % 32) * (5, 8, 32)[drawn[31] % 3]

    is_carried = Fraction(d * charge, 2**96) < Fraction(8, 2 ** (floor + step))
    rank, other_rank = rank_of(d, charge), rank_of(other, other_charge)
    order = 1 if rank == other_rank else 0 if rank < other_rank else 2
    return is_carried | order << 1


def rank_of(d, charge):
    """Without ids: the more, the better."""
    return Fraction(1, d * charge) if d else inf


def prices(count):
    results = bytes(price_case(index) for index in range(count))
    found = Counter(results)
    return {
        "seed": "undertone price",
        "cases": count,
        "first": results[:64].hex(),
        "carried": sum(found[result] for result in found if result & 1),
        "below": sum(found[result] for result in found if result >> 1 == 0),
        "alike": sum(found[result] for result in found if result >> 1 == 1),
        "above": sum(found[result] for result in found if result >> 1 == 2),
        "sha3": hashlib.sha3_256(results).hexdigest(),
    }


def vectors(cases=CASES):
    return {
        "source": "tests/interop/python/undertone/envelope_vectors.py",
        "carried": list(carried()),
        "refused_floor": FLOOR,
        "refused": list(refused()),
        "in_time": list(in_time()),
        "flood_topic": FLOOD,
        "message_ids": message_ids(),
        "targets": list(targets()),
        "prices": prices(cases),
    }
