//! The one place that says why each peer was dropped.

use crate::{Direction, DropReason};
use starling_primitives::PeerId;
use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::Instant,
};

/// Drops that are kept one by one; beyond, the oldest goes. The counts stay.
pub const DROPS_KEPT_MAX: usize = 256;

/// The end of one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drop {
    /// Who it was, if that was known: proven for connections that came in, meant for those we dialed.
    pub peer: Option<PeerId>,
    /// Its address.
    pub addr: SocketAddr,
    /// Who opened the connection.
    pub direction: Direction,
    /// Whether the two had exchanged Status before.
    pub was_ready: bool,
    /// Why it ended.
    pub reason: DropReason,
    /// When.
    pub at: Instant,
}

/// Counts by reason since the start, and the last [`DROPS_KEPT_MAX`] drops.
#[derive(Debug, Default)]
pub struct DropLog {
    counts: BTreeMap<DropReason, u64>,
    recent: VecDeque<Drop>,
}

impl DropLog {
    pub(crate) fn record(&mut self, drop: Drop) {
        *self.counts.entry(drop.reason).or_default() += 1;
        if self.recent.len() == DROPS_KEPT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(drop);
    }

    /// How many ended for each reason that occurred.
    pub fn counts(&self) -> impl Iterator<Item = (DropReason, u64)> {
        self.counts.iter().map(|(reason, count)| (*reason, *count))
    }

    /// The last ones, newest first.
    pub fn recent(&self) -> impl Iterator<Item = &Drop> {
        self.recent.iter().rev()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_and_counts_all() {
        let mut log = DropLog::default();
        let at = Instant::now();
        for port in 0..2 * DROPS_KEPT_MAX as u16 {
            log.record(Drop {
                peer: None,
                addr: ([127, 0, 0, 1], port).into(),
                direction: Direction::Inbound,
                was_ready: false,
                reason: if port % 2 == 0 { DropReason::Throttled } else { DropReason::Banned },
                at,
            });
        }
        assert_eq!(log.recent().count(), DROPS_KEPT_MAX);
        assert_eq!(log.recent().next().unwrap().addr.port(), 2 * DROPS_KEPT_MAX as u16 - 1);
        let each = DROPS_KEPT_MAX as u64;
        assert_eq!(log.counts().collect::<Vec<_>>(), [(DropReason::Banned, each), (DropReason::Throttled, each)]);
    }
}
