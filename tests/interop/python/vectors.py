"""Writes the JSON of tests/vectors, which holds the Rust to proto/, or compares with what is there.

    python3 tests/interop/python/vectors.py [--check]

Bytes are hexadecimal, numbers of 64 bits and more are strings, and each `entropy` is what the call it belongs to
draws, no more and no less. Four files:

envelope.json
  carried        about, now (when it was made), expiry, ttl, topic, data, nonce, start (where the search began), floor,
                 step, blocks, units, charge, target (found is a `d` below it), d, digest (H), id, encoding
  refused_floor  what `refused` and `in_time` are checked by
  refused        about, refusal, now, encoding; refused for this first reason
  in_time        about, now, encoding; carried, but a second later, or earlier, not
  flood_topic    the topic for envelopes of `message_ids`
  message_ids    about, topic, data, id: gossipsub's id of a message
  targets        blocks, units, floor, step, target
  prices         `cases` cases by arithmetic in fractions, drawn and answered as `price_case` in envelope_vectors.py
                 has it, one byte each; `sha3` is SHA3-256 of all these bytes, `first` are the first 64 of them,
                 `carried`, `below`, `alike` and `above` how many say so

keys.json
  people.{a,b}   secret, public, fingerprint, invite
  safety_number  of a and b
  invites        refused: about, text
  elligator      key, seed, encoding; and `read`: encoding, key, for 64 bytes nobody wrote
  ecies          secret, public (the recipient's), entropy, plaintext, body, packages (the form of eciesjs)

messages.json
  chain          topic_key, chain_key, and the first positions: topic, header_key, message_key
  headers        chain, position (the place it is read at), bytes, and position, previous, ratchet, extended, reveal
                 (null if not given); refused: about, chain, position, bytes
  payloads       bytes, and stream, number (null), ack (null, or stream, next, beyond), base, kind, said;
                 refused: about, bytes
  bodies         name (the session's id), topic, header_key, message_key, salt, header, extension (empty), payload, body

session.json
  people         as in keys.json
  now            the clock of both, seconds since 1970
  offers.refused about, body; all to b
  offers.taken   about, created, body; all from a to b: the edges of what is taken
  steps          a transcript, in order. `who` is a or b, `entropy` what that step draws, `does` one of
    offer        a begins; created, id, letter
    seal         a seals its letter; topic, body
    read offer   b reads the body of step `of`
    answer       b begins chain 1
    send         chain, position, payload (as in messages.json, no bytes), topic, body
    open         the body of step `of`: `result` is opened, later (chain 1, before one with the extension) or nothing;
                 with `edit`, the byte of the body that has its lowest bit turned over before
  words          numbers, words, transcript, reveal
"""

import json
import sys
from pathlib import Path

from mnemonic import Mnemonic

from undertone import chain, ecies, elligator, envelope_vectors, identity, offer
from undertone.draws import Written
from undertone.payload import ANSWER, CLOSE, LONGEST, NOTHING, READ, TEXT, Payload, mark
from undertone.primitives import Refused, mac, public
from undertone.session import LATER, Session

FOLDER = Path(__file__).resolve().parents[2] / "vectors"
SOURCE = "tests/interop/python/vectors.py"
NOW = 1_795_219_200
DAY = 86_400
SECRETS = {who: Written(f"identity {who}").secret() for who in "ab"}
PUBLIC = {who: public(secret) for who, secret in SECRETS.items()}


def person(who):
    return {
        "secret": SECRETS[who].to_bytes(32, "big").hex(),
        "public": PUBLIC[who].hex(),
        "fingerprint": identity.fingerprint(PUBLIC[who]),
        "invite": identity.write_invite(PUBLIC[who]),
    }


def refusal(about, call, shown):
    """A vector of something refused, after making sure that it is."""
    try:
        call()
    except Refused:
        return {"about": about, **shown}
    raise AssertionError(f"not refused: {about}")


