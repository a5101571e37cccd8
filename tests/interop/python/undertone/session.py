"""One session: who may write, what opens, and how each step of the ratchet follows.

Nothing is changed by a body that does not open. Numbers and acknowledgements are not looked at here.
"""

from dataclasses import dataclass

from . import chain, offer
from .chain import POSITIONS, Header
from .payload import HEAD, Payload
from .primitives import Refused, agree, decapsulate, encapsulate, hkdf, labelled, public, split

PASSED_LIMIT = 2048
# The longest life of an envelope, and a day; in seconds.
PASSED_LIFE = 8 * 86_400


class Full(Exception):
    """A chain whose 1,024 positions are filled: time for another offer."""


@dataclass
class Outgoing:
    index: int
    key: bytes
    topic_key: bytes
    ratchet: bytes
    previous: int = 0
    filled: int = 0
    extension: bytes = b""


class Incoming:
    """A chain of the other side's. Without a key its headers can be read, its payloads cannot."""

    def __init__(self, index, topic_key, key=None, ratchet=None):
        self.index, self.key, self.ratchet = index, key, ratchet
        self.slots = chain.slots(topic_key)
        self.next = 0

    def keys(self, position):
        """The message keys from `next` to `position`, and the chain key after it."""
        key, found = self.key, []
        for _ in range(self.next, position + 1):
            key, message_key = chain.chain_step(key)
            found.append(message_key)
        return found, key


@dataclass
class Passed:
    """A position that was passed over; `since` is when."""

    index: int
    position: int
    topic: bytes
    header_key: bytes
    message_key: bytes
    since: int


@dataclass
class Opened:
    """`place` is chain and position."""

    place: tuple
    payload: Payload


# A message of chain 1 that came before one with the extension: to be tried again.
LATER = "later"


def step(root, secret, ratchet):
    """`RK | C | T` of the next chain."""
    return split(hkdf(root, agree(secret, ratchet), "root step", 96), 32, 32, 32)


def words(name, transcript, reveal):
    """Six numbers of 11 bits, for six words of BIP 39's list."""
    digest = int.from_bytes(labelled("words", name, transcript, reveal), "big")
    return [digest >> 256 - 11 * (at + 1) & 2047 for at in range(6)]


