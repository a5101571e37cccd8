//! The roster: our identities, the requests of strangers, and the replay cache of offers.
//!
//! Contacts are conversations; the roster has what belongs to no contact yet. Which requests are in
//! the list is decided in `requests`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::command::CommandError;
use crate::engine::conversation::MAX_CLOCK_DIFFERENCE;
use crate::engine::crypto::keys::{Identity, PublicKey};
use crate::engine::env::{Millis, UnixSeconds};
use crate::engine::envelope::wire::MAX_TTL;
use crate::engine::event::{Event, IdentityView, RequestView};
use crate::engine::id::{IdentityId, RequestId};
use crate::engine::record::{IdentityRecord, Record, RecordKey, ReplayRecord, RequestRecord};
use crate::engine::secret::opaque_debug;
use crate::engine::session::{OfferId, ReceivedOffer};
use crate::engine::text::{UntrustedText, spelled_name};
use crate::engine::turn::{Timer, Turn};

use super::requests::{AddedRequest, Requests, STORE_EVERY};

/// A person has a handful of identities; each costs one multiplication for every envelope that is
/// not for us. A guess.
pub const MAX_IDENTITIES: usize = 16;

/// Every session watches about a thousand topics; a thousand contacts are a million. A guess.
pub const MAX_CONTACTS: usize = 1_024;

/// Offers that are remembered. Each cost its sender an envelope's work; the one that expires first
/// gives way. A guess.
pub const MAX_REPLAYS: usize = 65_536;

/// For so long a clock has to agree with itself before a replay is forgotten by it. A guess: a machine
/// that starts with a wrong clock has it set within minutes, if it ever does.
const CLOCK_WATCHED: Millis = Millis::from_secs(3_600);

/// The longest name, in characters: it has to fit a screen.
pub const MAX_NAME: usize = 64;

/// Identities, pending requests and the replay cache.
#[derive(Debug, Default)]
pub(super) struct Roster {
    identities: BTreeMap<IdentityId, OwnIdentity>,
    pub(super) requests: Requests,
    replay_cache: BTreeMap<OfferId, UnixSeconds>,
    clock: LowestClock,
}

/// The lowest that the wall clock has shown of late. One that is ahead for a moment, as before it is
/// set when a machine starts, must not have us forget what may still be replayed.
#[derive(Debug, Default)]
struct LowestClock {
    /// When it began to be watched, and the lowest since.
    watched: Option<(Millis, UnixSeconds)>,
    /// The lowest of the time before.
    before: Option<UnixSeconds>,
}

impl LowestClock {
    /// Takes a reading; the lowest of the last hour at least, and none before there was an hour.
    fn read(&mut self, (mono, wall): (Millis, UnixSeconds)) -> Option<UnixSeconds> {
        self.watched = match self.watched {
            Some((began, lowest)) if mono < began.plus(CLOCK_WATCHED) => {
                Some((began, lowest.min(wall)))
            }
            Some((_, lowest)) => {
                self.before = Some(lowest);
                Some((mono, wall))
            }
            None => Some((mono, wall)),
        };
        let (_, lowest) = self.watched?;
        Some(self.before?.min(lowest))
    }
}

/// One of our identities. Its secret key is shared with its conversations and wiped with the last.
struct OwnIdentity {
    name: String,
    created: UnixSeconds,
    identity: Arc<Identity>,
}

opaque_debug!(struct OwnIdentity { name, created, identity });

impl Roster {
    /// Takes in an identity that was made or stored.
    pub(super) fn add_identity(&mut self, record: IdentityRecord) {
        let IdentityRecord { id, name, identity, created } = record;
        self.identities.insert(id, OwnIdentity { name, created, identity: Arc::new(identity) });
    }

    /// Forgets an identity, if there is one.
    pub(super) fn remove_identity(&mut self, id: IdentityId) -> Result<(), CommandError> {
        self.identities.remove(&id).map(drop).ok_or(CommandError::NoIdentity)
    }

    /// Whether an identity of this name may be made.
    pub(super) fn check_new_identity(&self, name: &str) -> Result<(), CommandError> {
        check_name(name)?;
        if self.identities.len() >= MAX_IDENTITIES {
            return Err(CommandError::Full);
        }
        // A person picks an identity by its name.
        if self.identities.values().any(|own| spelled_name(&own.name) == name) {
            return Err(CommandError::NameTaken);
        }
        Ok(())
    }

    /// The secret key of an identity.
    pub(super) fn identity(&self, id: IdentityId) -> Option<&Arc<Identity>> {
        self.identities.get(&id).map(|own| &own.identity)
    }

    /// When an identity was made.
    pub(super) fn created(&self, id: IdentityId) -> Option<UnixSeconds> {
        self.identities.get(&id).map(|own| own.created)
    }

    /// The secret keys of all identities, to try an offer with.
    pub(super) fn keys(&self) -> impl Iterator<Item = (IdentityId, &Identity)> {
        self.identities.iter().map(|(&id, own)| (id, &*own.identity))
    }

