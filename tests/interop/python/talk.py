"""The acceptance test: this implementation and the Rust one talk through a real relay and its pool.

    python3 tests/interop/python/talk.py PATH_TO_UNDERTONE [MESSAGES]

The relay is the only neighbour of the messengers and of the Python side, so that all that is said was admitted to
its pool. Prints a line for each step and exits 0, or says what failed and exits 1. Everything it makes is in a
temporary folder that it removes.
"""

import json
import random
import sys
import tempfile
import time
from pathlib import Path

from children import PATIENCE, SCRIPTS, Child, Failed, Home
from mnemonic import Mnemonic

from undertone import ecies, envelope, identity, offer
from undertone.draws import Draws
from undertone.messenger import Messenger

# A network of its own, whose work is found in milliseconds.
NETWORK, FLOOR = "python", 10
TOPIC = f"/undertone/2/{NETWORK}/{FLOOR}"
# Lives of an envelope: what messages have, and another one for the same body posted again; in seconds.
LIFE, SHORT_LIFE = 86_400, 21_600
# Messages said before the offer is answered.
EARLY = 3


class Flood:
    """The Python side's place in the network, shared by all its people."""

    def __init__(self, address):
        self.pipe = Child("node", SCRIPTS / "pipe.mjs", "--topic", TOPIC, "--dial", address)
        self.pipe.wait("the relay as a neighbour", lambda line: line == "peers 1")
        self.people, self.posted, self.arrived = [], 0, 0

    def post(self, topic, body, life=LIFE):
        made = envelope.make(topic, body, int(time.time()), life, FLOOR, random.getrandbits(60))
        self.pipe.write(made.hex())
        self.posted += 1

    def turn(self, within):
        """Hands out what arrives in this time."""
        until = time.monotonic() + within
        while (left := until - time.monotonic()) > 0:
            try:
                line = self.pipe.line("an envelope", left)
            except Failed:
                if self.pipe.process.poll() is not None:
                    raise
                return
            verb, _, rest = line.partition(" ")
            if verb == "refused":
                raise Failed(f"an envelope could not be published: {rest}")
            if verb == "envelope":
                self.arrived += 1
                topic, body = envelope.read(bytes.fromhex(rest))
                for person in self.people:
                    person.arrive(topic, body)

    def until(self, what, test):
        until = time.monotonic() + PATIENCE
        while not test():
            if time.monotonic() > until:
                raise Failed(f"waited in vain for {what}")
            self.turn(0.2)


class Person(Messenger):
    """Speaks into the flood, out of order and more than once; reads in batches, in any order."""

    def __init__(self, flood, other, packages, secret=None):
        super().__init__(secret or Draws().secret(), other, self.leave, int(time.time()))
        self.flood, self.packages = flood, packages
        self.outbox, self.inbox, self.opened_by_eciesjs = [], [], 0
        flood.people.append(self)

    def leave(self, topic, body):
        self.outbox.append((topic, body))

    def release(self):
        """Posts what was held back: shuffled, and half of it twice under another life."""
        random.shuffle(self.outbox)
        for topic, body in self.outbox:
            self.flood.post(topic, body)
        for topic, body in self.outbox[::2]:
            self.flood.post(topic, body, SHORT_LIFE)
        self.outbox = []

    def arrive(self, topic, body):
        self.inbox.append((topic, body))

    def read(self):
        """Takes what arrived, shuffled."""
        inbox, self.inbox = self.inbox, []
        random.shuffle(inbox)
        for topic, body in inbox:
            self.take(topic, body)

    def seal(self, session):
        """`eciesjs` seals the letter; only the point is written anew."""
        letter = self.letters[session.id].ljust(offer.PADDED, b"\0")
        sealed = self.packages.ask(f"seal {self.other.hex()} {letter.hex()}")
        self.post(self.draws.draw(4), ecies.from_packages(bytes.fromhex(sealed), self.draws.draw(32)))

    def take_offer(self, body):
        if not super().take_offer(body):
            return False
        secret = self.identity.to_bytes(32, "big").hex()
        opened = self.packages.ask(f"open {secret} {ecies.to_packages(body).hex()}")
        if bytes.fromhex(opened) != ecies.read(self.identity, body):
            raise Failed("eciesjs reads another letter than eciespy")
        self.opened_by_eciesjs += 1
        return True


