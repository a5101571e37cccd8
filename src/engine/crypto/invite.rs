//! Invites: a public key as text that survives being read aloud, typed, wrapped or photographed
//! (`proto/session.md`, "Identities").
//!
//! Bech32m (BIP 350) in capitals, which a QR code packs into its alphanumeric mode. An invite is
//! not secret and holds nothing but the key: no name, no address, no time.

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32m, Hrp};
use data_encoding::HEXLOWER_PERMISSIVE;

use super::keys::{PUBLIC_KEY_SIZE, PublicKey};

/// Longest text that is looked at; what is passed over does not count. The longest invite has 71 characters.
pub const MAX_LENGTH: usize = 256;

/// Writes the invite for a key: `UNDERTONE1` and 61 more capitals and digits.
#[must_use]
pub fn encode(key: &PublicKey) -> String {
    let mut payload = vec![VERSION];
    payload.extend_from_slice(&key.to_bytes());
    in_capitals(&payload)
}

/// Reads an invite in capitals or small letters, or a key's 66 hexadecimal digits. Whatever is neither
/// a letter nor a digit is passed over, wherever a screen, a letter or a web page put it: blanks and
/// line ends, quotation marks, a full stop, the `>` of an answer, characters that nobody sees. What is
/// left is judged by its checksum, or its length.
///
/// # Errors
/// The reason, for the person who typed it; see [`InviteError`].
pub fn decode(text: &str) -> Result<PublicKey, InviteError> {
    let letters = || text.chars().filter(|letter| letter.is_alphanumeric());
    // Bounded before anything is copied: pasted text may be anything.
    if letters().take(MAX_LENGTH + 1).count() > MAX_LENGTH {
        return Err(InviteError::NotAnInvite);
    }
    let text: String = letters().collect();
    if let Some(bytes) = from_hex(&text) {
        return PublicKey::from_bytes(&bytes).ok_or(InviteError::NotAKey);
    }
    // A person who pasted something else needs to know that, and not that a checksum fails.
    if !begins_like_an_invite(&text) {
        return Err(InviteError::NotAnInvite);
    }
    let checked = CheckedHrpstring::new::<Bech32m>(&text).map_err(|_| InviteError::Damaged)?;
    let payload: Vec<u8> = checked.byte_iter().collect();
    let (version, key) = payload.split_first().ok_or(InviteError::Damaged)?;
    // Before the length, which another version may change.
    if *version != VERSION {
        return Err(InviteError::OtherVersion);
    }
    let key = <&[u8; PUBLIC_KEY_SIZE]>::try_from(key).map_err(|_| InviteError::NotAKey)?;
    let key = PublicKey::from_bytes(key).ok_or(InviteError::NotAKey)?;
    // The last character has three bits no byte needs: one key, one invite.
    if !encode(&key).eq_ignore_ascii_case(&text) {
        return Err(InviteError::Damaged);
    }
    Ok(key)
}

/// Why a text is not an invite one can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// It is something else: ask for the whole invite.
    #[error("this is neither an invite nor a key")]
    NotAnInvite,
    /// The checksum does not fit: a letter is wrong or missing. Copy it again.
    #[error("this invite is damaged or incomplete")]
    Damaged,
    /// It was made by a program of another generation.
    #[error("this invite has an unknown version")]
    OtherVersion,
    /// It is whole, but there is no such key: it was made wrongly.
    #[error("this is not a valid key")]
    NotAKey,
}

fn in_capitals(payload: &[u8]) -> String {
    #[expect(clippy::expect_used, reason = "71 characters, and Bech32m takes 1,023")]
    bech32::encode_upper::<Bech32m>(PREFIX, payload).expect("a payload of 34 bytes")
}

fn begins_like_an_invite(text: &str) -> bool {
    text.get(..START.len()).is_some_and(|start| start.eq_ignore_ascii_case(START))
}

fn from_hex(text: &str) -> Option<[u8; PUBLIC_KEY_SIZE]> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// Bech32m's human-readable part, and it again with the separator.
const PREFIX: Hrp = Hrp::parse_unchecked("undertone");
const START: &str = "undertone1";

