//! At which address others see us.
//!
//! Every Pong of discv4 and discv5 says where our Ping came from. One neighbourhood has one vote, its latest, because
//! addresses in one neighbourhood are cheap to own together.

use crate::address::{Subnet, is_lan};
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// How long a statement counts.
const WINDOW: Duration = Duration::from_secs(5 * 60);
/// From this many on, the most named endpoint wins if more than half name it.
const MANY: usize = 10;
/// With fewer than [`MANY`], all must agree, and be at least this many.
const FEW_MIN: usize = 2;
/// Voters remembered per address family. When full, the oldest statement makes room.
const VOTERS_MAX: usize = 256;

/// Statements of others about our endpoint, and what follows from them.
#[derive(Debug, Default)]
pub struct EndpointVotes {
    ip4: BTreeMap<Voter, Statement>,
    ip6: BTreeMap<Voter, Statement>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Voter {
    Stranger(Subnet),
    /// Nodes on one machine or one private network differ only by address and port.
    Neighbour(SocketAddr),
}

#[derive(Debug, Clone, Copy)]
struct Statement {
    seen: SocketAddr,
    at: Instant,
}

impl EndpointVotes {
    /// No statements yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// `voter` says that our packet came from `seen`.
    pub fn vote(&mut self, voter: SocketAddr, seen: SocketAddr, now: Instant) {
        let seen = SocketAddr::new(seen.ip().to_canonical(), seen.port());
        if seen.port() == 0 || seen.ip().is_unspecified() {
            return;
        }
        let voter_ip = voter.ip().to_canonical();
        // A node outside cannot see a private address of ours, it can only guess or lie; and the reverse.
        if is_lan(voter_ip) != is_lan(seen.ip()) {
            return;
        }
        let key = if is_lan(voter_ip) { Voter::Neighbour(voter) } else { Voter::Stranger(Subnet::of(voter_ip)) };
        let votes = match seen.ip() {
            IpAddr::V4(_) => &mut self.ip4,
            IpAddr::V6(_) => &mut self.ip6,
        };
        if votes.len() >= VOTERS_MAX && !votes.contains_key(&key) {
            let oldest = votes.iter().min_by_key(|(_, statement)| statement.at).map(|(key, _)| *key);
            oldest.map(|key| votes.remove(&key));
        }
        votes.insert(key, Statement { seen, at: now });
    }

    /// Our IPv4 endpoint of UDP as others see it, if they agree.
    pub fn endpoint4(&self, now: Instant) -> Option<SocketAddr> {
        agreed(&self.ip4, now)
    }

    /// Our IPv6 endpoint of UDP as others see it, if they agree.
    pub fn endpoint6(&self, now: Instant) -> Option<SocketAddr> {
        agreed(&self.ip6, now)
    }
}

fn agreed(votes: &BTreeMap<Voter, Statement>, now: Instant) -> Option<SocketAddr> {
    let mut counts: BTreeMap<SocketAddr, usize> = BTreeMap::new();
    for statement in votes.values().filter(|statement| now.saturating_duration_since(statement.at) < WINDOW) {
        *counts.entry(statement.seen).or_default() += 1;
    }
    let total: usize = counts.values().sum();
    let (endpoint, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    let wins = if total >= MANY { count * 2 > total } else { count == total && count >= FEW_MIN };
    wins.then_some(endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn how_many_must_agree() {
        let now = Instant::now();
        let check = |votes: &[(&str, &str)], expect: Option<&str>| {
            let mut all = EndpointVotes::new();
            for (voter, seen) in votes {
                all.vote(at(voter), at(seen), now);
            }
            assert_eq!(all.endpoint4(now), expect.map(at), "{votes:?}");
        };
        let us = "9.9.9.9:30303";
        check(&[("1.1.1.1:1", us)], None);
        check(&[("1.1.1.1:1", us), ("1.1.2.1:1", us)], Some(us));
        check(&[("1.1.1.1:1", us), ("1.1.1.2:1", us)], None);
        check(&[("1.1.1.1:1", us), ("1.1.2.1:1", "9.9.9.9:4")], None);
        // nobody outside sees a private address, nobody inside a public one
        check(&[("1.1.1.1:1", "10.0.0.1:1"), ("1.1.2.1:1", "10.0.0.1:1")], None);
        check(&[("10.0.0.2:1", us), ("10.0.0.3:1", us)], None);
        check(&[("127.0.0.1:1", "127.0.0.1:9"), ("127.0.0.1:2", "127.0.0.1:9")], Some("127.0.0.1:9"));
    }

    #[test]
    fn a_crowd_needs_a_majority_of_neighbourhoods() {
        let now = Instant::now();
        let mut votes = EndpointVotes::new();
        for net in 0..8 {
            votes.vote(at(&format!("1.1.{net}.1:1")), at("9.9.9.9:30303"), now);
        }
        for host in 0..200 {
            votes.vote(at(&format!("2.2.2.{host}:1")), at("6.6.6.6:666"), now);
        }
        votes.vote(at("2.2.3.1:1"), at("6.6.6.6:666"), now);
        assert_eq!(votes.endpoint4(now), Some(at("9.9.9.9:30303")));
        assert_eq!(votes.endpoint6(now), None);
        assert_eq!(votes.endpoint4(now + WINDOW), None);
    }

    #[test]
    fn voters_are_bounded() {
        let now = Instant::now();
        let mut votes = EndpointVotes::new();
        for net in 0..2 * VOTERS_MAX as u32 {
            let voter = IpAddr::from((0x0101_0101 + (net << 8)).to_be_bytes());
            votes.vote(SocketAddr::new(voter, 1), at("9.9.9.9:1"), now + Duration::from_millis(net.into()));
        }
        assert_eq!(votes.ip4.len(), VOTERS_MAX);
    }
}
