//! Compared sets: the envelopes a node holds, in the order of their making, and the difference of
//! two such sets (`proto/sync.md`, "The comparison").
//!
//! The comparison is negentropy's range-based set reconciliation, version 1. The server is its
//! initiator: it learns what the client lacks and sends just that, and no list of what is missing
//! crosses the wire. It costs O(n) additions a query; making a set costs O(n log n), 40 bytes an
//! envelope.
//!
//! What negentropy sees as an item's id is the envelope's id from its last byte to its first. Ids
//! begin with zeros, some 21 to 30 bits of them, and negentropy tells neighbours in the order apart
//! by as many bytes of their fronts as it takes: zeros would cost 3 bytes a bound.
//!
//! Where an initiator lists its ids of a range, negentropy's own responder answers with all that it
//! has there, also ids that the initiator never listed. A client with a far larger set would give
//! away its whole list, over and over; so it compares as if it had nothing but the listed ones in
//! that range. The initiator finds the same envelopes to be lacking.

use std::collections::BTreeSet;

use negentropy::{
    Bound, FINGERPRINT_SIZE, ID_SIZE, Id, Item, Negentropy, NegentropyStorageBase,
    NegentropyStorageVector, PROTOCOL_VERSION,
};

use super::malformed::MalformedSyncMessage;
use crate::engine::env::UnixSeconds;
use crate::engine::envelope::EnvelopeId;

/// The largest query or answer, in bytes; the rest goes in the next query. A guess: an answer lists
/// up to a thousand ids.
pub const MAX_COMPARISON: usize = 32 << 10;

/// The limit as negentropy takes it.
const FRAME: u64 = MAX_COMPARISON as u64;

/// Envelopes by when they were made, then by id from its last byte to its first.
#[derive(Clone)]
pub struct EnvelopeSet {
    items: NegentropyStorageVector,
}

impl EnvelopeSet {
    /// The set of these envelopes, each with when it was made: its expiry less its ttl.
    pub fn new(members: impl IntoIterator<Item = (UnixSeconds, EnvelopeId)>) -> Self {
        // Counted first, or the set would have room for twice as many.
        let members: Vec<_> = members.into_iter().collect();
        let mut items = NegentropyStorageVector::with_capacity(members.len());
        let inserted =
            members.into_iter().try_for_each(|(made, id)| items.insert(made.0, compared(id)));
        let sealed = inserted.and_then(|()| items.seal());
        debug_assert!(sealed.is_ok(), "only what is sealed twice is refused");
        Self { items }
    }

    /// How many envelopes are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.size().unwrap_or(0)
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The server's first query: of the whole set.
    ///
    /// # Errors
    /// Never; the type is negentropy's.
    pub fn query(&self) -> Result<Vec<u8>, MalformedSyncMessage> {
        let mut comparison =
            Negentropy::borrowed(&self.items, FRAME).map_err(|_| MalformedSyncMessage)?;
        comparison.initiate().map_err(|_| MalformedSyncMessage)
    }

    /// The client's answer to a query.
    ///
    /// # Errors
    /// [`MalformedSyncMessage`] for bytes that are no query.
    pub fn answer(&self, query: &[u8]) -> Result<Vec<u8>, MalformedSyncMessage> {
        let ranges = RangeReader { rest: query, made: 0 }.ranges()?;
        // Only a query that lists ids can draw out ids that were not listed.
        if ranges.iter().any(|range| matches!(range.content, RangeContent::Listed(_))) {
            let narrowed = self.narrowed(&ranges)?;
            return respond(&narrowed, query);
        }
        respond(&self.items, query)
    }

