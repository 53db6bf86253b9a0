//! An engine without threads beside its model, on a real or a simulated disk, and what can be done to both.

use super::model::{Block, Random, State, check_block, check_changes, check_state};
use crate::{
    GenesisRecord, HeadRecord, OpenError, Record, StorageConfig, View, WriteError,
    disk::{Disk, RealDisk, simulated::SimulatedDisk},
    engine::Engine,
    mdbx::MdbxStore,
    recover,
    tables::{MemoryStore, Store},
};
use starling_primitives::{B256, BlockRef, Bytes};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Where the bytes are.
pub(super) enum Machine {
    Real(tempfile::TempDir),
    Simulated(SimulatedDisk, MemoryStore),
}

impl Machine {
    pub(super) fn real() -> Self {
        Self::Real(tempfile::tempdir().expect("a folder"))
    }

    pub(super) fn simulated() -> Self {
        let disk = SimulatedDisk::fragile();
        let store = MemoryStore::new(disk.clone());
        Self::Simulated(disk, store)
    }

    fn parts(&self, new: bool) -> (Arc<dyn Disk>, Box<dyn Store>) {
        match self {
            Self::Real(dir) => {
                let mut store = MdbxStore::open(dir.path()).expect("tables");
                if new {
                    store.create_tables().expect("tables");
                }
                (Arc::new(RealDisk::new(dir.path().into())), Box::new(store))
            }
            Self::Simulated(disk, store) => (Arc::new(disk.clone()), Box::new(store.clone())),
        }
    }

    pub(super) fn create(&self, config: StorageConfig, genesis: &Block) -> Result<Engine, OpenError> {
        let (disk, store) = self.parts(true);
        let record = GenesisRecord { block: genesis.record.clone(), config: Bytes::from_static(b"{}") };
        recover::create(config, disk, store, &record)
    }

    pub(super) fn open(&self, config: StorageConfig) -> Result<Engine, OpenError> {
        let (disk, store) = self.parts(false);
        recover::open(config, disk, store)
    }
}

/// What the engine ought to hold.
#[derive(Clone)]
pub(super) struct Expected {
    pub(super) head: Arc<Block>,
    pub(super) frontier: Arc<Block>,
    /// Blocks above the frontier.
    pub(super) live: BTreeMap<B256, Arc<Block>>,
    pub(super) history_from: u64,
}

impl Expected {
    pub(super) fn new(genesis: Arc<Block>) -> Self {
        Self { head: genesis.clone(), frontier: genesis, live: BTreeMap::new(), history_from: 0 }
    }

    /// A random block that can have children.
    pub(super) fn any(&self, random: &mut Random) -> Arc<Block> {
        let nth = random.below(self.live.len() as u64 + 1) as usize;
        self.live.values().nth(nth).unwrap_or(&self.frontier).clone()
    }

    /// The frontier moves up to a canonical block.
    pub(super) fn flushed(&mut self, frontier: Arc<Block>, history_blocks: Option<u64>) {
        let at = frontier.at;
        self.live.retain(|_, block| block.at.number > at.number && block.ancestor(at.number).at == at);
        if let Some(keep) = history_blocks {
            self.history_from = self.history_from.max(at.number.saturating_sub(keep));
        }
        self.frontier = frontier;
    }

    /// Everything above a canonical block is forgotten.
    pub(super) fn rolled_back(&mut self, to: Arc<Block>) {
        if to.at.number < self.frontier.at.number {
            self.live.clear();
            self.frontier = to.clone();
        }
        self.live.retain(|_, block| block.at.number <= to.at.number);
        self.head = to;
    }
}

pub(super) fn append(engine: &Engine, block: &Block) -> Result<crate::Lsn, WriteError> {
    engine.append(Record::Block(Arc::new(block.record.clone())))
}

pub(super) fn set_head(engine: &Engine, block: &Block) -> Result<crate::Lsn, WriteError> {
    engine.append(Record::Head(HeadRecord { head: block.at, safe: None, finalized: None }))
}

/// Rolls back with the stand-in for the trie.
pub(super) fn rollback(engine: &Engine, to: u64) -> Result<(), WriteError> {
    engine.rollback(to, &mut |diff, view| {
        let before = State::at_frontier(view);
        let mut after = before.clone();
        after.apply(diff);
        Ok(before.branches_to(&after, diff))
    })
}

pub(super) fn view(engine: &Engine, head: BlockRef) -> View {
    View::new(engine.snapshot(), head.hash, Duration::from_secs(60)).expect("a view")
}

/// Holds everything the engine keeps against what it ought to.
pub(super) fn check(engine: &Engine, expected: &Expected) {
    let snapshot = engine.snapshot();
    assert_eq!(snapshot.head.head, expected.head.at, "head");
    assert_eq!(snapshot.frontier(), expected.frontier.at, "frontier");
    assert_eq!(snapshot.layer_count(), expected.live.len(), "layers");
    for block in expected.live.values() {
        check_state(&view(engine, block.at), block);
    }
    check_chain(&view(engine, expected.head.at), expected);
}

fn check_chain(view: &View, expected: &Expected) {
    assert_eq!(view.oldest_state(), expected.history_from);
    let mut block = Some(expected.head.clone());
    while let Some(at) = block {
        check_block(view, &at);
        match view.at(at.at.number) {
            Ok(then) => check_state(&then, &at),
            Err(error) => assert!(at.at.number < expected.history_from, "{error}"),
        }
        if at.at.number > expected.history_from {
            check_changes(view, &at);
        }
        block = at.parent.clone();
    }
}
