//! A lookup: the walk towards a key, asking ever nearer nodes for nearer ones.

use super::packet::Neighbor;
use crate::{Node, table::BUCKET_NODES};
use starling_primitives::{B256, PeerId, node_id};
use std::collections::BTreeMap;

/// Nodes asked at once: Kademlia's α.
const ASKED_AT_ONCE: usize = 3;
/// Nodes remembered. When full, the farthest that was not asked leaves.
const CANDIDATES_MAX: usize = 128;

/// Nodes asked in one walk. More would mean that someone makes up nearer and nearer nodes.
const ASKED_MAX: u16 = 96;

/// Names a lookup of one [`super::Discv4`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LookupId(pub(super) u64);

/// One walk. Who asks the nodes, and what silence is, is its owner's business.
#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) target: PeerId,
    target_hash: B256,
    own: PeerId,
    /// By distance from the target.
    candidates: BTreeMap<B256, Candidate>,
    asked: usize,
    asked_ever: u16,
}

#[derive(Debug)]
struct Candidate {
    node: Node,
    /// How many answers led here.
    hops: u8,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Asked,
    Answered,
    Silent,
}

impl Lookup {
    /// A walk that starts at nodes which are known already.
    pub(super) fn new(target: PeerId, own: PeerId, start: Vec<Node>) -> Self {
        let mut lookup =
            Self { target, target_hash: node_id(&target), own, candidates: BTreeMap::new(), asked: 0, asked_ever: 0 };
        start.into_iter().for_each(|node| lookup.add(node, 0));
        lookup
    }

    fn add(&mut self, node: Node, hops: u8) {
        if node.id == self.own || node.udp_addr().is_none() {
            return;
        }
        let distance = node.node_id() ^ self.target_hash;
        self.candidates.entry(distance).or_insert(Candidate { node, hops, state: State::New });
        if self.candidates.len() > CANDIDATES_MAX {
            let farthest = self.candidates.iter().rev().find(|(_, candidate)| candidate.state == State::New);
            farthest.map(|(distance, _)| *distance).map(|distance| self.candidates.remove(&distance));
        }
    }

    /// The next node to ask, which counts as asked; none while enough questions are under way.
    pub(super) fn next(&mut self) -> Option<Node> {
        if self.asked >= ASKED_AT_ONCE || self.asked_ever >= ASKED_MAX {
            return None;
        }
        let candidate = self.nearest_mut().find(|candidate| candidate.state == State::New)?;
        candidate.state = State::Asked;
        let node = candidate.node.clone();
        self.asked += 1;
        self.asked_ever += 1;
        Some(node)
    }

    /// A node that was asked named these.
    pub(super) fn answered(&mut self, id: &PeerId, nodes: impl IntoIterator<Item = Node>) {
        let Some(hops) = self.settle(id, State::Answered) else { return };
        nodes.into_iter().for_each(|node| self.add(node, hops.saturating_add(1)));
    }

    /// A node that was asked, or should have been, said nothing.
    pub(super) fn silent(&mut self, id: &PeerId) {
        self.settle(id, State::Silent);
    }

    fn settle(&mut self, id: &PeerId, state: State) -> Option<u8> {
        let candidate = self.candidates.get_mut(&(node_id(id) ^ self.target_hash))?;
        if candidate.state != State::Asked {
            return None;
        }
        candidate.state = state;
        self.asked -= 1;
        Some(candidate.hops)
    }

    /// Whether the nearest nodes have all been asked and have answered or not.
    pub(super) fn is_done(&mut self) -> bool {
        let none_left =
            self.asked_ever >= ASKED_MAX || self.nearest_mut().all(|candidate| candidate.state != State::New);
        none_left && self.asked == 0
    }

    fn nearest_mut(&mut self) -> impl Iterator<Item = &mut Candidate> {
        self.candidates.values_mut().filter(|candidate| candidate.state != State::Silent).take(BUCKET_NODES)
    }

    /// The nearest nodes that answered, the nearest first.
    pub(super) fn nearest(&self) -> Vec<Node> {
        let answered = self.candidates.values().filter(|candidate| candidate.state == State::Answered);
        answered.take(BUCKET_NODES).map(|candidate| candidate.node.clone()).collect()
    }

    /// How many answers led to the target, if anyone named it: 0 if it was known before.
    pub(super) fn hops_to_target(&self) -> Option<u8> {
        self.candidates.get(&B256::ZERO).map(|candidate| candidate.hops)
    }
}

impl Neighbor {
    pub(super) fn node(&self) -> Option<Node> {
        let Self { endpoint, id } = *self;
        Some(Node { id, ip: endpoint.ip?, udp: endpoint.udp, tcp: endpoint.tcp, record: None })
    }
}
