//! The offers of strangers: those that wait for a person, and those that wait to be stored.
//!
//! Keys are free, and what an offer costs its sender is the work of its envelope. So that work is
//! what decides who is in the list: when all places are taken, the offer that shows least gives
//! way, of that identity of ours which has the most; a stranger who knows one invite takes no place
//! from the friends of another one.
//!
//! A commit is a write that the disk has to finish, and strangers must not command those. What they
//! send in a second is gathered here and stored together. Until then it is nowhere: nobody is told of
//! it, it is not remembered, and a process that is killed has lost nothing that it said it had.

use std::collections::BTreeMap;

use crate::engine::conversation::MAX_CLOCK_DIFFERENCE;
use crate::engine::crypto::keys::PublicKey;
use crate::engine::env::Millis;
use crate::engine::id::{IdentityId, RequestId};
use crate::engine::price::ShownWork;
use crate::engine::record::RequestRecord;

/// Requests that wait for a person. A guess: more than anybody looks through, so that a friend who
/// paid what everybody pays is in it beside a thousand strangers. Some 2 MB.
pub const MAX_REQUESTS: usize = 1_024;

/// Offers that wait to be stored: as many as may be stored of them.
const MAX_ARRIVING: usize = MAX_REQUESTS;

/// Of those, how many are stored at a time. A guess: what a line of any size brings in a second, and
/// a commit of 0.4 MB.
const STORED_TOGETHER: usize = 256;

/// The time from one commit that strangers command to the next.
pub(super) const STORE_EVERY: Millis = Millis::from_secs(1);

/// The requests of strangers to all our identities.
#[derive(Debug)]
pub(super) struct Requests {
    /// Stored and shown.
    kept: RankedRequests,
    /// Not stored yet.
    arriving: RankedRequests,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            kept: RankedRequests::new(MAX_REQUESTS),
            arriving: RankedRequests::new(MAX_ARRIVING),
        }
    }
}

/// A request that has to be stored.
#[derive(Debug)]
pub(super) struct AddedRequest {
    /// The request.
    pub(super) record: RequestRecord,
    /// The one whose place it has: an earlier one of the same key under the same id, or one that
    /// showed less.
    pub(super) displaced: Option<RequestRecord>,
}

impl Requests {
    /// All that are stored.
    pub(super) fn kept(&self) -> impl Iterator<Item = &RequestRecord> {
        self.kept.requests.values()
    }

    /// One that is stored.
    pub(super) fn get(&self, id: RequestId) -> Option<&RequestRecord> {
        self.kept.requests.get(&id)
    }

    /// The stored request to an identity by this key.
    pub(super) fn by_key(&self, identity: IdentityId, key: &PublicKey) -> Option<RequestId> {
        self.kept.by_key(identity, key).map(|request| request.id)
    }

    /// Takes out one that is stored.
    pub(super) fn take(&mut self, id: RequestId) -> Option<RequestRecord> {
        self.kept.requests.remove(&id)
    }

    /// Takes back one that was stored.
    pub(super) fn restore(&mut self, record: RequestRecord) {
        self.kept.requests.insert(record.id, record);
    }

    /// Takes in an offer that is not stored yet, if it would have a place. Returns whether there are
    /// any to be stored.
    pub(super) fn arrive(&mut self, record: RequestRecord) -> bool {
        if self.kept.place(&record) != ListPlace::None {
            self.arriving.admit(record);
        }
        !self.arriving.requests.is_empty()
    }

    /// Gives places to those that arrived and show most, at most [`STORED_TOGETHER`]: these are to
    /// be stored. Returns whether others wait still.
    pub(super) fn settle(&mut self) -> (Vec<AddedRequest>, bool) {
        let mut best: Vec<(ShownWork, RequestId)> =
            self.arriving.requests.values().map(|request| (request.work, request.id)).collect();
        best.sort_unstable_by(|one, other| other.cmp(one));
        best.truncate(STORED_TOGETHER);
        let records = best.iter().filter_map(|(_, id)| self.arriving.requests.remove(id));
        let added = records.filter_map(|record| self.kept.admit(record)).collect();
        (added, !self.arriving.requests.is_empty())
    }

    /// Gives a place to the offer to an identity by this key, if it arrived and is not stored yet: a
    /// person is about to decide on that key.
    pub(super) fn settle_one(
        &mut self,
        identity: IdentityId,
        key: &PublicKey,
    ) -> Option<AddedRequest> {
        let id = self.arriving.by_key(identity, key)?.id;
        let record = self.arriving.requests.remove(&id)?;
        self.kept.admit(record)
    }

