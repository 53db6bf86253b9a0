//! Endpoint proofs: who has shown that packets to its address reach it.
//!
//! Without such a proof an answer bigger than its request could be aimed at a victim. A proof is for a key at an
//! address, so that the same key elsewhere proves nothing.

use schnellru::{ByLength, LruMap};
use starling_primitives::PeerId;
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

/// How long a proof holds for us. The specification says 12 h, others use 24; ours must not end before theirs begins
/// to be renewed.
const PROOF_LIFE: Duration = Duration::from_secs(24 * 3600);
/// How long we count on the other side to remember ours.
const THEIR_PROOF_LIFE: Duration = Duration::from_secs(12 * 3600);
/// Proofs remembered, each way. When full, the least recently used leaves and has to be made again.
const PROOFS_MAX: u32 = 16 * 1024;

/// When each side last proved itself to the other.
pub(super) struct Bonds {
    /// They answered our Ping.
    ours: LruMap<(PeerId, IpAddr), Instant, ByLength>,
    /// We answered their Ping.
    theirs: LruMap<(PeerId, IpAddr), Instant, ByLength>,
}

impl Bonds {
    pub(super) fn new() -> Self {
        Self { ours: LruMap::new(ByLength::new(PROOFS_MAX)), theirs: LruMap::new(ByLength::new(PROOFS_MAX)) }
    }

    pub(super) fn pong_received(&mut self, id: PeerId, ip: IpAddr, now: Instant) {
        self.ours.insert((id, ip), now);
    }

    pub(super) fn pong_sent(&mut self, id: PeerId, ip: IpAddr, now: Instant) {
        self.theirs.insert((id, ip), now);
    }

    /// Whether we may answer it.
    pub(super) fn proven_to_us(&mut self, id: PeerId, ip: IpAddr, now: Instant) -> bool {
        self.ours.get(&(id, ip)).is_some_and(|at| now.saturating_duration_since(*at) < PROOF_LIFE)
    }

    /// Whether it will answer us.
    pub(super) fn proven_to_them(&mut self, id: PeerId, ip: IpAddr, now: Instant) -> bool {
        self.theirs.get(&(id, ip)).is_some_and(|at| now.saturating_duration_since(*at) < THEIR_PROOF_LIFE)
    }
}
