//! What each range of addresses was sent by us, and may still be sent: the budget of one address, of
//! its network and of all together, shared so that a newcomer finds something.

use core::cmp::Reverse;
use std::collections::BTreeMap;

use super::BEGIN_EVERY;
use crate::engine::env::Millis;
use crate::engine::id::{AddressPath, Neighbour, NeighbourId};
use crate::engine::sync::wire::CHUNK;
use crate::engine::sync::{PEER_BYTES, TOTAL_BYTES, UploadBudget};

/// The time in which half of what a range was sent is forgotten. A guess: several sessions.
const HALF_FORGOTTEN: Millis = Millis::from_secs(300);

/// While the total budget is at least so full, nobody has to hold back.
const PLENTY: u64 = TOTAL_BYTES / 2;

/// Below that, a range that was sent more than this part of what is left gets nothing more
/// until there is plenty again: whoever had much cannot take the rest, and a newcomer always finds a
/// megabyte or two, 300 envelopes twice over. The rule of shared buffers (Choudhury and Hahne 1998,
/// "Dynamic queue length thresholds"); the figure is a guess.
const SHARE_OF_REST: u64 = 8;

/// And below it, the bytes that all ranges of one network are sent in a minute: a network has many
/// ranges, of which each is new once. Two megabytes twice. A guess.
const SCARCE_BYTES: u64 = 4 << 20;

/// Sessions that begin from one range in a minute: as many as 64 neighbours there ask for, and
/// a third more. What a session makes us compute is bounded so, whatever number of keys begin one.
const BEGINS: u64 = 256;

/// Ranges, and networks, whose spending is remembered. A guess, far above what a node has; the total
/// budget holds in any case.
const MAX_ACCOUNTS: usize = 256;

/// Neighbours of which it is remembered when they began. A guess, likewise.
const MAX_BEGUN: usize = 256;

/// Keys in one street whose spending is remembered. A guess: some times as many as a node has neighbours,
/// or debts would be forgotten for those who come and go.
const MAX_KEYS: usize = 256;

/// What has one account: a network of addresses and, in it, what one person can have without
/// effort. A transport key costs nothing, so a key has a part of its street's account alone.
type Street = [u64; 2];

/// What all neighbours were sent, and when they began.
#[derive(Debug)]
pub(super) struct UploadAccounts {
    paths: BTreeMap<NeighbourId, AddressPath>,
    streets: BTreeMap<Street, StreetAccount>,
    /// What each network was sent of what is kept for others.
    networks: BTreeMap<u64, UploadBudget>,
    /// When each neighbour began last.
    begun: BTreeMap<NeighbourId, Millis>,
    total: UploadBudget,
}

/// The account of one range, whoever is in it.
#[derive(Debug)]
struct StreetAccount {
    budget: UploadBudget,
    /// Of sessions, not of bytes.
    begins: UploadBudget,
    had: Spending,
    /// Of those in it: what one had is not taken from the others as long as it has one key.
    keys: BTreeMap<NeighbourId, Spending>,
    at: Millis,
}

/// Bytes that somebody was sent, of which half are forgotten after a while.
#[derive(Clone, Copy, Debug)]
struct Spending {
    bytes: u64,
    halved: Millis,
}

impl Default for UploadAccounts {
    fn default() -> Self {
        let total = UploadBudget::new(TOTAL_BYTES, Millis(0));
        let (paths, begun) = (BTreeMap::new(), BTreeMap::new());
        let (streets, networks) = (BTreeMap::new(), BTreeMap::new());
        Self { paths, streets, networks, begun, total }
    }
}

impl UploadAccounts {
    /// From now on these are the neighbours. What each range was sent is remembered nevertheless.
    pub(super) fn keep(&mut self, neighbours: &[Neighbour]) {
        self.paths = neighbours.iter().map(|neighbour| (neighbour.id, neighbour.path)).collect();
    }

    /// Whether it is among the neighbours.
    pub(super) fn is_neighbour(&self, peer: NeighbourId) -> bool {
        self.paths.contains_key(&peer)
    }