    /// Takes out all that are stored to an identity, and forgets what arrived for it.
    pub(super) fn take_all_to(&mut self, identity: IdentityId) -> Vec<RequestId> {
        let is_to = |request: &RequestRecord| request.identity == identity;
        self.arriving.requests.retain(|_, request| !is_to(request));
        let to = self.kept().filter(|request| is_to(request)).map(|request| request.id).collect();
        self.kept.requests.retain(|_, request| !is_to(request));
        to
    }
}

/// A bounded number of requests, one of a key to an identity.
#[derive(Debug)]
struct RankedRequests {
    most: usize,
    requests: BTreeMap<RequestId, RequestRecord>,
}

/// The place that a request would have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ListPlace {
    /// A free one.
    Free,
    /// That of this one.
    Of(RequestId),
    /// None: it shows least, or is no later than what the same key sent before.
    None,
}

impl RankedRequests {
    const fn new(most: usize) -> Self {
        Self { most, requests: BTreeMap::new() }
    }

    fn by_key(&self, identity: IdentityId, key: &PublicKey) -> Option<&RequestRecord> {
        let is_by =
            |request: &&RequestRecord| request.identity == identity && request.offer.from() == *key;
        self.requests.values().find(is_by)
    }

    /// A key that asks again takes its own place. Else, when all are taken, the least gives way of
    /// those to the identity which has most, the newcomer counted in.
    fn place(&self, newcomer: &RequestRecord) -> ListPlace {
        if let Some(same) = self.by_key(newcomer.identity, &newcomer.offer.from()) {
            let (before, latest) =
                (same.offer.created(), newcomer.arrived.plus(MAX_CLOCK_DIFFERENCE));
            // One from further ahead than is taken now came when our clock was ahead, too, and would
            // keep all that follow out until its date.
            let is_later = newcomer.offer.created() > before || before > latest;
            return if is_later { ListPlace::Of(same.id) } else { ListPlace::None };
        }
        if self.requests.len() < self.most {
            return ListPlace::Free;
        }
        let all = || self.requests.values().chain([newcomer]);
        let mut counts: BTreeMap<IdentityId, usize> = BTreeMap::new();
        for request in all() {
            *counts.entry(request.identity).or_default() += 1;
        }
        let most = counts.values().max();
        let heaviest = all().filter(|request| counts.get(&request.identity) == most);
        // Of those that show as much the newcomer gives way, or they would take turns.
        let least = heaviest.min_by_key(|request| (request.work, request.id != newcomer.id));
        least
            .filter(|least| least.id != newcomer.id)
            .map_or(ListPlace::None, |of| ListPlace::Of(of.id))
    }

    fn admit(&mut self, mut record: RequestRecord) -> Option<AddedRequest> {
        let displaced = match self.place(&record) {
            ListPlace::None => return None,
            ListPlace::Free => None,
            ListPlace::Of(id) => self.requests.remove(&id),
        };
        let same = displaced.as_ref().filter(|of| of.offer.from() == record.offer.from());
        if let Some(same) = same.filter(|same| same.identity == record.identity) {
            // What it paid before is not lost, and neither is the id by which a person knows it.
            (record.id, record.work) = (same.id, record.work.max(same.work));
        }
        self.requests.insert(record.id, record.clone());
        Some(AddedRequest { record, displaced })
    }
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU32;
    use std::collections::BTreeSet;

    use super::*;
    use crate::engine::command::Command;
    use crate::engine::crypto::keys::Identity;
    use crate::engine::env::{Env, UnixSeconds};
    use crate::engine::envelope::{Draft, Floor, Lifetime};
    use crate::engine::event::{Event, IdentityView, RequestView};
    use crate::engine::id::{CommandId, NeighbourId};
    use crate::engine::node::{Input, Node};
    use crate::engine::record::{Change, Record, RecordKey};
    use crate::engine::session::{Offer, ReceivedOffer, SealedBody, WINDOW};
    use crate::engine::settings::{NodeRole, NodeSettings};
    use crate::engine::testing::rng::{NOW, SeededRng};
    use crate::engine::turn::{Effect, Output};

    const FLOOR: Floor = Floor::new(0);
    const SECOND: u64 = 1_000;

