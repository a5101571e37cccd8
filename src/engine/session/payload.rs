//! The payload: the padded plaintext of a message, with the conversation's numbers and its content
//! (`proto/session.md`, "Messages").
//!
//! Its size never shows its content. It knows nothing of chains or keys; the numbers are the
//! conversation's, which outlives sessions, and mean nothing here.

use core::fmt;

use crate::engine::secret::opaque_debug;
use zeroize::Zeroizing;

use super::cursor::ByteCursor;

/// Longest text one message carries, in bytes of UTF-8.
///
/// It fills a message but for two bytes.
pub const MAX_TEXT: usize = 1850;

/// The payload of one envelope.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    /// The epoch of the sender's numbers, named at random; a new one begins when it has lost its
    /// state.
    pub epoch: u64,
    /// The message's number in that epoch; `None` for contents that need not arrive.
    pub number: Option<u64>,
    /// The sender's acknowledgement of the other side's messages.
    pub ack: Option<Ack>,
    /// The lowest number the sender still holds: gaps below it will never be filled.
    pub base: u64,
    /// The content.
    pub content: Content,
}

/// An acknowledgement: the numbers that one side has received of the other's current epoch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The acknowledged epoch.
    pub epoch: u64,
    /// The lowest number not received.
    pub next: u64,
    /// Bit k: `next + 1 + k` was received.
    pub sack: u64,
}

opaque_debug!(struct Ack { epoch, next, sack });

impl Ack {
    /// How far its bits reach beyond the lowest number not received. What lies beyond them counts as
    /// not heard of (`proto/session.md`, "How many at once").
    pub const REACH: u64 = 64;

    /// One more than the highest number that it says was received.
    #[must_use]
    pub const fn end(&self) -> u64 {
        let beyond = u64::BITS - self.sack.leading_zeros();
        if beyond == 0 { self.next } else { self.next.saturating_add(beyond as u64 + 1) }
    }

    /// Whether it says that `number` was received.
    #[must_use]
    pub const fn covers(&self, number: u64) -> bool {
        match number.checked_sub(self.next) {
            None => true,
            Some(0) => false,
            Some(ahead) => ahead <= Self::REACH && self.sack >> (ahead - 1) & 1 == 1,
        }
    }
}

/// The content of a payload.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// Nothing: it carries an acknowledgement, or it is junk.
    Nothing,
    /// A text that a person wrote, of at most [`MAX_TEXT`] bytes.
    Text(String),
    /// The offer is accepted.
    Answer,
    /// The session is over: erase its keys.
    Close,
    /// A person has seen all messages of the recipient's epoch `epoch` that have a number lower
    /// than `below`. It need not arrive.
    Read {
        /// The recipient's epoch.
        epoch: u64,
        /// The lowest number that was not seen.
        below: u64,
    },
    /// A kind of a later version. It is acknowledged like any other, and passed over.
    Unknown,
}

impl Payload {
    /// An empty payload of no epoch: zeros, as junk carries.
    #[must_use]
    pub const fn nothing() -> Self {
        Self { epoch: 0, number: None, ack: None, base: 0, content: Content::Nothing }
    }

    /// Writes `room` bytes, padded with zeros. `None` if the text is longer than [`MAX_TEXT`] or
    /// than there is room for.
    pub(super) fn encode(&self, room: usize) -> Option<Zeroizing<Vec<u8>>> {
        let Self { epoch, number, ack, base, content } = self;
        let mark;
        let (kind, said): (u8, &[u8]) = match content {
            Content::Nothing => (KIND_NOTHING, &[]),
            Content::Text(text) => (KIND_TEXT, text.as_bytes()),
            Content::Answer => (KIND_ANSWER, &[]),
            Content::Close => (KIND_CLOSE, &[]),
            Content::Read { epoch, below } => {
                mark = [epoch.to_le_bytes(), below.to_le_bytes()];
                (KIND_READ, mark.as_flattened())
            }
            Content::Unknown => (KIND_UNKNOWN, &[]),
        };
        if said.len() > MAX_TEXT || HEAD_SIZE + said.len() > room {
            return None;
        }
        let flags = if number.is_some() { FLAG_NUMBER } else { 0 }
            | if ack.is_some() { FLAG_ACK } else { 0 };
        let ack = ack.unwrap_or(Ack { epoch: 0, next: 0, sack: 0 });

        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        for number in [*epoch, number.unwrap_or(0), ack.epoch, ack.next, ack.sack, *base] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.push(flags);
        bytes.push(kind);
        bytes.extend_from_slice(&u16::try_from(said.len()).ok()?.to_le_bytes());
        bytes.extend_from_slice(said);
        bytes.resize(room, 0);
        Some(bytes)
    }

