//! This node as others should see it.

use parking_lot::RwLock;
use starling_chainspec::ForkId;
use starling_discovery::{Enode, Host, Record, RecordContent};
use starling_primitives::{NodeKey, PeerId};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Our ports, and what others say of our address. The one record of discv4, discv5 and everybody who asks is made here.
#[derive(Debug)]
pub struct LocalNode {
    key: NodeKey,
    listen: SocketAddr,
    udp_port: Option<u16>,
    /// Set by a flag or by the address we listen on: what others see does not count then.
    is_fixed: bool,
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    content: RecordContent,
    record: Record,
    seen: Seen,
}

/// Our UDP endpoints as others see them, if enough of them agree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Over IPv4.
    pub v4: Option<SocketAddr>,
    /// Over IPv6.
    pub v6: Option<SocketAddr>,
}

/// Where this node listens, before anybody said how it is seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    /// The one address that it listens on, or that an operator says it has.
    pub(crate) fixed: Option<IpAddr>,
    /// Whether it listens on IPv6 too.
    pub(crate) v6: bool,
    /// Where RLPx is taken.
    pub(crate) listen: SocketAddr,
    pub(crate) udp: Option<u16>,
}

impl LocalNode {
    /// `unix_ms` is the first sequence number of the record: a lost database never lets it fall.
    pub(crate) fn new(key: NodeKey, ports: Ports, fork_id: Option<ForkId>, unix_ms: u64) -> Self {
        let mut content = RecordContent { seq: unix_ms, fork_id, ..RecordContent::default() };
        let is_v6_only = ports.fixed.is_some_and(|ip| ip.is_ipv6());
        match ports.fixed {
            Some(IpAddr::V4(ip)) => content.ip4 = Some(ip),
            Some(IpAddr::V6(ip)) => content.ip6 = Some(ip),
            None => {}
        }
        // A boot node takes no connections and says so by naming no port for them.
        let tcp = Some(ports.listen.port()).filter(|port| *port != 0);
        if !is_v6_only {
            (content.tcp4, content.udp4) = (tcp, ports.udp);
        }
        if is_v6_only || ports.v6 {
            (content.tcp6, content.udp6) = (tcp, ports.udp);
        }
        let record = Record::sign(&key, &content);
        let state = RwLock::new(State { content, record, seen: Seen::default() });
        Self { key, listen: ports.listen, udp_port: ports.udp, is_fixed: ports.fixed.is_some(), state }
    }

    /// Who this node is.
    pub fn id(&self) -> PeerId {
        self.key.public()
    }

    /// Where it listens for RLPx.
    pub fn listen_addr(&self) -> SocketAddr {
        self.listen
    }

    /// The port for RLPx.
    pub fn tcp_port(&self) -> u16 {
        self.listen.port()
    }

    /// The port for discovery, none if there is no discovery.
    pub fn udp_port(&self) -> Option<u16> {
        self.udp_port
    }

    /// What this node says of itself now.
    pub fn record(&self) -> Record {
        self.state.read().record.clone()
    }

    /// The same as a URL; with this machine's own address as long as no other is known.
    pub fn enode(&self) -> Enode {
        let content = self.state.read().content;
        let ip = content.ip4.map(IpAddr::V4).or(content.ip6.map(IpAddr::V6));
        Enode {
            id: self.id(),
            host: Host::Ip(ip.unwrap_or(Ipv4Addr::LOCALHOST.into())),
            tcp: self.tcp_port(),
            udp: self.udp_port.unwrap_or(0),
        }
    }

    /// How others see us.
    pub fn seen(&self) -> Seen {
        self.state.read().seen
    }

    /// Others agree on where they see us; true if the record changed.
    pub(crate) fn set_seen(&self, seen: Seen) -> bool {
        self.state.write().seen = seen;
        !self.is_fixed
            && self.change(|content| {
                if let Some(SocketAddr::V4(v4)) = seen.v4 {
                    (content.ip4, content.udp4) = (Some(*v4.ip()), Some(v4.port()));
                }
                if let Some(SocketAddr::V6(v6)) = seen.v6
                    && content.udp6.is_some()
                {
                    (content.ip6, content.udp6) = (Some(*v6.ip()), Some(v6.port()));
                }
            })
    }

    /// Our chain passed a fork; true if the record changed.
    pub(crate) fn set_fork_id(&self, fork_id: ForkId) -> bool {
        self.change(|content| content.fork_id = Some(fork_id))
    }

    fn change(&self, change: impl FnOnce(&mut RecordContent)) -> bool {
        let mut state = self.state.write();
        let mut content = state.content;
        change(&mut content);
        let changed = content != state.content;
        if changed {
            content.seq += 1;
            state.content = content;
            state.record = Record::sign(&self.key, &content);
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use starling_chainspec::ForkHash;

    fn node(fixed: Option<&str>) -> LocalNode {
        let key = NodeKey::from_bytes(&[7; 32].into()).unwrap();
        let fixed = fixed.map(|ip| ip.parse().unwrap());
        LocalNode::new(
            key,
            Ports { fixed, v6: true, listen: "127.0.0.1:30303".parse().unwrap(), udp: Some(30304) },
            None,
            1000,
        )
    }

    #[test]
    fn the_record_follows_what_others_see_unless_it_is_fixed() {
        let seen = Seen { v4: Some("8.8.8.8:40000".parse().unwrap()), v6: None };
        let free = node(None);
        assert!(free.set_seen(seen) && !free.set_seen(seen));
        assert_eq!(free.record().udp4(), Some("8.8.8.8:40000".parse().unwrap()));
        assert_eq!(free.record().tcp4(), Some("8.8.8.8:30303".parse().unwrap()));
        assert_eq!(free.record().seq(), 1001);
        let fixed = node(Some("127.0.0.1"));
        assert!(!fixed.set_seen(seen));
        assert_eq!((fixed.seen(), fixed.record().udp4()), (seen, Some("127.0.0.1:30304".parse().unwrap())));
    }

    #[test]
    fn a_fork_makes_a_new_record() {
        let node = node(None);
        let fork = ForkId { hash: ForkHash([1, 2, 3, 4]), next: 5 };
        assert!(node.set_fork_id(fork) && !node.set_fork_id(fork));
        assert_eq!(node.record().fork_id(), Some(fork));
    }
}
