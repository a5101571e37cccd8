"""Many clients of one home: what they send is neither lost nor doubled, and shown as soon as without disturbance.

    python3 tests/long/clients.py [--messages 1000] [--seed N] [--program PATH] [--quick] [--folder DIR]

Two interfaces, `listen` and five senders are clients of the node in alice's home. The senders write to bob, who also
writes to alice. This is done twice in fresh homes with the same times: first undisturbed, then with every client
killed and started again at random moments of the seed, one interface stopped for a minute (SIGSTOP), and `listen` for
another. A message is "shown" when the first of the two interfaces draws its text, counted from before its `send` was
started. The run fails where a message is missing, doubled or out of order, where a client ends by itself or does not
catch up, and where the 99th percentile is more than 50 ms above that of the undisturbed run.

Ends with 0 and the figures, or says what failed and ends with 1. Takes about seven minutes with the 1,000 messages.
Everything it makes is in a temporary folder that it removes, or in the one that is named.
"""

import terminals_here  # First: what follows needs what it asks for.

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from programs import PATIENCE, Failed, Home, Interface, Listener, Program, said, told_address, until

REPOSITORY = Path(__file__).resolve().parents[2]
LOOPBACK = "/ip4/127.0.0.1/tcp/0"
# alice's node, which none of the clients is.
NODE = ["node", "run"]
INTERFACES, SENDERS = 2, "abcde"
# bob's own messages carry this letter.
BOB = "z"
# A text: who sends it, its number, and digits that nothing else on a screen has.
TOKEN = r"[a-z]\d{4}x[0-9a-f]{4}"
# Messages a second, of all senders together.
PACE = 6
# bob's messages for one of the senders'.
ANSWERS = 0.2
# Kills of each interface and of `listen`, and the fewest kills that each of the eight clients must have had.
KILLS, FEWEST_KILLS = 7, 5
# How many ends of a `send` are planned for each sender, at least, and the part of all that is.
CUTS, CUT_PART = 14, 0.1
# Milliseconds that the 99th percentile of the disturbed run may be above the other's.
MOST_ABOVE = 50
# The fewest messages of which the 99th percentile says anything.
JUDGED = 500
# Seconds in which whoever was stopped has to have caught up, and in which what was sent arrives at the other's.
CATCH_UP, ARRIVAL = 20, 240
# The seconds around a kill of `listen` in which a message may pass between two of its lives: it may have been told and
# not have printed yet.
TELLING = 1


@dataclass
class Sent:
    """One `send`: seconds of the monotonic clock, and how it ended."""

    token: str
    at: float
    took: float = 0
    killed: bool = False
    # Whether the program said that the message was accepted.
    accepted: bool = False


class Plan:
    """Everything that happens by chance, drawn from one seed; all times are seconds after the begin."""

    def __init__(self, seed, messages, stop):
        draw = random.Random(seed)
        each, pace = messages // len(SENDERS), PACE / len(SENDERS)
        self.stop, self.length = stop, each / pace
        self.times = {who: self.evenly(draw, each, self.length) for who in SENDERS}
        self.times[BOB] = self.evenly(draw, round(messages * ANSWERS), self.length)
        cuts = min(each, max(CUTS, round(each * CUT_PART)))
        # Which sends are killed, and after which part of the time that one takes: mostly early ones, because the node
        # has what it is asked for after the first milliseconds.
        self.cuts = {
            who: {at: draw.random() ** 2 for at in draw.sample(range(each), cuts)} for who in SENDERS
        }
        self.digits = draw.getrandbits(64)
        # One after the other, with room around them.
        room = (self.length - 2 * stop) / 4
        self.stops = [draw.uniform(0.2, 1) * room, self.length / 2 + draw.uniform(0.2, 1) * room]
        self.kills = [
            self.apart(draw, [self.stops[0]]),
            self.apart(draw, []),
            self.apart(draw, [self.stops[1]]),
        ]

    @staticmethod
    def evenly(draw, count, length):
        return [(at + draw.random()) * length / count for at in range(count)]

    def apart(self, draw, stops):
        """Times at which a client is killed: not while it is stopped, and not at once again."""
        left = self.length - len(stops) * self.stop
        times = [(at + draw.uniform(0.1, 0.9)) * left / KILLS for at in range(KILLS)]
        return [time + sum(self.stop for stop in stops if time > stop) for time in times]