    /// Reads the bytes that [`Self::encode`] writes; `None` for all others, except with a kind that
    /// this version does not know.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut cursor = ByteCursor::new(bytes);
        let epoch = cursor.number()?;
        let number = cursor.number()?;
        let ack = Ack { epoch: cursor.number()?, next: cursor.number()?, sack: cursor.number()? };
        let base = cursor.number()?;
        let flags = cursor.byte()?;
        let kind = cursor.byte()?;
        let length = u16::from_le_bytes(*cursor.take()?);
        let said = cursor.slice(length.into())?;
        cursor.padding()?;

        // Each payload has one encoding, so that no two implementations differ in what they take: a
        // field without its flag is zero, and other flags are refused.
        if flags & !(FLAG_NUMBER | FLAG_ACK) != 0 {
            return None;
        }
        let number = present(flags & FLAG_NUMBER, number, 0)?;
        let ack = present(flags & FLAG_ACK, ack, Ack { epoch: 0, next: 0, sack: 0 })?;
        Some(Self { epoch, number, ack, base, content: Content::decode(kind, said)? })
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch: _, number: _, ack: _, base: _, content } = self;
        f.debug_struct("Payload").field("content", content).finish()
    }
}

impl Content {
    fn decode(kind: u8, said: &[u8]) -> Option<Self> {
        let silent = |content| said.is_empty().then_some(content);
        match kind {
            KIND_NOTHING => silent(Self::Nothing),
            // The layout has room for two bytes more, which no version uses.
            KIND_TEXT if said.len() > MAX_TEXT => None,
            KIND_TEXT => str::from_utf8(said).ok().map(|text| Self::Text(text.to_owned())),
            KIND_ANSWER => silent(Self::Answer),
            KIND_CLOSE => silent(Self::Close),
            KIND_READ => {
                let mut cursor = ByteCursor::new(said);
                let mark = Self::Read { epoch: cursor.number()?, below: cursor.number()? };
                cursor.rest().is_empty().then_some(mark)
            }
            // Not refused: a kind of a later version has a place in the numbering, and refusing it
            // would stall all that follows.
            _ => Some(Self::Unknown),
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Answer => f.write_str("Answer"),
            Self::Close => f.write_str("Close"),
            Self::Read { epoch: _, below: _ } => f.write_str("Read"),
            Self::Unknown => f.write_str("Unknown"),
        }
    }
}

/// A field that is there by its flag; what is not there must have been written as `absent`.
fn present<T: PartialEq>(flag: u8, value: T, absent: T) -> Option<Option<T>> {
    if flag != 0 {
        return Some(Some(value));
    }
    (value == absent).then_some(None)
}

/// Bytes before what is said: six numbers, flags, kind, length.
const HEAD_SIZE: usize = 6 * 8 + 1 + 1 + 2;

const FLAG_NUMBER: u8 = 1;
const FLAG_ACK: u8 = 2;

