"""A second implementation of keys, invites, offers and messages, in the words of proto/session.md.

Writes session.json, which tests/vectors/session.rs reads:

    python3 tests/vectors/session.py > tests/vectors/session.json

The curve, HKDF and Bech32m are written out from SEC 2, RFC 5869 and BIP 350; AES-256-GCM is that of
the PyPI package `cryptography`. Whatever is drawn comes from `Entropy`, and is part of the vectors.
"""

import hashlib
import hmac
import json

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)
PREFIX = b"undertone/1 "


def add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    if a == b:
        slope = 3 * a[0] * a[0] * pow(2 * a[1], -1, P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def multiply(scalar, point):
    total = None
    for bit in bin(scalar)[2:]:
        total = add(total, total)
        total = add(total, point) if bit == "1" else total
    return total


def compress(point):
    return bytes([2 + point[1] % 2]) + point[0].to_bytes(32, "big")


def agree(secret, point):
    return multiply(secret, point)[0].to_bytes(32, "big")


def extract(salt, secret):
    return hmac.digest(salt or bytes(32), secret, "sha256")


def expand(key, info, length):
    out, block = b"", b""
    for counter in range(1, 256):
        block = hmac.digest(key, block + info + bytes([counter]), "sha256")
        out += block
        if len(out) >= length:
            return out[:length]


def derive(salt, secret, label, length):
    return expand(extract(salt, secret), PREFIX + label, length)


def gcm(key, nonce, bound, plaintext):
    seal = Cipher(algorithms.AES256(key), modes.GCM(nonce)).encryptor()
    seal.authenticate_additional_data(bound)
    return seal.update(plaintext) + seal.finalize(), seal.tag


class Entropy:
    """Bytes to draw: SHA-256 of a name and a counter. Remembers what was drawn."""

    def __init__(self, name):
        self.name, self.counter, self.drawn = name, 0, b""

    def draw(self, count):
        out = b""
        while len(out) < count:
            out += hashlib.sha256(f"{self.name} {self.counter}".encode()).digest()
            self.counter += 1
        self.drawn += out[:count]
        return out[:count]

    def secret(self):
        return int.from_bytes(self.draw(64), "big") % (N - 1) + 1


LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def invite(key):
    """BIP 350 over a version byte and the key."""
    bits = "".join(f"{byte:08b}" for byte in b"\x01" + key)
    bits += "0" * (-len(bits) % 5)
    values = [int(bits[at : at + 5], 2) for at in range(0, len(bits), 5)]
    name = "undertone"
    check = 1
    start = [ord(letter) >> 5 for letter in name] + [0] + [ord(letter) & 31 for letter in name]
    for value in start + values + [0] * 6:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, mask in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= mask if top >> bit & 1 else 0
    check ^= 0x2BC830A3
    values += [check >> 5 * (5 - at) & 31 for at in range(6)]
    return (name + "1" + "".join(LETTERS[value] for value in values)).upper()


def ecies(entropy, to, plaintext):
    secret = entropy.secret()
    point = compress(multiply(secret, G))
    key = expand(extract(b"", point + compress(multiply(secret, to))), b"", 32)
    nonce = entropy.draw(16)
    ciphertext, tag = gcm(key, nonce, b"", plaintext)
    return point + nonce + tag + ciphertext


def direction(chain, topics, count):
    """The first `count` topics and message keys of a direction."""
    slots = []
    for _ in range(count):
        step = expand(chain, PREFIX + b"chain step", 64)
        hop = expand(topics, PREFIX + b"topic step", 36)
        slots.append((hop[32:], step[32:]))
        chain, topics = step[:32], hop[:32]
    return slots


def payload(stream, number, ack, base, kind, said):
    flags = (1 if number is not None else 0) | (2 if ack else 0)
    numbers = (stream, number or 0, *(ack or (0, 0, 0)), base)
    head = b"".join(value.to_bytes(8, "little") for value in numbers)
    return head + bytes([flags, kind]) + len(said).to_bytes(2, "little") + said


def message(entropy, name, slot, received, said):
    topic, key = slot
    salt = entropy.draw(16)
    both = derive(salt, key, b"payload", 44)
    plaintext = (received.to_bytes(4, "little") + said).ljust(1984, b"\0")
    ciphertext, tag = gcm(both[:32], both[32:], name + topic + salt, plaintext)
    return salt + ciphertext + tag


def main():
    a, b = Entropy("identity a").secret(), Entropy("identity b").secret()
    keys = {"a": multiply(a, G), "b": multiply(b, G)}
    from_key, to_key = compress(keys["a"]), compress(keys["b"])

    entropy = Entropy("offer")
    created = 1_795_219_200
    e = entropy.secret()
    outward, inward, partial = entropy.draw(32), entropy.draw(32), entropy.draw(8)
    said = bytes([1, 1, 0, 0]) + from_key + compress(multiply(e, G)) + outward + inward + partial
    said += created.to_bytes(8, "little")
    es, ss = agree(e, keys["b"]), agree(a, keys["b"])
    parties = hashlib.sha256(PREFIX + b"offer parties" + to_key + from_key).digest()
    letter = said + hmac.digest(derive(parties, es + ss, b"offer mac", 32), said, "sha256")
    assert len(letter) == 182
    name = hashlib.sha256(PREFIX + b"offer id" + to_key + letter).digest()
    chains = derive(name, es + ss + outward + inward, b"offer keys", 128)
    body = ecies(entropy, keys["b"], letter.ljust(2016 - 65, b"\0"))
    offer_topic = entropy.draw(4)

    directions = {
        "a": direction(chains[:32], derive(chains[64:96], partial[:4], b"partial topic", 32), 5),
        "b": direction(chains[32:64], derive(chains[96:], partial[4:], b"partial topic", 32), 5),
    }
    # Who speaks, at which position, having received how many positions, and what.
    script = [
        ("a", 0, 0, payload(11, 0, None, 0, 1, "Grüße, first".encode())),
        ("a", 1, 0, payload(11, 1, None, 0, 1, b"x" * 1850)),
        ("b", 0, 2, payload(12, None, (11, 2, 0), 0, 2, b"")),
        ("b", 1, 2, payload(12, 2**64 - 1, (11, 2, 2**63 + 5), 7, 1, b"")),
        ("a", 2, 2, payload(11, None, (12, 0, 1), 2, 0, b"")),
        ("a", 3, 2, payload(11, None, None, 2, 3, b"")),
    ]
    messages = []
    for who, position, received, what in script:
        entropy_of = Entropy(f"message {who} {position}")
        slot = directions[who][position]
        sealed = message(entropy_of, name, slot, received, what)
        messages.append(
            {
                "from": who,
                "entropy": entropy_of.drawn.hex(),
                "topic": slot[0].hex(),
                "body": sealed.hex(),
            }
        )

    people = {
        who: {
            "secret": secret.to_bytes(32, "big").hex(),
            "public": compress(keys[who]).hex(),
            "fingerprint": hashlib.sha3_256(PREFIX + b"fingerprint" + compress(keys[who])).hexdigest(),
            "invite": invite(compress(keys[who])),
        }
        for who, secret in (("a", a), ("b", b))
    }
    vectors = {
        "source": "tests/vectors/session.py",
        "people": people,
        "offer": {
            "entropy": entropy.drawn.hex(),
            "created": created,
            "id": name.hex(),
            "topic": offer_topic.hex(),
            "body": body.hex(),
        },
        "messages": messages,
    }
    print(json.dumps(vectors, indent=1))


main()
