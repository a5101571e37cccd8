"""Random bytes: the system's, or repeatable ones that are written down beside what they made."""

import hashlib
import os

# The order of secp256k1's group (SEC 2).
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


class Draws:
    """The system's random bytes."""

    def draw(self, count):
        return os.urandom(count)

    def secret(self):
        """A secret key of the curve, from 64 bytes."""
        return 1 + int.from_bytes(self.draw(64), "big") % (ORDER - 1)


class Written(Draws):
    """SHA-256 of a name and a counter; `drawn` is all that was drawn."""

    def __init__(self, name):
        self.name, self.counter, self.drawn = name, 0, b""

    def draw(self, count):
        out = b""
        while len(out) < count:
            out += hashlib.sha256(f"{self.name} {self.counter}".encode()).digest()
            self.counter += 1
        self.drawn += out[:count]
        return out[:count]
