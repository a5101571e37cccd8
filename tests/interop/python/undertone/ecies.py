"""ECIES as `ecies`, `eciesjs` and `eciespy` write it, with the point in 64 bytes instead of 33."""

import ecies
from ecies.config import Config

from . import elligator
from .primitives import Refused, expand_info, extract, public, seal, shared

# Both compression settings on, the rest as the three packages have it.
SETTINGS = Config(is_ephemeral_key_compressed=True, is_hkdf_key_compressed=True)


def write(draws, to, plaintext):
    """Draws the ephemeral secret, the seed of its encoding and the nonce, in this order."""
    secret = draws.secret()
    key = public(secret)
    encoding = elligator.write(key, draws.draw(32))
    nonce = draws.draw(16)
    sealed = seal(expand_info(extract(b"", key + shared(secret, to)), b"", 32) + nonce, b"", plaintext)
    return encoding + nonce + sealed[-16:] + sealed[:-16]


def read(secret, body):
    """Opens by `eciespy`, whose own form has the point in 33 bytes."""
    try:
        return ecies.decrypt(secret.to_bytes(32, "big"), to_packages(body), SETTINGS)
    except ValueError:
        raise Refused("does not open") from None


def to_packages(body):
    """The form the packages read."""
    return elligator.read(body[:64]) + body[64:]


def from_packages(sealed, seed):
    """Undertone's form of what a package wrote."""
    return elligator.write(sealed[:33], seed) + sealed[33:]
