"""Checks this implementation on its own: against BIP 324, against eciespy, and against itself over a bad network.

python3 tests/interop/python/selftest.py
"""

import csv
import json
import random
import unittest
from pathlib import Path

import ecies as eciespy
from undertone import chain, ecies, elligator, envelope, envelope_vectors, identity, offer
from undertone.draws import ORDER, Written
from undertone.messenger import REACH, WINDOW, Messenger
from undertone.payload import TEXT, Payload
from undertone.primitives import Refused, public
from undertone.session import Full, Session

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
BIP_324 = VECTORS / "bip324"
NOW = 1_795_219_200


def pair(name):
    draws = Written(name)
    return draws, draws.secret(), draws.secret()


class Points(unittest.TestCase):
    @unittest.skipUnless(BIP_324.exists(), "BIP 324's tables are not there")
    def test_all_of_bip_324_is_decoded_as_it_says(self):
        rows = list(csv.DictReader((BIP_324 / "decode.csv").read_text().splitlines()))
        for row in rows:
            key = elligator.read(bytes.fromhex(row["ellswift"]))
            self.assertEqual(key[1:].hex(), row["x"])
            self.assertEqual(key[0] - 2, int(row["y_is_odd"]))
        self.assertGreater(len(rows), 50)

    @unittest.skipUnless(BIP_324.exists(), "BIP 324's tables are not there")
    def test_every_case_of_bip_324_is_encoded_as_it_says(self):
        for row in csv.DictReader((BIP_324 / "inverse.csv").read_text().splitlines()):
            for case in range(8):
                t = elligator.t_of(int(row["x"], 16), int(row["u"], 16), case)
                self.assertEqual("" if t is None else f"{t:064x}", row[f"case{case}_t"])

    def test_a_point_is_read_back_from_what_was_written(self):
        draws = Written("points")
        for _ in range(50):
            key = public(draws.secret())
            self.assertEqual(elligator.read(elligator.write(key, draws.draw(32))), key)


class Sealing(unittest.TestCase):
    def test_eciespy_and_this_open_what_the_other_sealed(self):
        draws, secret, _ = pair("eciespy")
        sealed = eciespy.encrypt(public(secret), b"to be read", ecies.SETTINGS)
        self.assertEqual(ecies.read(secret, ecies.from_packages(sealed, draws.draw(32))), b"to be read")
        body = ecies.write(draws, public(secret), b"and back")
        plain = eciespy.decrypt(secret.to_bytes(32, "big"), ecies.to_packages(body), ecies.SETTINGS)
        self.assertEqual(plain, b"and back")

    def test_an_invite_is_read_back_in_capitals_small_letters_and_pieces(self):
        key = public(Written("invite").secret())
        text = identity.write_invite(key)
        self.assertEqual(len(text), 71)
        for form in (text, text.lower(), f" {text[:30]}\n{text[30:]} ", key.hex()):
            self.assertEqual(identity.read_invite(form), key)

    def test_the_largest_draw_is_still_a_key(self):
        class Ones(Written):
            def draw(self, count):
                return b"\xff" * count

        self.assertIn(Ones("").secret(), range(1, ORDER))


