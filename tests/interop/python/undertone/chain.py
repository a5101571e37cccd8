"""Chains of topics and of message keys, and the bodies written under them."""

from dataclasses import dataclass

from .primitives import Refused, expand, hkdf, point, seal, split, unseal

POSITIONS = 1024
EXTENSION = 33 + 1088
# Payloads alone and beside the extension.
LONG, SHORT = 1904, 767


def topic_step(key):
    """The next topic key, and this position's topic and header key."""
    after, topic = split(expand(key, "topic step", 36), 32, 4)
    return after, topic, expand(key, "header key", 32)


def chain_step(key):
    """The next chain key, and this position's message key."""
    return split(expand(key, "chain step", 64), 32, 32)


def slots(key):
    """Topic and header key of every position of a chain."""
    found = []
    for _ in range(POSITIONS):
        key, topic, header_key = topic_step(key)
        found.append((topic, header_key))
    return found


@dataclass
class Header:
    position: int
    previous: int
    ratchet: bytes
    extended: bool = False
    reveal: bytes | None = None

    def write(self):
        flags = (1 if self.extended else 0) | (2 if self.reveal is not None else 0)
        head = bytes([flags]) + self.position.to_bytes(4, "little") + self.previous.to_bytes(4, "little")
        return (head + self.ratchet + (self.reveal or bytes(16))).ljust(64, b"\0")

    @staticmethod
    def read(said, chain, position):
        """What a header of this place says, if it may say it there."""
        flags = said[0]
        found = Header(
            int.from_bytes(said[1:5], "little"),
            int.from_bytes(said[5:9], "little"),
            said[9:42],
            bool(flags & 1),
            said[42:58] if flags & 2 else None,
        )
        if flags & ~3 or any(said[58:]) or found.reveal is None and any(said[42:58]):
            raise Refused("flags or zeros")
        if found.extended and chain != 1 or (found.reveal is not None) != (chain == 2):
            raise Refused("what this chain does not carry")
        if found.position != position or found.previous > (POSITIONS if chain >= 2 else 0):
            raise Refused("another place")
        point(found.ratchet)
        return found


def write(salt, name, topic, header_key, message_key, header, payload, extension=b""):
    """One body; `header` and `payload` are their plaintexts."""
    bound = name + topic
    body = salt + seal(hkdf(salt, header_key, "message header", 44), bound, header)
    if extension:
        body += seal(hkdf(salt, header_key, "message extension", 44), bound, extension)
    return body + seal(hkdf(salt, message_key, "message payload", 44), bound + body, payload)


def read_header(body, name, topic, header_key):
    return unseal(hkdf(body[:16], header_key, "message header", 44), name + topic, body[16:96])


def read_extension(body, name, topic, header_key):
    sealed = body[96 : 96 + EXTENSION + 16]
    return unseal(hkdf(body[:16], header_key, "message extension", 44), name + topic, sealed)


def read_payload(body, name, topic, message_key, extended):
    at = 96 + (EXTENSION + 16 if extended else 0)
    return unseal(hkdf(body[:16], message_key, "message payload", 44), name + topic + body[:at], body[at:])


def junk(draws):
    """The topic and the body of an envelope for nobody."""
    salt, header_key, message_key, name = draws.draw(16), draws.draw(32), draws.draw(32), draws.draw(32)
    topic = draws.draw(4)
    return topic, write(salt, name, topic, header_key, message_key, bytes(64), bytes(LONG))