    /// The envelopes that the client lacks by its answer, in the order of making; and the server's
    /// next query, if something is still undecided.
    ///
    /// # Errors
    /// [`MalformedSyncMessage`] for bytes that are no answer.
    pub fn lacking(
        &self,
        answer: &[u8],
    ) -> Result<(Vec<EnvelopeId>, Option<Vec<u8>>), MalformedSyncMessage> {
        // Read by our own reader first, so that only well-formed ranges reach the library.
        RangeReader { rest: answer, made: 0 }.ranges()?;
        let mut comparison =
            Negentropy::borrowed(&self.items, FRAME).map_err(|_| MalformedSyncMessage)?;
        comparison.set_initiator();
        let (mut lacking, mut theirs) = (Vec::new(), Vec::new());
        let next = comparison
            .reconcile_with_ids(answer, &mut lacking, &mut theirs)
            .map_err(|_| MalformedSyncMessage)?;
        Ok((lacking.iter().map(named).collect(), next))
    }

    /// How many envelopes of this set [`Self::lacking`] looks at for such an answer, once or twice each,
    /// and ids and ranges of the answer.
    ///
    /// # Errors
    /// [`MalformedSyncMessage`] for bytes that are no answer.
    pub(super) fn looked_at(&self, answer: &[u8]) -> Result<usize, MalformedSyncMessage> {
        let (mut looked_at, mut lower) = (0_usize, 0);
        for range in (RangeReader { rest: answer, made: 0 }).ranges()? {
            let from = lower;
            lower = self.items.find_lower_bound(from, self.len(), &range.upper);
            looked_at += 1 + match range.content {
                RangeContent::Nothing => 0,
                RangeContent::Fingerprint(_) => lower - from,
                RangeContent::Listed(ids) => lower - from + ids.len(),
            };
        }
        Ok(looked_at)
    }

    /// All ids, in the order of making.
    pub fn ids(&self) -> impl Iterator<Item = EnvelopeId> {
        (0..self.len()).filter_map(|at| self.id(at))
    }

    /// The id at a place in the order of making.
    #[must_use]
    pub fn id(&self, at: usize) -> Option<EnvelopeId> {
        let item = self.items.get_item(at).ok().flatten()?;
        Some(named(&item.id))
    }

    /// The difference, as far as a first query shows it, between this set and the server's of
    /// `count` envelopes. The server's are taken to be spread evenly over the ranges.
    ///
    /// # Errors
    /// [`MalformedSyncMessage`] for bytes that are no query.
    pub fn difference(
        &self,
        query: &[u8],
        count: usize,
    ) -> Result<SetDifference, MalformedSyncMessage> {
        let ranges = RangeReader { rest: query, made: 0 }.ranges()?;
        let (mut difference, mut lower) = (SetDifference::default(), 0);
        for (at, range) in ranges.iter().enumerate() {
            let from = lower;
            lower = self.items.find_lower_bound(from, self.len(), &range.upper);
            let RangeContent::Fingerprint(theirs) = range.content else { continue };
            let ours = self.items.fingerprint(from, lower).map_err(|_| MalformedSyncMessage)?;
            if *ours == *theirs {
                continue;
            }
            let (own, even) = (lower - from, share(count, ranges.len(), at));
            // The fingerprints differ, so at least one envelope does, even where the counts agree.
            difference.least += own.abs_diff(even).max(1);
            // A range in which we have nothing is sent without being listed.
            difference.mixed += if own > 0 { even } else { 0 };
        }
        Ok(difference)
    }

    /// This set without the envelopes in a range that the query lists, but for the listed ones.
    fn narrowed(
        &self,
        ranges: &[ComparisonRange<'_>],
    ) -> Result<NegentropyStorageVector, MalformedSyncMessage> {
        let size = self.len();
        let mut kept = NegentropyStorageVector::with_capacity(size);
        let mut lower = 0;
        let end = ComparisonRange {
            upper: Bound::with_timestamp(u64::MAX),
            content: RangeContent::Nothing,
        };
        for range in ranges.iter().chain([&end]) {
            let upper = self.items.find_lower_bound(lower, size, &range.upper);
            let listed: Option<BTreeSet<&[u8; ID_SIZE]>> = match range.content {
                RangeContent::Listed(ids) => Some(ids.iter().collect()),
                RangeContent::Nothing | RangeContent::Fingerprint(_) => None,
            };
            let mut keep = |item: Item, _| {
                if listed.as_ref().is_none_or(|listed| listed.contains(&*item.id)) {
                    kept.insert(item.timestamp, item.id)?;
                }
                Ok(true)
            };
            self.items.iterate(lower, upper, &mut keep).map_err(|_| MalformedSyncMessage)?;
            lower = upper;
        }
        kept.seal().map_err(|_| MalformedSyncMessage)?;
        Ok(kept)
    }
}

impl core::fmt::Debug for EnvelopeSet {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("EnvelopeSet").field("len", &self.len()).finish()
    }
}