def refused_invites():
    good = identity.write_invite(PUBLIC["a"])
    other_letter = "Q" if good[-1] != "Q" else "P"
    cases = [
        ("nothing", ""),
        ("another checksum", good[:-1] + other_letter),
        ("both sizes of letters", good[:40] + good[40:].lower()),
        ("a letter missing", good[:-1]),
        ("another version", identity.encode(b"\2" + PUBLIC["a"])),
        ("a key too short", identity.encode(b"\1" + PUBLIC["a"][:-1])),
        ("a key too long", identity.encode(b"\1" + PUBLIC["a"] + b"\0")),
        ("a key of the first byte 4", identity.encode(b"\1\4" + PUBLIC["a"][1:])),
        ("a key not on the curve", identity.encode(b"\1\2" + (5).to_bytes(32, "big"))),
        ("an x of the field's prime", identity.encode(b"\1\2" + elligator.P.to_bytes(32, "big"))),
        ("64 digits", PUBLIC["a"].hex()[:64]),
        ("66 digits of no point", "05" + PUBLIC["a"].hex()[2:]),
        ("bits after the last byte", with_last_bits(good)),
    ]
    return [
        refusal(about, lambda text=text: identity.read_invite(text), {"text": text}) for about, text in cases
    ]


def with_last_bits(invite):
    """The same bytes, their last letter's unused bits set, and a checksum that holds."""
    values = [identity.LETTERS.index(letter) for letter in invite.lower()[10:-6]]
    values[-1] |= 1
    check = identity.checksum(values + [0] * 6) ^ identity.FINAL
    values += [check >> 5 * (5 - at) & 31 for at in range(6)]
    return ("undertone1" + "".join(identity.LETTERS[value] for value in values)).upper()


def keys():
    written, read = [], []
    entropy = Written("elligator")
    for _ in range(12):
        key, seed = public(entropy.secret()), entropy.draw(32)
        encoding = elligator.write(key, seed)
        assert elligator.read(encoding) == key
        written.append({"key": key.hex(), "seed": seed.hex(), "encoding": encoding.hex()})
    wide = [
        bytes(64),
        b"\xff" * 64,
        elligator.P.to_bytes(32, "big") * 2,
        bytes(32) + entropy.draw(32),
        entropy.draw(32) + bytes(32),
    ]
    wide += [vanishing(), (elligator.P + 3).to_bytes(32, "big") + (elligator.P + 4).to_bytes(32, "big")]
    wide += [entropy.draw(64) for _ in range(12)]
    for encoding in wide:
        read.append({"encoding": encoding.hex(), "key": elligator.read(encoding).hex()})
    sealed = []
    for plaintext in (b"", b"x", b"Gr\xc3\xbc\xc3\x9fe " * 40):
        draws = Written(f"ecies {len(plaintext)}")
        body = ecies.write(draws, PUBLIC["b"], plaintext)
        assert ecies.read(SECRETS["b"], body) == plaintext
        sealed.append(
            {
                "secret": SECRETS["b"].to_bytes(32, "big").hex(),
                "public": PUBLIC["b"].hex(),
                "entropy": draws.drawn.hex(),
                "plaintext": plaintext.hex(),
                "body": body.hex(),
                "packages": ecies.to_packages(body).hex(),
            }
        )
    return {
        "source": SOURCE,
        "people": {who: person(who) for who in "ab"},
        "safety_number": identity.safety_number(PUBLIC["a"], PUBLIC["b"]),
        "invites": {"refused": refused_invites()},
        "elligator": {"written": written, "read": read},
        "ecies": sealed,
    }


def vanishing():
    """u and t with u^3 + t^2 + 7 = 0."""
    u = next(u for u in range(1, 100) if elligator.root(-(u**3) - 7) is not None)
    return u.to_bytes(32, "big") + elligator.root(-(u**3) - 7).to_bytes(32, "big")


def shown(payload):
    return {
        "stream": str(payload.stream),
        "number": None if payload.number is None else str(payload.number),
        "ack": None if payload.ack is None else [str(number) for number in payload.ack],
        "base": str(payload.base),
        "kind": payload.kind,
        "said": payload.said.hex(),
    }


