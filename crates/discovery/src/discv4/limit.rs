//! How many packets one address may send: each costs the recovery of a public key.

use crate::address::is_lan;
use schnellru::{ByLength, LruMap};
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

/// Packets at once.
const BURST: u32 = 200;
/// Time after which one more is allowed: 50 in a second.
const REFILL: Duration = Duration::from_millis(20);
/// Addresses remembered. When full, the least recently heard of leaves and starts with a full burst again.
const ADDRESSES_MAX: u32 = 4096;

pub(super) struct Limit {
    /// The moment from which an address has its whole burst again.
    full_at: LruMap<IpAddr, Instant, ByLength>,
}

impl Limit {
    pub(super) fn new() -> Self {
        Self { full_at: LruMap::new(ByLength::new(ADDRESSES_MAX)) }
    }

    /// Whether a packet of that address is worth looking at. Our own networks always are.
    pub(super) fn allows(&mut self, ip: IpAddr, now: Instant) -> bool {
        if is_lan(ip) {
            return true;
        }
        let Some(full_at) = self.full_at.get_or_insert(ip, || now) else { return true };
        let next = (*full_at).max(now) + REFILL;
        let allowed = next.saturating_duration_since(now) <= REFILL * BURST;
        if allowed {
            *full_at = next;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_a_rate() {
        let (mut limit, now) = (Limit::new(), Instant::now());
        let ip = IpAddr::from([1, 2, 3, 4]);
        let allowed = |limit: &mut Limit, now| (0..1000).filter(|_| limit.allows(ip, now)).count();
        assert_eq!(allowed(&mut limit, now), BURST as usize);
        assert_eq!(allowed(&mut limit, now + Duration::from_secs(1)), 50);
        assert!(limit.allows(IpAddr::from([1, 2, 3, 5]), now));
        assert_eq!(allowed(&mut limit, now + Duration::from_secs(60)), BURST as usize);
    }
}