/// An envelope's id as negentropy sees it.
fn compared(EnvelopeId(mut id): EnvelopeId) -> Id {
    id.reverse();
    Id::from_byte_array(id)
}

/// The envelope that negentropy sees by this id.
fn named(id: &Id) -> EnvelopeId {
    let mut id = **id;
    id.reverse();
    EnvelopeId(id)
}

fn respond(items: &NegentropyStorageVector, query: &[u8]) -> Result<Vec<u8>, MalformedSyncMessage> {
    let mut comparison = Negentropy::borrowed(items, FRAME).map_err(|_| MalformedSyncMessage)?;
    comparison.reconcile(query).map_err(|_| MalformedSyncMessage)
}

/// How many of `count` are in one of so many even ranges.
fn share(count: usize, ranges: usize, at: usize) -> usize {
    let whole = count.checked_div(ranges).unwrap_or(0);
    let rest = count.checked_rem(ranges).unwrap_or(0);
    whole + usize::from(at < rest)
}

/// The difference of two sets, as a first query shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetDifference {
    /// They differ in at least so many envelopes.
    pub least: usize,
    /// The server has so many in ranges that differ and that are not empty here: comparing by
    /// ranges may list them all.
    pub mixed: usize,
}

/// One range of a comparison: its upper bound and its content.
struct ComparisonRange<'a> {
    upper: Bound,
    content: RangeContent<'a>,
}

#[derive(Clone, Copy)]
enum RangeContent<'a> {
    /// Nothing more.
    Nothing,
    Fingerprint(&'a [u8; FINGERPRINT_SIZE]),
    Listed(&'a [[u8; ID_SIZE]]),
}

/// Reads negentropy's version 1: ranges, each a bound, a mode and what the mode brings.
struct RangeReader<'a> {
    rest: &'a [u8],
    /// The time of the bound before: times are written as differences.
    made: u64,
}