def headers():
    ratchet = public(Written("ratchet").secret())
    reveal = bytes(range(16))
    cases = [
        (0, chain.Header(0, 0, ratchet)),
        (1, chain.Header(7, 0, ratchet, extended=True)),
        (1, chain.Header(1023, 0, ratchet)),
        (2, chain.Header(258, 1024, ratchet, reveal=reveal)),
        (2, chain.Header(0, 3, ratchet, reveal=bytes(16))),
        (9, chain.Header(3, 513, ratchet)),
    ]
    for place, header in cases:
        said = header.write()
        assert chain.Header.read(said, place, header.position) == header
        yield {
            "chain": place,
            "bytes": said.hex(),
            "position": header.position,
            "previous": header.previous,
            "ratchet": ratchet.hex(),
            "extended": header.extended,
            "reveal": None if header.reveal is None else header.reveal.hex(),
        }


def refused_headers():
    ratchet = public(Written("ratchet").secret())

    def with_byte(header, at, value):
        said = bytearray(header.write())
        said[at] = value
        return bytes(said)

    plain = chain.Header(5, 0, ratchet)
    revealing = chain.Header(5, 1, ratchet, reveal=bytes(16))
    cases = [
        ("an unknown flag", 3, 5, with_byte(plain, 0, 4)),
        ("an extension in chain 0", 0, 5, with_byte(plain, 0, 1)),
        ("an extension in chain 3", 3, 5, with_byte(plain, 0, 1)),
        ("no reveal in chain 2", 2, 5, plain.write()),
        ("a reveal in chain 4", 4, 5, revealing.write()),
        ("bytes of a reveal that is not given", 3, 5, with_byte(plain, 42, 1)),
        ("a last byte that is not zero", 3, 5, with_byte(plain, 63, 1)),
        ("another position than the topic's", 3, 6, plain.write()),
        ("a chain before the first", 0, 5, chain.Header(5, 1, ratchet).write()),
        ("a chain before the responder's first", 1, 5, chain.Header(5, 1, ratchet).write()),
        ("more positions than a chain has", 3, 5, chain.Header(5, 1025, ratchet).write()),
        ("a ratchet key that is no point", 3, 5, with_byte(plain, 9, 4)),
    ]
    for about, place, position, said in cases:
        show = {"chain": place, "position": position, "bytes": said.hex()}
        yield refusal(about, lambda: chain.Header.read(said, place, position), show)


def payloads():
    cases = [
        Payload(0),
        Payload(11, 0, None, 0, TEXT, "Grüße".encode()),
        Payload(2**64 - 1, 2**64 - 1, (1, 2, 2**63 + 5), 7, TEXT, b"x" * LONGEST),
        Payload(12, None, (11, 0, 0), 0, ANSWER),
        Payload(12, 5, (0, 0, 0), 5, CLOSE),
        Payload(12, 6, None, 0, TEXT),
        Payload(12, None, (11, 3, 0), 6, READ, mark(11, 3)),
        Payload(12, None, None, 0, READ, mark(2**64 - 1, 2**64 - 1)),
        Payload(12, 6, None, 0, 77, b"of a later version"),
        Payload(12, None, None, 0, 77, b"of a later version"),
    ]
    for payload in cases:
        said = payload.write(chain.LONG)
        assert Payload.read(said) == payload
        yield {"bytes": said.hex(), **shown(payload)}


