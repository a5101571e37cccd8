//! Gossipsub's frames, looked at before gossipsub decodes them.
//!
//! A frame is Protocol Buffers: in it two bytes make an entry, and an entry decoded is a hundred
//! bytes of memory and work of the task that deals with all neighbours. So its entries are counted
//! where they lie ([`sift`]), nothing being decoded yet, and what we do not use is left out. What is
//! over a bound in the tables below is a [`Breach`]: no program of this network has a reason to
//! write it, and the bytes are its sender's own, so nobody can have another blamed for them.
//!
//! | in a frame | at most | |
//! |---|---|---|
//! | bytes | [`FRAME`] | |
//! | subscriptions | [`SUBSCRIPTIONS`] | there are two topics, and a greeting has two |
//! | messages | [`MESSAGES`] | programs write one |
//! | entries of control data, of all kinds together | [`CONTROLS`] | programs write one to five |
//! | bytes of a topic's name | [`NAME`] | ours have at most 60 |
//! | bytes of an id | [`ID`] | ours have 32 |
//!
//! | left out | because |
//! |---|---|
//! | IHAVE | whoever announces ids sees by what is asked for which of them this node has seen |
//! | IWANT | this node announces nothing, and whoever asks all the same would see what it has |
//! | IDONTWANT | a neighbour could have any number of ids kept here; a program that writes them gets a copy more |
//! | GRAFT and PRUNE | whoever is subscribed is passed everything on to, and has no say in it; only what the last one says of the flood is noted ([`PassingOn`]) |
//! | extensions, and fields unknown here | they mean nothing here |
//!
//! So of control data nothing at all is decoded, and nothing that a neighbour writes there makes this
//! node write anything.

use core::ops::Range;

/// The longest frame, in bytes: the longest envelope of the network and as many ids as js-libp2p may
/// announce (170,000 bytes of them), though none is looked at.
pub(super) const FRAME: usize = 256 << 10;

/// Subscriptions in a frame. A guess far above the need, as the next two.
const SUBSCRIPTIONS: usize = 64;

/// Messages in a frame.
const MESSAGES: usize = 1_024;

/// Entries of control data in a frame.
const CONTROLS: usize = 256;

/// Bytes in the name of a topic.
const NAME: usize = 256;

/// Bytes in an id. Twice an id of this network, so that one by another function is no offence.
const ID: usize = 64;

/// The frame breaks a rule that every program of this network keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Breach;

/// What a frame holds, as far as it is used.
#[derive(Default, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) struct Sifted {
    /// A frame of the subscriptions alone; without bytes if there are none.
    pub(super) rest: Vec<u8>,
    /// What its sender says last of passing the flood on to us, if it says anything.
    pub(super) passing_on: Option<PassingOn>,
    /// Where the messages lie, at most [`MESSAGES`]. Not looked at yet.
    pub(super) messages: Vec<Range<usize>>,
    /// What dealing with the frame costs: 1 for each begun KiB and each message, and 1/16 for every
    /// other field. Never nothing: a frame without bytes is a turn of its connection's task, too.
    pub(super) work: u32,
}

/// What a neighbour says of passing the flood on to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PassingOn {
    /// GRAFT: it does.
    Begun,
    /// PRUNE: it does not.
    Ended,
}

/// A message.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) struct Said<'a> {
    pub(super) topic: &'a [u8],
    pub(super) data: &'a [u8],
    /// Whether it names no author, number or signature.
    pub(super) is_anonymous: bool,
}

/// The length and the place of the frame that `bytes` begin with: the bytes before it, and its own.
/// None while too few have come.
///
/// # Errors
/// When the frame is too long.
pub(super) fn measure(bytes: &[u8]) -> Result<Option<(usize, usize)>, Breach> {
    // Longer numbers than this say lengths above the bound.
    const LONGEST: usize = 3;
    let mut rest = bytes;
    let Some(length) = number(&mut rest) else {
        return if bytes.len() > LONGEST { Err(Breach) } else { Ok(None) };
    };
    let length = usize::try_from(length).map_err(|_| Breach)?;
    if length > FRAME {
        return Err(Breach);
    }
    Ok(Some((bytes.len() - rest.len(), length)))
}

