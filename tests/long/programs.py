"""Homes, and the programs that run in them: a node, interfaces in pseudo-terminals, `listen`, short commands."""

import asyncio
import contextlib
import fcntl
import itertools
import json
import os
import pty
import signal
import subprocess
import termios
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from terminal import Screen, UnknownSequence

# Seconds that any one thing may take before the run fails. A guess: each takes a few.
PATIENCE = 60
# Rows and columns of an interface.
SIZE = (50, 100)
# How often a client that ends by itself is started again, before the run is given up.
MOST_ENDS = 20
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("UNDERTONE_")}
ENVIRONMENT |= {"TERM": "xterm-256color", "TZ": "UTC"}
ENVIRONMENT.pop("NO_COLOR", None)
PAGE_UP, PAGE_DOWN, NEWEST = b"\x1b[5~", b"\x1b[6~", b"\x1b[1;5F"


# Threads in which commands are waited for: above what runs at once.
WAITERS = ThreadPoolExecutor(32)


class Failed(Exception):
    """What the run waited for and did not see."""


async def until(what, test, within=PATIENCE):
    """Waits until `test` answers something, which is returned."""
    end = time.monotonic() + within
    while not (found := test()):
        if time.monotonic() > end:
            raise Failed(f"waited {within} s in vain for {what}")
        await asyncio.sleep(0.02)
    return found


def told_address(program):
    """The address on which a relay or a node says it listens, once it has."""
    return next((line.split(" ")[-1] for line in program.seen if line.startswith("listening on ")), None)


class Home:
    """A person's folder, and undertone's commands in it."""

    def __init__(self, program, folder, name):
        self.name, self.folder = name, folder
        passphrase = folder / "passphrase"
        if not passphrase.exists():
            passphrase.touch(0o600)
            passphrase.write_text("many at one table\n")
        self.program = [program, "--home", folder / name, "--passphrase-file", passphrase]
        self.errors = folder / f"{name}.errors"

    def words(self, *words):
        return [str(word) for word in (*self.program, *words)]

    async def command(self, *words, within=PATIENCE):
        """Runs a command that answers in JSON and asks nothing, and kills it after so many seconds; its code, what it
        printed, and what it said."""
        # Not asyncio's own processes: those come back some milliseconds after the start, and a kill that is to hit the
        # first of them would be too late.
        process = subprocess.Popen(
            self.words("--no-input", "--json", *words),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT,
        )  # fmt: skip
        talk = asyncio.get_running_loop().run_in_executor(WAITERS, process.communicate)
        done, _ = await asyncio.wait({talk}, timeout=within)
        if not done:
            process.kill()
        out, err = await talk
        return process.returncode, out, err

    async def lines(self, *words):
        """The lines that a command prints, which must succeed."""
        code, out, err = await self.command(*words)
        if code:
            raise Failed(f"{self.name}: `{' '.join(words[:2])}` ended with {code}: {said(out, err)}")
        return [json.loads(line) for line in out.splitlines()]

    async def ask(self, *words):
        return (await self.lines(*words))[-1]["data"]

    async def history(self, contact, newest=None):
        """The messages with a contact, oldest first: all, a page at a time, or so many of the newest."""
        if newest:
            return await self.lines("history", contact, "--last", str(newest))
        found, before = [], []
        while page := await self.lines("history", contact, "--last", "200", *before):
            found[:0] = page
            before = ["--before", page[0]["id"]]
        return found


def said(out, err):
    return (out + err).decode(errors="replace").strip()


class Program:
    """A process that prints lines; `on_line(line, at)` is called for each whole line."""

    @classmethod
    async def start(cls, words, errors, on_line=lambda line, at: None):
        self = cls()
        with open(errors, "ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=ENVIRONMENT, limit=1 << 20
            )
        self.pid, self.on_line, self.seen = self.process.pid, on_line, []
        self.reading = asyncio.create_task(self.read())
        return self

    async def read(self):
        while line := await self.process.stdout.readline():
            at = time.monotonic()
            # What a killed process did not write to its end is no line.
            if line.endswith(b"\n"):
                self.seen.append(line.decode().rstrip("\n"))
                self.on_line(self.seen[-1], at)

    def signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    async def gone(self):
        """Waits for its end and for the last of its lines."""
        code = await self.process.wait()
        await self.reading
        return code

    async def end(self):
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(asyncio.shield(self.process.wait()), 10)
        except TimeoutError:
            self.signal(signal.SIGKILL)
        await self.gone()


class Terminal:
    """A process in a pseudo-terminal that is always read; `on_output(words, at)` is called with what is seen anew."""

    @classmethod
    async def start(cls, words, tokens, on_output):
        self = cls()
        self.screen, self.on_output = Screen(*SIZE, tokens), on_output
        self.master, slave = pty.openpty()
        try:
            termios.tcsetwinsize(slave, SIZE)
            fcntl.fcntl(self.master, fcntl.F_SETFL, os.O_NONBLOCK)
            self.process = await asyncio.create_subprocess_exec(
                *words, stdin=slave, stdout=slave, stderr=slave, env=ENVIRONMENT, start_new_session=True
            )
        finally:
            os.close(slave)
        self.pid, self.last, self.broken = self.process.pid, time.monotonic(), None
        asyncio.get_running_loop().add_reader(self.master, self.read)
        return self

    def read(self):
        try:
            output = os.read(self.master, 1 << 16)
        except BlockingIOError:
            return
        # Nobody has the other end any more.
        except OSError:
            output = b""
        if not output:
            self.close()
            return
        self.last = time.monotonic()
        try:
            self.on_output(self.screen.feed(output), self.last)
        # Its end is noticed, and this reported, as that of a client that ends by itself.
        except UnknownSequence as error:
            self.broken = error
            self.close()
            self.signal(signal.SIGKILL)

    def close(self):
        if self.master is not None:
            asyncio.get_running_loop().remove_reader(self.master)
            os.close(self.master)
            self.master = None

    def press(self, keys):
        if self.master is not None:
            os.write(self.master, keys)

    def signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    async def gone(self):
        return await self.process.wait()


