"""How soon the interface draws a key that is pressed, while its node searches for work and while it does not.

    python3 tests/long/keys.py [--keys 500] [--program PATH] [--threads N]

One person's interface is measured twice in a pseudo-terminal: without a peer, so that nothing is searched for, and with
one in a network whose floor no search reaches, so that all its threads search all the time; by default as many as there
are processors, one more than a node takes by itself. A key is drawn when output comes after it. The run fails
where the 99th percentile while mining is above 16 ms.

Ends with 0 and the figures, or says what failed and ends with 1. Takes two minutes, on a machine that does nothing else.
"""

import terminals_here  # First: what follows needs what it asks for.

import argparse
import asyncio
import contextlib
import os
import pty
import random
import select
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from programs import ENVIRONMENT, SIZE, Failed, Home, Program, told_address, until
from terminal import Screen

REPOSITORY = Path(__file__).resolve().parents[2]
LOOPBACK = "/ip4/127.0.0.1/tcp/0"
# Days of work for one envelope.
FLOOR = 44
# The most milliseconds that a key may take, 99 of 100 times.
MOST = 16
# Seconds between two keys: as fast as people type, and slower.
PAUSES = (0.04, 0.16)
# Seconds after which a key counts as not drawn.
PATIENCE = 10


class Keyboard:
    """A program in a pseudo-terminal, whose keys are pressed one by one."""

    def __init__(self, words):
        self.screen = Screen(*SIZE, "$^")
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, SIZE)
        self.process = subprocess.Popen(
            words, stdin=slave, stdout=slave, stderr=slave, env=ENVIRONMENT, start_new_session=True
        )
        os.close(slave)

    def output(self, within):
        """Whether there is output within so many seconds, which is taken in."""
        if not select.select([self.master], [], [], within)[0]:
            return False
        try:
            self.screen.feed(os.read(self.master, 1 << 16))
        except OSError:
            raise Failed(f"the interface ended: {self.screen.text()}") from None
        return True

    def wait_for(self, words):
        end = time.monotonic() + 60
        while words not in self.screen.text():
            if time.monotonic() > end:
                raise Failed(f"waited in vain for {words}: {self.screen.text()}")
            self.output(0.1)

    def time(self, key):
        """Milliseconds from a key to what it draws."""
        while self.output(0):
            pass
        begun = time.perf_counter()
        os.write(self.master, key)
        if not self.output(PATIENCE):
            raise Failed("a key was not drawn")
        return (time.perf_counter() - begun) * 1000

    def times(self, count, draw):
        took = []
        for number in range(count):
            end = time.monotonic() + draw.uniform(*PAUSES)
            while (left := end - time.monotonic()) > 0:
                self.output(left)
            # A letter, and then its deletion, so that the line stays short.
            took.append(self.time(b"\x7f" if number % 2 else b"a"))
        return took

    def close(self):
        self.process.terminate()
        with contextlib.suppress(Failed):
            while self.process.poll() is None:
                self.output(0.1)
        self.process.wait()
        os.close(self.master)


def figures(took):
    took = sorted(took)
    return [took[min(len(took) - 1, len(took) * part // 100)] for part in (50, 90, 99, 100)]


def show(name, took):
    half, most, nearly, all_of_them = figures(took)
    print(f"{name}: p50 {half:.1f}, p90 {most:.1f}, p99 {nearly:.1f}, most {all_of_them:.1f} ms", flush=True)


async def measure(home, options, keys):
    """The times of keys without a peer and with one, and what the node said while it had one."""
    draw, network = random.Random(7), ["--network", f"keys-{os.getpid()}", "--floor", str(FLOOR)]
    place = ["--home", str(options.folder / "relay")]
    words = [str(options.program), *place, "relay", "run", "--listen", LOOPBACK, *network]
    relay = await Program.start(words, options.folder / "relay.errors")
    try:
        told = await until("the relay's address", lambda: told_address(relay))
        took = []
        for peer in ([], ["--peer", told]):
            keyboard = Keyboard(home.words(*network, *peer, "--mining-threads", str(options.threads)))
            try:
                keyboard.wait_for("bob")
                if peer:
                    keyboard.wait_for("1 peer")
                # What it draws at its start is over.
                keyboard.times(20, draw)
                took.append(await asyncio.to_thread(keyboard.times, keys, draw))
                status = await home.ask("status")
            finally:
                keyboard.close()
    finally:
        await relay.end()
    return took, status


async def main(options):
    with tempfile.TemporaryDirectory(prefix="undertone-keys-") as folder:
        options.folder = Path(folder)
        home, bob = (Home(options.program, options.folder, name) for name in ("alice", "bob"))
        invites = [(await one.ask("identity", "new", one.name))["invite"] for one in (home, bob)]
        await home.ask("contact", "add", invites[1], "--name", "bob")
        (quiet, mining), status = await measure(home, options, options.keys)
    node = status["node"]
    if not node["mining"] or node["miner"]["threads_now"] != options.threads:
        raise Failed(f"not all {options.threads} threads searched meanwhile: {node['miner']}")
    show("not mining", quiet)
    show(f"mining on {options.threads} threads", mining)
    if figures(mining)[2] > MOST:
        raise Failed(f"the 99th percentile is above {MOST} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--keys", type=int, default=500)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--program", type=Path, default=REPOSITORY / "target/release/undertone")
    try:
        asyncio.run(main(parser.parse_args()))
    except Failed as failed:
        print(f"failed: {failed}")
        sys.exit(1)
