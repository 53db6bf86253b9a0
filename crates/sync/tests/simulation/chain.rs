//! Chains of the fixtures over databases in memory.

use starling_chain::{ChainConfig, ChainCore, ImportOutcome};
use starling_chainspec::ChainSpec;
use starling_primitives::{B256, Bytes};
use starling_state::{BlockId, ChainView};
use starling_storage::{Database, GenesisRecord, StorageConfig};
use starling_testkit::fixtures;
use starling_validation::PreparedBlock;
use std::sync::{Arc, Mutex, OnceLock};

/// A whole chain to be served, and the genesis to begin with.
pub(crate) struct Source {
    genesis: String,
    core: Mutex<ChainCore>,
}

/// 3,000 blocks of Cancun, all proof of stake.
pub(crate) fn hive_sync() -> Option<&'static Source> {
    static SOURCE: OnceLock<Option<Source>> = OnceLock::new();
    SOURCE.get_or_init(|| Source::load("devp2p-chain/hive-sync")).as_ref()
}

/// 54 blocks from Homestead to BPO2; block 35 is the last of proof of work.
pub(crate) fn rpc_compat() -> Option<&'static Source> {
    static SOURCE: OnceLock<Option<Source>> = OnceLock::new();
    SOURCE.get_or_init(|| Source::load("rpc-compat")).as_ref()
}

/// 600 blocks from Shanghai to Prague; block 11 has more than 10 MiB of receipts.
pub(crate) fn geth_ethtest() -> Option<&'static Source> {
    static SOURCE: OnceLock<Option<Source>> = OnceLock::new();
    SOURCE.get_or_init(|| Source::load("devp2p-chain/geth-ethtest")).as_ref()
}

impl Source {
    fn load(folder: &str) -> Option<Self> {
        let genesis = fixtures::read(&format!("{folder}/genesis.json"))?;
        let stream = fixtures::read_bytes(&format!("{folder}/chain.rlp"))?;
        let mut core = open(&genesis);
        for rlp in fixtures::blocks(&stream) {
            let block = PreparedBlock::from_rlp(core.spec(), rlp).expect("a block of the fixtures");
            assert_eq!(core.import_as_head(Arc::new(block)).expect("imported"), ImportOutcome::Valid);
        }
        Some(Self { genesis, core: Mutex::new(core) })
    }

    /// The whole chain.
    pub(crate) fn view(&self) -> Arc<ChainView> {
        self.core.lock().expect("no panic while locked").view()
    }

    /// A chain with nothing but the genesis.
    pub(crate) fn follower(&self) -> ChainCore {
        open(&self.genesis)
    }

    /// The hash of a block.
    pub(crate) fn hash(&self, number: u64) -> B256 {
        self.view().find(BlockId::Number(number)).expect("readable").expect("there").hash
    }

    /// A block, prepared.
    pub(crate) fn block(&self, number: u64) -> Arc<PreparedBlock> {
        let view = self.view();
        let block = view.block(BlockId::Number(number)).expect("readable").expect("there");
        Arc::new(PreparedBlock::from_rlp(view.spec(), block.rlp).expect("a kept block"))
    }
}

fn open(genesis: &str) -> ChainCore {
    let spec = Arc::new(ChainSpec::from_genesis_json("test", genesis).expect("a genesis of the fixtures"));
    let block = starling_state::genesis_record(&spec).expect("its state");
    let record = GenesisRecord { block, config: Bytes::from_static(b"{}") };
    let db = Database::create(StorageConfig::memory(), record).expect("a database");
    ChainCore::open(spec, db, ChainConfig::default()).expect("a chain")
}