def refused_payloads():
    def with_byte(at, value, payload=Payload(11, None, None, 0, TEXT, b"text")):
        said = bytearray(payload.write(chain.LONG))
        said[at] = value
        return bytes(said)

    cases = [
        ("an unknown flag", with_byte(48, 4)),
        ("a number that is not given", with_byte(8, 1)),
        ("an ack that is not given", with_byte(24, 1)),
        ("a length past the end", with_byte(51, 255)),
        ("a text longer than texts are", with_byte(50, 0x3B, Payload(11, 0, None, 0, TEXT, b"x" * LONGEST))),
        ("bytes after what is said", with_byte(56, 1)),
        ("a last byte that is not zero", with_byte(chain.LONG - 1, 1)),
        ("not UTF-8", with_byte(52, 0xFF)),
        ("nothing, with a length", with_byte(49, NOTHING)),
        ("an answer that says something", with_byte(49, ANSWER)),
        ("a close that says something", with_byte(49, CLOSE)),
        ("a read mark of 4 bytes", with_byte(49, READ)),
        ("a read mark of 15 bytes", Payload(12, None, None, 0, READ, bytes(15)).write(chain.LONG)),
        ("a read mark of 17 bytes", Payload(12, None, None, 0, READ, bytes(17)).write(chain.LONG)),
    ]
    for about, said in cases:
        yield refusal(about, lambda: Payload.read(said), {"bytes": said.hex()})


def bodies():
    draws = Written("bodies")
    ratchet = public(draws.secret())
    texts = [(2, b"", b"one"), (1, draws.draw(chain.EXTENSION), b"two"), (1, b"", b"x" * LONGEST)]
    for index, extension, text in texts:
        name, topic, header_key, message_key, salt = (draws.draw(n) for n in (32, 4, 32, 32, 16))
        header = chain.Header(4, 0, ratchet, bool(extension), bytes(16) if index == 2 else None).write()
        payload = Payload(9, 3, None, 0, TEXT, text).write(chain.SHORT if extension else chain.LONG)
        body = chain.write(salt, name, topic, header_key, message_key, header, payload, extension)
        fields = {
            "name": name, "topic": topic, "header_key": header_key, "message_key": message_key, "salt": salt,
            "header": header, "extension": extension, "payload": payload, "body": body,
        }  # fmt: skip
        yield {key: value.hex() for key, value in fields.items()}


def messages():
    draws = Written("chain")
    topic_key, chain_key = draws.draw(32), draws.draw(32)
    positions, keys = [], {"topic_key": topic_key.hex(), "chain_key": chain_key.hex()}
    for _ in range(8):
        topic_key, topic, header_key = chain.topic_step(topic_key)
        chain_key, message_key = chain.chain_step(chain_key)
        positions.append(
            {"topic": topic.hex(), "header_key": header_key.hex(), "message_key": message_key.hex()}
        )
    return {
        "source": SOURCE,
        "chain": {**keys, "positions": positions},
        "headers": {"taken": list(headers()), "refused": list(refused_headers())},
        "payloads": {"taken": list(payloads()), "refused": list(refused_payloads())},
        "bodies": list(bodies()),
    }


def mac_again(letter):
    """The same letter after a change, with a mac that holds."""
    draws = Written("other offers")
    secrets = offer.agree(draws.secret(), PUBLIC["b"]) + offer.agree(SECRETS["a"], PUBLIC["b"])
    return letter[:1366] + mac(offer.mac_key(PUBLIC["b"], PUBLIC["a"], secrets), letter[:1366])