    /// Whether the key is one of our own.
    pub(super) fn is_own(&self, key: &PublicKey) -> bool {
        self.identities.values().any(|own| own.identity.public() == *key)
    }

    /// All identities as a front end shows them.
    pub(super) fn identity_views(&self) -> impl Iterator<Item = IdentityView> {
        self.identities.iter().map(|(&id, own)| IdentityView {
            id,
            name: own.name.clone(),
            key: own.identity.public(),
        })
    }

    /// All requests as a front end shows them.
    pub(super) fn request_views(&self) -> impl Iterator<Item = RequestView> {
        self.requests.kept().map(RequestRecord::view)
    }

    pub(super) fn request(&self, id: RequestId) -> Result<&RequestRecord, CommandError> {
        self.requests.get(id).ok_or(CommandError::NoRequest)
    }

    /// Takes a request out, to accept or to decline it.
    pub(super) fn take_request(&mut self, id: RequestId) -> Result<RequestRecord, CommandError> {
        self.requests.take(id).ok_or(CommandError::NoRequest)
    }

    /// Whether this offer was seen before, and so may not count again.
    pub(super) fn is_replay(&self, offer: OfferId) -> bool {
        self.replay_cache.contains_key(&offer)
    }

    /// Remembers an offer until no replay of it can arrive any more.
    pub(super) fn remember_offer(&mut self, turn: &mut Turn<'_, '_>, offer: &ReceivedOffer) {
        // From then on `ReceivedOffer::timely` refuses it by its date, so the cache need not.
        let until = offer.created().plus(MAX_TTL).plus(MAX_CLOCK_DIFFERENCE);
        let record = ReplayRecord { offer: offer.id(), until };
        self.restore_replay(turn, &record);
        turn.put(Record::Replay(record));
    }

    /// Takes back a remembered offer; the one that expires first gives way to it.
    pub(super) fn restore_replay(&mut self, turn: &mut Turn<'_, '_>, record: &ReplayRecord) {
        self.replay_cache.insert(record.offer, record.until);
        if self.replay_cache.len() <= MAX_REPLAYS {
            return;
        }
        // It is the first that its date alone refuses. To have an offer forgotten early costs the
        // work of all the envelopes that push it out.
        let first = self.replay_cache.iter().min_by_key(|&(id, &until)| (until, *id));
        if let Some(first) = first.map(|(&id, _)| id) {
            self.replay_cache.remove(&first);
            turn.erase(RecordKey::Replay(first));
        }
    }

    /// Forgets an offer: it counts when it comes again.
    pub(super) fn forget_offer(&mut self, turn: &mut Turn<'_, '_>, offer: OfferId) {
        if self.replay_cache.remove(&offer).is_some() {
            turn.erase(RecordKey::Replay(offer));
        }
    }

    /// Forgets offers that no replay can bring any more, whatever the clock showed in the last hour.
    pub(super) fn expire_replays(&mut self, turn: &mut Turn<'_, '_>) {
        let Some(now) = self.clock.read(turn.env.now()) else { return };
        let old = self.replay_cache.iter().filter(|&(_, &until)| until < now);
        let old: Vec<OfferId> = old.map(|(&id, _)| id).collect();
        for id in old {
            self.replay_cache.remove(&id);
            turn.erase(RecordKey::Replay(id));
        }
    }

    /// Stores what strangers sent in the last second, in one commit, and tells of it.
    pub(super) fn store_requests(&mut self, turn: &mut Turn<'_, '_>) {
        let (added, waits) = self.requests.settle();
        for added in added {
            self.put_request(turn, added);
        }
        turn.settle();
        if waits {
            turn.timers.set(Timer::Requests, turn.env.mono.plus(STORE_EVERY));
        }
    }

    /// Stores now what a key sent that a person is about to decide on.
    pub(super) fn store_request_of(
        &mut self,
        turn: &mut Turn<'_, '_>,
        identity: IdentityId,
        key: &PublicKey,
    ) {
        if let Some(added) = self.requests.settle_one(identity, key) {
            self.put_request(turn, added);
        }
    }

    fn put_request(&mut self, turn: &mut Turn<'_, '_>, added: AddedRequest) {
        let AddedRequest { record, displaced } = added;
        if let Some(displaced) = displaced {
            // Nobody decided on it, so its next sending may count. And what strangers make us
            // remember is bounded by what they have in the list.
            self.forget_offer(turn, displaced.offer.id());
            if displaced.id != record.id {
                turn.erase(RecordKey::Request(displaced.id));
                turn.emit(Event::RequestRemoved(displaced.id));
            }
        }
        // Remembered apart from the request, so that the memory outlives a decline.
        self.remember_offer(turn, &record.offer);
        turn.emit(Event::Request(record.view()));
        turn.put(Record::Request(record));
    }
}