class Run:
    """A relay, alice with her clients, bob, and everything that is seen of their messages."""

    def __init__(self, program, folder, plan, usual=None):
        folder.mkdir()
        self.plan, self.program, self.folder = plan, program, folder
        # Seconds that a `send` takes undisturbed; `None` in the run that finds it out.
        self.usual = usual
        self.draw = random.Random(plan.digits)
        self.alice, self.bob = (Home(program, folder, name) for name in ("alice", "bob"))
        self.network = ["--network", f"long-{os.getpid()}", "--floor", "4"]
        self.failures, self.programs, self.clients = [], [], []
        self.sent, self.numbers = {}, dict.fromkeys([*SENDERS, BOB], 0)
        # When a token was first seen on an interface, and when `listen` first printed an id or the text.
        self.shown, self.listed = {}, {}
        # Tokens in the order in which bob's `listen` printed them.
        self.bobs = []
        self.stops, self.notes = 0, []
        # Whoever scrolls has one interface that does not show what is new: the other is left alone.
        self.scrolling = asyncio.Lock()

    # --- who there is

    async def open(self):
        home = ["--home", self.folder / "relay"]
        relay = await self.start([self.program, *home, "relay", "run", "--listen", LOOPBACK, *self.network])
        told = await until("the relay's address", lambda: told_address(relay))
        self.network += ["--peer", told]
        invites = [(await home.ask("identity", "new", home.name))["invite"] for home in (self.alice, self.bob)]
        await self.alice.ask("contact", "add", invites[1], "--name", "bob")
        await self.bob.ask("contact", "add", invites[0], "--name", "alice")
        words = ["--no-input", "--json", "listen", *self.network]
        await self.start(self.bob.words(*words), on_line=self.on_bobs_line)
        node = await self.start(self.alice.words("--no-input", *NODE, "--listen", LOOPBACK, *self.network))
        await until("alice's node", lambda: told_address(node))
        for home, contact in ((self.alice, "bob"), (self.bob, "alice")):
            end = time.monotonic() + PATIENCE
            while (await home.ask("contact", "show", contact))["session"] != "session ready":
                if time.monotonic() > end:
                    raise Failed(f"{home.name} got no session with {contact} in {PATIENCE} s")
                await asyncio.sleep(0.2)
        self.interfaces = [
            Interface(f"interface {number + 1}", self.alice, "bob", self.failures, TOKEN, self.on_words)
            for number in range(INTERFACES)
        ]
        words = ["listen", "--states"]
        self.listener = Listener("listen", self.alice, words, self.failures, self.on_event)
        self.clients = [*self.interfaces, self.listener]
        for client in self.clients:
            await client.start()
            await until(f"the start of {client.name}", client.ready)

    async def start(self, words, **more):
        errors = self.folder / f"{len(self.programs)}.errors"
        self.programs.append(await Program.start([str(word) for word in words], errors, **more))
        return self.programs[-1]

    async def close(self):
        for client in self.clients:
            await client.close()
        for program in reversed(self.programs):
            await program.end()

    # --- what is seen

    def on_words(self, words, at):
        for token in words:
            # A screen that is read in the middle of a drawing shows words nobody sent.
            if token in self.sent:
                self.shown.setdefault(token, at)

    def on_event(self, event, at, life):
        if event["type"] == "message":
            token = event["text"]
            if token in life.words:
                self.failures.append(f"listen printed {token} twice")
            life.words.add(token)
            self.listed.setdefault(token, at)
        elif event["type"] == "state":
            life.words.add(event["id"])
            self.listed.setdefault(event["id"], at)

    def on_bobs_line(self, line, _at):
        event = json.loads(line)
        if event["type"] == "message":
            self.bobs.append(event["text"])

    # --- what happens

    async def go(self):
        """Sends everything at its time, disturbs if that is wanted, and waits until what bob sent is there."""
        self.begin = time.monotonic() + 0.5
        doing = [self.sender(who) for who in [*SENDERS, BOB]]
        if self.usual is not None:
            doing += [self.kill(client, at) for client, times in zip(self.clients, self.plan.kills) for at in times]
            doing += [self.stop_interface(self.plan.stops[0]), self.stop_listener(self.plan.stops[1])]
        doing = [asyncio.create_task(work) for work in doing]
        try:
            await asyncio.gather(*doing)
        finally:
            for work in doing:
                work.cancel()
        accepted = {token for token, sent in self.sent.items() if sent.accepted}
        bobs = {token for token in accepted if token[0] == BOB}
        await self.arrived("messages of bob at alice", lambda: bobs - self.shown.keys())

    async def arrived(self, what, missing):
        with contextlib.suppress(Failed):
            await until(what, lambda: not missing(), ARRIVAL)
        if lost := missing():
            self.failures.append(f"{len(lost)} {what} did not arrive in {ARRIVAL} s: {some(lost)}")

    async def at(self, moment):
        await asyncio.sleep(max(0, self.begin + moment - time.monotonic()))

    async def sender(self, who):
        """One after the other, each at its time; a message that was not accepted is sent again as another one."""
        home, contact = (self.bob, "alice") if who == BOB else (self.alice, "bob")
        cuts = self.plan.cuts.get(who, {}) if self.usual is not None else {}
        for index, moment in enumerate(self.plan.times[who]):
            await self.at(moment)
            cut = cuts.get(index)
            for _ in range(3):
                sent = await self.send(who, home, contact, None if cut is None else cut * self.usual)
                # The answer of a process that was killed is not known: the history knows.
                if sent.killed and not sent.accepted:
                    newest = await home.history(contact, newest=100)
                    sent.accepted = any(message["text"] == sent.token for message in newest)
                if sent.accepted:
                    break
                cut = None
            else:
                raise Failed(f"sender {who} got no message accepted in three tries")

    async def send(self, who, home, contact, cut):
        token = f"{who}{self.numbers[who]:04}x{self.draw.getrandbits(16):04x}"
        self.numbers[who] += 1
        sent = self.sent[token] = Sent(token, time.monotonic())
        words = ["send", contact, token, "--wait", "queued"]
        code, out, err = await home.command(*words, within=PATIENCE if cut is None else cut)
        sent.took = time.monotonic() - sent.at
        sent.killed = code == -signal.SIGKILL
        with contextlib.suppress(ValueError, IndexError):
            sent.accepted = json.loads(out.splitlines()[-1]).get("ok") is True
        if sent.killed and cut is None:
            self.failures.append(f"send of {token} did not end in {PATIENCE} s")
        elif code and not sent.killed:
            self.failures.append(f"send of {token} ended with {code}: {said(out, err)}")
        return sent

    async def kill(self, client, moment):
        await self.at(moment)
        async with client.held, self.scrolling if client in self.interfaces else contextlib.AsyncExitStack():
            await client.kill()

    @contextlib.asynccontextmanager
    async def stopped(self, client, moment):
        """Stops a client for the plan's time; inside, it goes on again, and nobody kills it."""
        await self.at(moment)
        async with client.held:
            # One that has just been started has to be a client first, to miss anything.
            await until(f"the start of {client.name}", client.ready)
            since = time.monotonic()
            client.life.program.signal(signal.SIGSTOP)
            await asyncio.sleep(self.plan.stop)
            continued = time.monotonic()
            client.life.program.signal(signal.SIGCONT)
            self.stops += 1
            yield since, continued

    async def stop_interface(self, moment):
        client = self.interfaces[0]
        async with self.stopped(client, moment) as (since, continued), self.scrolling:
            # What the other interface showed meanwhile.
            missed = {token for token, at in self.shown.items() if since <= at <= continued}
            begun = time.monotonic()
            if lost := await client.show(missed, CATCH_UP):
                self.failures.append(
                    f"{client.name}, stopped for {self.plan.stop} s, did not show {len(lost)} of {len(missed)} "
                    f"messages in {CATCH_UP} s: {some(lost)}; it showed\n{client.what_it_says(client.life)}"
                )
            self.notes.append(
                f"{client.name} stood for {self.plan.stop} s and then showed {len(missed) - len(lost)} of "
                f"{len(missed)} messages, after {time.monotonic() - begun:.1f} s of scrolling"
            )

    async def stop_listener(self, moment):
        client = self.listener
        async with self.stopped(client, moment) as (since, continued):
            shown = {token for token, at in self.shown.items() if since <= at <= continued}
            missed = {token for token in shown if token[0] == BOB}
            with contextlib.suppress(Failed):
                await until("what listen missed", lambda: missed <= client.life.words, CATCH_UP)
            took = time.monotonic() - continued
            if lost := missed - client.life.words:
                self.failures.append(
                    f"listen, stopped for {self.plan.stop} s, did not print {len(lost)} of {len(missed)} messages "
                    f"of bob in {CATCH_UP} s: {some(lost)}"
                )
            self.notes.append(
                f"listen stood for {self.plan.stop} s and then printed {len(missed) - len(lost)} of {len(missed)} "
                f"messages of bob, after {took:.1f} s"
            )
            self.stood = shown - missed, client.life

    # --- what must hold at the end

    async def check(self):
        """Compares what was sent with both histories and with everything that was printed and shown."""
        alices = await self.alice.history("bob")
        ids = {message["text"]: message["id"] for message in alices}
        kept = [message["text"] for message in alices]
        said_by_alice = [token for token in kept if token[0] != BOB]
        # Those, too, that were accepted although their `send` was killed.
        await self.arrived("messages of alice at bob", lambda: set(said_by_alice) - set(self.bobs))
        bobs = await self.bob.history("alice")
        self.check_once("alice's history", kept)
        self.check_once("bob's history", [message["text"] for message in bobs])
        self.check_once("bob's listen", self.bobs)
        self.demand("are missing in alice's history", {t for t, s in self.sent.items() if s.accepted} - set(kept))
        self.demand("are in alice's history, and nobody sent them", set(kept) - self.sent.keys())
        self.demand("of alice's history were not printed by bob's listen", set(said_by_alice) - set(self.bobs))
        self.demand("were printed by bob's listen and are not in alice's history", set(self.bobs) - set(said_by_alice))
        self.demand("of alice's history are missing in bob's", set(kept) - {message["text"] for message in bobs})
        self.check_order("alice's history", kept)
        self.check_order("bob's listen", self.bobs)
        if [token for token in self.bobs if token in ids] != said_by_alice:
            self.failures.append("bob's listen has another order than alice's history")
        self.demand("of alice's history were shown by no interface", set(kept) - self.shown.keys())
        for client in self.interfaces:
            self.demand(f"were not shown by {client.name} when it was scrolled", await client.show(set(kept)))
            self.demand(f"stand twice on the screen of {client.name}", client.twice())
        self.check_listener(said_by_alice, ids)
        killed = [sent for sent in self.sent.values() if sent.killed]
        late = sum(not sent.accepted and sent.token in ids for sent in killed)
        self.notes.append(
            f"{len(killed)} sends were killed; {sum(sent.token in ids for sent in killed)} of them had been accepted, "
            f"{late} of those only after the history was asked"
        )
        return ids

    def check_listener(self, said_by_alice, ids):
        """Every message of bob is printed, unless it came between two lives of `listen`."""
        gaps = [
            (before.ended - TELLING, after.first_output or float("inf"))
            for before, after in zip(self.listener.lives, self.listener.lives[1:])
        ]
        bobs = {token for token in ids if token[0] == BOB and token in self.sent}
        unprinted = bobs - self.listed.keys()
        between = {
            token
            for token in unprinted
            if any(self.sent[token].at <= end and self.shown.get(token, end) >= begin for begin, end in gaps)
        }
        self.demand("of bob were not printed by listen, which ran", unprinted - between)
        self.notes.append(
            f"listen printed {len(bobs) - len(unprinted)} of {len(bobs)} messages of bob; {len(between)} came between "
            "two of its lives"
        )
        states = sum(ids[token] in self.listed for token in said_by_alice)
        self.notes.append(f"listen printed states of {states} of {len(said_by_alice)} messages of alice")
        if self.stops:
            meanwhile, life = self.stood
            told = sum(ids.get(token) in life.words for token in meanwhile)
            self.notes.append(f"of {len(meanwhile)} messages of alice while it stood, it printed states of {told}")

    def check_once(self, where, tokens):
        self.demand(f"are more than once in {where}", {token for token in tokens if tokens.count(token) > 1})

    def check_order(self, where, tokens):
        """A sender's messages have its order. One whose `send` was killed may have been accepted at any time."""
        for who in [*SENDERS, BOB]:
            own = [token for token in tokens if token[0] == who and token in self.sent and not self.sent[token].killed]
            if own != sorted(own):
                self.failures.append(f"{where} does not have the messages of sender {who} in their order")

    def demand(self, what, tokens):
        if tokens:
            self.failures.append(f"{len(tokens)} messages {what}: {some(tokens)}")

    # --- figures

    def waits(self, ids):
        """Milliseconds from `send` to shown of alice's messages, and to the first line of listen about them."""
        sent = [sent for sent in self.sent.values() if sent.token[0] != BOB and sent.token in ids]
        shown = [self.shown[one.token] - one.at for one in sent if one.token in self.shown]
        listed = [self.listed[ids[one.token]] - one.at for one in sent if ids[one.token] in self.listed]
        return milliseconds(shown), milliseconds(listed)

    def kill_counts(self):
        counts = {client.name: client.kills for client in self.clients}
        for who in SENDERS:
            counts[f"sender {who}"] = sum(sent.killed for sent in self.sent.values() if sent.token[0] == who)
        return counts