def refused_offers():
    letter, _, _ = offer.write(Written("other offers"), SECRETS["a"], PUBLIC["b"], NOW)
    assert mac_again(letter) == letter

    def changed(at, new):
        return mac_again(letter[:at] + new + letter[at + len(new) :])

    def sealed(plain, to=PUBLIC["b"]):
        return ecies.write(Written("sealed again"), to, plain.ljust(offer.PADDED, b"\0"))

    def aged(created):
        return sealed(offer.write(Written("other offers"), SECRETS["a"], PUBLIC["b"], created)[0])

    own = offer.write(Written("other offers"), SECRETS["b"], PUBLIC["b"], NOW)[0]
    good = sealed(letter)
    cases = [
        ("version 2", sealed(changed(0, b"\2"))),
        ("suite 1", sealed(changed(1, b"\1"))),
        ("suite 3", sealed(changed(1, b"\3"))),
        ("flags", sealed(changed(3, b"\1"))),
        ("a padding that is not zero", sealed(letter.ljust(offer.PADDED - 1, b"\0") + b"\1")),
        ("an identity that is no point", sealed(changed(4, b"\5"))),
        ("a session key that is no point", sealed(changed(37, b"\4"))),
        ("a session key off the curve", sealed(changed(37, b"\2" + (5).to_bytes(32, "big")))),
        ("a KEM key of a coefficient that is too large", sealed(changed(182, b"\xff\xff\xff"))),
        ("our own identity", sealed(own)),
        ("another mac", sealed(letter[:-1] + bytes([letter[-1] ^ 1]))),
        ("a mac that does not cover a change", sealed(letter[:70] + bytes(32) + letter[102:])),
        ("for somebody else", sealed(letter, PUBLIC["a"])),
        ("a second older than 8 days", aged(NOW - 8 * DAY - 1)),
        ("a second further ahead than a day", aged(NOW + DAY + 1)),
        ("a byte changed on the way", good[:500] + bytes([good[500] ^ 1]) + good[501:]),
        ("a tag changed on the way", good[:80] + bytes([good[80] ^ 1]) + good[81:]),
        ("a byte too few", good[:-1]),
        ("a byte too many", good + b"\0"),
        ("a letter of the earlier suite's size", sealed(changed(0, b"\1\1")[:182])),
    ]
    refused = [
        refusal(about, lambda body=body: offer.read(SECRETS["b"], body, NOW), {"body": body.hex()})
        for about, body in cases
    ]
    taken = []
    for about, created in (("8 days ago", NOW - 8 * DAY), ("a day ahead", NOW + DAY)):
        body = aged(created)
        assert offer.read(SECRETS["b"], body, NOW).created == created
        taken.append({"about": about, "created": created, "body": body.hex()})
    return {"refused": refused, "taken": taken}


class Transcript:
    """Runs a session and writes down each step."""

    def __init__(self):
        self.steps, self.ends = [], {}

    def note(self, who, does, draws, **more):
        self.steps.append({"who": who, "does": does, "entropy": draws.drawn.hex(), **more})
        return len(self.steps) - 1

    def draws(self):
        return Written(f"step {len(self.steps)}")

    def offer(self):
        draws = self.draws()
        self.ends["a"], self.letter = Session.initiate(draws, SECRETS["a"], PUBLIC["b"], NOW)
        return self.note(
            "a", "offer", draws, created=NOW, id=self.ends["a"].id.hex(), letter=self.letter.hex()
        )

    def seal(self):
        draws = self.draws()
        topic, body = offer.seal(draws, PUBLIC["b"], self.letter)
        return self.note("a", "seal", draws, topic=topic.hex(), body=body.hex())

    def read_offer(self, of):
        self.ends["b"] = Session.respond(SECRETS["b"], bytes.fromhex(self.steps[of]["body"]), NOW)
        assert self.ends["b"].id == self.ends["a"].id
        return self.note("b", "read offer", self.draws(), of=of)

    def answer(self):
        draws = self.draws()
        self.ends["b"].answer(draws)
        return self.note("b", "answer", draws)

    def send(self, who, payload):
        end, draws = self.ends[who], self.draws()
        place = {"chain": end.sending.index, "position": end.sending.filled}
        topic, body = end.send(draws, payload)
        return self.note(
            who, "send", draws, **place, payload=shown(payload), topic=topic.hex(), body=body.hex()
        )

    def open(self, of, result="opened", edit=None):
        sent, draws = self.steps[of], self.draws()
        who = "b" if sent["who"] == "a" else "a"
        body = bytearray.fromhex(sent["body"])
        more = {}
        if edit is not None:
            body[edit] ^= 1
            more["edit"] = edit
        found = self.ends[who].open(draws, bytes.fromhex(sent["topic"]), bytes(body), NOW)
        if found is None or found == LATER:
            assert result == ("nothing" if found is None else "later"), (of, result, found)
        else:
            assert result == "opened" and shown(found.payload) == sent["payload"]
            assert found.place == (sent["chain"], sent["position"])
        return self.note(who, "open", draws, of=of, result=result, **more)


