//! How often one address may knock.

use crate::{Subnet, ban::address_of, expiring::Expiring, subnet::is_local};
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

/// Time between two connections from one address.
pub(crate) const INBOUND_EVERY: Duration = Duration::from_secs(30);
/// Addresses that are remembered; beyond, the oldest is forgotten and may knock again early.
const ADDRESSES_MAX: usize = 16_384;

/// Lets one connection an address through in [`INBOUND_EVERY`]. Local addresses are not counted.
#[derive(Debug)]
pub(crate) struct Throttle {
    recent: Expiring<Subnet, ()>,
}

impl Throttle {
    pub(crate) fn new() -> Self {
        Self { recent: Expiring::new(ADDRESSES_MAX) }
    }

    /// Whether a connection may come in now. Attempts that are refused do not extend the wait.
    pub(crate) fn admits(&mut self, ip: IpAddr, now: Instant) -> bool {
        if is_local(ip) {
            return true;
        }
        self.recent.purge(now);
        let address = address_of(ip);
        let admitted = self.recent.get(&address, now).is_none();
        if admitted {
            self.recent.insert(address, (), now + INBOUND_EVERY);
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_connection_an_address() {
        let (start, mut throttle) = (Instant::now(), Throttle::new());
        let mut check = |ip: &str, seconds: u64, expect: bool| {
            let at = start + Duration::from_secs(seconds);
            assert_eq!(throttle.admits(ip.parse().unwrap(), at), expect, "{ip} at {seconds}");
        };
        check("8.8.8.8", 0, true);
        check("8.8.8.8", 29, false);
        check("8.8.8.9", 29, true);
        check("8.8.8.8", 30, true);
        check("127.0.0.1", 31, true);
        check("127.0.0.1", 31, true);
        check("2001:db8::1", 31, true);
        check("2001:db8::2", 31, false);
    }
}
