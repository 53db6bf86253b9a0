//! The tree of layers above the frontier, published by one atomic swap of a [`Snapshot`].
//!
//! ```text
//! frontier F ◄─ a ◄─ b ◄─ c ◄─ d       each block: its own span, and merged spans that end with it
//!               ▲         └─ c' (side branch)
//!               spans at heights divisible by 4, 16, 64, 256 reach that many blocks back
//! ```
//!
//! A lookup hops from span to span, always the longest that does not reach to the frontier: at most three of each
//! length going down from the head, and as many coming in at the frontier.

use crate::{
    HeadRecord,
    generation::Generation,
    layers::{Layer, Span},
};
use alloy_primitives::map::B256Map;
use starling_primitives::{B256, BlockRef};
use std::sync::Arc;

/// Lengths of merged spans, in blocks.
const SPAN_LENGTHS: [u64; 4] = [4, 16, 64, 256];

/// Everything that readers see, captured as one value.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// The tables as of the frontier.
    pub(crate) generation: Arc<Generation>,
    /// The last head record.
    pub(crate) head: HeadRecord,
    /// The layers above it, by block hash.
    nodes: B256Map<Arc<Node>>,
    /// What the nodes amount to, kept along: it is asked for at every append.
    usage: Usage,
}

/// A block's place in the tree.
#[derive(Debug)]
struct Node {
    /// Spans that end with this block, shortest first; the first is the block's own.
    spans: Vec<Arc<Span>>,
}

/// What the layers amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Usage {
    /// Blocks.
    pub(crate) layers: usize,
    /// Accounts and slots changed, summed over blocks.
    pub(crate) changed_keys: usize,
    /// Bytes of their journal records.
    pub(crate) journal_bytes: u64,
    /// Bytes of memory.
    pub(crate) memory_bytes: u64,
    /// Blocks whose branch rows are in memory.
    pub(crate) branch_layers: usize,
}

impl Usage {
    fn add(&mut self, node: &Node) {
        let layer = node.layer();
        self.layers += 1;
        self.changed_keys += layer.changed_keys;
        self.branch_layers += usize::from(layer.holds_branches());
        self.journal_bytes += layer.record_size_bytes;
        let spans: usize = node.spans.iter().map(|span| span.memory_bytes()).sum();
        self.memory_bytes += (layer.memory_bytes() + spans) as u64;
    }

    fn of<'a>(nodes: impl IntoIterator<Item = &'a Arc<Node>>) -> Self {
        let mut usage = Self::default();
        nodes.into_iter().for_each(|node| usage.add(node));
        usage
    }
}

impl Node {
    fn layer(&self) -> &Arc<Layer> {
        self.spans[0].newest()
    }
}

impl Snapshot {
    /// No layers.
    pub(crate) fn new(generation: Arc<Generation>, head: HeadRecord) -> Self {
        Self { generation, head, nodes: B256Map::default(), usage: Usage::default() }
    }

    pub(crate) fn frontier(&self) -> BlockRef {
        self.generation.frontier
    }

    /// A block's layer.
    pub(crate) fn layer(&self, hash: &B256) -> Option<&Arc<Layer>> {
        self.nodes.get(hash).map(|node| node.layer())
    }

    /// All layers, in no order.
    pub(crate) fn layers(&self) -> impl Iterator<Item = &Arc<Layer>> {
        self.nodes.values().map(|node| node.layer())
    }

    /// The same tree with another head.
    pub(crate) fn with_head(&self, head: HeadRecord) -> Self {
        Self { head, ..self.clone() }
    }

    pub(crate) fn layer_count(&self) -> usize {
        self.nodes.len()
    }

    /// The layers that stand on a block, however high; in no order.
    pub(crate) fn standing_on(&self, block: BlockRef) -> impl Iterator<Item = &Arc<Layer>> {
        let mut standing = B256Map::default();
        let mut layers: Vec<&Arc<Layer>> = self.layers().filter(|layer| layer.block.number > block.number).collect();
        layers.sort_unstable_by_key(|layer| layer.block.number);
        for layer in layers {
            if layer.parent() == block.hash || standing.contains_key(&layer.parent()) {
                standing.insert(layer.block.hash, layer);
            }
        }
        standing.into_values()
    }

    /// The layers that a frontier at a block leaves without a footing.
    pub(crate) fn dead_beside(&self, block: BlockRef) -> Vec<Arc<Layer>> {
        let mut dead: B256Map<Arc<Layer>> = self.layers().map(|layer| (layer.block.hash, layer.clone())).collect();
        for layer in self.standing_on(block).chain(self.chain(&block.hash).iter().flatten()) {
            dead.remove(&layer.block.hash);
        }
        dead.into_values().collect()
    }

    /// The tree with nothing above a number, and its head there.
    pub(crate) fn rolled_back(&self, to: BlockRef) -> Self {
        let mut next = self.without(&|layer| layer.block.number > to.number);
        let below = |block: Option<BlockRef>| block.map(|block| if block.number > to.number { to } else { block });
        next.head = HeadRecord { head: to, safe: below(self.head.safe), finalized: below(self.head.finalized) };
        next
    }

