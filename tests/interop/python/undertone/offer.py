"""The first flight: a letter that offers a session, sealed to its recipient."""

import hmac
from dataclasses import dataclass

from . import ecies
from .primitives import Refused, agree, hkdf, kem_check, kem_key, labelled, mac, point, public, split

LETTER, PADDED = 1398, 1920
DAY = 86_400


@dataclass
class Start:
    """Where the chains of a session begin, as both ends compute it from the letter."""

    id: bytes
    root: bytes
    chain_0: bytes
    topics: list  # T_0, T_1, T_2
    initiator: bytes
    ephemeral: bytes
    commitment: bytes
    kem: bytes
    created: int


@dataclass
class Secrets:
    """What the initiator keeps until it opens the answer."""

    ephemeral: int
    reveal: bytes
    kem_seed: bytes


def mac_key(to, sender, secrets):
    return hkdf(labelled("offer parties", to, sender), secrets, "offer mac", 32)


def start(to, letter, secrets):
    """`secrets` is `es | ss`."""
    _, sender, ephemeral, outward, inward, out_topic, in_topic, created, commitment, kem, _ = split(
        letter, 4, 33, 33, 32, 32, 4, 4, 8, 32, 1184, 32
    )
    name = labelled("offer id", to, letter)
    root, chain, *seeds = split(hkdf(name, secrets + outward + inward, "offer keys", 160), *[32] * 5)
    partial = (out_topic, in_topic, out_topic)
    topics = [hkdf(seed, part, "partial topic", 32) for seed, part in zip(seeds, partial)]
    when = int.from_bytes(created, "little")
    return Start(name, root, chain, topics, sender, ephemeral, commitment, kem, when)


def write(draws, identity, to, created):
    """A fresh letter, its start and what its writer keeps."""
    ephemeral = draws.secret()
    outward, inward, partial = draws.draw(32), draws.draw(32), draws.draw(8)
    kept = Secrets(ephemeral, draws.draw(16), draws.draw(64))
    secrets = agree(ephemeral, to) + agree(identity, to)
    said = bytes([1, 2, 0, 0]) + public(identity) + public(ephemeral) + outward + inward + partial
    said += created.to_bytes(8, "little") + labelled("commitment", kept.reveal) + kem_key(kept.kem_seed)
    letter = said + mac(mac_key(to, public(identity), secrets), said)
    assert len(letter) == LETTER
    return letter, start(to, letter, secrets), kept


def seal(draws, to, letter):
    """The topic and the body of one envelope with this letter."""
    body = ecies.write(draws, to, letter.ljust(PADDED, b"\0"))
    return draws.draw(4), body


def read(identity, body, now):
    """The start of the session that `body` offers to us."""
    if len(body) != 2016:
        raise Refused("a body of another size")
    plain = ecies.read(identity, body)
    letter = plain[:LETTER]
    if len(plain) != PADDED or any(plain[LETTER:]) or letter[:4] != bytes([1, 2, 0, 0]):
        raise Refused("not a letter of this version")
    sender, ephemeral, own = letter[4:37], letter[37:70], public(identity)
    point(sender), point(ephemeral)
    kem_check(letter[182:1366])
    if sender == own:
        raise Refused("our own")
    secrets = agree(identity, ephemeral) + agree(identity, sender)
    if not hmac.compare_digest(mac(mac_key(own, sender, secrets), letter[:1366]), letter[1366:]):
        raise Refused("the mac")
    begun = start(own, letter, secrets)
    if not now - 8 * DAY <= begun.created <= now + DAY:
        raise Refused("too old, or ahead")
    return begun