/// Counts what is in a frame and picks out what is used; `flood` is the name of the topic that is
/// passed on.
///
/// # Errors
/// When it is over a bound, or no frame at all.
pub(super) fn sift(frame: &[u8], flood: &[u8]) -> Result<Sifted, Breach> {
    let mut sifted = Sifted::default();
    let mut counted = Counted::default();
    for field in Fields(frame) {
        let field = field?;
        counted.fields += 1;
        match (field.number, field.value) {
            (1, Some(entry)) => {
                counted.subscription(entry)?;
                sifted.rest.extend_from_slice(field.whole);
            }
            (2, Some(message)) => {
                let end = frame.len() - field.after;
                sifted.messages.push(end - message.len()..end);
                if sifted.messages.len() > MESSAGES {
                    return Err(Breach);
                }
            }
            (3, Some(control)) => {
                sifted.passing_on = counted.control(control, flood)?.or(sifted.passing_on);
            }
            // Known numbers of another type would make gossipsub end the stream.
            (1..=3, None) => return Err(Breach),
            _ => {}
        }
    }
    let units = frame.len().div_ceil(1 << 10) + sifted.messages.len() + counted.fields / 16;
    sifted.work = u32::try_from(units).unwrap_or(u32::MAX).max(1);
    Ok(sifted)
}

/// What was counted in a frame so far.
#[derive(Default)]
struct Counted {
    fields: usize,
    subscriptions: usize,
    controls: usize,
}

impl Counted {
    fn subscription(&mut self, entry: &[u8]) -> Result<(), Breach> {
        self.subscriptions += 1;
        if self.subscriptions > SUBSCRIPTIONS {
            return Err(Breach);
        }
        for field in Fields(entry) {
            let field = field?;
            self.fields += 1;
            match (field.number, field.value) {
                (2, Some(topic)) => name(topic)?,
                (2, None) | (1, Some(_)) => return Err(Breach),
                _ => {}
            }
        }
        Ok(())
    }

    /// What control data says last of passing this topic on.
    fn control(&mut self, control: &[u8], flood: &[u8]) -> Result<Option<PassingOn>, Breach> {
        let mut said = None;
        for field in Fields(control) {
            let field = field?;
            self.fields += 1;
            let Some(entry) = field.value else {
                if (1..=6).contains(&field.number) {
                    return Err(Breach);
                }
                continue;
            };
            self.controls += 1;
            if self.controls > CONTROLS {
                return Err(Breach);
            }
            match field.number {
                // IHAVE, with ids in field 2, IWANT and IDONTWANT, with ids in field 1.
                1 => self.ids(entry, 2)?,
                2 | 5 => self.ids(entry, 1)?,
                3 if self.is_of(entry, flood)? => said = Some(PassingOn::Begun),
                4 if self.is_of(entry, flood)? => said = Some(PassingOn::Ended),
                _ => {}
            }
        }
        Ok(said)
    }

    /// Counts the ids in an entry.
    fn ids(&mut self, entry: &[u8], number: u32) -> Result<(), Breach> {
        for field in Fields(entry) {
            let field = field?;
            self.fields += 1;
            match (field.number == number, field.number, field.value) {
                (true, _, Some(id)) if id.len() <= ID => {}
                // The topic of an announcement.
                (false, 1, Some(topic)) => name(topic)?,
                (true, _, _) | (false, 1, None) => return Err(Breach),
                (false, _, _) => {}
            }
        }
        Ok(())
    }

    /// Whether a GRAFT or PRUNE is of this topic.
    fn is_of(&mut self, entry: &[u8], flood: &[u8]) -> Result<bool, Breach> {
        let mut is_of_flood = false;
        for field in Fields(entry) {
            let field = field?;
            self.fields += 1;
            match (field.number, field.value) {
                (1, Some(topic)) => {
                    name(topic)?;
                    is_of_flood = topic == flood;
                }
                (1, None) | (3, Some(_)) => return Err(Breach),
                _ => {}
            }
        }
        Ok(is_of_flood)
    }
}

fn name(topic: &[u8]) -> Result<(), Breach> {
    if topic.len() <= NAME && core::str::from_utf8(topic).is_ok() { Ok(()) } else { Err(Breach) }
}

/// Reads a message.
///
/// # Errors
/// When it is none.
pub(super) fn message(bytes: &[u8]) -> Result<Said<'_>, Breach> {
    let mut said = Said { topic: &[], data: &[], is_anonymous: true };
    for field in Fields(bytes) {
        let field = field?;
        // Of a field that comes twice the last counts, as everywhere.
        match (field.number, field.value) {
            (2, Some(data)) => said.data = data,
            (4, Some(topic)) => said.topic = topic,
            (1 | 3 | 5, Some(_)) => said.is_anonymous = false,
            (1..=6, None) => return Err(Breach),
            _ => {}
        }
    }
    Ok(said)
}

