//! Which peers earned their place.

use crate::ConnectionId;
use std::time::{Duration, Instant};

/// A merit counts half after this time: what a peer did long ago says little.
const HALF_LIFE: Duration = Duration::from_secs(15 * 60);
/// One in so many peers is protected for each kind of merit, at least one.
const PROTECTED_ONE_IN: usize = 10;

/// What a peer was useful for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Merit {
    /// Headers, bodies or receipts that were asked for and right.
    ChainData,
    /// The first word of a new head.
    NewHead,
    /// Transactions that later stood in a block.
    Transactions,
}

const KINDS: usize = 3;

/// Merits of a connection by kind, fading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Merits {
    points: [f64; KINDS],
    at: Instant,
}

impl Merits {
    pub(crate) fn new(now: Instant) -> Self {
        Self { points: [0.0; KINDS], at: now }
    }

    pub(crate) fn add(&mut self, merit: Merit, amount: u32, now: Instant) {
        self.points = KIND_INDICES.map(|kind| self.points(kind, now));
        self.at = now;
        self.points[merit as usize] += f64::from(amount);
    }

    fn points(&self, kind: usize, now: Instant) -> f64 {
        let half_lives = now.saturating_duration_since(self.at).as_secs_f64() / HALF_LIFE.as_secs_f64();
        self.points[kind] * (-half_lives).exp2()
    }
}

const KIND_INDICES: [usize; KINDS] = [Merit::ChainData as usize, Merit::NewHead as usize, Merit::Transactions as usize];

/// The connections that must not be rotated out: the best of each kind.
pub(crate) fn protected(peers: &[(ConnectionId, Merits)], now: Instant) -> Vec<ConnectionId> {
    let count = peers.len().div_ceil(PROTECTED_ONE_IN);
    let mut protected: Vec<_> = KIND_INDICES.into_iter().flat_map(|kind| best(peers, kind, count, now)).collect();
    protected.sort_unstable();
    protected.dedup();
    protected
}

fn best(peers: &[(ConnectionId, Merits)], kind: usize, count: usize, now: Instant) -> Vec<ConnectionId> {
    /// Less than this is no merit: everybody has it sooner or later.
    const POINTS_MIN: f64 = 0.5;
    let mut ranked: Vec<_> = peers
        .iter()
        .map(|(connection, merits)| (merits.points(kind, now), *connection))
        .filter(|(points, _)| *points >= POINTS_MIN)
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    ranked.into_iter().take(count).map(|(_, connection)| connection).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_each_kind_are_protected() {
        let now = Instant::now();
        let peers: Vec<_> = (0..20)
            .map(|n| {
                let mut merits = Merits::new(now);
                merits.add(Merit::ChainData, n, now);
                merits.add(Merit::NewHead, 20 - n, now);
                (ConnectionId(n.into()), merits)
            })
            .collect();
        let ids = |peers: Vec<ConnectionId>| peers.into_iter().map(|connection| connection.0).collect::<Vec<_>>();
        assert_eq!(ids(protected(&peers, now)), [0, 1, 18, 19]);
        assert!(protected(&peers, now + 10 * HALF_LIFE).is_empty());
    }
}
