//! Turns that are shared by range of addresses: one of each has one before any has its second.
//!
//! A transport key costs nothing, and an address or a network does. So turns that go to neighbours at
//! random, or in the order in which they come, would go to whoever has most keys.

use crate::engine::env::Env;
use crate::engine::id::{AddressPath, Neighbour, NeighbourId};

/// How many of these are in each range of a path, the widest first. Compared with another's as texts
/// are, it says which of the two has had less.
pub(super) fn company(path: AddressPath, others: &[AddressPath]) -> [usize; 3] {
    let AddressPath(path) = path;
    let within = |depth: usize| {
        others.iter().filter(|AddressPath(other)| other.get(..depth) == path.get(..depth)).count()
    };
    [within(1), within(2), within(3)]
}

/// Draws so many neighbours, or all, in the order in which they have their turns: each time one at
/// random of those whose ranges have the fewest so far.
pub(super) fn draw_shared(
    env: &mut Env<'_>,
    neighbours: &[Neighbour],
    most: usize,
) -> Vec<NeighbourId> {
    let (mut others, mut drawn, mut paths) = (neighbours.to_vec(), Vec::new(), Vec::new());
    while drawn.len() < most {
        let weight = |neighbour: &Neighbour| company(neighbour.path, &paths);
        let Some(least) = others.iter().map(weight).min() else { break };
        let places = others.iter().enumerate().filter(|(_, other)| weight(other) == least);
        let open: Vec<usize> = places.map(|(place, _)| place).collect();
        // Bias by the remainder: a few neighbours in 2^64.
        let at = env.draw_u64().checked_rem(open.len() as u64).unwrap_or_default();
        let place = usize::try_from(at).ok().and_then(|at| open.get(at));
        let Some(place) = place.copied() else { break };
        let neighbour = others.swap_remove(place);
        paths.push(neighbour.path);
        drawn.push(neighbour.id);
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::env::{Millis, UnixSeconds};
    use crate::engine::testing::rng::SeededRng;

    /// So many neighbours, each with its network, street and host.
    fn draw(paths: &[[u64; 3]], most: usize, seed: u64) -> Vec<[u64; 3]> {
        let mut chance = SeededRng::lane(seed, 0);
        let mut env = Env::new(Millis(0), UnixSeconds(0), &mut chance);
        let at = |(number, path): (usize, &[u64; 3])| {
            let id = NeighbourId(u64::try_from(number).unwrap());
            Neighbour { path: AddressPath(*path), ..Neighbour::alone(id) }
        };
        let neighbours: Vec<_> = paths.iter().enumerate().map(at).collect();
        let drawn = draw_shared(&mut env, &neighbours, most);
        drawn.iter().map(|id| paths[usize::try_from(id.0).unwrap()]).collect()
    }

    #[test]
    fn one_of_each_network_comes_before_a_second_one_of_any_and_so_within_it() {
        let mut paths = vec![[1, 1, 1]; 40];
        paths.extend([[1, 2, 2], [1, 1, 3], [2, 9, 9], [3, 9, 9]]);
        for seed in 0..50 {
            let drawn = draw(&paths, 8, seed);
            assert_eq!(drawn.len(), 8);
            let mut first: Vec<_> = drawn[..3].iter().map(|path| path[0]).collect();
            first.sort_unstable();
            assert_eq!(first, [1, 2, 3], "{drawn:?}");
            assert_ne!(drawn[..3].contains(&[1, 2, 2]), drawn[3] == [1, 2, 2], "{drawn:?}");
            assert!(
                drawn[..5].contains(&[1, 2, 2]) && drawn[..6].contains(&[1, 1, 3]),
                "{drawn:?}"
            );
        }
    }

    #[test]
    fn of_many_that_are_alone_each_is_drawn_at_times_and_none_twice() {
        let paths: Vec<_> = (0..20).map(|path| [path; 3]).collect();
        let mut all = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let drawn = draw(&paths, 8, seed);
            let once: std::collections::BTreeSet<_> = drawn.iter().copied().collect();
            assert_eq!((drawn.len(), once.len()), (8, 8));
            all.extend(once);
        }
        assert_eq!(all.len(), 20);
        assert_eq!(draw(&paths[..3], 8, 1).len(), 3);
        assert!(draw(&[], 8, 1).is_empty());
    }
}