class Envelopes(unittest.TestCase):
    def test_the_committed_vectors_are_what_is_written(self):
        committed = json.loads((VECTORS / "envelope.json").read_text())
        # `vectors.py --check` computes all prices; the first are enough here.
        written = envelope_vectors.vectors(64)
        prices = committed.pop("prices"), written.pop("prices")
        self.assertEqual(written, committed)
        self.assertEqual(prices[0]["first"], prices[1]["first"])
        self.assertEqual(prices[0]["cases"], envelope_vectors.CASES)

    def test_an_envelope_is_read_back_and_no_other_bytes_are(self):
        for length in (0, 1, 127, 128, 2016, 16_383, 16_384, 65_503):
            data = envelope_vectors.pattern(length)
            made = envelope.make(b"abcd", data, NOW, 86_400, 2)
            self.assertEqual(envelope.read(made), (b"abcd", data))
            self.assertIsNone(envelope.refusal(made, NOW, 2))
            for other in (made[:-1], made + b"\0", made[1:], b"\0" + made):
                with self.assertRaises(Refused):
                    envelope.read(other)

    def test_65_537_bytes_are_no_envelope_and_have_the_id_of_what_is_none(self):
        most, more = (
            envelope.prefix(envelope.expiry_of(NOW, 86_400), 86_400, b"abcd", bytes(length)) + envelope.suffix(0)
            for length in (65_503, 65_504)
        )
        self.assertEqual((len(most), len(more)), (65_536, 65_537))
        self.assertEqual(envelope.inspect(more, 0), "TooLarge")
        self.assertEqual(envelope.message_id("x", "x", most), envelope.identify(most))
        with self.assertRaises(Refused):
            envelope.identify(more)
        self.assertEqual(len(envelope.message_id("x", "x", more)), 32)

    def test_a_step_shows_so_many_doublings_and_the_floor_is_shown_by_all(self):
        for step in range(9):
            made = envelope.make(b"abcd", b"", NOW, 21_600, 2, 7, step)
            self.assertIsNone(envelope.inspect(made, 2 + step))
            self.assertIsNone(envelope.inspect(made, 2))

    def test_an_envelope_is_in_time_wherever_clocks_are_off_by_less_than_five_minutes(self):
        for ttl in envelope.UNITS:
            for second in (0, 1, 3179, 3180, 3479, 3480, 3481, 3599):
                now = NOW // 3600 * 3600 + second
                made = envelope.make(b"abcd", b"", now, ttl, 0)
                for clock in (now - 300, now, now + ttl + 120 + 299):
                    self.assertIsNone(envelope.refusal(made, clock, 0), f"made {second}, read {clock - now}")


class Ratchet(unittest.TestCase):
    def ends(self, name):
        draws, i, r = pair(name)
        a, letter = Session.initiate(draws, i, public(r), NOW)
        b = Session.respond(r, offer.seal(draws, public(r), letter)[1], NOW)
        return draws, a, b

    def test_a_chain_of_1024_positions_is_full_and_its_last_opens_first(self):
        draws, a, b = self.ends("full")
        sent = [a.send(draws, Payload(1, n, None, 0, TEXT, b"")) for n in range(chain.POSITIONS)]
        with self.assertRaises(Full):
            a.send(draws, Payload(1))
        self.assertEqual(b.open(draws, *sent[-1], NOW).payload.number, 1023)
        self.assertEqual(len(b.passed), 1023)
        self.assertEqual(b.open(draws, *sent[0], NOW).payload.number, 0)
        self.assertIsNone(b.open(draws, *sent[0], NOW))

    def test_no_changed_bit_opens_or_changes_anything(self):
        draws, a, b = self.ends("bits")
        topic, body = a.send(draws, Payload(1, 0, None, 0, TEXT, b"text"))
        for at in (0, 15, 16, 95, 96, 1000, 2015):
            changed = body[:at] + bytes([body[at] ^ 4]) + body[at + 1 :]
            self.assertIsNone(b.open(draws, topic, changed, NOW))
        self.assertIsNotNone(b.open(draws, topic, body, NOW))

    def test_passed_keys_are_forgotten_after_eight_days(self):
        draws, a, b = self.ends("age")
        sent = [a.send(draws, Payload(1, n, None, 0, TEXT, b"")) for n in range(4)]
        b.open(draws, *sent[1], NOW)
        b.open(draws, *sent[3], NOW + 8 * 86_400)
        self.assertEqual([one.position for one in b.passed], [2])


