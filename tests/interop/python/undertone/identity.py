"""Long-lived keys: their fingerprints, invites and safety numbers."""

import hashlib

from .primitives import PREFIX, Refused, point

LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
NAME = "undertone"
# BIP 350's generator and final constant.
GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
FINAL = 0x2BC830A3


def fingerprint(key):
    return hashlib.sha3_256(PREFIX + b"fingerprint" + key).hexdigest()


def safety_number(one, other):
    """60 decimal digits."""
    digest = hashlib.sha3_256(PREFIX + b"safety number" + min(one, other) + max(one, other)).digest()
    return f"{int.from_bytes(digest, 'big') % 10**60:060}"


def checksum(values):
    check = 1
    for value in [ord(c) >> 5 for c in NAME] + [0] + [ord(c) & 31 for c in NAME] + values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, mask in enumerate(GENERATOR):
            check ^= mask if top >> bit & 1 else 0
    return check


def encode(said):
    """Bech32m over bytes, in capitals."""
    bits = "".join(f"{byte:08b}" for byte in said)
    bits += "0" * (-len(bits) % 5)
    values = [int(bits[at : at + 5], 2) for at in range(0, len(bits), 5)]
    check = checksum(values + [0] * 6) ^ FINAL
    values += [check >> 5 * (5 - at) & 31 for at in range(6)]
    return (NAME + "1" + "".join(LETTERS[value] for value in values)).upper()


def write_invite(key):
    return encode(b"\1" + key)


def read_invite(text):
    """The key of an invite or of 66 hexadecimal digits."""
    text = "".join(text.split())
    if len(text) == 66:
        try:
            key = bytes.fromhex(text)
        except ValueError:
            raise Refused("neither an invite nor a key") from None
    else:
        key = decode(text)
    point(key)
    return key


def decode(text):
    if text not in (text.lower(), text.upper()):
        raise Refused("capitals and small letters")
    text = text.lower()
    if len(text) != 71 or not text.startswith(NAME + "1"):
        raise Refused("another length or another beginning")
    try:
        values = [LETTERS.index(letter) for letter in text[len(NAME) + 1 :]]
    except ValueError:
        raise Refused("a letter that is none") from None
    if checksum(values) != FINAL:
        raise Refused("the checksum")
    bits = "".join(f"{value:05b}" for value in values[:-6])
    said = bytes(int(bits[at : at + 8], 2) for at in range(0, 34 * 8, 8))
    if "1" in bits[34 * 8 :]:
        raise Refused("bits after the last byte")
    if said[0] != 1:
        raise Refused("another version")
    return said[1:]
