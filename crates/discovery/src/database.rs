//! Nodes that were met before, so that a restart does not begin at the boot nodes.
//!
//! The database is a value; whoever owns the file reads and writes it. Times are seconds since 1970, because they must
//! mean something after a restart.

use crate::{Enode, Node, Record};
use rand::{Rng, seq::IteratorRandom};
use serde::{Deserialize, Serialize};
use starling_primitives::PeerId;
use std::collections::BTreeMap;

/// Nodes kept. When full, the least promising leaves: never connected, then most failures, then longest unseen.
pub const DATABASE_NODES_MAX: usize = 4096;
/// Longest file that is read, in bytes: some four times what [`DATABASE_NODES_MAX`] nodes need.
pub const DATABASE_BYTES_MAX: usize = 16 << 20;
/// A node that was not seen for so long is forgotten.
const FORGET_AFTER_SECS: u64 = 5 * 86_400;
/// So long for a node that was once a peer: most come back.
const FORGET_PEER_AFTER_SECS: u64 = 30 * 86_400;
/// Failed dials in a row after which a node that never was a peer is forgotten.
const FAILURES_MAX: u32 = 5;
const VERSION: u32 = 1;

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct NodeDb {
    nodes: BTreeMap<PeerId, KnownNode>,
    changed: bool,
}

/// A node and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownNode {
    /// Where it was last.
    pub node: Node,
    /// When it last answered anything.
    pub last_seen_secs: u64,
    /// When it last was a peer.
    pub last_connected_secs: Option<u64>,
    /// Dials that failed since.
    pub failures: u32,
}

/// The file is no node database. It may be thrown away: all it costs is a slower start.
#[derive(Debug, thiserror::Error)]
pub enum InvalidDatabase {
    /// Longer than [`DATABASE_BYTES_MAX`].
    #[error("the node database is longer than {DATABASE_BYTES_MAX} bytes")]
    TooLong,
    /// Not the JSON it should be.
    #[error("the node database is not readable: {0}")]
    Text(#[from] serde_json::Error),
    /// Written by a later program.
    #[error("the node database has version {0}, this program knows {VERSION}")]
    Version(u32),
}

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    nodes: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    enode: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enr: Option<String>,
    last_seen: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_connected: Option<u64>,
    #[serde(default)]
    failures: u32,
}

impl NodeDb {
    /// Knows nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads what [`Self::to_json`] wrote. Rows that make no sense are left out.
    pub fn from_json(text: &str) -> Result<Self, InvalidDatabase> {
        if text.len() > DATABASE_BYTES_MAX {
            return Err(InvalidDatabase::TooLong);
        }
        let file: File = serde_json::from_str(text)?;
        if file.version != VERSION {
            return Err(InvalidDatabase::Version(file.version));
        }
        let known = file.nodes.iter().filter_map(Row::read).take(DATABASE_NODES_MAX);
        Ok(Self { nodes: known.map(|known| (known.node.id, known)).collect(), changed: false })
    }

    /// The text of the file, one node a line, so that people can read and cut it.
    pub fn to_json(&self) -> String {
        let rows: Vec<String> =
            self.nodes.values().filter_map(|known| serde_json::to_string(&Row::write(known)).ok()).collect();
        format!("{{\"version\":{VERSION},\"nodes\":[\n{}\n]}}\n", rows.join(",\n"))
    }

    /// Whether anything changed since the last call: whether the file is worth writing.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// A node answered.
    pub fn found(&mut self, node: &Node, now_secs: u64) {
        self.changed = true;
        if let Some(known) = self.nodes.get_mut(&node.id) {
            let record = known.node.record.take();
            known.node = node.clone();
            record.into_iter().for_each(|record| known.node.update(record));
            known.last_seen_secs = now_secs;
            return;
        }
        if self.nodes.len() >= DATABASE_NODES_MAX {
            self.remove_least_promising();
        }
        let known = KnownNode { node: node.clone(), last_seen_secs: now_secs, last_connected_secs: None, failures: 0 };
        self.nodes.insert(node.id, known);
    }

    /// A node has become a peer: it is on our chain and takes connections, or makes them.
    pub fn connected(&mut self, id: &PeerId, now_secs: u64) {
        if let Some(known) = self.nodes.get_mut(id) {
            self.changed = true;
            known.last_seen_secs = now_secs;
            known.last_connected_secs = Some(now_secs);
            known.failures = 0;
        }
    }

    /// A dial failed, or the node was of no use.
    pub fn failed(&mut self, id: &PeerId) {
        let Some(known) = self.nodes.get_mut(id) else { return };
        self.changed = true;
        known.failures = known.failures.saturating_add(1);
        if known.failures >= FAILURES_MAX && known.last_connected_secs.is_none() {
            self.nodes.remove(id);
        }
    }

    /// Forgets nodes that were not seen for long.
    pub fn expire(&mut self, now_secs: u64) {
        let before = self.nodes.len();
        self.nodes.retain(|_, known| {
            let life = if known.last_connected_secs.is_some() { FORGET_PEER_AFTER_SECS } else { FORGET_AFTER_SECS };
            now_secs.saturating_sub(known.last_seen_secs) < life
        });
        self.changed |= self.nodes.len() != before;
    }

    /// Random nodes to greet at a start, at most `count`.
    pub fn seeds(&self, count: usize, rng: &mut impl Rng) -> Vec<Node> {
        let reachable = self.nodes.values().filter(|known| known.node.udp_addr().is_some());
        reachable.sample(rng, count).into_iter().map(|known| known.node.clone()).collect()
    }

    /// Nodes that have been peers, the latest first, at most `count`: dialed before anyone new, so that a node never
    /// runs dry.
    pub fn former_peers(&self, count: usize) -> Vec<Node> {
        let mut former: Vec<&KnownNode> =
            self.nodes.values().filter(|known| known.last_connected_secs.is_some() && known.node.tcp != 0).collect();
        former.sort_by_key(|known| (known.failures, std::cmp::Reverse(known.last_connected_secs)));
        former.into_iter().take(count).map(|known| known.node.clone()).collect()
    }

    /// A node by its key.
    pub fn get(&self, id: &PeerId) -> Option<&KnownNode> {
        self.nodes.get(id)
    }

    /// How many nodes are known.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    fn remove_least_promising(&mut self) {
        let rank = |known: &KnownNode| {
            (known.last_connected_secs.is_none(), known.failures, std::cmp::Reverse(known.last_seen_secs))
        };
        let worst = self.nodes.iter().max_by_key(|(_, known)| rank(known)).map(|(id, _)| *id);
        worst.map(|id| self.nodes.remove(&id));
    }
}

impl Row {
    fn read(&self) -> Option<KnownNode> {
        let mut node = Node::from_enode(&self.enode.parse::<Enode>().ok()?)?;
        if let Some(record) = self.enr.as_ref().and_then(|text| text.parse::<Record>().ok()) {
            node.update(record);
        }
        Some(KnownNode {
            node,
            last_seen_secs: self.last_seen,
            last_connected_secs: self.last_connected,
            failures: self.failures,
        })
    }

    fn write(known: &KnownNode) -> Self {
        Self {
            enode: known.node.enode().to_string(),
            enr: known.node.record.as_ref().map(Record::to_string),
            last_seen: known.last_seen_secs,
            last_connected: known.last_connected_secs,
            failures: known.failures,
        }
    }
}