def some(tokens):
    return ", ".join(sorted(tokens)[:5]) + (", .." if len(tokens) > 5 else "")


def milliseconds(seconds):
    return sorted(1000 * one for one in seconds)


def percentile(values, part):
    """The nearest rank, of sorted values."""
    return values[max(0, -(-len(values) * part // 100) - 1)] if values else float("nan")


def row(name, values):
    figures = "".join(f"{percentile(values, part):9.1f}" for part in (50, 90, 99))
    return f"{name:<34}{figures}{values[-1] if values else float('nan'):9.1f}{len(values):8}"


def report(plain, disturbed):
    """Prints the figures; what fails of them."""
    (shown, listed), (shown_then, listed_then) = plain, disturbed
    print(f"\n{'milliseconds from send to':<34}{'p50':>9}{'p90':>9}{'p99':>9}{'most':>9}{'of':>8}")
    print(row("shown, undisturbed", shown))
    print(row("shown, disturbed", shown_then))
    above = [percentile(shown_then, part) - percentile(shown, part) for part in (50, 90, 99)]
    print(f"{'   difference':<34}" + "".join(f"{one:+9.1f}" for one in above))
    print(row("printed by listen, undisturbed", listed))
    print(row("printed by listen, disturbed", listed_then))
    if len(shown) < JUDGED:
        print(f"with fewer than {JUDGED} messages, one kill decides about the 99th percentile: it is not judged")
        return []
    if not above[-1] <= MOST_ABOVE:
        return [f"the 99th percentile is {above[-1]:.1f} ms above the undisturbed run's, and not at most {MOST_ABOVE}"]
    return []


async def one_run(title, run):
    """Runs it to its end; the ids of the texts in alice's history."""
    began = time.monotonic()
    try:
        await run.open()
        await run.go()
        ids = await run.check()
    except Failed as failure:
        # What went wrong before it is likely to be the reason.
        raise Failed("\nFAILED: ".join([*run.failures, str(failure)])) from None
    finally:
        await run.close()
    print(f"-- {title}: {len(ids)} messages in {time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f}")
    for note in run.notes:
        print(f"   {note}")
    return ids


async def main(options, program, folder):
    plan = Plan(options.seed, options.messages, options.stop)
    print(f"seed {options.seed}, {options.messages} messages, {PACE} a second, stops of {options.stop} s", flush=True)
    plain = Run(program, folder / "undisturbed", plan)
    ids = await one_run("undisturbed", plain)
    figures = plain.waits(ids)
    took = sorted(sent.took for sent in plain.sent.values() if sent.token[0] != BOB)
    disturbed = Run(program, folder / "disturbed", plan, usual=percentile(took, 50))
    ids = await one_run("disturbed", disturbed)
    failures = [f"undisturbed: {one}" for one in plain.failures] + [f"disturbed: {one}" for one in disturbed.failures]
    failures += report(figures, disturbed.waits(ids))
    counts = disturbed.kill_counts()
    print("killed: " + ", ".join(f"{name} {count}" for name, count in counts.items()) + f"; stopped: {disturbed.stops}")
    failures += [f"{name} was killed {count} times only" for name, count in counts.items() if count < FEWEST_KILLS]
    for failure in failures:
        print(f"FAILED: {failure}")
    print("failed" if failures else "all held")
    return 1 if failures else 0


def build():
    print("building the program in release mode", flush=True)
    subprocess.run(["cargo", "build", "--release", "--locked"], cwd=REPOSITORY, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "release" / "undertone"


def arguments():
    parser = argparse.ArgumentParser(description="Many clients of one home, killed and stopped.")
    parser.add_argument("--messages", type=int, help="how many, a multiple of 5 [default: 1000; quick: 100]")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32), help="repeats a plan")
    parser.add_argument("--program", type=Path, help="the program [default: built in release mode]")
    parser.add_argument("--quick", action="store_true", help="100 messages and stops of 5 s, to try it out")
    parser.add_argument("--folder", type=Path, help="a folder that does not exist yet, and is left")
    options = parser.parse_args()
    options.messages = options.messages or (100 if options.quick else 1000)
    options.stop = 5 if options.quick else 60
    if options.messages % len(SENDERS):
        parser.error(f"{len(SENDERS)} senders send a multiple of {len(SENDERS)} messages")
    if options.messages / PACE < 2 * options.stop + 4:
        parser.error(f"two stops of {options.stop} s need more messages")
    return options


def run():
    options = arguments()
    program = (options.program or build()).resolve()
    os.umask(0o077)
    with contextlib.ExitStack() as stack:
        if options.folder:
            options.folder.mkdir()
            folder = options.folder.resolve()
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="undertone-long-")))
        try:
            return asyncio.run(main(options, program, folder))
        except Failed as failure:
            print(f"FAILED: {failure}")
            return 1


if __name__ == "__main__":
    sys.exit(run())