class Session:
    """Either end. Made by `initiate` or `respond`."""

    def __init__(self, start, identity, initiator):
        self.id, self.root, self.commitment = start.id, start.root, start.commitment
        self.created, self.initiator, self.identity = start.created, initiator, identity
        self.other = None if initiator else start.initiator
        self.sending = self.reading = self.coming = None
        self.own_topics = None  # where the topics of our next chain begin
        self.ratchet = None  # our ratchet secret
        self.passed, self.words, self.transcript, self.reveal = [], None, None, None
        self.confirmed, self.closed = False, False

    @staticmethod
    def initiate(draws, identity, to, created):
        """A session of our own, and the letter that offers it."""
        letter, start, kept = offer.write(draws, identity, to, created)
        new = Session(start, identity, True)
        new.other, new.kept, new.reveal = to, kept, kept.reveal
        new.sending = Outgoing(0, start.chain_0, start.topics[0], start.ephemeral)
        new.reading, new.own_topics = Incoming(1, start.topics[1]), start.topics[2]
        return new, letter

    @staticmethod
    def respond(identity, body, now):
        """The session that `body` offers; nothing is said in it before `answer`."""
        start = offer.read(identity, body, now)
        new = Session(start, identity, False)
        new.start = start
        new.reading = Incoming(0, start.topics[0], start.chain_0, start.ephemeral)
        new.coming, new.own_topics = Incoming(2, start.topics[2]), start.topics[1]
        return new

    def answer(self, draws):
        """The responder begins chain 1."""
        ephemeral, ratchet, drawn = draws.secret(), draws.secret(), draws.draw(32)
        theirs = self.start.ephemeral
        ciphertext, z = encapsulate(self.start.kem, drawn)
        extension = public(ephemeral) + ciphertext
        secrets = (
            agree(ephemeral, theirs) + agree(ephemeral, self.start.initiator) + z + agree(ratchet, theirs)
        )
        self.transcript, keys = self.answer_keys(extension, public(ratchet), secrets)
        self.root, key, topics = keys
        self.sending = Outgoing(1, key, self.own_topics, public(ratchet), extension=extension)
        self.ratchet, self.own_topics, self.start = ratchet, topics, None

    def answer_keys(self, extension, ratchet, secrets):
        transcript = labelled("reply", self.id, extension, ratchet)
        return transcript, split(hkdf(self.root, secrets + transcript, "answer keys", 96), 32, 32, 32)

    def send(self, draws, payload):
        """The topic and the body of the next position."""
        out = self.sending
        if out is None or self.closed:
            raise Refused("nothing may be said here")
        if out.filled == POSITIONS:
            raise Full
        after, topic, header_key = chain.topic_step(out.topic_key)
        key, message_key = chain.chain_step(out.key)
        extension = out.extension if HEAD + len(payload.said) <= chain.SHORT else b""
        reveal = self.reveal if out.index == 2 else None
        header = Header(out.filled, out.previous, out.ratchet, bool(extension), reveal).write()
        said = payload.write(chain.SHORT if extension else chain.LONG)
        body = chain.write(draws.draw(16), self.id, topic, header_key, message_key, header, said, extension)
        out.topic_key, out.key, out.filled = after, key, out.filled + 1
        return topic, body

    def topics(self):
        """Every topic something may come under."""
        waiting = [self.reading, self.coming] if self.coming else [self.reading]
        found = {topic for one in waiting for topic, _ in one.slots[one.next :]}
        return found | {one.topic for one in self.passed}

    def places(self, topic):
        for one in self.passed:
            if one.topic == topic:
                yield one, one.position, one.header_key
        for one in (self.reading, self.coming):
            for position in range(one.next, POSITIONS) if one else ():
                if one.slots[position][0] == topic:
                    yield one, position, one.slots[position][1]

    def open(self, draws, topic, body, now):
        """`Opened`, `LATER`, or None if it is nothing of this session's."""
        if len(body) != 2016 or self.closed:
            return None
        for place, position, header_key in list(self.places(topic)):
            try:
                header = Header.read(
                    chain.read_header(body, self.id, topic, header_key), place.index, position
                )
                return self.open_at(draws, place, header, header_key, topic, body, now)
            except Refused:
                continue
        return None

    def open_at(self, draws, place, header, header_key, topic, body, now):
        def payload(message_key):
            length_known = chain.read_payload(body, self.id, topic, message_key, header.extended)
            return Opened((place.index, header.position), Payload.read(length_known))

        if place.index == 2 and labelled("commitment", header.reveal) != self.commitment:
            raise Refused("not what was committed to")
        if isinstance(place, Passed):
            opened = payload(place.message_key)
            self.passed.remove(place)
            return opened
        if place is self.coming:
            return self.open_step(draws, place, header, payload, now)
        if place.key is None:
            if not header.extended:
                return LATER
            return self.open_answer(
                draws, header, chain.read_extension(body, self.id, topic, header_key), payload, now
            )
        if header.ratchet != place.ratchet:
            raise Refused("another ratchet key")
        found, key = place.keys(header.position)
        opened = payload(found[-1])
        self.pass_over(place, found[:-1], now)
        place.key, place.next = key, header.position + 1
        return opened

    def open_answer(self, draws, header, extension, payload, now):
        """The initiator opens the first message of chain 1."""
        theirs, kept = extension[:33], self.kept
        secrets = agree(kept.ephemeral, theirs) + agree(self.identity, theirs)
        secrets += decapsulate(kept.kem_seed, extension[33:]) + agree(kept.ephemeral, header.ratchet)
        transcript, (root, key, topics) = self.answer_keys(extension, header.ratchet, secrets)
        reading = self.reading
        reading.key = key
        try:
            found, after = reading.keys(header.position)
            opened = payload(found[-1])
        except Refused:
            reading.key = None
            raise
        self.pass_over(reading, found[:-1], now)
        reading.key, reading.next, reading.ratchet = after, header.position + 1, header.ratchet
        self.coming = Incoming(3, topics)
        self.transcript, self.kept, self.confirmed = transcript, None, True
        self.words = words(self.id, transcript, self.reveal)
        self.begin(draws, root, header.ratchet)
        return opened

    def open_step(self, draws, place, header, payload, now):
        """The first message of the other's next chain."""
        if self.ratchet is None or header.previous < self.reading.next:
            raise Refused("no step of ours came before it, or positions are taken back")
        root, key, topics = step(self.root, self.ratchet, header.ratchet)
        place.key = key
        try:
            found, after = place.keys(header.position)
            opened = payload(found[-1])
        except Refused:
            place.key = None
            raise
        if header.previous:
            self.pass_over(self.reading, self.reading.keys(header.previous - 1)[0], now)
        self.pass_over(place, found[:-1], now)
        place.key, place.next, place.ratchet = after, header.position + 1, header.ratchet
        self.reading, self.coming = place, Incoming(place.index + 2, topics)
        if place.index == 2:
            self.reveal, self.confirmed = header.reveal, True
            self.words = words(self.id, self.transcript, self.reveal)
        self.begin(draws, root, header.ratchet)
        return opened

    def begin(self, draws, root, ratchet):
        """A chain of our own, by the other's ratchet key."""
        self.ratchet = draws.secret()
        self.root, key, topics = step(root, self.ratchet, ratchet)
        before = self.sending
        self.sending = Outgoing(before.index + 2, key, self.own_topics, public(self.ratchet), before.filled)
        self.own_topics = topics

    def pass_over(self, incoming, keys, now):
        """Keeps the keys from `incoming.next` on: so many of them, so long."""
        for position, message_key in enumerate(keys, incoming.next):
            self.passed.append(Passed(incoming.index, position, *incoming.slots[position], message_key, now))
        self.passed = [one for one in self.passed if now - one.since < PASSED_LIFE][-PASSED_LIMIT:]
