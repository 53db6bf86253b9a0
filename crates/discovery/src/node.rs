//! A node as discovery knows it.

use crate::{Enode, Host, InvalidEnode, InvalidRecord, Record};
use starling_primitives::{B256, PeerId, node_id};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

/// A node and where it was found. Which chain it follows stands in its record, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its public key.
    pub id: PeerId,
    /// Its address, IPv4 never mapped into IPv6.
    pub ip: IpAddr,
    /// Discovery port; 0 if not known.
    pub udp: u16,
    /// RLPx port; 0 if it takes no connections.
    pub tcp: u16,
    /// What it says about itself, if it was asked.
    pub record: Option<Record>,
}

/// What people and files write for a node: an enode URL or a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeUrl {
    /// `enode://…`
    Enode(Enode),
    /// `enr:…`
    Record(Record),
}

/// Text is neither an enode URL nor a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNodeUrl {
    /// It begins like a record.
    #[error(transparent)]
    Record(#[from] InvalidRecord),
    /// It begins otherwise.
    #[error(transparent)]
    Enode(#[from] InvalidEnode),
}

impl Node {
    /// The node of a record at its IPv4 address, or IPv6 if it has no other; none if it gives no address.
    pub fn from_record(record: Record) -> Option<Self> {
        let (udp4, tcp4) = (record.udp4().map(SocketAddr::V4), record.tcp4().map(SocketAddr::V4));
        let (udp6, tcp6) = (record.udp6().map(SocketAddr::V6), record.tcp6().map(SocketAddr::V6));
        let (udp, tcp) = if udp4.or(tcp4).is_some() { (udp4, tcp4) } else { (udp6, tcp6) };
        Some(Self {
            id: record.id(),
            ip: udp.or(tcp)?.ip().to_canonical(),
            udp: udp.map_or(0, |udp| udp.port()),
            tcp: tcp.map_or(0, |tcp| tcp.port()),
            record: Some(record),
        })
    }

    /// The node of an enode URL; none if its host is a name, which must be resolved first ([`Self::at`]).
    pub fn from_enode(enode: &Enode) -> Option<Self> {
        match enode.host {
            Host::Ip(ip) => Some(Self::at(enode, ip)),
            Host::Dns(_) => None,
        }
    }

    /// The node of an enode URL whose host is at that address.
    pub fn at(enode: &Enode, ip: IpAddr) -> Self {
        Self { id: enode.id, ip: ip.to_canonical(), udp: enode.udp, tcp: enode.tcp, record: None }
    }

    /// keccak of its key: its place in the tables.
    pub fn node_id(&self) -> B256 {
        node_id(&self.id)
    }

    /// Where it takes discovery packets.
    pub fn udp_addr(&self) -> Option<SocketAddr> {
        (self.udp != 0).then(|| SocketAddr::new(self.ip, self.udp))
    }

    /// Where it takes RLPx connections.
    pub fn tcp_addr(&self) -> Option<SocketAddr> {
        (self.tcp != 0).then(|| SocketAddr::new(self.ip, self.tcp))
    }

    /// Its URL.
    pub fn enode(&self) -> Enode {
        Enode { id: self.id, host: Host::Ip(self.ip), tcp: self.tcp, udp: self.udp }
    }

    /// Takes a record of the same node if it is newer, and its RLPx port if it is given for the same address.
    /// The address stays: it is proven, the record's is claimed.
    pub fn update(&mut self, record: Record) {
        if record.id() != self.id || self.record.as_ref().is_some_and(|old| old.seq() >= record.seq()) {
            return;
        }
        let claimed = match self.ip {
            IpAddr::V4(_) => record.tcp4().map(SocketAddr::V4),
            IpAddr::V6(_) => record.tcp6().map(SocketAddr::V6),
        };
        if let Some(claimed) = claimed.filter(|claimed| claimed.ip() == self.ip) {
            self.tcp = claimed.port();
        }
        self.record = Some(record);
    }
}

impl NodeUrl {
    /// Whose it is.
    pub fn id(&self) -> PeerId {
        match self {
            Self::Enode(enode) => enode.id,
            Self::Record(record) => record.id(),
        }
    }

    /// The node, unless a name must be resolved or the record gives no address.
    pub fn node(&self) -> Option<Node> {
        match self {
            Self::Enode(enode) => Node::from_enode(enode),
            Self::Record(record) => Node::from_record(record.clone()),
        }
    }
}

impl FromStr for NodeUrl {
    type Err = InvalidNodeUrl;

    fn from_str(text: &str) -> Result<Self, InvalidNodeUrl> {
        if text.trim_start().starts_with("enr:") {
            Ok(Self::Record(text.parse()?))
        } else {
            Ok(Self::Enode(text.parse()?))
        }
    }
}

impl fmt::Display for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enode(enode) => enode.fmt(f),
            Self::Record(record) => record.fmt(f),
        }
    }
}