impl<'a> RangeReader<'a> {
    fn ranges(mut self) -> Result<Vec<ComparisonRange<'a>>, MalformedSyncMessage> {
        let ([version], rest) = self.rest.split_first_chunk().ok_or(MalformedSyncMessage)?;
        if u64::from(*version) != PROTOCOL_VERSION {
            return Err(MalformedSyncMessage);
        }
        self.rest = rest;
        let mut ranges = Vec::new();
        while !self.rest.is_empty() {
            ranges.push(self.range().ok_or(MalformedSyncMessage)?);
        }
        Ok(ranges)
    }

    fn range(&mut self) -> Option<ComparisonRange<'a>> {
        let upper = self.bound()?;
        let content = match self.number()? {
            0 => RangeContent::Nothing,
            1 => RangeContent::Fingerprint(self.take(FINGERPRINT_SIZE)?.first_chunk()?),
            2 => {
                let count = usize::try_from(self.number()?).ok()?;
                RangeContent::Listed(self.take(count.checked_mul(ID_SIZE)?)?.as_chunks().0)
            }
            _ => return None,
        };
        Some(ComparisonRange { upper, content })
    }

    fn bound(&mut self) -> Option<Bound> {
        let since = self.number()?;
        // 0 is the end of time; all else is one more than the difference.
        let made = since.checked_sub(1).map_or(u64::MAX, |since| self.made.saturating_add(since));
        self.made = made;
        let length = usize::try_from(self.number()?).ok()?;
        Bound::with_timestamp_and_id(made, self.take(length)?).ok()
    }

    /// Seven bits a byte, highest first, the top bit set on all but the last.
    fn number(&mut self) -> Option<u64> {
        let mut number: u64 = 0;
        loop {
            let [byte] = *self.take(1)?.first_chunk()?;
            // Seven more bits would not fit.
            if number > u64::MAX >> 7 {
                return None;
            }
            number = number << 7 | u64::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::test_ids::id;
    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case};

    fn set(members: &BTreeSet<(u64, u64)>) -> EnvelopeSet {
        EnvelopeSet::new(members.iter().map(|&(made, number)| (UnixSeconds(made), id(number))))
    }

    /// Compares to the end: what the server finds the client to lack, and the bytes each way.
    fn compare(server: &EnvelopeSet, client: &EnvelopeSet) -> (Vec<EnvelopeId>, usize, usize) {
        let (mut lacking, mut down, mut up) = (Vec::new(), 0, 0);
        let mut next = Some(server.query().unwrap());
        while let Some(query) = next {
            assert!(query.len() <= MAX_COMPARISON);
            let answer = client.answer(&query).unwrap();
            assert!(answer.len() <= MAX_COMPARISON);
            down += query.len();
            up += answer.len();
            let (found, further) = server.lacking(&answer).unwrap();
            lacking.extend(found);
            next = further;
        }
        (lacking, down, up)
    }

    fn members(count: u64) -> BTreeSet<(u64, u64)> {
        (0..count).map(|number| (1_700_000_000 + number / 40 * 3600, number)).collect()
    }

    #[test]
    fn equal_sets_are_known_to_be_equal_for_less_than_half_a_kilobyte() {
        let all = set(&members(10_000));
        let (lacking, down, up) = compare(&all, &all.clone());
        assert!(lacking.is_empty());
        assert!(down + up < 512, "{down} {up}");
    }

    #[test]
    fn a_query_lists_ids_from_their_last_byte_to_their_first() {
        let mut id = [0; 32];
        id[30..].copy_from_slice(&[6, 7]);
        let query = EnvelopeSet::new([(UnixSeconds(9), EnvelopeId(id))]).query().unwrap();
        id.reverse();
        assert_eq!(query, [&[0x61, 0, 0, 2, 1][..], &id].concat());
    }

    /// What it costs to find what is missing of ids that begin with these bytes.
    fn cost(front: [u8; 3], missing: fn(u64) -> bool) -> usize {
        let begun = |number: u64| {
            let mut id = id(number);
            id.0[..3].copy_from_slice(&front);
            id
        };
        let set = |lacks: fn(u64) -> bool| {
            let all = members(10_000).into_iter().filter(|(_, number)| !lacks(*number));
            EnvelopeSet::new(all.map(|(made, number)| (UnixSeconds(made), begun(number))))
        };
        let (lacking, down, up) = compare(&set(|_| false), &set(missing));
        assert_eq!(lacking.len(), (0..10_000).filter(|number| missing(*number)).count());
        down + up
    }

    #[test]
    fn ids_that_all_begin_with_zeros_cost_no_byte_more_than_others() {
        let cases: [fn(u64) -> bool; 5] = [
            |_| false,
            |number| number % 100 == 50,
            |number| number % 10 == 5,
            |number| (5_000..5_020).contains(&number),
            |number| number >= 9_500,
        ];
        for missing in cases {
            assert_eq!(cost([0; 3], missing), cost([0x5a, 0xa5, 7], missing));
        }
    }

    #[test]
    fn a_client_with_far_more_than_the_server_does_not_list_it() {
        let many = members(50_000);
        let few: BTreeSet<_> = many.iter().copied().filter(|(_, n)| n % 5_000 == 0).collect();
        let (lacking, down, up) = compare(&set(&few), &set(&many));
        assert!(lacking.is_empty());
        assert!(down + up < 2_000, "{down} {up}");
    }

    #[test]
    fn a_client_with_nothing_is_found_to_lack_everything_in_one_query() {
        let all = members(10_000);
        let (lacking, down, up) = compare(&set(&all), &set(&BTreeSet::new()));
        assert_eq!(lacking.len(), all.len());
        assert!(down + up < 1_024, "{down} {up}");
    }

    /// The hour and the number of each envelope.
    type Members = BTreeSet<(u64, u64)>;

    /// Sets that share much, lie in few hours, and differ in clusters.
    fn two_sets() -> impl Strategy<Value = (Members, Members)> {
        let hour = prop_oneof![Just(7_u64), 0_u64..6];
        proptest::collection::vec((hour, any::<u64>(), 0_u8..6), 0..400).prop_map(|members| {
            let part = |without: u8| {
                let part = members.iter().filter(|(_, _, whose)| *whose != without);
                part.map(|&(hour, number, _)| (hour * 3600, number)).collect()
            };
            (part(0), part(1))
        })
    }

    proptest! {
        #[test]
        fn the_server_finds_exactly_what_the_client_lacks((server, client) in two_sets()) {
            let (lacking, _, _) = compare(&set(&server), &set(&client));
            let found: BTreeSet<EnvelopeId> = lacking.iter().copied().collect();
            prop_assert_eq!(found.len(), lacking.len(), "named twice");
            let true_ones = server.difference(&client).map(|&(_, number)| id(number));
            prop_assert_eq!(found, true_ones.collect());
        }

        #[test]
        fn comparing_with_garbage_never_panics_and_stays_within_the_limit(
            version in prop_oneof![Just(0x61_u8), any::<u8>()],
            bytes in proptest::collection::vec(prop_oneof![0_u8..4, any::<u8>()], 0..400),
        ) {
            let set = set(&members(500));
            let bytes = [&[version], bytes.as_slice()].concat();
            if let Ok(answer) = set.answer(&bytes) {
                prop_assert!(answer.len() <= MAX_COMPARISON);
            }
            if let Ok(difference) = set.difference(&bytes, usize::from(u16::MAX)) {
                prop_assert!(difference.mixed <= usize::from(u16::MAX));
            }
            if let Ok((lacking, next)) = set.lacking(&bytes) {
                prop_assert!(lacking.len() <= set.len());
                prop_assert!(next.is_none_or(|next| next.len() <= MAX_COMPARISON));
            }
        }

        #[test]
        fn a_spoiled_comparison_never_panics(
            at: prop::sample::Index, value: u8, cut: prop::sample::Index,
        ) {
            let (one, other) = (set(&members(300)), set(&members(250)));
            let mut query = one.query().unwrap();
            let at = at.index(query.len());
            query[at] = value;
            query.truncate(cut.index(query.len()) + 1);
            if let Ok(mut answer) = other.answer(&query) {
                let at = at.min(answer.len() - 1);
                answer[at] ^= value;
                _ = one.lacking(&answer).is_ok();
            }
        }
    }

    #[test]
    fn changed_at_random_a_comparison_stays_within_its_limit_and_names_only_what_is_there() {
        let (small, large) = (set(&members(20)), set(&members(100)));
        let query = large.query().unwrap();
        let answer = small.answer(&query).unwrap();
        let (_, next) = large.lacking(&answer).unwrap();
        let seeds = [small.query().unwrap(), query, answer, next.unwrap_or_else(|| vec![0x61])];
        each_case(&seeds, |bytes| {
            let answer = large.answer(bytes);
            assert!(answer.is_err() || answer.is_ok_and(|bytes| bytes.len() <= MAX_COMPARISON));
            if let Ok(SetDifference { least, mixed }) = large.difference(bytes, 200) {
                assert!(mixed <= 200 && least <= 100 + 200 + bytes.len());
            }
            let lacking = large.lacking(bytes);
            if let Ok((lacking, next)) = &lacking {
                assert!(lacking.len() <= large.len());
                assert!(lacking.iter().all(|id| large.ids().any(|held| held == *id)));
                assert!(next.as_ref().is_none_or(|next| next.len() <= MAX_COMPARISON));
            }
            Reading::of(lacking)
        });
    }
}
