//! Offers: who can read them, and what is refused.

use proptest::prelude::*;

use super::*;

pub(super) fn people(seed: u64) -> (SeededRng, Identity, Identity) {
    let mut seeded = SeededRng::new(seed);
    let a = Identity::generate(&mut seeded.turn());
    let b = Identity::generate(&mut seeded.turn());
    (seeded, a, b)
}

#[test]
fn an_offer_names_its_maker_and_is_the_same_however_often_it_is_sealed() {
    let (mut seeded, a, b) = people(16);
    let (offer, session) = Offer::new(&mut seeded.turn(), &a, &b.public(), WINDOW);
    let (one, two) = (offer.seal(&mut seeded.turn()), offer.seal(&mut seeded.turn()));
    assert_ne!(one.topic, two.topic);
    assert_ne!(one.body[..64], two.body[..64]);
    let opened = ReceivedOffer::open(&b, &one.body).unwrap();
    assert_eq!(Some(&opened), ReceivedOffer::open(&b, &two.body).as_ref());
    assert_eq!((opened.from(), opened.id()), (a.public(), offer.id()));
    assert_eq!((opened.created(), SessionId::from(opened.id())), (NOW, session.id()));
}

#[test]
fn only_the_recipient_opens_an_offer() {
    let (mut seeded, a, b) = people(17);
    let c = Identity::generate(&mut seeded.turn());
    let (offer, _) = Offer::new(&mut seeded.turn(), &a, &b.public(), WINDOW);
    let sealed = offer.seal(&mut seeded.turn());
    assert!(ReceivedOffer::open(&c, &sealed.body).is_none());
    assert!(ReceivedOffer::open(&a, &sealed.body).is_none());
}

#[test]
fn an_offer_is_timely_from_a_longest_life_and_a_day_ago_to_a_day_ahead() {
    let (mut seeded, a, b) = people(18);
    let (offer, _) = Offer::new(&mut seeded.turn(), &a, &b.public(), WINDOW);
    let offer = ReceivedOffer::open(&b, &offer.seal(&mut seeded.turn()).body).unwrap();
    let (second, latest) = (Seconds(1), NOW.plus(MAX_TTL).plus(ONE_DAY));
    assert!(offer.timely(latest) && !offer.timely(latest.plus(second)));
    assert!(offer.timely(NOW.minus(ONE_DAY)) && !offer.timely(NOW.minus(ONE_DAY).minus(second)));
}

/// An offer's plaintext as its recipient finds it, to be forged.
fn plaintext(sealed: &SealedBody, own: &Identity) -> Vec<u8> {
    ecies::open(own, &sealed.body).unwrap().to_vec()
}

fn reseal(seeded: &mut SeededRng, to: &PublicKey, plaintext: &[u8]) -> Vec<u8> {
    ecies::seal(&mut seeded.turn(), to, plaintext)
}

#[test]
fn an_offer_in_another_name_is_refused() {
    let (mut seeded, a, b) = people(19);
    let c = Identity::generate(&mut seeded.turn());
    let (offer, _) = Offer::new(&mut seeded.turn(), &a, &b.public(), WINDOW);
    let mut forged = plaintext(&offer.seal(&mut seeded.turn()), &b);
    forged[4..37].copy_from_slice(&c.public().to_bytes());
    let body = reseal(&mut seeded, &b.public(), &forged);
    assert!(ReceivedOffer::open(&b, &body).is_none());
}

#[test]
fn an_offer_passed_on_to_somebody_else_is_refused() {
    let (mut seeded, a, b) = people(20);
    let c = Identity::generate(&mut seeded.turn());
    let (offer, _) = Offer::new(&mut seeded.turn(), &a, &b.public(), WINDOW);
    let plaintext = plaintext(&offer.seal(&mut seeded.turn()), &b);
    let body = reseal(&mut seeded, &c.public(), &plaintext);
    assert!(ReceivedOffer::open(&c, &body).is_none());
}

#[test]
fn an_offer_from_our_own_key_is_refused() {
    let (mut seeded, a, _) = people(21);
    let (offer, _) = Offer::new(&mut seeded.turn(), &a, &a.public(), WINDOW);
    assert!(ReceivedOffer::open(&a, &offer.seal(&mut seeded.turn()).body).is_none());
}

#[test]
fn stored_offers_read_back() {
    let (mut seeded, a, b) = people(14);
    let (offer, _) = Offer::new(&mut seeded.turn(), &a, &b.public(), WINDOW);
    let received = ReceivedOffer::open(&b, &offer.seal(&mut seeded.turn()).body).unwrap();
    let config = bincode::config::standard().with_fixed_int_encoding();
    let bytes = bincode::serde::encode_to_vec((&offer, &received), config).unwrap();
    let (read, _) =
        bincode::serde::decode_from_slice::<(Offer, ReceivedOffer), _>(&bytes, config).unwrap();
    assert_eq!(read, (offer, received));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_other_byte_in_an_offers_plaintext_is_refused(
        at in any::<prop::sample::Index>(),
        turn in 1_u8..,
    ) {
        let (mut seeded, a, b) = people(25);
        let (offer, _) = Offer::new(&mut seeded.turn(), &a, &b.public(), WINDOW);
        let mut plaintext = plaintext(&offer.seal(&mut seeded.turn()), &b);
        let whole = reseal(&mut seeded, &b.public(), &plaintext);
        prop_assert!(ReceivedOffer::open(&b, &whole).is_some());
        // Half of the cases in the fields, half in the padding, which is much longer.
        let at = if turn % 2 == 0 { at.index(1398) } else { at.index(plaintext.len()) };
        plaintext[at] ^= turn;
        let body = reseal(&mut seeded, &b.public(), &plaintext);
        prop_assert!(ReceivedOffer::open(&b, &body).is_none());
    }
}