def transcript():
    """Two people: all that happens between an offer and a close."""
    t = Transcript()
    t.offer()
    _, second = t.seal(), t.seal()
    early = [t.send("a", Payload(11, n, None, 0, TEXT, f"early {n}".encode())) for n in range(3)]
    t.read_offer(second)
    t.open(early[0])
    t.open(early[0], "nothing")
    t.answer()
    t.open(early[2])
    # Without the extension, then with it; the second is opened first.
    long = t.send("b", Payload(12, 0, (11, 1, 2), 0, TEXT, b"x" * LONGEST))
    answer = t.send("b", Payload(12, None, (11, 1, 2), 0, ANSWER))
    text = t.send("b", Payload(12, 1, (11, 1, 2), 0, TEXT, "Grüße".encode()))
    edge = [t.send("b", Payload(12, 2 + n, None, 0, TEXT, b"y" * (715 + n))) for n in (0, 1)]
    t.open(long, "later")
    t.open(text, "nothing", edit=0)
    t.open(text, "nothing", edit=1200)
    t.open(text)
    t.open(text, "nothing")
    t.open(long, "nothing", edit=2015)
    t.open(long)
    t.open(answer)
    # The initiator's next chain confirms; its first message comes last.
    confirm = [
        t.send("a", Payload(11, 3 + n, (12, 2, 0), 0, TEXT, f"confirmed {n}".encode())) for n in range(3)
    ]
    t.open(confirm[1], "nothing", edit=40)
    t.open(confirm[1])
    t.open(early[1])
    t.open(confirm[2])
    more = t.send("b", Payload(12, 4, (11, 3, 6), 0, TEXT, b"chain 3"))
    t.open(edge[1])
    t.open(more)
    t.open(confirm[0])
    t.open(edge[0])
    # Steps of one message each, then a passed chain's end, found by PN.
    for n in range(3):
        t.open(t.send("a", Payload(11, 6 + n, (12, 5, 0), 6, TEXT, f"turn {n}".encode())))
        t.open(t.send("b", Payload(12, 5 + n, (11, 7 + n, 0), 5, TEXT, f"turn {n}".encode())))
    late = [t.send("a", Payload(11, 9 + n, None, 9, TEXT, f"late {n}".encode())) for n in range(4)]
    t.open(late[1])
    t.open(t.send("b", Payload(12, None, (11, 9, 2**0 + 2**63), 8, NOTHING)))
    after = [t.send("a", Payload(11, 13 + n, (12, 8, 0), 9, TEXT, f"after {n}".encode())) for n in range(2)]
    t.open(after[1])
    for at in (late[3], after[0], late[0], late[2]):
        t.open(at)
        t.open(at, "nothing")
    t.open(t.send("b", Payload(12, None, (11, 15, 0), 8, 77, b"of a later version")))
    t.open(t.send("a", Payload(11, None, None, 15, CLOSE)))
    ends = t.ends
    assert ends["a"].words == ends["b"].words and ends["a"].confirmed and ends["b"].confirmed
    return t


def session():
    t = transcript()
    end = t.ends["b"]
    names = Mnemonic("english").wordlist
    return {
        "source": SOURCE,
        "people": {who: person(who) for who in "ab"},
        "now": NOW,
        "offers": refused_offers(),
        "steps": t.steps,
        "words": {
            "numbers": end.words,
            "words": [names[number] for number in end.words],
            "transcript": end.transcript.hex(),
            "reveal": end.reveal.hex(),
        },
    }


def main():
    check = sys.argv[1:] == ["--check"]
    files = {"envelope": envelope_vectors.vectors, "keys": keys, "messages": messages, "session": session}
    differ = []
    for name, make in files.items():
        path, text = FOLDER / f"{name}.json", json.dumps(make(), indent=1) + "\n"
        if not check:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            differ.append(path.name)
    if differ:
        sys.exit(f"not what is committed: {', '.join(differ)}")
    print("the vectors are what is committed" if check else f"written to {FOLDER}")


main()