@dataclass
class Life:
    """A client from its start to its end; times are of the monotonic clock, `None` until they come."""

    program: Program | Terminal
    started: float
    first_output: float | None = None
    ended: float | None = None
    # Whether its end is wanted.
    doomed: bool = False
    words: set = field(default_factory=set)


class Client:
    """A client of a home, which is killed, started again, and stopped."""

    def __init__(self, name, failures):
        self.name, self.failures = name, failures
        self.lives, self.kills, self.ends, self.closing = [], 0, 0, False
        # Whoever kills it or stops it holds this.
        self.held = asyncio.Lock()

    async def open(self, life):
        """Starts the program of a life that begins."""
        raise NotImplementedError

    @property
    def life(self):
        return self.lives[-1]

    async def start(self):
        life = Life(None, time.monotonic())
        life.program = await self.open(life)
        self.lives.append(life)
        life.watch = asyncio.create_task(self.watch(life))

    async def watch(self, life):
        """Nobody wants it to end by itself: that is a failure, and it is started again."""
        code = await life.program.gone()
        if life.doomed or self.closing:
            return
        life.ended = time.monotonic()
        self.ends += 1
        self.failures.append(f"{self.name} ended by itself with {code}: {self.what_it_says(life)}")
        if self.ends <= MOST_ENDS:
            await self.start()

    def ready(self):
        """Whether the life that it has is a client of the node by now."""
        raise NotImplementedError

    def what_it_says(self, life):
        raise NotImplementedError

    async def kill(self):
        """Kills it and starts it again at once; for whoever holds it."""
        life = self.life
        life.doomed, life.ended = True, time.monotonic()
        life.program.signal(signal.SIGKILL)
        await life.program.gone()
        self.kills += 1
        await self.start()

    async def close(self):
        self.closing = True
        if not self.lives:
            return
        self.life.program.signal(signal.SIGCONT)
        self.life.program.signal(signal.SIGKILL)
        await self.life.program.gone()


class Listener(Client):
    """`listen --json --states`; `on_event(event, at, life)` is called for each line."""

    def __init__(self, name, home, words, failures, on_event):
        super().__init__(name, failures)
        self.home, self.words, self.on_event = home, words, on_event

    async def open(self, life):
        def on_line(line, at):
            life.first_output = life.first_output or at
            self.on_event(json.loads(line), at, life)

        return await Program.start(
            self.home.words("--no-input", "--json", *self.words), self.home.errors, on_line
        )

    def ready(self):
        return self.life.first_output is not None

    def what_it_says(self, life):
        return self.home.errors.read_text(errors="replace")[-400:]


class Interface(Client):
    """The interface in a pseudo-terminal, which opens the chat with its only contact; `on_words(words, at)` is called
    with tokens that came to be seen."""

    def __init__(self, name, home, contact, failures, tokens, on_words):
        super().__init__(name, failures)
        self.home, self.contact, self.tokens, self.on_words = home, contact, tokens, on_words

    async def open(self, life):
        def on_output(words, at):
            life.first_output = life.first_output or at
            life.words |= words
            self.on_words(words, at)

        return await Terminal.start(self.home.words(), self.tokens, on_output)

    def ready(self):
        return self.contact in self.life.program.screen.text()

    def what_it_says(self, life):
        return life.program.broken or life.program.screen.text()

    async def show(self, wanted, within=PATIENCE):
        """Scrolls up and down until all wanted tokens were seen; those that were not seen in time."""
        life, end = self.life, time.monotonic() + within
        keys = itertools.cycle((PAGE_UP, PAGE_DOWN))
        while not wanted <= life.words and time.monotonic() < end:
            key, still = next(keys), 0
            # What is read from the store may take a moment, so the end is where nothing moves for a while.
            while not wanted <= life.words and still < 3 and time.monotonic() < end:
                before = life.program.screen.text()
                life.program.press(key)
                await self.settled(life)
                still = still + 1 if life.program.screen.text() == before else 0
        life.program.press(NEWEST)
        await self.settled(life)
        return wanted - life.words

    async def settled(self, life):
        """Waits until what was asked for is drawn: something comes, and then nothing for a drawing's time."""
        begun = time.monotonic()
        while (now := time.monotonic()) < begun + 1:
            if life.program.last > begun and now > life.program.last + 0.06:
                return
            await asyncio.sleep(0.01)

    def twice(self):
        """Tokens that stand on the screen more than once."""
        words = self.life.program.screen.words.findall(self.life.program.screen.text())
        return {word for word in words if words.count(word) > 1}