class Rust:
    """An undertone messenger that listens, and its commands beside it."""

    def __init__(self, home):
        self.home, self.child, self.events = home, home.listen(), []
        self.child.wait("the relay as Rust's neighbour", lambda line: json.loads(line)["type"] == "network")

    def look(self):
        while not self.child.lines.empty():
            self.events.append(json.loads(self.child.line("an event")))
        return self.events

    def texts(self):
        return [event["text"] for event in self.look() if event["type"] == "message"]

    def delivered(self):
        """How many of its own messages it knows to have been read."""
        known = {
            event["id"] for event in self.look() if event["type"] == "state" and event["state"] == "delivered"
        }
        return len(known)

    def confirmed(self):
        """How many early messages are no longer in doubt."""
        return sum(event["type"] == "change" and event["what"] == "confirmed" for event in self.look())

    def request(self):
        return next((event["key"] for event in self.look() if event["type"] == "request"), None)

    def parted(self):
        """Whether its last session is gone."""
        links = [event["session"] for event in self.look() if event["type"] == "session"]
        return links[-1:] == ["no session"]

    def say(self, text):
        self.home.run("send", "py", text, "--wait", "queued")


def converse(flood, rust, person, count):
    """So many more texts each way. All come once and in their order, and each side learns that."""
    shown, known = len(rust.texts()) - len(person.said), rust.delivered()
    from_rust = [f"{number} from Rust" for number in range(count)]
    for number in range(count):
        person.say(f"{number} from Python")
        if number % 4 == 3:
            person.repeat(number - 2)
            person.release()
        rust.say(from_rust[number])
        flood.turn(0.05)
        if number % 5 == 4:
            person.read()
    person.release()

    def all_read():
        person.read()
        person.release()
        return person.heard() == from_rust

    flood.until("all that Rust said", all_read)
    flood.until("Rust to show all that Python said", lambda: len(rust.texts()) >= shown + len(person.said))

    def all_known():
        person.acknowledge()
        person.release()
        flood.turn(1)
        person.read()
        return len(person.delivered) == len(person.said) and rust.delivered() == known + count

    flood.until("acknowledgements both ways", all_known)
    if rust.texts()[shown:] != person.said:
        raise Failed(f"Rust shows {rust.texts()[shown:]} for {person.said}")
    chain = max(one.sending.index for one in person.sessions)
    print(f"ok  {count} messages each way, shuffled and repeated: all once and in order, up to chain {chain}")


def compare(rust, person):
    """Rust shows the number and the words that Python computes, and believes the half Python reads out."""
    session, shown = person.preferred(), rust.home.run("contact", "show", "py")
    if shown["safety_number"].replace(" ", "") != identity.safety_number(person.key(), person.other):
        raise Failed(f"Rust's safety number is {shown['safety_number']}")
    names = Mnemonic("english").wordlist
    spoken = [names[number] for number in session.words]
    own, told = (spoken[:3], spoken[3:]) if session.initiator else (spoken[3:], spoken[:3])
    if shown["words"]["read"] != told:
        raise Failed(f"Rust reads out {shown['words']}, and Python expects {told}")
    rust.home.run("contact", "verify", "py", "--words", *own)
    if rust.home.run("contact", "show", "py")["trust"]["state"] != "verified":
        raise Failed("Rust does not believe the right words")
    print("ok  both know the same number and words; Rust verified Python")


def python_offers(flood, rust, person, count):
    """A stranger's early messages arrive before the offer; nothing is answered before a person lets them in."""
    person.offer()
    letter = person.outbox.pop()
    for number in range(EARLY):
        person.say(f"early {number}")
    person.release()
    flood.post(*letter)
    flood.post(*letter, SHORT_LIFE)
    flood.until("the request", rust.request)
    if rust.request() != person.key().hex():
        raise Failed("a request of somebody else")
    flood.turn(1)
    person.read()
    if person.sessions[0].confirmed or rust.texts():
        raise Failed("answered or shown before anybody let them in")
    rust.home.run("request", "accept", rust.request(), "--name", "py")

    def answered():
        person.read()
        return person.sessions[0].confirmed

    flood.until("the answer", answered)
    flood.until("the early messages", lambda: len(rust.texts()) == EARLY)
    print("ok  Python offered, by eciesjs, as a stranger; Rust answered when told to")
    converse(flood, rust, person, count)
    compare(rust, person)
    if rust.confirmed() != EARLY:
        raise Failed(f"of {EARLY} early messages {rust.confirmed()} were confirmed")
    person.close()
    person.release()
    flood.until("Rust to have no session", rust.parted)
    print("ok  Python closed; Rust has no session")