    /// A node and all that came out of it.
    struct Stage {
        node: Node,
        rng: SeededRng,
        now: Millis,
        commits: Vec<Vec<Change>>,
        /// Requests that were told of, and those that were said to be gone.
        told: Vec<RequestView>,
        gone: Vec<RequestId>,
    }

    impl Stage {
        fn new() -> Self {
            let line = NonZeroU32::new(1_000_000).unwrap();
            let settings = NodeSettings { line, ..NodeSettings::new(NodeRole::Messenger, FLOOR) };
            let node = Node::new(settings);
            let (rng, now) = (SeededRng::new(1), Millis(0));
            Self { node, rng, now, commits: Vec::new(), told: Vec::new(), gone: Vec::new() }
        }

        fn take_in(&mut self, input: Input) {
            self.node.handle(&mut Env::new(self.now, NOW, &mut self.rng), input);
            while let Some(output) = self.node.poll_output() {
                match output {
                    Output::Commit(changes) => self.commits.push(changes),
                    Output::Effect(Effect::Event(Event::Request(view))) => self.told.push(view),
                    Output::Effect(Effect::Event(Event::RequestRemoved(id))) => self.gone.push(id),
                    Output::AuditNonce(_) | Output::Effect(_) => {}
                }
            }
        }

        fn identity(&mut self, name: &str) -> IdentityView {
            self.take_in(Input::Command {
                id: CommandId(1),
                command: Command::CreateIdentity { name: name.to_owned() },
            });
            self.commits.clear();
            let made = self.node.snapshot().into_iter().find_map(|event| {
                let Event::Identity(view) = event else { return None };
                (view.name == name).then_some(view)
            });
            made.unwrap()
        }

        fn pass(&mut self, millis: u64) {
            self.now = Millis(self.now.0 + millis);
            self.take_in(Input::Tick);
        }

        /// Somebody's offer comes in the flood, in an envelope that shows at least so much.
        fn hand(&mut self, sealed: SealedBody, floor: &Floor) {
            let draft = Draft::new(NOW, Lifetime::Day, sealed.topic, sealed.body).unwrap();
            let (id, bytes) = draft.mine(floor, 0).unwrap();
            self.take_in(Input::Gossip { from: NeighbourId(1), id, bytes });
            self.take_in(Input::Tick);
        }

        fn sealed(&mut self, offer: &Offer) -> SealedBody {
            offer.seal(&mut Env::new(self.now, NOW, &mut self.rng))
        }

        /// A stranger with a fresh key asks.
        fn stranger(&mut self, to: &IdentityView) -> Offer {
            let mut env = Env::new(self.now, NOW, &mut self.rng);
            let from = Identity::generate(&mut env);
            Offer::new(&mut env, &from, &to.key, WINDOW).0
        }

        fn asked_by_stranger(&mut self, to: &IdentityView) {
            let offer = self.stranger(to);
            let sealed = self.sealed(&offer);
            self.hand(sealed, &FLOOR);
        }

        /// Offers that are remembered.
        fn remembered(&self) -> usize {
            let mut keys = BTreeSet::new();
            for change in self.commits.iter().flatten() {
                match change {
                    Change::Put(record @ Record::Replay(_)) => drop(keys.insert(record.key())),
                    Change::Erase(key @ RecordKey::Replay(_)) => drop(keys.remove(key)),
                    Change::Put(_) | Change::Erase(_) | Change::EraseMessages(_) => {}
                }
            }
            keys.len()
        }
    }

    #[test]
    fn a_friend_is_shown_beside_a_thousand_strangers_who_command_a_commit_a_second() {
        let mut stage = Stage::new();
        let me = stage.identity("nightjar");
        for stranger in 0..1_001 {
            // As many as come at once, and the friend among them.
            stage.asked_by_stranger(&me);
            assert!(stage.commits.is_empty() && stage.told.is_empty(), "{stranger}");
        }
        stage.pass(SECOND - 1);
        assert!(stage.commits.is_empty(), "nothing before the second is over");
        stage.pass(1);
        assert_eq!((stage.commits.len(), stage.told.len()), (1, STORED_TOGETHER));
        for seconds in 1..4 {
            stage.pass(SECOND - 1);
            assert_eq!(stage.commits.len(), seconds);
            stage.pass(1);
            assert_eq!(stage.commits.len(), seconds + 1);
        }
        assert_eq!((stage.told.len(), stage.gone.len()), (1_001, 0), "all are shown");
        // Whoever showed more was stored earlier.
        assert!(stage.told.is_sorted_by(|one, other| one.work >= other.work));
        stage.pass(60 * SECOND);
        assert_eq!(stage.commits.len(), 4);
    }