const KIND_NOTHING: u8 = 0;
const KIND_TEXT: u8 = 1;
const KIND_ANSWER: u8 = 2;
const KIND_CLOSE: u8 = 3;
const KIND_READ: u8 = 4;
/// Never given a meaning by any version.
const KIND_UNKNOWN: u8 = 255;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::session::message::PLAIN_ROOM;
    use crate::engine::testing::mutate::{Reading, each_case};

    const HEAD: usize = HEAD_SIZE;

    fn content() -> impl Strategy<Value = Content> {
        prop_oneof![
            Just(Content::Nothing),
            ".{0,400}".prop_map(Content::Text),
            Just(Content::Answer),
            Just(Content::Close),
            any::<(u64, u64)>().prop_map(|(epoch, below)| Content::Read { epoch, below }),
            Just(Content::Unknown),
        ]
    }

    fn ack() -> impl Strategy<Value = Ack> {
        (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(epoch, next, sack)| Ack {
            epoch,
            next,
            sack,
        })
    }

    prop_compose! {
        fn payload()(
            epoch in any::<u64>(),
            number in any::<Option<u64>>(),
            ack in proptest::option::of(ack()),
            base in any::<u64>(),
            content in content(),
        ) -> Payload {
            Payload { epoch, number, ack, base, content }
        }
    }

    fn text(length: usize) -> Payload {
        Payload { content: Content::Text("x".repeat(length)), ..Payload::nothing() }
    }

    #[test]
    fn the_longest_text_fits_and_one_byte_more_does_not() {
        let encoded = text(MAX_TEXT).encode(PLAIN_ROOM).unwrap();
        assert_eq!(Payload::decode(&encoded), Some(text(MAX_TEXT)));
        assert_eq!(text(MAX_TEXT + 1).encode(PLAIN_ROOM), None);
        let mut long = encoded;
        long[50..52].copy_from_slice(&1851_u16.to_le_bytes());
        long[HEAD..HEAD + 1851].fill(b'x');
        assert_eq!(Payload::decode(&long), None);
    }

    #[test]
    fn a_kind_of_a_later_version_is_unknown_not_refused() {
        let mut bytes = text(5).encode(PLAIN_ROOM).unwrap();
        bytes[49] = 77;
        assert_eq!(Payload::decode(&bytes).unwrap().content, Content::Unknown);
    }

    #[test]
    fn a_read_mark_of_another_length_than_sixteen_bytes_is_refused() {
        let mark = Payload { content: Content::Read { epoch: 3, below: 9 }, ..Payload::nothing() };
        let written = mark.encode(PLAIN_ROOM).unwrap();
        assert_eq!(Payload::decode(&written), Some(mark));
        for length in (0..=1_850_u16).filter(|&length| length != 16) {
            let mut bytes = Payload::nothing().encode(PLAIN_ROOM).unwrap();
            bytes[49] = KIND_READ;
            bytes[50..52].copy_from_slice(&length.to_le_bytes());
            assert_eq!(Payload::decode(&bytes), None, "{length}");
        }
    }

    #[test]
    fn an_ack_covers_what_it_says_and_no_more() {
        let ack = Ack { epoch: 0, next: 10, sack: 0b101 | 1 << 63 };
        let covered: Vec<u64> = (0..200).filter(|number| ack.covers(*number)).collect();
        assert_eq!(covered, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 74]);
        assert!(!ack.covers(u64::MAX));
    }

    #[test]
    fn an_empty_payload_is_zeros() {
        assert_eq!(Payload::nothing().encode(PLAIN_ROOM).unwrap().as_slice(), [0; PLAIN_ROOM]);
    }

    #[test]
    fn printing_a_payload_shows_its_length_and_no_content() {
        let said = Payload { content: Content::Text("secret".to_owned()), ..Payload::nothing() };
        assert_eq!(format!("{said:?}"), "Payload { content: Text(6 bytes) }");
    }

    proptest! {
        #[test]
        fn a_payload_reads_back_as_it_was_written(payload in payload()) {
            let bytes = payload.encode(PLAIN_ROOM).unwrap();
            prop_assert_eq!(bytes.len(), PLAIN_ROOM);
            prop_assert_eq!(Payload::decode(&bytes), Some(payload));
        }

        #[test]
        fn padding_that_is_not_zero_is_refused(
            payload in payload(),
            at in any::<prop::sample::Index>(),
            with in 1_u8..,
        ) {
            let mut bytes = payload.encode(PLAIN_ROOM).unwrap();
            let used = HEAD + usize::from(u16::from_le_bytes([bytes[50], bytes[51]]));
            let at = used + at.index(PLAIN_ROOM - used);
            bytes[at] = with;
            prop_assert_eq!(Payload::decode(&bytes), None);
        }

        #[test]
        fn a_payload_that_reads_is_one_that_would_be_written(
            payload in payload(),
            at in 0..HEAD,
            with in any::<u8>(),
        ) {
            let mut bytes = payload.encode(PLAIN_ROOM).unwrap();
            bytes[at] = with;
            let Some(read) = Payload::decode(&bytes) else { return Ok(()) };
            if read.content != Content::Unknown {
                prop_assert_eq!(read.encode(PLAIN_ROOM).unwrap(), bytes);
            }
        }

        #[test]
        fn reading_anything_never_panics(
            head in proptest::collection::vec(any::<u8>(), 0..HEAD + 8),
            length in prop_oneof![Just(PLAIN_ROOM), 0..PLAIN_ROOM + 8],
        ) {
            let mut bytes = head;
            bytes.resize(length, 0);
            let read = Payload::decode(&bytes);
            prop_assert!(length >= HEAD || read.is_none());
        }
    }

    #[test]
    fn changed_at_random_a_payload_is_refused_or_the_one_that_is_written_so() {
        let ack = Some(Ack { epoch: 1, next: 2, sack: 3 });
        let contents = [
            Content::Nothing,
            Content::Text("words".to_owned()),
            Content::Answer,
            Content::Close,
            Content::Read { epoch: 1, below: 2 },
            Content::Unknown,
        ];
        let seeds = contents.map(|content| {
            let payload = Payload { epoch: 1, number: Some(2), ack, base: 3, content };
            payload.encode(120).unwrap().to_vec()
        });
        each_case(&seeds, |bytes| match Payload::decode(bytes) {
            // Its kind is not kept.
            Some(Payload { content: Content::Unknown, .. }) => Reading::Taken,
            read => Reading::again(read, |payload| payload.encode(bytes.len()).unwrap().to_vec()),
        });
    }
}
