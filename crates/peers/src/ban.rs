//! Whom we do not talk to for a while.

use crate::{Subnet, expiring::Expiring, subnet::is_local};
use starling_primitives::PeerId;
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

/// How long a peer stays banned.
pub(crate) const BAN_TIME: Duration = Duration::from_secs(12 * 60 * 60);
/// How long an address stays banned: shorter, since addresses change hands.
pub(crate) const BAN_ADDRESS_TIME: Duration = Duration::from_secs(60 * 60);
/// Banned peers with one address within [`BAN_ADDRESS_TIME`] that get the address banned.
const BANS_PER_ADDRESS_MAX: u8 = 3;
/// Bans of each kind that are remembered; beyond, the one that ends soonest is lifted.
const BANS_MAX: usize = 4096;

/// Bans of peers and of addresses, with their ends.
///
/// Keys are cheap to make, so a liar comes back under another name from the same address: some bans of an address's
/// peers ban the address. An IPv6 address stands for its /64. Local addresses are never banned.
#[derive(Debug)]
pub(crate) struct Bans {
    peers: Expiring<PeerId, ()>,
    addresses: Expiring<Subnet, ()>,
    counts: Expiring<Subnet, u8>,
}

impl Bans {
    pub(crate) fn new() -> Self {
        Self { peers: Expiring::new(BANS_MAX), addresses: Expiring::new(BANS_MAX), counts: Expiring::new(BANS_MAX) }
    }

    /// Bans a peer, and its address if it is the source of several.
    pub(crate) fn ban(&mut self, peer: PeerId, ip: Option<IpAddr>, now: Instant) {
        self.peers.insert(peer, (), now + BAN_TIME);
        let Some(ip) = ip.filter(|ip| !is_local(*ip)) else { return };
        let address = address_of(ip);
        let count = self.counts.get(&address, now).copied().unwrap_or(0).saturating_add(1);
        self.counts.insert(address, count, now + BAN_ADDRESS_TIME);
        if count >= BANS_PER_ADDRESS_MAX {
            self.addresses.insert(address, (), now + BAN_ADDRESS_TIME);
        }
    }

    /// Lifts the ban of a peer: an operator wants it.
    pub(crate) fn lift(&mut self, peer: &PeerId) {
        self.peers.remove(peer);
    }

    pub(crate) fn holds_peer(&self, peer: &PeerId, now: Instant) -> bool {
        self.peers.get(peer, now).is_some()
    }

    pub(crate) fn holds_address(&self, ip: IpAddr, now: Instant) -> bool {
        self.addresses.get(&address_of(ip), now).is_some()
    }

    /// Banned peers with the ends of their bans.
    pub(crate) fn peers(&self, now: Instant) -> impl Iterator<Item = (PeerId, Instant)> {
        self.peers.iter(now).map(|(peer, (), until)| (*peer, until))
    }

    pub(crate) fn purge(&mut self, now: Instant) {
        self.peers.purge(now);
        self.addresses.purge(now);
        self.counts.purge(now);
    }
}

/// What an attacker cannot change at no cost: an IPv4 address, an IPv6 /64.
pub(crate) fn address_of(ip: IpAddr) -> Subnet {
    if ip.to_canonical().is_ipv4() { Subnet::of(ip, 32) } else { Subnet::neighbourhood(ip) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_several_banned_peers_is_banned_for_an_hour() {
        let check = |ip: &str, bans: u8, expect: bool| {
            let ip: IpAddr = ip.parse().unwrap();
            let (start, mut set) = (Instant::now(), Bans::new());
            for name in 0..bans {
                set.ban(PeerId::repeat_byte(name), Some(ip), start);
            }
            assert_eq!(set.holds_address(ip, start), expect, "{ip} after {bans}");
            assert!(!set.holds_address(ip, start + BAN_ADDRESS_TIME));
            assert_eq!(set.holds_peer(&PeerId::ZERO, start + BAN_ADDRESS_TIME), bans > 0);
            assert!(!set.holds_peer(&PeerId::ZERO, start + BAN_TIME));
        };
        check("8.8.8.8", 0, false);
        check("8.8.8.8", 2, false);
        check("8.8.8.8", 3, true);
        check("2001:db8::1", 3, true);
        check("127.0.0.1", 20, false);
        check("192.168.3.4", 20, false);
    }
}
