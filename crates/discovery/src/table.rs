//! The table of nodes near and far: Kademlia's buckets, by the distance of keccak hashes of keys.
//!
//! ```text
//! bucket 0         1         2         …         16
//!        far ◄──── half of all ids, then a quarter, … ────► near
//! ```
//!
//! A node enters when it has answered a Ping, so every node here is one that was alive. From then on it is checked: a
//! new one soon, a proven one seldom. A node that stops answering gives its place to the newest of its bucket's waiting
//! list. Neighbourhoods are limited, so that who owns one network does not own the table.

use crate::{
    Node,
    address::{Subnet, is_lan},
};
use rand::{Rng, RngExt};
use starling_primitives::{B256, PeerId};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Nodes in a bucket, and in an answer: Kademlia's k.
pub const BUCKET_NODES: usize = 16;
/// Nodes that wait for a place in a bucket. When full, the one that waits longest leaves.
const WAITING_MAX: usize = 10;
/// Buckets: one for each distance from 256 down to 241 bits, and the last for everything nearer, where a network would
/// need a million nodes to put more than one bucket's worth.
const BUCKETS: usize = 17;
/// Nodes of one neighbourhood in one bucket, with its waiting list.
const SUBNET_BUCKET_MAX: usize = 2;
/// Nodes of one neighbourhood in the whole table, with the waiting lists.
const SUBNET_TABLE_MAX: usize = 10;
/// FindNode queries that a node may leave unanswered one after the other.
const QUERY_FAILURES_MAX: u8 = 5;
/// A node is not checked again so soon after it answered.
const CHECK_AFTER: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub struct Table {
    own: B256,
    buckets: [Bucket; BUCKETS],
}

#[derive(Debug, Default)]
struct Bucket {
    nodes: Vec<Entry>,
    waiting: VecDeque<Entry>,
}

#[derive(Debug)]
struct Entry {
    node: Node,
    hash: B256,
    /// Answered checks, divided by three at each that was not; at zero the node leaves.
    checks: u32,
    /// Whether it answered the last check, and there was one.
    proven: bool,
    query_failures: u8,
    answered: Instant,
}

/// Which nodes a check is chosen from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Nodes that have answered only the Ping that brought them here, or failed to answer the last one.
    New,
    /// Nodes that answered the last check.
    Proven,
}

impl Table {
    /// An empty table around the node with that hash.
    pub fn new(own: B256) -> Self {
        Self { own, buckets: Default::default() }
    }

    /// A node has answered a Ping. It enters, waits, or is refused for its neighbourhood; if it is here already, it is
    /// moved to the address it answered from. True if it is in a bucket now.
    pub fn answered(&mut self, node: Node, now: Instant) -> bool {
        let hash = node.node_id();
        if hash == self.own {
            return false;
        }
        let index = self.index(hash);
        if let Some(at) = self.buckets[index].nodes.iter().position(|entry| entry.hash == hash) {
            return self.answered_again(index, at, node, now);
        }
        self.buckets[index].waiting.retain(|entry| entry.hash != hash);
        if !self.has_room_for_subnet(index, &node) {
            return false;
        }
        let entry = Entry { node, hash, checks: 1, proven: false, query_failures: 0, answered: now };
        let bucket = &mut self.buckets[index];
        if bucket.nodes.len() < BUCKET_NODES {
            bucket.nodes.push(entry);
            return true;
        }
        if bucket.waiting.len() == WAITING_MAX {
            bucket.waiting.pop_front();
        }
        bucket.waiting.push_back(entry);
        false
    }

    fn answered_again(&mut self, index: usize, at: usize, mut node: Node, now: Instant) -> bool {
        let old = &self.buckets[index].nodes[at].node;
        let moved = (old.ip, old.udp) != (node.ip, node.udp);
        if moved && Subnet::of(old.ip) != Subnet::of(node.ip) && !self.has_room_for_subnet(index, &node) {
            // It stays where it was until it fails there.
            return true;
        }
        let entry = &mut self.buckets[index].nodes[at];
        if let (None, Some(record)) = (&node.record, &entry.node.record) {
            node.update(record.clone());
        }
        entry.node = node;
        entry.answered = now;
        entry.proven &= !moved;
        entry.checks = if moved { 1 } else { entry.checks.saturating_add(1) };
        true
    }