    /// Where a neighbour is. One that is not among the neighbours, any more or yet, is alone in a network,
    /// with all others of its kind.
    pub(super) fn path(&self, peer: NeighbourId) -> AddressPath {
        self.paths.get(&peer).copied().unwrap_or(AddressPath([0; 3]))
    }

    /// The account of the range that a neighbour is in; the one that was sent least makes room, and of
    /// those the one longest unused: a debt is not forgotten because many new ranges come.
    fn account(&mut self, peer: NeighbourId, now: Millis) -> &mut StreetAccount {
        let AddressPath([network, street, _]) = self.path(peer);
        let street = [network, street];
        make_room(&mut self.streets, MAX_ACCOUNTS, &street, |account| {
            (account.had.bytes, account.at)
        });
        let fresh = || StreetAccount {
            budget: UploadBudget::new(PEER_BYTES, now),
            begins: UploadBudget::new(BEGINS, now),
            had: Spending::none(now),
            keys: BTreeMap::new(),
            at: now,
        };
        let account = self.streets.entry(street).or_insert_with(fresh);
        account.at = now;
        account.had.forget(now);
        account
    }

    /// What the network that a neighbour is in may still be sent of what is kept for others; the one
    /// that took least of it makes room.
    fn reserve(&mut self, peer: NeighbourId, now: Millis) -> &mut UploadBudget {
        let AddressPath([network, ..]) = self.path(peer);
        let left = |budget: &UploadBudget| {
            let mut budget = *budget;
            Reverse(budget.left(now))
        };
        make_room(&mut self.networks, MAX_ACCOUNTS, &network, left);
        self.networks.entry(network).or_insert_with(|| UploadBudget::new(SCARCE_BYTES, now))
    }

    /// Whether a whole chunk may be sent to a neighbour.
    pub(super) fn affords(&mut self, peer: NeighbourId, now: Millis) -> bool {
        let (least, left) = (CHUNK as u64, self.total.left(now));
        let reserved = self.reserve(peer, now).left(now);
        let account = self.account(peer, now);
        let shares = account.had.bytes <= left / SHARE_OF_REST && reserved >= least;
        (left >= PLENTY || shares) && left >= least && account.affords(peer, now)
    }

    pub(super) fn spend(&mut self, peer: NeighbourId, now: Millis, bytes: usize) {
        let bytes = bytes as u64;
        if self.total.left(now) < PLENTY {
            self.reserve(peer, now).spend(bytes);
        }
        self.account(peer, now).spend(peer, now, bytes);
        self.total.spend(bytes);
    }

    /// Whether a neighbour begins too soon: after its last time, or after too many where it is.
    pub(super) fn begins_too_soon(&mut self, peer: NeighbourId, now: Millis) -> bool {
        let soon = self.begun.get(&peer).is_some_and(|began| began.plus(BEGIN_EVERY) > now);
        soon || self.account(peer, now).begins.left(now) == 0
    }

    /// A neighbour begins. Those that began longer ago than counts are forgotten; if there are too many
    /// nevertheless, the one that began first.
    pub(super) fn note_begin(&mut self, peer: NeighbourId, now: Millis) {
        self.begun.retain(|_, began| began.plus(BEGIN_EVERY) > now);
        make_room(&mut self.begun, MAX_BEGUN, &peer, |began| *began);
        self.begun.insert(peer, now);
        self.account(peer, now).begins.spend(1);
    }

    /// The bytes that the range of a neighbour was sent lately.
    #[cfg(test)]
    pub(super) fn had(&mut self, peer: NeighbourId, now: Millis) -> u64 {
        self.account(peer, now).had.bytes
    }
}

impl StreetAccount {
    /// Whether a whole chunk may be sent to somebody here. As among streets: while there is not plenty,
    /// whoever had much waits, and whoever had little does not. Also if nobody else is here yet: whoever
    /// comes finds something.
    fn affords(&mut self, peer: NeighbourId, now: Millis) -> bool {
        let left = self.budget.left(now);
        let shares = self.key(peer, now).bytes <= left / SHARE_OF_REST;
        (left >= PEER_BYTES / 2 || shares) && left >= CHUNK as u64
    }

