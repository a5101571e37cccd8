"""What proto/session.md takes from elsewhere: hashes, HKDF, AES-GCM, secp256k1, ML-KEM-768."""

import hashlib
import hmac

import coincurve
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import mlkem
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from kyber_py.ml_kem import ML_KEM_768

PREFIX = b"undertone/1 "


class Refused(Exception):
    """Bytes from outside that are not what they should be."""


def labelled(label, *parts):
    """`H(label, ...)` of the text."""
    return hashlib.sha256(PREFIX + label.encode() + b"".join(parts)).digest()


def mac(key, message):
    return hmac.digest(key, message, "sha256")


def extract(salt, secret):
    """The first half of RFC 5869; no salt is 32 zeros."""
    return hmac.digest(salt or bytes(32), secret, "sha256")


def expand_info(key, info, length):
    """The second half of RFC 5869."""
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = hmac.digest(key, block + info + bytes([counter]), "sha256")
        out, counter = out + block, counter + 1
    return out[:length]


def expand(key, label, length):
    """`Expand` of the text."""
    return expand_info(key, PREFIX + label.encode(), length)


def hkdf(salt, secret, label, length):
    """`HKDF` of the text."""
    return expand(extract(salt, secret), label, length)


def split(all_bytes, *lengths):
    """`all_bytes` cut into pieces of these lengths."""
    assert len(all_bytes) == sum(lengths)
    pieces, at = [], 0
    for length in lengths:
        pieces.append(all_bytes[at : at + length])
        at += length
    return pieces


def seal(key_and_nonce, bound, plaintext):
    """`AEAD`: ciphertext, then tag."""
    return AESGCM(key_and_nonce[:32]).encrypt(key_and_nonce[32:], plaintext, bound)


def unseal(key_and_nonce, bound, ciphertext):
    try:
        return AESGCM(key_and_nonce[:32]).decrypt(key_and_nonce[32:], ciphertext, bound)
    except InvalidTag:
        raise Refused("does not open") from None


def public(secret):
    """The 33 bytes of a secret key's point."""
    return coincurve.PrivateKey(secret.to_bytes(32, "big")).public_key.format()


def point(key):
    """Refuses what is not the compressed form of a point."""
    if len(key) != 33 or key[0] not in (2, 3):
        raise Refused("not a compressed point")
    try:
        return coincurve.PublicKey(key)
    except ValueError:
        raise Refused("not on the curve") from None


def shared(secret, key):
    """Secret times point, compressed."""
    return point(key).multiply(secret.to_bytes(32, "big")).format()


def agree(secret, key):
    """`DH` of the text: the x coordinate alone."""
    return shared(secret, key)[1:]


def kem_key(seed):
    """The encapsulation key of a seed `d | z`."""
    key = mlkem.MLKEM768PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()
    assert key == ML_KEM_768._keygen_internal(seed[:32], seed[32:])[0]
    return key


def kem_check(key):
    """Refuses what FIPS 203 refuses: coefficients that are not below q = 3329 (section 7.2)."""
    for at in range(0, 1152, 3):
        low = key[at] | (key[at + 1] & 15) << 8
        high = key[at + 1] >> 4 | key[at + 2] << 4
        if low >= 3329 or high >= 3329:
            raise Refused("not an encapsulation key")


def encapsulate(key, drawn):
    """The ciphertext and the shared secret of `m` = `drawn`."""
    secret, ciphertext = ML_KEM_768._encaps_internal(key, drawn)
    return ciphertext, secret


def decapsulate(seed, ciphertext):
    return mlkem.MLKEM768PrivateKey.from_seed_bytes(seed).decapsulate(ciphertext)
