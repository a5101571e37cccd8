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
from undertone import ecies, envelope, identity, offer
from undertone.draws import Draws
from undertone.messenger import Messenger

# A network of its own, whose work is found in milliseconds.
NETWORK, FLOOR = "python", 10
TOPIC = f"/undertone/1/{NETWORK}/{FLOOR}"
# Lives of an envelope: what messages have, and another one for the same body posted again; in seconds.
LIFE, SHORT_LIFE = 86_400, 21_600


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

    def __init__(self, flood, other, packages):
        super().__init__(Draws().secret(), other, self.leave, int(time.time()))
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


class Messages:
    """What `listen --json` prints, once it is connected."""

    def __init__(self, child):
        self.child, self.events = child, []
        child.wait("the relay as Rust's neighbour", lambda line: json.loads(line)["type"] == "network")

    def look(self):
        while not self.child.lines.empty():
            self.events.append(json.loads(self.child.line("an event")))
        return self.events

    def texts(self):
        return [event["text"] for event in self.look() if event["type"] == "message"]

    def first(self, kind):
        return next((event for event in self.look() if event["type"] == kind), None)


def converse(flood, home, heard, person, count):
    """So many more texts each way; all come once, and in their order."""
    for number in range(count):
        person.say(f"{number} from Python")
        if number % 4 == 3:
            person.repeat(number - 2)
            person.release()
        home.run("send", "py", f"{number} from Rust", "--wait", "queued")
        flood.turn(0.05)
        if number % 5 == 4:
            person.read()
    person.release()
    from_rust = [f"{number} from Rust" for number in range(count)]

    def all_read():
        person.read()
        person.release()
        return person.heard() == from_rust

    flood.until("all that Rust said", all_read)
    flood.until("Rust to show all that Python said", lambda: len(heard.texts()) >= len(person.said))
    if heard.texts() != person.said:
        raise Failed(f"Rust shows {heard.texts()} for {person.said}")


def deliver(flood, home, person):
    """A last word from Rust, until it knows that it was read; and Python learns the same of all it said."""
    home.run("send", "py", "the last word", "--wait", "queued")

    def known():
        person.read()
        person.acknowledge()
        person.release()
        flood.turn(1)
        return len(person.delivered) == len(person.said) and person.heard()[-1] == "the last word"

    flood.until("acknowledgements both ways", known)


def python_offers(flood, home, person, count):
    """A stranger's early messages arrive before the offer; nothing is answered before a person lets them in."""
    rust = Messages(home.listen())
    try:
        person.offer()
        letter = person.outbox.pop()
        for number in range(3):
            person.say(f"early {number}")
        person.release()
        flood.post(*letter)
        flood.post(*letter, SHORT_LIFE)
        flood.until("the request", lambda: rust.first("request"))
        key = rust.first("request")["key"]
        if key != person.key().hex():
            raise Failed("a request of somebody else")
        flood.turn(1)
        person.read()
        if person.sessions[0].confirmed:
            raise Failed("answered before anybody let them in")
        home.run("request", "accept", key, "--name", "py")

        def answered():
            person.read()
            return person.sessions[0].confirmed

        flood.until("the answer", answered)
        print("ok  Python offered, by eciesjs, as a stranger; Rust answered when told to")
        converse(flood, home, rust, person, count)
        deliver(flood, home, person)
    finally:
        rust.child.end()


def rust_offers(flood, home, person, count):
    rust = Messages(home.listen())
    try:
        home.run("contact", "add", identity.write_invite(person.key()), "--name", "py")

        def met():
            person.read()
            person.release()
            return person.sessions and person.sessions[0].confirmed

        flood.until("the offer and its confirmation", met)
        if not person.opened_by_eciesjs:
            raise Failed("eciesjs opened no offer")
        print("ok  Rust offered, opened by eciesjs too; Python answered and was confirmed")
        converse(flood, home, rust, person, count)
        deliver(flood, home, person)
    finally:
        rust.child.end()


def main(program, count, folder, children):
    relay = Child(program, "relay", "run", "--json", "--network", NETWORK, "--floor", FLOOR,
                  "--listen", "/ip4/127.0.0.1/tcp/0", "--home", folder / "relay")  # fmt: skip
    children.append(relay)
    at = json.loads(relay.wait("the relay's address", lambda line: json.loads(line)["type"] == "listening"))["address"]
    flood, packages = Flood(at), Child("node", SCRIPTS / "ecies.mjs")
    children += [flood.pipe, packages]
    print("ok  a relay is up; Python is its neighbour")

    flags = ["--peer", at, "--network", NETWORK, "--floor", str(FLOOR)]
    for name, conversation in (("ana", python_offers), ("ben", rust_offers)):
        home = Home(program, folder, name, flags)
        key = identity.read_invite(home.run("identity", "new", name)["invite"])
        person = Person(flood, key, packages)
        conversation(flood, home, person, count)
        steps = person.preferred().sending.index
        print(f"ok  {count} messages each way, shuffled and repeated: all shown once and in order, {steps} chains")
    print(f"ok  through the relay's pool: {flood.posted} envelopes in, {flood.arrived} out")


def run():
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: talk.py PATH_TO_UNDERTONE [MESSAGES]")
    children, status = [], 0
    with tempfile.TemporaryDirectory(prefix="undertone-python-") as folder:
        try:
            main(Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) == 3 else 24, Path(folder), children)
        except Failed as error:
            print(f"failed: {error}", file=sys.stderr)
            status = 1
        finally:
            for child in reversed(children):
                child.end()
    sys.exit(status)


if __name__ == "__main__":
    run()
