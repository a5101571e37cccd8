"""One person's end of one conversation: numbers, acknowledgements and order, over any sessions.

What leaves is handed to `post(topic, body)`. Waits for nothing and repeats nothing by itself.
"""

from . import offer
from .draws import Draws
from .payload import ANSWER, CLOSE, NOTHING, READ, TEXT, Payload, mark, marked
from .primitives import Refused, public
from .session import LATER, Opened, Session

SESSIONS = 8
# Numbers under way at once, and kept out of order; and how many an acknowledgement names beyond the lowest.
WINDOW, REACH = 256, 64
# How far ahead the date of a session is believed: nothing that is dated further ahead is carried.
AHEAD = 3900


class Messenger:
    """`other` is the contact's public key; an offer of anybody else is refused."""

    def __init__(self, identity, other, post, now, draws=None):
        self.identity, self.other, self.post, self.now = identity, other, post, now
        self.draws = draws or Draws()
        self.sessions, self.letters, self.seen = [], {}, set()
        # What was said, and how much of it was given a number to leave under.
        self.stream, self.said, self.left = self.word(), [], 0
        # What the other said: in which stream, under which numbers, from which on.
        self.heard_stream, self.texts, self.base = None, {}, 0
        # What the other acknowledged of ours.
        self.delivered, self.unopened, self.closed = set(), [], False
        # What the other has seen of ours: all numbers below this.
        self.seen_below = 0

    def word(self):
        return int.from_bytes(self.draws.draw(8), "little")

    def offer(self):
        """A session of our own; its letter may be sealed again and again."""
        session, letter = Session.initiate(self.draws, self.identity, self.other, self.now)
        self.keep(session)
        self.letters[session.id] = letter
        self.seal(session)
        return session

    def seal(self, session):
        self.post(*offer.seal(self.draws, self.other, self.letters[session.id]))

    def keep(self, session):
        self.sessions.append(session)
        while len(self.sessions) > SESSIONS:
            self.sessions.remove(min(self.sessions, key=lambda one: (one.confirmed, one.created, one.id)))

    def preferred(self):
        """The session to send in."""

        def rank(one):
            return (one.confirmed, not one.initiator, one.created <= self.now + AHEAD, one.created, one.id)

        return max((one for one in self.sessions if one.sending), key=rank, default=None)

    def ack(self):
        """The lowest number that has not come, and which of the 64 after it have; of those after these, nothing."""
        if self.heard_stream is None:
            return None
        lowest = self.lowest()
        beyond = sum(1 << k for k in range(REACH) if lowest + 1 + k in self.texts)
        return self.heard_stream, lowest, beyond

    def lowest(self):
        """The lowest number that has not come."""
        lowest = self.base
        while lowest in self.texts:
            lowest += 1
        return lowest

    def held(self):
        """The lowest number that is not known to have come."""
        return next((n for n in range(self.left) if n not in self.delivered), self.left)

    def say(self, text):
        """A message, under the next number; it waits while too many before it are not acknowledged."""
        self.said.append(text)
        self.send_waiting()

    def send_waiting(self):
        """Sends what waits, as far as there is room."""
        while self.left < min(len(self.said), self.held() + WINDOW) and self.preferred():
            self.left += 1
            self.repeat(self.left - 1)

    def repeat(self, number):
        """The same number again, as another message of a chain."""
        self.payload(number, TEXT, self.said[number].encode())

    def payload(self, number, kind, said=b""):
        what = Payload(self.stream, number, self.ack(), self.held(), kind, said)
        self.post(*self.preferred().send(self.draws, what))

    def acknowledge(self):
        self.payload(None, NOTHING)

    def show(self):
        """A person has seen all that came without a gap."""
        stream, lowest, _ = self.ack()
        self.payload(None, READ, mark(stream, lowest))

    def close(self):
        self.payload(None, CLOSE)
        self.sessions = []

    def take(self, topic, body):
        """An envelope of the flood, perhaps for us; True if it was."""
        for session in list(self.sessions):
            found = session.open(self.draws, topic, body, self.now)
            if found == LATER:
                self.unopened.append((topic, body))
                return True
            if isinstance(found, Opened):
                self.hear(session, found.payload)
                self.again()
                self.send_waiting()
                return True
        if self.take_offer(body):
            self.again()
            self.send_waiting()
            return True
        if len(self.unopened) < 4096:
            self.unopened.append((topic, body))
        return False

    def again(self):
        """What overtook its offer, or its answer."""
        waiting, self.unopened = self.unopened, []
        for topic, body in waiting:
            self.take(topic, body)

    def take_offer(self, body):
        try:
            session = Session.respond(self.identity, body, self.now)
        except Refused:
            return False
        if session.other != self.other:
            return False
        if session.id not in self.seen:
            self.seen.add(session.id)
            session.answer(self.draws)
            self.keep(session)
            self.payload_in(session, ANSWER)
        return True

    def payload_in(self, session, kind):
        what = Payload(self.stream, None, self.ack(), self.held(), kind)
        self.post(*session.send(self.draws, what))

    def hear(self, session, payload):
        if payload.kind == CLOSE:
            self.sessions.remove(session)
            self.closed = True
        if payload.ack and payload.ack[0] == self.stream:
            _, lowest, beyond = payload.ack
            self.delivered |= set(range(min(lowest, self.left)))
            self.delivered |= {lowest + 1 + k for k in range(REACH) if beyond >> k & 1}
        if payload.kind == READ and session.confirmed:
            stream, below = marked(payload.said)
            if stream == self.stream and below <= self.left:
                self.seen_below = max(self.seen_below, below)
        if self.heard_stream is None:
            self.heard_stream = payload.stream
        if payload.stream != self.heard_stream:
            return
        self.base = max(self.base, payload.base)
        # What is further ahead than a sender goes counts as not come.
        if payload.number is not None and payload.number <= self.lowest() + WINDOW:
            # What a later version says has a number too, and counts as received.
            said = payload.said.decode() if payload.kind == TEXT else ""
            self.texts.setdefault(payload.number, said)

    def heard(self):
        """The texts, in the order of their numbers."""
        return [self.texts[number] for number in sorted(self.texts)]

    def key(self):
        return public(self.identity)