/// A frame with this message alone, and of it what is used.
pub(super) fn alone(said: &Said<'_>) -> Vec<u8> {
    let mut message = Vec::with_capacity(said.data.len() + said.topic.len() + 16);
    put(&mut message, 2, said.data);
    put(&mut message, 4, said.topic);
    let mut frame = Vec::with_capacity(message.len() + 8);
    put(&mut frame, 2, &message);
    frame
}

/// A frame that says that its sender wants no copy of a message (IDONTWANT).
pub(super) fn unwanted(id: &[u8]) -> Vec<u8> {
    // The id, in the list, in the control data.
    [1, 5, 3].into_iter().fold(id.to_vec(), |inner, number| {
        let mut outer = Vec::with_capacity(inner.len() + 4);
        put(&mut outer, number, &inner);
        outer
    })
}

/// Writes a field of bytes.
fn put(into: &mut Vec<u8>, number: u32, value: &[u8]) {
    put_number(into, u64::from(number << 3 | 2));
    put_number(into, u64::try_from(value.len()).unwrap_or(u64::MAX));
    into.extend_from_slice(value);
}

/// Writes a number of variable length.
pub(super) fn put_number(into: &mut Vec<u8>, mut rest: u64) {
    while rest >= 0x80 {
        into.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    into.push(rest.to_le_bytes()[0]);
}

/// Reads a number of variable length; none, and `bytes` as they were, if there is none.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let (mut value, mut rest) = (0_u64, *bytes);
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        let digits = u64::from(byte & 0x7f);
        // The tenth byte has room for one digit.
        if shift == 63 && digits > 1 {
            return None;
        }
        value |= digits << shift;
        if byte & 0x80 == 0 {
            *bytes = rest;
            return Some(value);
        }
    }
    None
}

/// The fields of a message of Protocol Buffers, as far as they are well formed.
struct Fields<'a>(&'a [u8]);

struct Field<'a> {
    number: u32,
    /// Its bytes; none for a field of another type.
    value: Option<&'a [u8]>,
    /// All of it, number and length included.
    whole: &'a [u8],
    /// How many bytes come after it.
    after: usize,
}

impl<'a> Fields<'a> {
    fn read(&mut self) -> Option<Field<'a>> {
        let all = self.0;
        let mut rest = all;
        let tag = u32::try_from(number(&mut rest)?).ok()?;
        let (number, kind) = (tag >> 3, tag & 7);
        if number == 0 {
            return None;
        }
        let mut take = |length: usize| {
            let (value, after) = rest.split_at_checked(length)?;
            rest = after;
            Some(value)
        };
        let value = match kind {
            0 => {
                self::number(&mut rest)?;
                None
            }
            1 => take(8).map(|_| None)?,
            2 => {
                let length = usize::try_from(self::number(&mut rest)?).ok()?;
                let (value, after) = rest.split_at_checked(length)?;
                rest = after;
                Some(value)
            }
            5 => take(4).map(|_| None)?,
            // Groups are long obsolete.
            _ => return None,
        };
        let whole = all.get(..all.len() - rest.len())?;
        self.0 = rest;
        Some(Field { number, value, whole, after: rest.len() })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Breach>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.read().ok_or(Breach);
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sifted(frame: &[u8]) -> Result<Sifted, Breach> {
        sift(frame, b"one")
    }