    fn spend(&mut self, peer: NeighbourId, now: Millis, bytes: u64) {
        self.budget.spend(bytes);
        self.had.add(bytes);
        self.key(peer, now).add(bytes);
    }

    /// What a key had; the one that had least makes room.
    fn key(&mut self, peer: NeighbourId, now: Millis) -> &mut Spending {
        make_room(&mut self.keys, MAX_KEYS, &peer, |had| had.bytes);
        let had = self.keys.entry(peer).or_insert_with(|| Spending::none(now));
        had.forget(now);
        had
    }
}

impl Spending {
    const fn none(now: Millis) -> Self {
        Self { bytes: 0, halved: now }
    }

    const fn add(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn forget(&mut self, now: Millis) {
        let halvings = now.0.saturating_sub(self.halved.0) / HALF_FORGOTTEN.0;
        let left = u32::try_from(halvings).ok().and_then(|by| self.bytes.checked_shr(by));
        self.bytes = left.unwrap_or(0);
        self.halved =
            Millis(self.halved.0.saturating_add(halvings.saturating_mul(HALF_FORGOTTEN.0)));
    }
}

/// Makes room for a new entry in a map that holds `most`: the one goes that weighs least.
fn make_room<Key: Ord + Copy, Value, Weight: Ord>(
    map: &mut BTreeMap<Key, Value>,
    most: usize,
    new: &Key,
    weight: impl Fn(&Value) -> Weight,
) {
    if map.len() >= most && !map.contains_key(new) {
        let least = map.iter().min_by_key(|(_, value)| weight(value)).map(|(key, _)| *key);
        if let Some(least) = least {
            map.remove(&least);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many chunks, or all that it can; how many it got.
    fn take(accounts: &mut UploadAccounts, peer: u64, now: Millis, most: usize) -> usize {
        let mut taken = 0;
        while taken < most && accounts.affords(NeighbourId(peer), now) {
            accounts.spend(NeighbourId(peer), now, CHUNK);
            taken += 1;
        }
        taken
    }

    /// The accounts of these neighbours: each with its network and the street in it.
    fn serving(places: &[(u64, u64, u64)]) -> UploadAccounts {
        let mut accounts = UploadAccounts::default();
        let place = |&(peer, network, street): &(u64, u64, u64)| {
            let path = AddressPath([network, street, street]);
            Neighbour { path, ..Neighbour::alone(NeighbourId(peer)) }
        };
        accounts.keep(&places.iter().map(place).collect::<Vec<_>>());
        accounts
    }

    /// The accounts of so many neighbours, each alone.
    fn serving_each(peers: u64) -> UploadAccounts {
        serving(&(0..peers).map(|peer| (peer, 1 + peer, 1 + peer)).collect::<Vec<_>>())
    }

    #[test]
    fn fresh_keys_at_one_address_leave_a_newcomer_elsewhere_what_it_needs() {
        // Three a second, each of which takes all it can.
        let keys: Vec<_> = (2..2_000).map(|key| (key, 1, 1)).collect();
        let mut accounts = serving(&[&keys[..], &[(1, 2, 2)]].concat());
        let mut taken = 0;
        for key in 2..2_000 {
            taken += take(&mut accounts, key, Millis(key * 333), usize::MAX);
        }
        let (now, minutes) = (Millis(2_000 * 333), 13);
        assert!(taken * CHUNK <= usize::try_from(PEER_BYTES).unwrap() * minutes, "{taken} chunks");
        assert_eq!(take(&mut accounts, 1, now, 8), 8);
    }

    #[test]
    fn fresh_keys_in_all_streets_of_one_network_leave_a_newcomer_elsewhere_what_it_needs() {
        let keys: Vec<_> = (2..2_000).map(|key| (key, 1, key % 250)).collect();
        let newcomers: Vec<_> = (2_000..2_066).map(|key| (key, key, key)).collect();
        let mut accounts = serving(&[&keys[..], &newcomers[..]].concat());
        let mut newcomer = 2_000;
        for key in 2..2_000 {
            let now = Millis(key * 333);
            take(&mut accounts, key, now, usize::MAX);
            if key % 31 == 0 {
                assert_eq!(take(&mut accounts, newcomer, now, 3), 3, "{now:?}");
                newcomer += 1;
            }
        }
    }

    #[test]
    fn one_range_begins_no_more_sessions_in_a_minute_whatever_number_of_keys_it_has() {
        let keys: Vec<_> = (2..2_000).map(|key| (key, 1, 1)).collect();
        let mut accounts = serving(&[&keys[..], &[(1, 2, 2)]].concat());
        let mut begun = 0;
        for key in (2..2_000).map(NeighbourId) {
            if !accounts.begins_too_soon(key, Millis(0)) {
                accounts.note_begin(key, Millis(0));
                begun += 1;
            }
        }
        assert_eq!(begun, BEGINS);
        assert!(accounts.begun.len() <= MAX_BEGUN);
        assert!(!accounts.begins_too_soon(NeighbourId(1), Millis(0)));
    }

    #[test]
    fn neighbours_that_are_gone_have_one_account_together() {
        let mut accounts = UploadAccounts::default();
        let taken: usize =
            (1..2_000).map(|key| take(&mut accounts, key, Millis(0), usize::MAX)).sum();
        assert_eq!(taken * CHUNK, usize::try_from(PEER_BYTES).unwrap());
    }

    #[test]
    fn one_client_alone_gets_half_of_its_budget_at_once_and_all_of_it_within_the_minute() {
        let mut accounts = UploadAccounts::default();
        let chunks = usize::try_from(PEER_BYTES).unwrap() / CHUNK;
        assert_eq!(take(&mut accounts, 1, Millis(0), usize::MAX), chunks / 2 + 1);
        assert_eq!(take(&mut accounts, 1, Millis(30_000), usize::MAX), chunks / 2);
    }

    /// Whether newcomers find so many chunks, one after the other, beside each number of neighbours that
    /// take all they can.
    fn newcomers_find(most: usize, hogs: [u64; 4], serving: impl Fn() -> UploadAccounts) {
        for hogs in hogs {
            let (mut accounts, mut newcomer) = (serving(), 1_000);
            for second in 0..1_800 {
                let now = Millis::from_secs(second);
                for hog in 0..hogs {
                    take(&mut accounts, hog, now, usize::MAX);
                }
                // Until then those are newcomers themselves, and 64 want more than there is.
                if second >= 300 && second % 10 == 0 {
                    newcomer += 1;
                    let found = take(&mut accounts, newcomer, now, most);
                    assert_eq!(found, most, "{hogs} hogs, {second} s");
                }
            }
        }
    }

    #[test]
    fn a_newcomer_finds_what_300_envelopes_need_beside_any_number_that_take_all_they_can() {
        newcomers_find(3, [1, 2, 8, 64], || serving_each(1_200));
    }

    #[test]
    fn a_newcomer_finds_half_a_megabyte_also_beside_any_number_in_its_own_street() {
        let one_street: Vec<_> = (0..1_200).map(|peer| (peer, 1, 1)).collect();
        newcomers_find(2, [1, 2, 8, 63], || serving(&one_street));
    }

    #[test]
    fn a_debt_is_remembered_through_any_number_of_new_ranges_and_half_forgotten_in_time() {
        let mut accounts = serving_each(2_000);
        take(&mut accounts, 1, Millis(0), 8);
        for key in 2..2_000 {
            accounts.account(NeighbourId(key), Millis(1));
        }
        assert_eq!(accounts.streets.len(), MAX_ACCOUNTS);
        let had =
            |accounts: &mut UploadAccounts, now| accounts.account(NeighbourId(1), now).had.bytes;
        assert_eq!(had(&mut accounts, Millis(299_999)), 8 * CHUNK as u64);
        assert_eq!(had(&mut accounts, Millis(300_000)), 4 * CHUNK as u64);
        assert_eq!(had(&mut accounts, Millis(1_000_000)), CHUNK as u64);
        assert_eq!(had(&mut accounts, Millis(u64::MAX)), 0);
    }
}
