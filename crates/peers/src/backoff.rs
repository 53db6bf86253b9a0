//! When to try somebody again.

use crate::expiring::Expiring;
use starling_primitives::PeerId;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Least time between two dials of the same peer or address.
pub(crate) const REDIAL_EVERY: Duration = Duration::from_secs(35);
/// The wait doubles with each failure in a row, up to this.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(60 * 60);
/// The same for peers that an operator named and peers that were good: they are worth more tries.
pub(crate) const BACKOFF_WANTED_MAX: Duration = Duration::from_secs(5 * 60);
/// Failures are remembered this long after the wait is over.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);
/// Peers and addresses that are remembered; beyond, those whose wait ends soonest are forgotten.
const ENTRIES_MAX: usize = 8192;

/// Waits by peer and by address: a peer that moves is tried at its new address, but an address under ever new names
/// is not dialed again and again.
#[derive(Debug)]
pub(crate) struct Backoffs {
    peers: Expiring<PeerId, Wait>,
    addresses: Expiring<SocketAddr, Wait>,
}

#[derive(Debug, Clone, Copy)]
struct Wait {
    failures: u8,
    until: Instant,
}

impl Backoffs {
    pub(crate) fn new() -> Self {
        Self { peers: Expiring::new(ENTRIES_MAX), addresses: Expiring::new(ENTRIES_MAX) }
    }

    /// A dial begins. `wanted`: the peer is a static or a known good one. `jitter` from 0 to 1 spreads the next try, so
    /// that two nodes that dialed each other at the same moment do not do so again.
    pub(crate) fn dialed(&mut self, peer: PeerId, addr: SocketAddr, wanted: bool, jitter: f64, now: Instant) {
        let cap = if wanted { BACKOFF_WANTED_MAX } else { BACKOFF_MAX };
        wait(&mut self.peers, peer, cap, jitter, now);
        wait(&mut self.addresses, addr, cap, jitter, now);
    }

    /// The peer answered as it should: failures are forgotten, the least time between dials stays.
    pub(crate) fn succeeded(&mut self, peer: PeerId, addr: SocketAddr, now: Instant) {
        let fresh = Wait { failures: 0, until: now + REDIAL_EVERY };
        self.peers.insert(peer, fresh, fresh.until);
        self.addresses.insert(addr, fresh, fresh.until);
    }

    /// The peer is no use for some time, whatever its address: another chain, too many peers.
    pub(crate) fn postpone(&mut self, peer: PeerId, time: Duration, now: Instant) {
        let until = now + time;
        if self.peer_ready_at(&peer, now) < until {
            let failures = self.peers.get(&peer, now).map_or(0, |wait| wait.failures);
            self.peers.insert(peer, Wait { failures, until }, until + REMEMBERED);
        }
    }

    /// An operator asks: at once.
    pub(crate) fn forget(&mut self, peer: &PeerId) {
        self.peers.remove(peer);
    }

    /// When the peer may be dialed; `now` if it may.
    pub(crate) fn peer_ready_at(&self, peer: &PeerId, now: Instant) -> Instant {
        self.peers.get(peer, now).map_or(now, |wait| wait.until.max(now))
    }

    /// When the peer may be dialed at the address; `now` if it may.
    pub(crate) fn ready_at(&self, peer: &PeerId, addr: &SocketAddr, now: Instant) -> Instant {
        let addr = self.addresses.get(addr, now).map_or(now, |wait| wait.until);
        self.peer_ready_at(peer, now).max(addr)
    }

    pub(crate) fn purge(&mut self, now: Instant) {
        self.peers.purge(now);
        self.addresses.purge(now);
    }
}

fn wait<K: Ord + Copy>(entries: &mut Expiring<K, Wait>, key: K, cap: Duration, jitter: f64, now: Instant) {
    let failures = entries.get(&key, now).map_or(0, |wait| wait.failures);
    let time = REDIAL_EVERY.saturating_mul(1 << failures.min(12)).min(cap).mul_f64(1.0 + jitter / 2.0);
    let entry = Wait { failures: failures.saturating_add(1), until: now + time };
    entries.insert(key, entry, entry.until + REMEMBERED);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        let check = |wanted: bool, failures: u32, expect_seconds: u64| {
            let (mut now, mut backoffs) = (Instant::now(), Backoffs::new());
            let (peer, addr) = (PeerId::ZERO, "8.8.8.8:30303".parse().unwrap());
            for _ in 0..failures {
                now = backoffs.ready_at(&peer, &addr, now);
                backoffs.dialed(peer, addr, wanted, 0.0, now);
            }
            assert_eq!((backoffs.ready_at(&peer, &addr, now) - now).as_secs(), expect_seconds, "{wanted} {failures}");
            backoffs.succeeded(peer, addr, now);
            assert_eq!(backoffs.ready_at(&peer, &addr, now) - now, REDIAL_EVERY);
        };
        check(false, 0, 0);
        check(false, 1, 35);
        check(false, 2, 70);
        check(false, 20, 3600);
        check(true, 3, 140);
        check(true, 20, 300);
    }

    #[test]
    fn an_address_waits_under_every_name() {
        let (now, mut backoffs) = (Instant::now(), Backoffs::new());
        let addr = "8.8.8.8:30303".parse().unwrap();
        backoffs.dialed(PeerId::ZERO, addr, false, 0.0, now);
        assert!(backoffs.ready_at(&PeerId::repeat_byte(1), &addr, now) > now);
        assert_eq!(backoffs.ready_at(&PeerId::repeat_byte(1), &"8.8.8.8:1".parse().unwrap(), now), now);
    }
}
