"""Other programs, as children whose lines are read: undertone itself, and the JavaScript beside this folder."""

import json
import queue
import subprocess
import threading
import time
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1] / "js"
# Seconds that any one thing may take before the test fails. A guess: each takes a few.
PATIENCE = 60


class Failed(Exception):
    """What the test waited for and did not see."""


class Child:
    """A program; `lines` is a queue of what it prints, `None` at its end."""

    def __init__(self, *command):
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.name, self.lines = Path(command[0]).name, queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def write(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def line(self, what, within=PATIENCE):
        try:
            line = self.lines.get(timeout=within)
        except queue.Empty:
            raise Failed(f"waited in vain for {what}") from None
        if line is None:
            raise Failed(f"{self.name} ended before {what}")
        return line

    def wait(self, what, test):
        """The first line that passes; those before it are dropped."""
        until = time.monotonic() + PATIENCE
        while True:
            line = self.line(what, max(0, until - time.monotonic()))
            if test(line):
                return line

    def ask(self, line):
        """Writes a line and reads the answer."""
        self.write(line)
        return self.line("an answer")

    def end(self):
        self.process.terminate()
        self.process.wait(PATIENCE)


class Home:
    """A person's folder, and undertone's commands in it."""

    def __init__(self, program, folder, name, flags):
        self.name, self.program, self.flags = name, program, flags
        passphrase = folder / "passphrase"
        if not passphrase.exists():
            passphrase.touch(0o600)
            passphrase.write_text("through one relay\n")
        self.home = ["--home", folder / name, "--passphrase-file", passphrase, "--no-input", "--json"]

    def listen(self):
        return Child(self.program, *self.home, "listen", "--states", *self.flags)

    def run(self, *words):
        done = subprocess.run(
            [str(part) for part in (self.program, *self.home, *words)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
        answer = json.loads(done.stdout.strip().splitlines()[-1]) if done.stdout.strip() else {}
        if done.returncode or not answer.get("ok"):
            raise Failed(f"undertone {' '.join(words[:2])}: {done.stdout}{done.stderr}")
        return answer["data"]