/// The payload's first byte. Another meaning of the rest takes another number.
const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::crypto::keys::Identity;
    use crate::engine::testing::mutate::{Reading, each_text};
    use crate::engine::testing::rng::SeededRng;

    fn key(seed: u64) -> PublicKey {
        Identity::generate(&mut SeededRng::new(seed).turn()).public()
    }

    #[test]
    fn an_invite_fits_a_qr_code_of_24_rows() {
        let invite = encode(&key(1));
        assert_eq!(invite.len(), 71);
        assert!(invite.starts_with("UNDERTONE1"));
        assert!(
            invite.chars().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit())
        );
    }

    #[test]
    fn an_invite_is_read_in_either_case_and_over_line_ends() {
        let invite = encode(&key(1));
        assert_eq!(decode(&invite), Ok(key(1)));
        assert_eq!(decode(&invite.to_lowercase()), Ok(key(1)));
        let (head, tail) = invite.split_at(40);
        assert_eq!(decode(&format!("  {head}\r\n {tail}\n")), Ok(key(1)));
    }

    #[test]
    fn what_a_web_page_or_a_letter_puts_into_an_invite_is_passed_over() {
        let invite = encode(&key(1));
        let (head, tail) = invite.split_at(40);
        for (before, between, after) in [
            ("\u{feff}", "\u{200b}", "\u{200f}"),
            ("\u{201c}", "\u{ad}", "\u{201d}."),
            ("> ", "\n> ", "\n"),
            ("<", "\u{2060}", ">,"),
            ("**`", "-\r\n", "`**"),
            ("(", "\u{a0}", ")\u{2026}"),
        ] {
            assert_eq!(decode(&format!("{before}{head}{between}{tail}{after}")), Ok(key(1)));
        }
        let hex = key(1).hex();
        assert_eq!(decode(&format!("\"{hex}\".")), Ok(key(1)));
        // Letters around it are no invite: nobody guesses which of them belong to it.
        assert_eq!(decode(&format!("invite: {invite}")), Err(InviteError::NotAnInvite));
        assert_eq!(decode(&format!("{invite} bob")), Err(InviteError::Damaged));
        assert_eq!(decode(&"\u{200b}".repeat(1 << 16)), Err(InviteError::NotAnInvite));
    }

    #[test]
    fn a_key_in_hexadecimal_is_an_invite_too() {
        let hex = key(1).hex();
        assert_eq!(decode(&hex), Ok(key(1)));
        assert_eq!(decode(&hex.to_uppercase()), Ok(key(1)));
        assert_eq!(decode(&"ff".repeat(33)), Err(InviteError::NotAKey));
    }

    #[test]
    fn every_way_to_fail_has_its_own_words() {
        assert_eq!(decode(""), Err(InviteError::NotAnInvite));
        assert_eq!(decode("good morning"), Err(InviteError::NotAnInvite));
        assert_eq!(decode(&"A".repeat(1 << 20)), Err(InviteError::NotAnInvite));
        assert_eq!(decode("UNDERTONE1"), Err(InviteError::Damaged));
        let whole = encode(&key(1));
        assert_eq!(decode(whole.get(..70).unwrap()), Err(InviteError::Damaged));
        let other = in_capitals(&[&[2], key(1).to_bytes().as_slice()].concat());
        assert_eq!(decode(&other), Err(InviteError::OtherVersion));
        assert_eq!(decode(&in_capitals(&[])), Err(InviteError::Damaged));
        assert_eq!(decode(&in_capitals(&[1; 34])), Err(InviteError::NotAKey));
        assert_eq!(decode(&in_capitals(&[1, 2])), Err(InviteError::NotAKey));
        let segwit = bech32::encode_upper::<bech32::Bech32>(PREFIX, &[1; 34]).unwrap();
        assert_eq!(decode(&segwit), Err(InviteError::Damaged));
    }

    proptest! {
        #[test]
        fn a_wrong_letter_is_noticed(at in 10..71_usize, letter in "[A-Z0-9]") {
            let mut invite = encode(&key(1));
            prop_assume!(invite.get(at..=at) != Some(&letter));
            invite.replace_range(at..=at, &letter);
            prop_assert_eq!(decode(&invite), Err(InviteError::Damaged));
        }

        #[test]
        fn reading_anything_never_panics(text in ".*", tail in ".*") {
            prop_assert!(decode(&text).is_err());
            let text = format!("UNDERTONE1{tail}");
            prop_assert!(decode(&text).is_err());
        }

        #[test]
        fn every_key_reads_back(seed in any::<u64>()) {
            prop_assert_eq!(decode(&encode(&key(seed))), Ok(key(seed)));
        }
    }

    #[test]
    fn changed_at_random_an_invite_is_of_a_key_or_refused() {
        let (invite, hex) = (encode(&key(1)), key(2).hex());
        let (head, tail) = invite.split_at(40);
        let spaced = format!(" {head}\r\n {tail}");
        each_text(&[&invite, &invite.to_lowercase(), &spaced, &hex], |text| {
            let read = decode(text);
            assert!(read.is_err() || read.is_ok_and(|key| decode(&encode(&key)) == Ok(key)));
            Reading::of(read)
        });
    }
}
