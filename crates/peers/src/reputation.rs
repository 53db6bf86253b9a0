//! What peers did wrong, and when it is enough.

use crate::expiring::Expiring;
use starling_primitives::PeerId;
use std::time::{Duration, Instant};

/// Points at which a connected peer is dropped.
const DROP_AT: u32 = 50;
/// Points at which it is banned.
const BAN_AT: u32 = 100;
/// Time in which one point is forgiven.
const FORGIVEN_EVERY: Duration = Duration::from_secs(20);
/// Peers that are remembered; beyond, those soonest forgiven are forgotten.
const PEERS_MAX: usize = 8192;

/// What a peer did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Offence {
    /// An answer did not come in time.
    Timeout,
    /// An answer without what the peer says it has.
    UselessAnswer,
    /// An answer to no request.
    UnrequestedAnswer,
    /// A transaction that no honest node passes on.
    BadTransaction,
    /// An announcement that the delivered transaction contradicts.
    BadAnnouncement,
    /// Headers, bodies or receipts that do not belong to what was asked, or break a rule of the chain.
    BadData,
    /// A message against the protocol.
    ProtocolBreach,
}

impl Offence {
    /// Points. A single lie about the chain drops the peer, two in short time ban it. Timeouts happen to honest peers.
    fn points(self) -> u32 {
        match self {
            Self::Timeout => 5,
            Self::UselessAnswer => 5,
            Self::UnrequestedAnswer => 10,
            Self::BadTransaction => 10,
            Self::BadAnnouncement => DROP_AT,
            Self::BadData => DROP_AT,
            Self::ProtocolBreach => BAN_AT,
        }
    }
}

/// What follows from an offence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Bear,
    Drop,
    Ban,
}

/// Points by peer; they outlive connections and fade with time.
#[derive(Debug)]
pub(crate) struct Reputations {
    peers: Expiring<PeerId, ()>,
}

impl Reputations {
    pub(crate) fn new() -> Self {
        Self { peers: Expiring::new(PEERS_MAX) }
    }

    /// Adds the points of an offence.
    pub(crate) fn record(&mut self, peer: PeerId, offence: Offence, now: Instant) -> Verdict {
        let points = self.points(&peer, now).saturating_add(offence.points());
        // The time until all is forgiven is the score.
        self.peers.insert(peer, (), now + FORGIVEN_EVERY.saturating_mul(points.min(2 * BAN_AT)));
        match points {
            BAN_AT.. => Verdict::Ban,
            DROP_AT.. => Verdict::Drop,
            _ => Verdict::Bear,
        }
    }

    /// Points against a peer now; none for a stranger.
    pub(crate) fn points(&self, peer: &PeerId, now: Instant) -> u32 {
        let left = self.peers.until(peer, now).map_or(Duration::ZERO, |until| until - now);
        u32::try_from(left.as_millis().div_ceil(FORGIVEN_EVERY.as_millis())).unwrap_or(u32::MAX)
    }

    pub(crate) fn forget(&mut self, peer: &PeerId) {
        self.peers.remove(peer);
    }

    pub(crate) fn purge(&mut self, now: Instant) {
        self.peers.purge(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(offences: &[(u64, Offence)], expect: Verdict) {
        let (start, mut reputations) = (Instant::now(), Reputations::new());
        let mut verdict = Verdict::Bear;
        for (seconds, offence) in offences {
            verdict = reputations.record(PeerId::ZERO, *offence, start + Duration::from_secs(*seconds));
        }
        assert_eq!(verdict, expect, "{offences:?}");
    }

    #[test]
    fn small_faults_add_up_and_fade() {
        use Offence::*;
        check(&[(0, Timeout)], Verdict::Bear);
        check(&[(0, Timeout); 9], Verdict::Bear);
        check(&[(0, Timeout); 10], Verdict::Drop);
        check(&(0..50).map(|n| (n * 100, Timeout)).collect::<Vec<_>>(), Verdict::Bear);
        check(&[(0, BadData)], Verdict::Drop);
        check(&[(0, BadData), (1, BadData)], Verdict::Ban);
        check(&[(0, BadData), (3600, BadData)], Verdict::Drop);
        check(&[(0, ProtocolBreach)], Verdict::Ban);
    }
}