    fn field(number: u32, value: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, number, value);
        bytes
    }

    fn subscription(topic: &[u8]) -> Vec<u8> {
        field(1, &[&[8, 1], &*field(2, topic)].concat())
    }

    fn control(number: u32, entry: &[u8]) -> Vec<u8> {
        field(3, &field(number, entry))
    }

    /// A frame with `n` of something, for each bound.
    type Frames = (&'static str, usize, fn(usize) -> Vec<u8>);

    const BOUNDS: [Frames; 15] = [
        ("subscriptions", SUBSCRIPTIONS, |n| subscription(b"t").repeat(n)),
        ("messages", MESSAGES, |n| field(2, &[]).repeat(n)),
        ("IHAVE", CONTROLS, |n| control(1, &[]).repeat(n)),
        ("IWANT", CONTROLS, |n| control(2, &[]).repeat(n)),
        ("GRAFT", CONTROLS, |n| field(3, &field(3, &[]).repeat(n))),
        ("PRUNE", CONTROLS, |n| field(3, &field(4, &[]).repeat(n))),
        ("IDONTWANT", CONTROLS, |n| field(3, &field(5, &[]).repeat(n))),
        ("entries unknown here", CONTROLS, |n| control(9, &[]).repeat(n)),
        ("a subscription's topic", NAME, |n| subscription(&vec![b't'; n])),
        ("an announcement's topic", NAME, |n| control(1, &field(1, &vec![b't'; n]))),
        ("a GRAFT's topic", NAME, |n| control(3, &field(1, &vec![b't'; n]))),
        ("a PRUNE's topic", NAME, |n| control(4, &field(1, &vec![b't'; n]))),
        ("an announced id", ID, |n| control(1, &field(2, &vec![7; n]))),
        ("a wanted id", ID, |n| control(2, &field(1, &vec![7; n]))),
        ("an id not wanted", ID, |n| control(5, &field(1, &vec![7; n]))),
    ];

    #[test]
    fn a_frame_at_a_bound_is_read_and_one_above_it_is_a_breach() {
        for (what, bound, frame) in BOUNDS {
            assert!(sifted(&frame(bound)).is_ok(), "{bound} of {what}");
            assert_eq!(sifted(&frame(bound + 1)), Err(Breach), "{} of {what}", bound + 1);
            assert_eq!(sifted(&frame(200_000)), Err(Breach), "200,000 of {what}");
        }
    }

    #[test]
    fn what_is_no_frame_is_a_breach() {
        let longer = [&[3 << 3 | 2, 5], &*field(3, &[])].concat();
        let mistyped = field(1, &[2 << 3, 0]);
        let bad: [&[u8]; 12] = [
            // A length that is longer than what follows; numbers without an end, or too large.
            &longer,
            &[0x0a],
            &[0x80; 11],
            &[0xff, 0xff, 0xff, 0xff, 0x7f, 0],
            // Field 0; groups; types that do not exist.
            &[2, 0],
            &[3 << 3 | 3],
            &[3 << 3 | 4],
            &[3 << 3 | 7],
            // Known fields of another type.
            &[1 << 3, 0],
            &[2 << 3, 0],
            &[3 << 3, 0],
            &mistyped,
        ];
        for bytes in bad {
            assert_eq!(sifted(bytes), Err(Breach), "{bytes:?}");
        }
        for entry in [control(1, &[1 << 3, 0]), control(3, &[8, 0]), control(4, &field(3, &[]))] {
            assert_eq!(sifted(&entry), Err(Breach), "{entry:?}");
        }
        assert_eq!(sifted(&field(3, &[3 << 3, 0])), Err(Breach), "a GRAFT that is a number");
        assert_eq!(sifted(&control(3, &field(1, &[0xff]))), Err(Breach), "a name that is no text");
    }

    #[test]
    fn what_is_not_used_is_left_out() {
        let wants = control(5, &field(1, &[7; 32]).repeat(4_000));
        let extensions = field(3, &field(6, &[80, 1]));
        let unknown = [field(10, b"x"), vec![11 << 3, 7], vec![12 << 3 | 5, 0, 0, 0, 0]].concat();
        let message = field(2, b"a message");
        let frame = [wants, extensions, unknown, message].concat();
        let held = sifted(&frame).unwrap();
        assert!(held.rest.is_empty(), "{held:?}");
        assert_eq!(held.messages.len(), 1);
        assert_eq!(&frame[held.messages[0].clone()], b"a message");
    }

    #[test]
    fn what_is_used_is_handed_on_as_it_came() {
        let greeting = [subscription(b"one"), subscription(b"two")].concat();
        assert_eq!(sifted(&greeting).unwrap().rest, greeting);
    }

    #[test]
    fn of_control_data_nothing_is_handed_on_and_no_ids_of_either_kind() {
        let ids = |number: u32, count: usize| field(number, &[7; 32]).repeat(count);
        let all = [
            control(1, &[field(1, b"one"), ids(2, 3)].concat()),
            control(1, &ids(2, 5_000)),
            control(2, &ids(1, 3)),
            control(3, &field(1, b"one")),
            control(4, &[field(1, b"one"), ids(2, 100), vec![3 << 3, 60]].concat()),
            control(5, &ids(1, 3)),
        ];
        for frame in all {
            assert!(sifted(&frame).unwrap().rest.is_empty(), "{frame:?}");
        }
    }

    #[test]
    fn the_last_graft_or_prune_of_the_flood_is_noted_and_none_of_another_topic() {
        let graft = |topic: &[u8]| field(3, &field(1, topic));
        let prune = |topic: &[u8]| field(4, &[&*field(1, topic), &[3 << 3, 60]].concat());
        let said = |entries: &[Vec<u8>]| {
            let apart = entries.iter().map(|entry| field(3, entry)).collect::<Vec<_>>().concat();
            let apart = sifted(&apart).unwrap().passing_on;
            // Entries may lie in one control message, too.
            assert_eq!(sifted(&field(3, &entries.concat())).unwrap().passing_on, apart);
            apart
        };
        assert_eq!(said(&[]), None);
        assert_eq!(said(&[graft(b"two"), prune(b"two"), field(3, &[])]), None);
        assert_eq!(said(&[graft(b"one"), prune(b"two")]), Some(PassingOn::Begun));
        assert_eq!(said(&[graft(b"one"), prune(b"one")]), Some(PassingOn::Ended));
        assert_eq!(said(&[prune(b"one"), graft(b"one"), graft(b"two")]), Some(PassingOn::Begun));
    }

    #[test]
    fn work_is_counted_by_bytes_messages_and_fields() {
        let work = |frame: &[u8]| sifted(frame).unwrap().work;
        assert_eq!(work(&[]), 1, "one byte of length and nothing else");
        assert_eq!(work(&field(2, &[7; 100])), 2);
        assert_eq!(work(&field(2, &[7; 2_000])), 3);
        let ids = control(2, &field(1, &[7; 32]).repeat(160));
        assert_eq!(usize::try_from(work(&ids)).unwrap(), ids.len().div_ceil(1 << 10) + 162 / 16);
    }

    #[test]
    fn the_length_of_a_frame_is_known_before_it_has_come() {
        assert_eq!(measure(&[]), Ok(None));
        assert_eq!(measure(&[5]), Ok(Some((1, 5))));
        assert_eq!(measure(&[0x80]), Ok(None));
        assert_eq!(measure(&[0x80, 0x80, 0x10, 9, 9]), Ok(Some((3, FRAME))));
        assert_eq!(measure(&[0x81, 0x80, 0x10]), Err(Breach));
        assert_eq!(measure(&[0x80; 3]), Ok(None));
        assert_eq!(measure(&[0x80; 4]), Err(Breach));
        assert_eq!(measure(&[0xff; 12]), Err(Breach));
    }

    #[test]
    fn a_message_is_its_topic_and_data_and_says_whether_it_is_anonymous() {
        let said = [field(2, b"old"), field(6, b"key"), field(4, b"t"), field(2, b"data")].concat();
        let plain = Said { topic: b"t", data: b"data", is_anonymous: true };
        assert_eq!(message(&said), Ok(plain));
        for number in [1, 3, 5] {
            let named = [&*said, &*field(number, &[])].concat();
            assert_eq!(message(&named), Ok(Said { is_anonymous: false, ..plain }));
        }
        assert_eq!(message(&[2 << 3, 0]), Err(Breach));
        let frame = alone(&plain);
        let held = sifted(&frame).unwrap();
        assert_eq!(message(&frame[held.messages[0].clone()]), Ok(plain));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_and_what_is_left_passes_again(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            prop_assert!(message(&bytes).map_or(true, |said| said.data.len() <= bytes.len()));
            let begins = measure(&bytes);
            prop_assert!(begins.is_ok_and(|at| at.is_none_or(|(_, length)| length <= FRAME)) || begins.is_err());
            if let Ok(held) = sifted(&bytes) {
                let again = sifted(&held.rest).unwrap();
                prop_assert_eq!(again.rest, held.rest);
                prop_assert!(again.messages.is_empty());
            }
        }

        #[test]
        fn frames_of_known_parts_keep_what_is_used(
            parts in prop::collection::vec((0..7_usize, 0..40_usize), 0..30),
        ) {
            let (mut frame, mut used, mut said) = (Vec::new(), Vec::new(), Vec::new());
            for (kind, n) in parts {
                let kept = match kind {
                    0 => subscription(&vec![b't'; n]),
                    _ => Vec::new(),
                };
                used.extend_from_slice(&kept);
                frame.extend_from_slice(&kept);
                match kind {
                    1 => frame.extend(control(1, &field(2, &vec![7; n]))),
                    2 => frame.extend(control(3, &field(1, &vec![b't'; n]))),
                    3 => frame.extend(control(4, &[8 * 3, u8::try_from(n).unwrap()])),
                    4 => frame.extend(control(5, &field(1, &vec![7; n]))),
                    5 => {
                        frame.extend(field(2, &vec![9; n]));
                        said.push(vec![9; n]);
                    }
                    6 => frame.extend(field(20, &vec![9; n])),
                    _ => {}
                }
            }
            let held = sifted(&frame).unwrap();
            prop_assert_eq!(&held.rest, &used);
            let messages = held.messages.into_iter().map(|at| frame[at].to_vec());
            prop_assert_eq!(messages.collect::<Vec<_>>(), said);
        }
    }
}
