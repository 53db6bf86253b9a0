//! A world of strangers around one set of peers, in virtual time.

#![allow(dead_code, unreachable_pub)]

use starling_discovery::{Enode, Host};
use starling_peers::{ConnectionId, DropReason, KnownPeer, PeerAction, PeerEvent, Peers, PeersConfig};
use starling_primitives::PeerId;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// What a node does when it is dialed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Answers,
    Silent,
    OtherChain,
    Full,
}

pub struct World {
    pub peers: Peers,
    pub start: Instant,
    pub now: Instant,
    pub nodes: BTreeMap<PeerId, (SocketAddr, Manner)>,
    /// Connections that stand, with their peers.
    pub open: BTreeMap<ConnectionId, Option<PeerId>>,
    /// Everything that was decided, with the second it was decided in.
    pub log: Vec<(u64, PeerAction)>,
    /// Who is found when candidates are wanted, over and over.
    pub found: Vec<PeerId>,
    next_found: usize,
}

pub fn name(number: u16) -> PeerId {
    let mut id = PeerId::ZERO;
    id[..2].copy_from_slice(&number.to_be_bytes());
    id[63] = 1;
    id
}

pub fn local() -> PeerId {
    PeerId::repeat_byte(0x77)
}

pub fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Public addresses, each of its own neighbourhood.
pub fn far(number: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    SocketAddr::from(([50, high, low, 1], 30303))
}

pub fn config(peers_max: usize) -> PeersConfig {
    PeersConfig { local_id: local(), peers_max, ..PeersConfig::default() }
}

impl World {
    pub fn new(config: PeersConfig, seed: u64) -> Self {
        Self::with(config, vec![], vec![], seed)
    }

    pub fn with(config: PeersConfig, boot: Vec<KnownPeer>, known: Vec<KnownPeer>, seed: u64) -> Self {
        let start = Instant::now();
        Self {
            peers: Peers::new(config, boot, known, seed, start),
            start,
            now: start,
            nodes: BTreeMap::new(),
            open: BTreeMap::new(),
            log: Vec::new(),
            found: Vec::new(),
            next_found: 0,
        }
    }

    pub fn node(&mut self, number: u16, manner: Manner) -> PeerId {
        self.nodes.insert(name(number), (far(number), manner));
        name(number)
    }

    pub fn seconds(&self) -> u64 {
        (self.now - self.start).as_secs()
    }

    pub fn tell(&mut self, event: PeerEvent) {
        self.peers.handle(event, self.now);
        self.settle();
    }

    /// Someone knocks and, if let in, says who it is.
    pub fn knock(&mut self, from: SocketAddr, id: PeerId) -> ConnectionId {
        let connection = self.peers.next_connection();
        self.open.insert(connection, Some(id));
        self.tell(PeerEvent::Incoming { connection, from });
        connection
    }

    /// Lets time pass; strangers do as they do.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.settle();
        loop {
            let deadline = self.peers.next_deadline(self.now).expect("not stopped");
            if deadline > end {
                self.now = end;
                return;
            }
            // A deadline in the past would be a busy loop.
            self.now = deadline.max(self.now + Duration::from_millis(1));
            self.peers.handle_deadline(self.now);
            self.settle();
        }
    }

    fn settle(&mut self) {
        loop {
            while let Some(action) = self.peers.poll() {
                self.log.push((self.seconds(), action.clone()));
                self.answer(action);
            }
            if self.peers.candidates_wanted() == 0 || self.next_found >= self.found.len() {
                return;
            }
            let id = self.found[self.next_found];
            self.next_found += 1;
            let addr = self.nodes[&id].0;
            self.peers.handle(PeerEvent::Candidate { id, addr }, self.now);
        }
    }

    fn answer(&mut self, action: PeerAction) {
        let now = self.now;
        match action {
            PeerAction::Dial { connection, id, addr } => {
                assert!(self.open.insert(connection, Some(id)).is_none(), "connection ids are used once");
                match self.nodes.get(&id).filter(|(at, _)| *at == addr).map(|(_, manner)| *manner) {
                    Some(Manner::Answers) => self.peers.handle(PeerEvent::Identified { connection, id }, now),
                    Some(Manner::OtherChain) => self.close(connection, DropReason::WrongGenesis),
                    Some(Manner::Full) => {
                        self.close(connection, DropReason::Remote(starling_devp2p::DisconnectReason::TooManyPeers));
                    }
                    Some(Manner::Silent) | None => self.close(connection, DropReason::Unreachable),
                }
            }
            PeerAction::Resolve { id, .. } => {
                let ips = self.nodes.get(&id).map(|(addr, _)| addr.ip()).into_iter().collect();
                self.peers.handle(PeerEvent::Resolved { id, ips }, now);
            }
            PeerAction::Admit { connection } => {
                if let Some(id) = self.open[&connection] {
                    self.peers.handle(PeerEvent::Identified { connection, id }, now);
                }
            }
            PeerAction::Keep { connection } => self.peers.handle(PeerEvent::Ready { connection }, now),
            PeerAction::Drop { connection, reason } => self.close(connection, reason),
        }
    }

    pub fn close(&mut self, connection: ConnectionId, reason: DropReason) {
        assert!(self.open.remove(&connection).is_some(), "{connection:?} ends twice or never began");
        self.peers.handle(PeerEvent::Closed { connection, reason }, self.now);
    }

    /// The network goes down: every connection is lost.
    pub fn lose_all(&mut self) {
        for connection in self.open.keys().copied().collect::<Vec<_>>() {
            self.close(connection, DropReason::ConnectionLost);
        }
        self.settle();
    }

    pub fn drops(&self, reason: DropReason) -> u64 {
        self.peers.drops().counts().find(|(other, _)| *other == reason).map_or(0, |(_, count)| count)
    }

    pub fn dials_of(&self, id: PeerId) -> Vec<u64> {
        let of = |action: &PeerAction| matches!(action, PeerAction::Dial { id: other, .. } if *other == id);
        self.log.iter().filter(|(_, action)| of(action)).map(|(second, _)| *second).collect()
    }
}

pub fn enode(id: PeerId, addr: SocketAddr) -> Enode {
    Enode { id, host: Host::Ip(addr.ip()), tcp: addr.port(), udp: addr.port() }
}

pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3600);