    /// Whether a block's state can be reached: the frontier, or a layer.
    pub(crate) fn knows(&self, hash: &B256) -> bool {
        *hash == self.frontier().hash || self.nodes.contains_key(hash)
    }

    /// The spans from a block down to the frontier, newest first; none if the block is not above the frontier.
    pub(crate) fn spans(&self, head: &B256) -> Option<Vec<Arc<Span>>> {
        let frontier = self.frontier();
        let mut spans = Vec::new();
        let mut at = *head;
        while at != frontier.hash {
            let node = self.nodes.get(&at)?;
            // spans that would reach below the frontier are dropped when it moves
            let span = node.spans.last()?;
            at = span.oldest().parent();
            spans.push(span.clone());
        }
        Some(spans)
    }

    /// The layers from a block down to the frontier, newest first; none if the block is not above the frontier.
    pub(crate) fn chain(&self, head: &B256) -> Option<Vec<Arc<Layer>>> {
        let spans = self.spans(head)?;
        Some(spans.iter().flat_map(|span| span.layers().iter().rev().cloned()).collect())
    }

    /// The tree with another block; its parent is known.
    pub(crate) fn with(&self, span: Span) -> Self {
        let mut next = self.clone();
        let hash = span.newest().block.hash;
        let node = Arc::new(Node { spans: vec![Arc::new(span)] });
        next.usage.add(&node);
        next.nodes.insert(hash, node);
        next
    }

    /// The merged span that the block wants and does not have: its parts, oldest first.
    pub(crate) fn wants_merge(&self, hash: &B256) -> Option<Vec<Arc<Span>>> {
        let node = self.nodes.get(hash)?;
        let number = node.layer().block.number;
        let have = node.spans.last()?.layers().len() as u64;
        let length = SPAN_LENGTHS.into_iter().find(|length| *length > have)?;
        if number % length != 0 || number < self.frontier().number + length {
            return None;
        }
        let mut parts = Vec::new();
        let (mut at, mut left) = (*hash, length);
        while left > 0 {
            let span = self.nodes.get(&at)?.spans.iter().rev().find(|span| span.layers().len() as u64 <= left)?;
            left -= span.layers().len() as u64;
            at = span.oldest().parent();
            parts.push(span.clone());
        }
        parts.reverse();
        Some(parts)
    }

    /// The tree with a merged span for its newest block.
    pub(crate) fn with_merged(&self, span: Span) -> Self {
        let mut next = self.clone();
        if let Some(node) = next.nodes.get_mut(&span.newest().block.hash) {
            next.usage.memory_bytes += span.memory_bytes() as u64;
            let spans = node.spans.iter().cloned().chain([Arc::new(span)]).collect();
            *node = Arc::new(Node { spans });
        }
        next
    }

    /// The tree over a later frontier: layers that do not stand on it are dropped.
    pub(crate) fn over(&self, generation: Arc<Generation>) -> Self {
        let mut next = Self::new(generation, self.head);
        let frontier = next.frontier();
        let mut nodes: Vec<&Arc<Node>> = self.nodes.values().collect();
        nodes.sort_unstable_by_key(|node| node.layer().block.number);
        for node in nodes {
            let layer = node.layer();
            if layer.block.number > frontier.number && next.knows(&layer.parent()) {
                let above = |span: &&Arc<Span>| span.oldest().block.number > frontier.number;
                let spans: Vec<_> = node.spans.iter().filter(above).cloned().collect();
                let same = spans.len() == node.spans.len();
                let node = if same { node.clone() } else { Arc::new(Node { spans }) };
                next.nodes.insert(layer.block.hash, node);
            }
        }
        next.counted()
    }

    /// The tree without some blocks and all that stands on them.
    pub(crate) fn without(&self, gone: &dyn Fn(&Layer) -> bool) -> Self {
        let mut next = Self::new(self.generation.clone(), self.head);
        let mut nodes: Vec<&Arc<Node>> = self.nodes.values().collect();
        nodes.sort_unstable_by_key(|node| node.layer().block.number);
        for node in nodes {
            let layer = node.layer();
            if !gone(layer) && next.knows(&layer.parent()) {
                next.nodes.insert(layer.block.hash, node.clone());
            }
        }
        next.counted()
    }

    /// With its usage counted anew: what was taken away is seldom known by parts.
    fn counted(mut self) -> Self {
        self.usage = Usage::of(self.nodes.values());
        self
    }

    /// The tree with some layers replaced by what holds less in memory.
    pub(crate) fn lightened(&self, lighten: &dyn Fn(&Layer) -> Option<Layer>) -> Self {
        let light = |layer: &Arc<Layer>| (layer.block.hash, lighten(layer).map_or_else(|| layer.clone(), Arc::new));
        let replaced: B256Map<Arc<Layer>> = self.layers().map(light).collect();
        let replace = |layer: &Arc<Layer>| replaced.get(&layer.block.hash).unwrap_or(layer).clone();
        let mut next = self.clone();
        for node in next.nodes.values_mut() {
            let spans = node.spans.iter().map(|span| Arc::new(span.with_layers(&replace))).collect();
            *node = Arc::new(Node { spans });
        }
        next.counted()
    }

    /// What all layers amount to.
    pub(crate) fn usage(&self) -> Usage {
        self.usage
    }
}