    #[test]
    fn strangers_who_never_stop_command_a_commit_a_second() {
        let mut stage = Stage::new();
        let me = stage.identity("nightjar");
        for _ in 0..100 {
            stage.asked_by_stranger(&me);
            stage.pass(SECOND / 20);
        }
        assert!(stage.commits.len() <= 5, "{} in five seconds", stage.commits.len());
    }

    #[test]
    fn what_is_not_stored_was_not_accepted_and_counts_when_it_comes_again() {
        let mut stage = Stage::new();
        let me = stage.identity("nightjar");
        let offer = stage.stranger(&me);
        let (first, second) = (stage.sealed(&offer), stage.sealed(&offer));
        let third = stage.sealed(&offer);
        stage.hand(first, &FLOOR);
        assert!(stage.commits.is_empty());
        // A lock, or a kill: what was not stored is gone.
        stage.node.agent.messenger.roster.requests = Requests::default();
        stage.pass(SECOND);
        assert!(stage.commits.is_empty() && stage.told.is_empty());
        stage.hand(second, &FLOOR);
        stage.pass(SECOND);
        assert_eq!((stage.commits.len(), stage.told.len()), (1, 1));
        stage.hand(third, &FLOOR);
        stage.pass(SECOND);
        assert_eq!((stage.commits.len(), stage.told.len()), (1, 1), "it is remembered now");
    }

    #[test]
    fn a_person_who_adds_a_key_that_has_just_asked_accepts_its_offer() {
        let mut stage = Stage::new();
        let me = stage.identity("nightjar");
        let mut env = Env::new(stage.now, NOW, &mut stage.rng);
        let friend = Identity::generate(&mut env);
        let (offer, _) = Offer::new(&mut env, &friend, &me.key, WINDOW);
        let sealed = stage.sealed(&offer);
        stage.hand(sealed, &FLOOR);
        let (identity, key) = (me.id, friend.public());
        let command =
            Command::AddContact { identity, key, petname: "ben".to_owned(), highest: None };
        stage.take_in(Input::Command { id: CommandId(2), command });
        let sessions = stage.commits.iter().flatten();
        let sessions = sessions.filter(|change| matches!(change, Change::Put(Record::Session(_))));
        assert_eq!(sessions.count(), 1, "that of the offer, and none of an offer of ours");
        stage.pass(SECOND);
        assert_eq!(stage.node.snapshot().len(), 2, "an identity and a contact");
    }

    #[test]
    fn whoever_gives_way_is_not_remembered_and_may_come_again_with_more_work() {
        let mut stage = Stage::new();
        let me = stage.identity("nightjar");
        stage.node.agent.messenger.roster.requests.kept.most = 3;
        let friend = stage.stranger(&me);
        let (first, again) = (stage.sealed(&friend), stage.sealed(&friend));
        stage.hand(first, &FLOOR);
        stage.pass(SECOND);
        let [shown] = stage.told.as_slice() else { panic!("one") };
        let (key, work) = (shown.key, shown.work);
        for _ in 0..4 {
            let offer = stage.stranger(&me);
            let sealed = stage.sealed(&offer);
            stage.hand(sealed, &Floor::new(10));
            stage.pass(SECOND);
        }
        assert!(!stage.gone.is_empty(), "three have a place");
        let shown = |stage: &Stage| {
            let all = stage.node.snapshot();
            all.iter().any(|event| matches!(event, Event::Request(view) if view.key == key))
        };
        assert!(work.tries() < 1 << 10 && !shown(&stage));
        stage.hand(again, &Floor::new(14));
        stage.pass(SECOND);
        assert!(shown(&stage), "it pays more now");
        assert_eq!(stage.remembered(), 3, "as many as have a place");
    }