class Network:
    """Two messengers and all that is between them."""

    def __init__(self, seed, crossing):
        self.chance, self.ways = random.Random(seed), {"a": [], "b": []}
        draws, i, r = pair(f"network {seed}")
        self.people = {
            "a": Messenger(i, public(r), lambda *e: self.ways["b"].append(e), NOW, Written(f"a {seed}")),
            "b": Messenger(r, public(i), lambda *e: self.ways["a"].append(e), NOW, Written(f"b {seed}")),
        }
        self.people["a"].offer()
        if crossing:
            self.people["b"].offer()

    def carry(self, loss, repeats):
        for who, way in self.ways.items():
            self.chance.shuffle(way)
            for _ in range(self.chance.randrange(len(way) + 1)):
                one = way.pop()
                if self.chance.random() < repeats:
                    way.append(one)
                if self.chance.random() >= loss:
                    self.people[who].take(*one)

    def offer_again(self):
        for person in self.people.values():
            for session in person.sessions:
                if session.initiator and not session.confirmed:
                    person.seal(session)

    def talk(self, texts):
        for n in range(texts):
            self.offer_again()
            for who, person in self.people.items():
                if person.preferred():
                    person.say(f"{n} from {who}")
            self.carry(0.6, 0.3)

    def settle(self):
        """Repeats what is not acknowledged until all is; True if it came to that."""
        for _ in range(80):
            self.offer_again()
            for person in self.people.values():
                if not person.preferred():
                    continue
                for number in range(person.left):
                    if number not in person.delivered:
                        person.repeat(number)
                person.acknowledge()
            self.carry(0.4, 0.3)
            if all(len(one.delivered) == len(one.said) for one in self.people.values()):
                return True
        return False


class Conversation(unittest.TestCase):
    def test_all_comes_in_order_over_a_network_that_loses_repeats_and_shuffles(self):
        for seed in range(4):
            with self.subTest(seed=seed):
                network = Network(seed, crossing=seed % 2 == 1)
                for _ in range(2):
                    network.talk(12)
                    self.assertTrue(network.settle())
                a, b = network.people["a"], network.people["b"]
                self.assertEqual(a.heard(), b.said)
                self.assertEqual(b.heard(), a.said)
                self.assertGreater(len(b.said), 0)
                self.assertEqual((a.seen_below, b.seen_below), (0, 0))
                while a.seen_below < len(a.said) or b.seen_below < len(b.said):
                    a.show(), b.show()
                    network.carry(0.4, 0.3)
                self.assertEqual((a.seen_below, b.seen_below), (len(a.said), len(b.said)))
                confirmed = [one for one in a.sessions if one.confirmed]
                words = {one.id: one.words for one in b.sessions if one.confirmed}
                for one in confirmed:
                    if one.id in words:
                        self.assertEqual(one.words, words[one.id])


    def away(self, name, texts):
        """a says so much to b, who is away and has confirmed a session before; and what is on its way to b."""
        network = Network(name, crossing=False)
        self.assertTrue(network.settle())
        a, b = network.people["a"], network.people["b"]
        network.ways["b"].clear()
        for n in range(texts):
            a.say(str(n))
        return a, b, network.ways["b"]

    def test_256_messages_leave_for_somebody_away_and_the_next_once_they_are_acknowledged(self):
        a, b, way = self.away("away", WINDOW + 9)
        self.assertEqual((a.left, len(way)), (WINDOW, WINDOW))
        for envelope_ in reversed(way):
            b.take(*envelope_)
        self.assertEqual(b.heard(), a.said[:WINDOW])
        a.take(*self.answer(b))
        self.assertEqual((a.left, len(a.delivered)), (WINDOW + 9, WINDOW))

    def test_what_is_beyond_the_bits_is_kept_and_counts_as_not_heard_of_until_they_reach_it(self):
        a, b, way = self.away("beyond", WINDOW)
        for envelope_ in way[1:]:
            b.take(*envelope_)
        self.assertEqual(b.ack()[1:], (0, 2**REACH - 1))
        a.take(*self.answer(b))
        self.assertEqual(a.delivered, set(range(1, REACH + 1)))
        b.take(*way[0])
        a.take(*self.answer(b))
        self.assertEqual((b.heard(), len(a.delivered)), (a.said, WINDOW))

    def test_a_number_further_ahead_than_a_sender_goes_counts_as_not_come(self):
        a, b, _ = self.away("hostile", 0)
        for number, taken in ((WINDOW + 1, False), (WINDOW, True)):
            posted = []
            a.post = lambda *one: posted.append(one)
            a.payload(number, TEXT, b"ahead")
            b.take(*posted[0])
            self.assertEqual(number in b.texts, taken)

    def answer(self, person):
        posted, person.post = [], lambda *one: posted.append(one)
        person.acknowledge()
        return posted[0]


if __name__ == "__main__":
    unittest.main()
