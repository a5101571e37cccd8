//! How the numberings of a contact follow each other: what waits in one for numbers of another.
//!
//! A contact begins another numbering after each start of its node and counts on, so the order of what
//! it says is that of the numbers, in whichever numbering of a line they are. Whether something was
//! received before is decided by number and numbering alone: of two numberings that are siblings,
//! because the contact's disk was put back, both may have the same numbers. Then all is shown once, and
//! nothing is said about its order.

use super::Node;
use super::numbering::{same_line, start};
use super::record::{ContactRecord, MAX_PEER_STREAMS, PeerStream};
use super::stream::Taken;
use super::talk::{Effects, Place, SPAN};
use crate::engine::id::ContactId;

impl ContactRecord {
    /// Begins to remember a numbering at `next`. What was received of lower numbers in others of its
    /// line is not waited for.
    fn begin(&mut self, stream: u64, next: u64) {
        let mut begun = PeerStream { stream, next, beyond: 0, read: 0 };
        for number in next..start(stream).min(next.saturating_add(SPAN)) {
            let mut line = self.theirs.iter().filter(|known| same_line(known.stream, stream));
            if line.any(|known| known.has(number)) {
                begun.take(number);
            }
        }
        if self.theirs.len() >= MAX_PEER_STREAMS {
            self.theirs.remove(0);
        }
        self.theirs.push(begun);
    }
}

impl Node {
    /// The numbering a text belongs to. One not seen before starts at what its sender still holds.
    /// Whatever waited in those of other lines is shown: their gaps will not be filled. So it is in its
    /// own line, if the sender holds nothing of what was said before.
    pub(super) fn stream_mut(
        &mut self,
        place: Place,
        effects: &mut Effects,
    ) -> Option<&mut PeerStream> {
        let Place { contact, stream, number, base, .. } = place;
        let theirs = &mut self.book.contacts.get_mut(&contact)?.theirs;
        if let Some(index) = theirs.iter().position(|known| known.stream == stream) {
            let known = theirs.remove(index);
            theirs.push(known);
        } else {
            let first = base.min(number);
            let alone = first >= start(stream);
            self.release_if(contact, effects, |(held, _)| {
                !same_line(held, stream) || (alone && start(held) <= first)
            });
            self.book.contacts.get_mut(&contact)?.begin(stream, first);
        }
        self.book.contacts.get_mut(&contact)?.theirs.last_mut()
    }

    /// A number was received: those of its line that start above it wait for it no longer.
    pub(super) fn fill(&mut self, place: Place, effects: &mut Effects) {
        let Place { contact, stream, number, .. } = place;
        let Some(record) = self.book.contacts.get_mut(&contact) else { return };
        let mut filled: Vec<u64> = Vec::new();
        for known in &mut record.theirs {
            let waits = known.stream != stream
                && same_line(known.stream, stream)
                && number < start(known.stream);
            if waits && matches!(known.take(number), Taken::Next | Taken::Beyond) {
                filled.push(known.stream);
            }
        }
        if filled.is_empty() {
            return;
        }
        // What follows sooner is shown sooner.
        filled.sort_by_key(|&stream| start(stream));
        self.put_contact(contact, effects);
        for stream in filled {
            self.release(contact, stream, 0, effects);
        }
    }

    /// The sender holds nothing below `base` any more: gaps below it will never be filled, in the
    /// numbering that says so and in those before it. Whatever waits in those is shown, and its gaps
    /// stay: they may be another's, if one of the two is of a time that was lost.
    pub(super) fn skip_gaps(
        &mut self,
        contact: ContactId,
        stream: u64,
        base: u64,
        effects: &mut Effects,
    ) {
        let below = base.min(start(stream));
        let before = self.release_if(contact, effects, |(held, number)| {
            held != stream && same_line(held, stream) && number < below
        });
        let Some(record) = self.book.contacts.get_mut(&contact) else { return };
        let known = record.theirs.iter_mut().find(|known| known.stream == stream);
        let missing = known.map_or(0, |known| known.skip_to(base));
        if missing == 0 {
            return;
        }
        self.put_contact(contact, effects);
        // What is missing in a numbering is missing in those that follow it, and told once.
        self.release(contact, stream, missing.saturating_sub(u64::from(before)), effects);
    }
}