def rust_offers(flood, rust, person, count):
    rust.home.run("contact", "add", identity.write_invite(person.key()), "--name", "py")

    def met():
        person.read()
        person.release()
        return person.sessions and person.sessions[0].confirmed

    flood.until("the offer and its confirmation", met)
    if not person.opened_by_eciesjs:
        raise Failed("eciesjs opened no offer")
    print("ok  Rust offered, opened by eciesjs too; Python answered and was confirmed")
    converse(flood, rust, person, count)
    compare(rust, person)


def both_offer(flood, rust, person, count):
    """Neither offer is refused because of the other; both ends come to the same session."""
    rust.home.run("contact", "add", identity.write_invite(person.key()), "--name", "py")
    person.offer()
    person.release()

    def settled():
        person.read()
        person.release()
        return len(person.sessions) == 2 and person.preferred().confirmed

    flood.until("two sessions, one confirmed", settled)
    print("ok  both offered at once; neither refused the other's")
    converse(flood, rust, person, count)


def python_forgets(flood, rust, person, count):
    """Python loses all but its key: a new offer, a new stream, and the conversation goes on."""
    again = Person(flood, person.other, person.packages, person.identity)
    flood.people.remove(person)
    again.offer()
    again.release()

    def answered():
        again.read()
        return again.sessions[0].confirmed

    flood.until("the answer to who forgot", answered)
    # What Rust says before this is confirmed goes to the session that is forgotten, and comes again much later.
    before = len(rust.texts())
    again.say("I am back")
    again.release()
    flood.until("Rust to be in the other session", lambda: len(rust.texts()) > before)
    print("ok  Python forgot everything but its key and offered again; Rust answered")
    converse(flood, rust, again, count)


def main(program, count, folder, children):
    relay = Child(program, "relay", "run", "--json", "--network", NETWORK, "--floor", FLOOR,
                  "--listen", "/ip4/127.0.0.1/tcp/0", "--home", folder / "relay")  # fmt: skip
    children.append(relay)
    at = json.loads(relay.wait("the relay's address", lambda line: json.loads(line)["type"] == "listening"))[
        "address"
    ]
    flood, packages = Flood(at), Child("node", SCRIPTS / "ecies.mjs")
    children += [flood.pipe, packages]
    print("ok  a relay is up; Python is its neighbour")

    flags = ["--peer", at, "--network", NETWORK, "--floor", str(FLOOR)]
    for name, scenes in (
        ("ana", [python_offers]),
        ("ben", [rust_offers, python_forgets]),
        ("cem", [both_offer]),
    ):
        home = Home(program, folder, name, flags)
        key = identity.read_invite(home.run("identity", "new", name)["invite"])
        rust, person = Rust(home), Person(flood, key, packages)
        children.append(rust.child)
        for scene in scenes:
            scene(flood, rust, person, count)
        children.pop().end()
    pooled(relay, flood)


def pooled(relay, flood):
    """Every envelope that was said lies in the relay's pool, and nothing else does."""
    flood.turn(2)
    total = flood.posted + flood.arrived

    def all_there(line):
        event = json.loads(line)
        return event["type"] == "network" and event["pool_items"] == total

    relay.wait(f"{total} envelopes in the relay's pool", all_there)
    print(
        f"ok  the relay's pool holds all {total} envelopes: {flood.posted} of Python's, {flood.arrived} of Rust's"
    )


def run():
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: talk.py PATH_TO_UNDERTONE [MESSAGES]")
    children, status = [], 0
    with tempfile.TemporaryDirectory(prefix="undertone-python-") as folder:
        try:
            main(
                Path(sys.argv[1]).resolve(),
                int(sys.argv[2]) if len(sys.argv) == 3 else 24,
                Path(folder),
                children,
            )
        except Failed as error:
            print(f"failed: {error}", file=sys.stderr)
            status = 1
        finally:
            for child in reversed(children):
                child.end()
    sys.exit(status)


if __name__ == "__main__":
    run()