    /// A request to an identity of ours that showed so much.
    fn request(seed: u64, identity: u64, tries: u64) -> RequestRecord {
        let (mut rng, own) =
            (SeededRng::new(seed), Identity::generate(&mut SeededRng::new(0).turn()));
        let mut env = rng.turn();
        let from = Identity::generate(&mut env);
        let (offer, _) = Offer::new(&mut env, &from, &own.public(), WINDOW);
        let offer = ReceivedOffer::open(&own, &offer.seal(&mut env).body).unwrap();
        let (id, identity) = (RequestId(seed), IdentityId(identity));
        RequestRecord { id, identity, offer, arrived: NOW, work: ShownWork::of_tries(tries) }
    }

    /// The seed of whoever gave way; `None` if a place was free, [`Err`] if the newcomer got none.
    fn admit(list: &mut RankedRequests, newcomer: RequestRecord) -> Result<Option<u64>, ()> {
        let added = list.admit(newcomer).ok_or(())?;
        Ok(added.displaced.map(|displaced| displaced.id.0))
    }

    #[test]
    fn the_one_that_shows_least_gives_way_and_no_identity_takes_the_places_of_another() {
        let mut list = RankedRequests::new(4);
        for (seed, tries) in [(1, 100), (2, 50), (3, 70)] {
            assert_eq!(admit(&mut list, request(seed, 1, tries)), Ok(None));
        }
        assert_eq!(admit(&mut list, request(4, 2, 1)), Ok(None));
        assert_eq!(admit(&mut list, request(5, 1, 50)), Err(()), "no more than the least");
        assert_eq!(admit(&mut list, request(6, 1, 60)), Ok(Some(2)));
        assert_eq!(admit(&mut list, request(7, 1, 1 << 40)), Ok(Some(6)), "and 4 has the other's");
        assert_eq!(admit(&mut list, request(8, 2, 2)), Ok(Some(3)), "of the identity with most");
        assert_eq!(admit(&mut list, request(9, 2, 1)), Err(()));
    }

    #[test]
    fn a_key_that_asks_again_keeps_its_id_and_its_work_and_an_earlier_offer_counts_for_nothing() {
        let mut list = RankedRequests::new(1);
        let own = Identity::generate(&mut SeededRng::new(0).turn());
        let at = |id: u64, later: u64, tries: u64| {
            let mut rng = SeededRng::new(7);
            let from = Identity::generate(&mut rng.turn());
            let mut env = Env::new(Millis(0), UnixSeconds(NOW.0 + later), &mut rng);
            let (offer, _) = Offer::new(&mut env, &from, &own.public(), WINDOW);
            let offer = ReceivedOffer::open(&own, &offer.seal(&mut env).body).unwrap();
            let (id, work) = (RequestId(id), ShownWork::of_tries(tries));
            RequestRecord { id, identity: IdentityId(1), offer, arrived: NOW, work }
        };
        assert!(list.admit(at(1, 5, 100)).is_some());
        let later = list.admit(at(2, 6, 9)).unwrap();
        assert_eq!((later.record.id, later.record.work.tries()), (RequestId(1), 100));
        assert!(later.displaced.is_some_and(|displaced| displaced.id == RequestId(1)));
        assert!(list.admit(at(3, 6, 1_000)).is_none() && list.admit(at(4, 4, 1_000)).is_none());
    }

    #[test]
    fn an_offer_that_came_while_the_clock_was_ahead_keeps_no_later_one_of_its_key_out() {
        let own = Identity::generate(&mut SeededRng::new(0).turn());
        let at = |id: u64, days_ahead: u64, arrived: UnixSeconds| {
            let mut rng = SeededRng::new(7);
            let from = Identity::generate(&mut rng.turn());
            let wall = UnixSeconds(NOW.0 + days_ahead * 86_400 + id);
            let mut env = Env::new(Millis(0), wall, &mut rng);
            let (offer, _) = Offer::new(&mut env, &from, &own.public(), WINDOW);
            let offer = ReceivedOffer::open(&own, &offer.seal(&mut env).body).unwrap();
            let (identity, work) = (IdentityId(1), ShownWork::of_tries(9));
            RequestRecord { id: RequestId(id), identity, offer, arrived, work }
        };
        let ahead = UnixSeconds(NOW.0 + 3 * 86_400);
        let mut list = RankedRequests::new(1);
        assert!(list.admit(at(1, 3, ahead)).is_some());
        assert!(list.admit(at(2, 0, ahead)).is_none(), "the clock is still ahead: a replay");
        let kept = list.admit(at(3, 0, NOW)).expect("the clock was set right");
        assert_eq!(kept.record.offer.created(), UnixSeconds(NOW.0 + 3));
    }
}
