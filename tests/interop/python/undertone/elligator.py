"""Points as 64 bytes that look random: ElligatorSwift (BIP 324), with y in the lowest bit of t."""

from .primitives import labelled

# The prime of secp256k1's field (SEC 2).
P = 2**256 - 2**32 - 977


def root(number):
    """The square root that is itself a square, or None."""
    found = pow(number, (P + 1) // 4, P)
    return found if found * found % P == number % P else None


MINUS_3 = root(-3)


def on_curve(x):
    return root(x**3 + 7) is not None


def over(numerator, denominator):
    return numerator * pow(denominator, -1, P) % P


def x_of(u, t):
    """XSwiftEC: an x coordinate of the curve for any u and t."""
    u, t = u or 1, t or 1
    if (u**3 + t**2 + 7) % P == 0:
        t = 2 * t % P
    big_x = over(u**3 + 7 - t**2, 2 * t)
    big_y = over(big_x + t, MINUS_3 * u)
    candidates = (u + 4 * big_y**2, over(over(-big_x, big_y) - u, 2), over(over(big_x, big_y) - u, 2))
    return next(x % P for x in candidates if on_curve(x % P))


def t_of(x, u, case):
    """XSwiftECInv: a t for which `x_of(u, t)` is x, or None; `case` is 0 to 7."""
    if not case & 2:
        if on_curve((-x - u) % P):
            return None
        v = x
        s = over(-(u**3 + 7), u**2 + u * v + v**2)
    else:
        s = (x - u) % P
        if s == 0:
            return None
        r = root(-s * (4 * (u**3 + 7) + 3 * s * u**2))
        if r is None or (case & 1 and r == 0):
            return None
        v = over(over(r, s) - u, 2)
    w = root(s)
    if w is None:
        return None
    if case & 1:
        t = w * (over(u * (1 + MINUS_3), 2) + v)
    else:
        t = -w * (over(u * (1 - MINUS_3), 2) + v)
    return (-t if case & 4 else t) % P


def read(encoding):
    """The compressed point that 64 bytes stand for; never refuses."""
    u, t = (int.from_bytes(half, "big") % P for half in (encoding[:32], encoding[32:]))
    return bytes([2 + t % 2]) + x_of(u, t).to_bytes(32, "big")


def write(key, seed):
    """64 bytes that stand for the compressed point `key`."""
    x = int.from_bytes(key[1:], "big")
    for attempt in range(2**32):
        counted = seed + attempt.to_bytes(4, "little")
        u = int.from_bytes(labelled("elligator", counted, b"\0"), "big") % P
        case = labelled("elligator", counted, b"\1")[0] & 7
        t = t_of(x, u, case) if u else None
        if t is None:
            continue
        t = t if t % 2 == key[0] % 2 else P - t
        return u.to_bytes(32, "big") + t.to_bytes(32, "big")
    raise AssertionError("half of all attempts succeed")
