//! Limits of the set of peers, and why they are what they are.

use crate::Subnet;
use starling_primitives::PeerId;
use std::{net::IpAddr, time::Duration};

/// One in so many peers is dialed by us: geth's ratio, so that the network has room for those who cannot be dialed.
pub(crate) const DIAL_RATIO: usize = 3;
/// Connections with one neighbourhood of addresses (/24, /64), both ways. An attacker who owns one network must not
/// own all slots.
pub(crate) const SUBNET_CONNECTIONS_MAX: usize = 8;
/// Peers of one neighbourhood that we dial ourselves: fewer, since these are the slots that an attacker cannot fill by
/// knocking.
pub(crate) const SUBNET_DIALS_MAX: usize = 2;
/// Candidates that wait for a slot; more are not asked for.
pub(crate) const CANDIDATES_MAX: usize = 64;
/// Peers that an operator may name of each kind.
pub(crate) const NAMED_PEERS_MAX: usize = 1024;
/// Time without any peer after which boot nodes are dialed too.
pub(crate) const BOOT_AFTER: Duration = Duration::from_secs(20);
/// Two connections with one peer, opened by both at the same moment, live side by side for this long.
pub(crate) const DUPLICATE_HELD_TIME: Duration = Duration::from_secs(1);
/// A connection that is older was not opened at the same moment.
pub(crate) const DUPLICATE_AGE_MAX: Duration = Duration::from_secs(5);
/// A peer of another chain, or nobody where one should be, is not dialed again for this long.
pub(crate) const USELESS_PEER_WAIT: Duration = Duration::from_secs(60 * 60);
/// A peer that was rotated out is not dialed again for this long.
pub(crate) const ROTATED_PEER_WAIT: Duration = Duration::from_secs(10 * 60);
/// Rotation happens at a random moment of this range, in milliseconds.
pub(crate) const ROTATION_EVERY_MS: std::ops::Range<u64> = 3 * 60_000..7 * 60_000;
/// A peer is not rotated out before it had the time to be useful.
pub(crate) const ROTATION_AGE_MIN: Duration = Duration::from_secs(10 * 60);
/// Every so many dials of strangers are spent on a peer that was good before, long before strangers run out.
pub(crate) const KNOWN_DIAL_ONE_IN: u64 = 3;
/// What time made useless is cleared this often.
pub(crate) const PURGE_EVERY: Duration = Duration::from_secs(60);

/// What an operator decides.
#[derive(Debug, Clone)]
pub struct PeersConfig {
    /// This node.
    pub local_id: PeerId,
    /// Peers at most; static and trusted ones come on top.
    pub peers_max: usize,
    /// Dials at a time, and connections that shake hands at a time.
    pub pending_max: usize,
    /// Whether peers that nobody named are dialed.
    pub dials_strangers: bool,
    /// Networks that peers must be in; empty allows all.
    pub netrestrict: Vec<Subnet>,
}

impl PeersConfig {
    /// Slots for peers that we dial, of those that nobody named.
    pub fn outbound_max(&self) -> usize {
        if self.dials_strangers { (self.peers_max / DIAL_RATIO).max(1).min(self.peers_max) } else { 0 }
    }

    /// Slots for peers that dial us.
    pub fn inbound_max(&self) -> usize {
        self.peers_max - self.outbound_max()
    }

    pub(crate) fn allows(&self, ip: IpAddr) -> bool {
        self.netrestrict.is_empty() || self.netrestrict.iter().any(|subnet| subnet.contains(ip))
    }
}

impl Default for PeersConfig {
    fn default() -> Self {
        Self { local_id: PeerId::ZERO, peers_max: 50, pending_max: 50, dials_strangers: true, netrestrict: Vec::new() }
    }
}