/// A name, as it is spelled here, is one line of 1 to [`MAX_NAME`] characters that a screen can show, without blank ends.
pub(super) fn check_name(name: &str) -> Result<(), CommandError> {
    let length = name.chars().count();
    if length == 0 || length > MAX_NAME || !is_shown_as_written(name) {
        return Err(CommandError::BadName);
    }
    Ok(())
}

/// Whether a screen shows the name exactly as it was written: names that look alike could pass one
/// contact off as another.
fn is_shown_as_written(name: &str) -> bool {
    let label = UntrustedText::new(name.to_owned()).sanitize_for_label();
    label.text == name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::env::{Env, Millis, Seconds};
    use crate::engine::envelope::Floor;
    use crate::engine::session::{Offer, WINDOW};
    use crate::engine::settings::{NodeRole, NodeSettings};
    use crate::engine::testing::rng::SeededRng;
    use crate::engine::turn::Workspace;

    const NOW: UnixSeconds = UnixSeconds(1_767_225_600);

    fn offer(seed: u64, to: &Identity) -> ReceivedOffer {
        let mut rng = SeededRng::new(seed);
        let mut env = Env::new(Millis(0), NOW, &mut rng);
        let from = Identity::generate(&mut env);
        let (offer, _) = Offer::new(&mut env, &from, &to.public(), WINDOW);
        ReceivedOffer::open(to, &offer.seal(&mut env).body).unwrap()
    }

    #[test]
    fn a_name_that_looks_like_one_that_is_there_is_taken_whoever_wrote_that() {
        let mut roster = Roster::default();
        // An earlier version stored what was typed.
        let identity = Identity::generate(&mut SeededRng::new(1).turn());
        let name = "Jose\u{301}".to_owned();
        roster.add_identity(IdentityRecord { id: IdentityId(1), name, identity, created: NOW });
        let check = |name: &str| roster.check_new_identity(&spelled_name(name));
        for taken in ["Jose\u{301}", "Jos\u{e9}"] {
            assert_eq!(check(taken), Err(CommandError::NameTaken), "{taken}");
        }
        assert_eq!(check("Jose"), Ok(()));
        // As the keyboards of telephones write it.
        assert_eq!(check("Anna \u{2764}\u{fe0f}"), Ok(()));
        assert_eq!(check("Anna\u{200b}"), Err(CommandError::BadName));
    }

    #[test]
    fn an_identity_prints_nothing_of_itself() {
        let identity = Arc::new(Identity::generate(&mut SeededRng::new(1).turn()));
        let own = OwnIdentity { name: "nightjar".to_owned(), created: NOW, identity };
        assert_eq!(format!("{own:?}"), "OwnIdentity");
    }

    #[test]
    fn a_replay_is_known_until_it_cannot_arrive_any_more() {
        let own = Identity::generate(&mut SeededRng::new(1).turn());
        let settings = NodeSettings::new(NodeRole::Messenger, Floor::new(0));
        let (mut roster, mut rng) = (Roster::default(), SeededRng::new(2));
        let offer = offer(3, &own);
        let mut workspace = Workspace::default();
        let mut sweep = |roster: &mut Roster, hours: u64, later: Seconds| {
            let mono = Millis(hours * CLOCK_WATCHED.0);
            let mut env = Env::new(mono, NOW.plus(later), &mut rng);
            let mut turn = Turn::new(&mut env, &settings, &mut workspace);
            if !roster.is_replay(offer.id()) && hours == 0 {
                roster.remember_offer(&mut turn, &offer);
            }
            roster.expire_replays(&mut turn);
            roster.is_replay(offer.id())
        };
        let over = Seconds(MAX_TTL.0 + 2 * 86_400);
        assert!(sweep(&mut roster, 0, Seconds(0)));
        assert!(sweep(&mut roster, 1, over), "only now");
        assert!(sweep(&mut roster, 2, Seconds(0)), "it was set back");
        assert!(sweep(&mut roster, 3, over), "an hour ago it was not over");
        assert!(!sweep(&mut roster, 4, over));
    }

    #[test]
    fn a_clock_that_is_wrong_when_a_machine_starts_has_no_replay_forgotten() {
        let mut clock = LowestClock::default();
        let minute = |minutes: u64| Millis::from_secs(60 * minutes);
        let ahead = UnixSeconds(NOW.0 * 2);
        assert_eq!(clock.read((minute(0), ahead)), None);
        assert_eq!(clock.read((minute(10), NOW)), None, "it was set right");
        assert_eq!(clock.read((minute(60), NOW.plus(Seconds(3_000)))), Some(NOW));
        assert_eq!(clock.read((minute(70), ahead)), Some(NOW), "it is wrong once more");
        assert_eq!(clock.read((minute(120), NOW)), Some(NOW));
        assert_eq!(clock.read((minute(130), UnixSeconds(0))), Some(UnixSeconds(0)));
    }
}