    fn has_room_for_subnet(&self, index: usize, node: &Node) -> bool {
        if is_lan(node.ip) {
            return true;
        }
        let subnet = Subnet::of(node.ip);
        let count = |bucket: &Bucket| {
            bucket.nodes.iter().chain(&bucket.waiting).filter(|entry| Subnet::of(entry.node.ip) == subnet).count()
        };
        count(&self.buckets[index]) < SUBNET_BUCKET_MAX
            && self.buckets.iter().map(count).sum::<usize>() < SUBNET_TABLE_MAX
    }

    /// A check of a node was answered (after [`Self::answered`]).
    pub fn check_passed(&mut self, id: &PeerId) {
        if let Some(entry) = self.entry_mut(id) {
            entry.proven = true;
        }
    }

    /// A node did not answer a Ping.
    pub fn check_failed(&mut self, id: &PeerId) {
        if let Some(entry) = self.entry_mut(id) {
            entry.checks /= 3;
            // Doubtful now: looked at again as soon as a new one.
            entry.proven = false;
            if entry.checks == 0 {
                self.remove(id);
            }
        }
    }

    /// A node answered FindNode.
    pub fn query_answered(&mut self, id: &PeerId) {
        if let Some(entry) = self.entry_mut(id) {
            entry.query_failures = 0;
        }
    }

    /// A node did not answer FindNode. One that answers only Pings is of no use; but while its bucket is less than half
    /// full it may stay, as a bad network makes all look so.
    pub fn query_failed(&mut self, id: &PeerId) {
        let index = self.index(starling_primitives::node_id(id));
        let enough = self.buckets[index].nodes.len() >= BUCKET_NODES / 2;
        if let Some(entry) = self.entry_mut(id) {
            entry.query_failures = entry.query_failures.saturating_add(1);
            if entry.query_failures >= QUERY_FAILURES_MAX && enough {
                self.remove(id);
            }
        }
    }

    /// Takes a newer record of a node.
    pub fn update(&mut self, record: &crate::Record) {
        if let Some(entry) = self.entry_mut(&record.id()) {
            entry.node.update(record.clone());
        }
    }

    /// A random node that should be asked whether it is still there.
    pub fn next_check(&self, check: Check, now: Instant, rng: &mut impl Rng) -> Option<&Node> {
        let due: Vec<&Entry> = self
            .entries()
            .filter(|entry| entry.proven == (check == Check::Proven))
            .filter(|entry| now.saturating_duration_since(entry.answered) >= CHECK_AFTER)
            .collect();
        (!due.is_empty()).then(|| &due[rng.random_range(0..due.len())].node)
    }

    /// The nodes nearest to a hash, the nearest first.
    pub fn nearest(&self, target: B256, count: usize) -> Vec<&Node> {
        let mut entries: Vec<&Entry> = self.entries().collect();
        entries.sort_by_key(|entry| entry.hash ^ target);
        entries.truncate(count);
        entries.into_iter().map(|entry| &entry.node).collect()
    }

    /// A node by its key.
    pub fn get(&self, id: &PeerId) -> Option<&Node> {
        let hash = starling_primitives::node_id(id);
        self.buckets[self.index(hash)].nodes.iter().find(|entry| entry.hash == hash).map(|entry| &entry.node)
    }

    /// Every node, waiting ones not counted.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.entries().map(|entry| &entry.node)
    }

    /// How many nodes there are; at most 272.
    pub fn len(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.nodes.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.buckets.iter().flat_map(|bucket| &bucket.nodes)
    }

    fn entry_mut(&mut self, id: &PeerId) -> Option<&mut Entry> {
        let hash = starling_primitives::node_id(id);
        let index = self.index(hash);
        self.buckets[index].nodes.iter_mut().find(|entry| entry.hash == hash)
    }

    fn remove(&mut self, id: &PeerId) {
        let hash = starling_primitives::node_id(id);
        let index = self.index(hash);
        let bucket = &mut self.buckets[index];
        bucket.nodes.retain(|entry| entry.hash != hash);
        if bucket.nodes.len() < BUCKET_NODES {
            bucket.nodes.extend(bucket.waiting.pop_back());
        }
    }

    fn index(&self, hash: B256) -> usize {
        (256 - distance(self.own, hash)).min(BUCKETS - 1)
    }
}

/// The length in bits of the exclusive or of two hashes; 0 if equal.
pub fn distance(a: B256, b: B256) -> usize {
    let zeros = (a ^ b).iter().position(|byte| *byte != 0).map(|at| at * 8 + (a[at] ^ b[at]).leading_zeros() as usize);
    zeros.map_or(0, |zeros| 256 - zeros)
}

#[cfg(test)]
mod tests;
