//! Chains of the fixtures over a database in memory.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod forge;

use starling_chain::{ChainConfig, ChainCore};
use starling_chainspec::ChainSpec;
use starling_primitives::Bytes;
use starling_storage::{Database, GenesisRecord, StorageConfig};
use starling_validation::PreparedBlock;
use std::sync::Arc;

/// A chain at its genesis.
pub(crate) fn open(genesis: &str, storage: StorageConfig) -> ChainCore {
    let spec = Arc::new(ChainSpec::from_genesis_json("test", genesis).expect("a genesis of the fixtures"));
    let block = starling_state::genesis_record(&spec).expect("its state");
    let db = Database::create(storage, GenesisRecord { block, config: Bytes::from_static(b"{}") }).expect("a database");
    ChainCore::open(spec, db, ChainConfig::default()).expect("a chain")
}

/// A block of the fixtures, prepared.
pub(crate) fn prepare(chain: &ChainCore, rlp: Bytes) -> Arc<PreparedBlock> {
    Arc::new(PreparedBlock::from_rlp(chain.spec(), rlp).expect("a block of the fixtures"))
}

/// A fixture chain: its genesis and its blocks, none (said aloud) if it is not there.
pub(crate) fn fixture(folder: &str) -> Option<(String, Vec<Bytes>)> {
    let genesis = starling_testkit::fixtures::read(&format!("{folder}/genesis.json"))?;
    let stream = starling_testkit::fixtures::read_bytes(&format!("{folder}/chain.rlp"))?;
    Some((genesis, starling_testkit::fixtures::blocks(&stream)))
}
