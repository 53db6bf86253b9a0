//! The rpc-compat chain in memory, and what its methods are served with.
#![allow(dead_code, reason = "each test file uses its part")]

use alloy_rlp::Header as RlpHeader;
use starling_builder::{BuildOptions, JobSource, PayloadJobs, seal::Proposals};
use starling_chain::{Chain, ChainConfig, ChainCore, ImportOutcome};
use starling_chainspec::ChainSpec;
use starling_primitives::{B256, Bytes};
use starling_rpc::{Filters, NodeStatus, QueryPool, RpcContext, RpcLimits, Signers};
use starling_storage::{Database, GenesisRecord, StorageConfig};
use starling_testkit::fixtures;
use starling_txpool::{BlobStore, JournalRecord, PoolConfig, PoolHandle};
use starling_validation::PreparedBlock;
use std::sync::Arc;

/// A running chain with all blocks of the fixture imported; none (said aloud) if the fixture is not there.
pub(crate) fn served() -> Option<(Chain, RpcContext)> {
    let genesis = fixtures::read("rpc-compat/genesis.json")?;
    let stream = fixtures::read_bytes("rpc-compat/chain.rlp")?;
    let mut core = open(&genesis);
    for rlp in split(&stream) {
        let block = PreparedBlock::from_rlp(core.spec(), rlp).expect("a block of the fixture");
        assert_eq!(core.import_as_head(Arc::new(block)).expect("an import"), ImportOutcome::Valid);
    }
    let (chain, handle) = starling_chain::spawn(core).expect("a thread");
    let folder = tempfile::tempdir().expect("a folder for blobs");
    let blobs = BlobStore::open(folder.path()).expect("an empty store");
    // The folder lives as long as the pool.
    let keep = move |_: &[JournalRecord]| {
        let _ = folder.path();
        Ok(())
    };
    let config = PoolConfig::default();
    let pool = PoolHandle::with_blobs(config, starling_execution::intrinsic_gas, &handle.view(), keep, blobs);
    let source = {
        let chain = handle.clone();
        JobSource::of_pool(pool.clone(), move || chain.view(), BuildOptions::default())
    };
    let payloads = PayloadJobs::new(source);
    let context = RpcContext {
        pending: payloads.pending_blocks(BuildOptions::default()),
        payloads,
        building: BuildOptions::default(),
        pool,
        chain: handle,
        client_version: "Starling/v0.0.0-test".into(),
        commit: [1, 2, 3, 4],
        limits: RpcLimits::default(),
        queries: QueryPool::new("query", 2, 64).expect("threads"),
        imports: QueryPool::new("import", 1, 64).expect("threads"),
        signers: Signers::default(),
        proposals: Proposals::default(),
        dev: None,
        filters: Filters::default(),
        network: None,
        wanted: Arc::new(|_| {}),
        state_retention_blocks: None,
        status: Arc::new(NodeStatus::default),
        database_stats: Arc::new(|| Ok(serde_json::json!({ "kind": "memory" }))),
    };
    Some((chain, context))
}

/// Names the head safe and final as well, as the fixture's fork choice does.
pub(crate) async fn finalize(context: &RpcContext) {
    let head = context.chain.view().head().hash;
    context.chain.set_head(head, head, head).await.expect("a fork choice");
}

fn open(genesis: &str) -> ChainCore {
    let spec = Arc::new(ChainSpec::from_genesis_json("test", genesis).expect("a genesis of the fixtures"));
    let block = starling_state::genesis_record(&spec).expect("its state");
    let record = GenesisRecord { block, config: Bytes::from_static(b"{}") };
    let database = Database::create(StorageConfig::memory(), record).expect("a database");
    ChainCore::open(spec, database, ChainConfig::default()).expect("a chain")
}

fn split(mut stream: &[u8]) -> Vec<Bytes> {
    let mut blocks = Vec::new();
    while !stream.is_empty() {
        let mut rest = stream;
        let header = RlpHeader::decode(&mut rest).expect("a list");
        let (block, after) = stream.split_at(stream.len() - rest.len() + header.payload_length);
        blocks.push(Bytes::copy_from_slice(block));
        stream = after;
    }
    blocks
}

/// A hash that no block has.
pub(crate) const NO_HASH: B256 = B256::repeat_byte(0x77);
