//! The way into a datadir: which chain it is, the lock, the genesis check, the open database.

use crate::{
    cli::{DatadirArgs, Overrides, StorageArgs},
    datadir::{Datadir, DatadirLock, write_whole},
    failure::{Context, Failure},
    memory::MemoryBudget,
};
use alloy_primitives::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use starling_chain::{ChainConfig, ChainCore};
use starling_chainspec::{Activation, ChainSpec, Incompatible, NETWORKS, compatible};
use starling_primitives::{BlockRef, Header, ReadError};
use starling_storage::{Database, GenesisRecord, OpenError, StorageConfig, View};
use std::{path::Path, sync::Arc};

/// An open datadir. Held by one process at a time.
#[derive(Debug)]
pub(crate) struct Store {
    /// Its folder.
    pub datadir: Datadir,
    /// Its chain.
    pub spec: Arc<ChainSpec>,
    /// Its database.
    pub database: Database,
    /// Whether the genesis was written just now.
    pub created: bool,
    _lock: DatadirLock,
}

/// What to do with a datadir that holds no database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfMissing {
    /// Write the genesis.
    Create,
    /// Say so.
    Refuse,
}

/// The chain's configuration as the database keeps it.
#[derive(Serialize, Deserialize)]
struct StoredChain {
    name: String,
    config: Box<RawValue>,
}

/// A chain that was asked for, and the text it came from if it is not built in.
#[derive(Debug, Clone)]
pub(crate) struct NamedChain {
    /// Its rules and genesis.
    pub spec: ChainSpec,
    text: Option<String>,
}

impl NamedChain {
    /// A built-in network by name, or a genesis file by path.
    pub(crate) fn find(name: &str) -> Result<Self, Failure> {
        if let Some(spec) = ChainSpec::named(name) {
            return Ok(Self { spec, text: None });
        }
        let path = Path::new(name);
        if path.exists() {
            return Self::read(path);
        }
        let known = NETWORKS.join(", ");
        Err(Failure::usage(format_args!("there is no network '{name}' and no genesis file of that name"))
            .remedy(format_args!("choose {known}, or a file")))
    }

    /// A genesis file in geth's format.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).context(format_args!("cannot read the genesis {shown}"))?;
        let name = path.file_stem().map_or("custom".into(), |stem| stem.to_string_lossy());
        let spec = ChainSpec::from_genesis_json(&name, &text).context(format_args!("genesis {shown}"))?;
        Ok(Self { spec, text: Some(text) })
    }
}

/// How storage is opened under the flags.
pub(crate) fn storage_config(datadir: &Datadir, args: Option<&StorageArgs>, budget: &MemoryBudget) -> StorageConfig {
    let config =
        StorageConfig { layer_size_bytes_max: budget.layers_size_bytes(), ..StorageConfig::at(datadir.database()) };
    match args {
        Some(args) => StorageConfig {
            disk_free_bytes_min: args.min_free_disk.0,
            history_blocks: args.history.blocks(),
            journal_size_bytes_max: args.journal_size.0,
            ..config
        },
        // Commands that look or make smaller are wanted most when the disk is full.
        None => StorageConfig { disk_free_bytes_min: 0, ..config },
    }
}

impl Store {
    /// Opens a datadir, and writes its genesis first if that is wanted.
    pub(crate) fn open(
        args: &DatadirArgs,
        storage: Option<&StorageArgs>,
        overrides: &Overrides,
        if_missing: IfMissing,
    ) -> Result<Self, Failure> {
        let wanted = args.chain.as_deref().map(NamedChain::find).transpose()?;
        Self::open_chain(args, wanted, storage, overrides, if_missing)
    }

    /// [`Store::open`] for a chain that is read already.
    pub(crate) fn open_chain(
        args: &DatadirArgs,
        wanted: Option<NamedChain>,
        storage: Option<&StorageArgs>,
        overrides: &Overrides,
        if_missing: IfMissing,
    ) -> Result<Self, Failure> {
        let network = wanted.as_ref().map_or("mainnet", |chain| &chain.spec.name);
        let datadir = Datadir::new(args.datadir.as_deref(), network)?;
        if if_missing == IfMissing::Refuse && !datadir.root().is_dir() {
            return Err(missing(&datadir));
        }
        let lock = datadir.lock()?;
        let budget = MemoryBudget::new(storage.and_then(|args| args.memory));
        let config = storage_config(&datadir, storage, &budget);
        match Database::open(config.clone()) {
            Ok(database) => {
                let spec = adopt(&datadir, &database, wanted, overrides)?;
                Ok(Self { datadir, spec: Arc::new(spec), database, created: false, _lock: lock })
            }
            Err(OpenError::Missing(_)) if if_missing == IfMissing::Create => {
                let chain = match wanted {
                    Some(chain) => chain,
                    None => NamedChain::find("mainnet")?,
                };
                let (spec, database) = create(&datadir, config, chain, overrides)?;
                Ok(Self { datadir, spec: Arc::new(spec), database, created: true, _lock: lock })
            }
            Err(OpenError::Missing(_)) => Err(missing(&datadir)),
            Err(error) => Err(Failure::new(error)),
        }
    }

    /// Takes charge of the chain, within the budget.
    pub(crate) fn chain_within(&self, budget: &MemoryBudget, config: ChainConfig) -> Result<ChainCore, Failure> {
        let share = usize::try_from(budget.state_cache_size_bytes()).unwrap_or(usize::MAX);
        self.chain(ChainConfig { cache_size_bytes_max: config.cache_size_bytes_max.min(share), ..config })
    }

    /// Takes charge of the chain.
    pub(crate) fn chain(&self, config: ChainConfig) -> Result<ChainCore, Failure> {
        ChainCore::open(self.spec.clone(), self.database.clone(), config).context("cannot open the chain")
    }

    /// The canonical chain as it stands, for a while: a view expires.
    pub(crate) fn view(&self) -> Result<View, Failure> {
        self.database.view(self.database.head().head.hash).failed()
    }
}

/// A genesis file up to this size is kept beside the database, so that `dump-genesis` can print it again.
const GENESIS_FILE_SIZE_BYTES_MAX: usize = 2 << 20;

fn missing(datadir: &Datadir) -> Failure {
    Failure::new(format_args!("there is no chain in {}", datadir.root().display()))
        .remedy("write a genesis with `starling init`, or name another --datadir")
}

fn create(
    datadir: &Datadir,
    config: StorageConfig,
    chain: NamedChain,
    overrides: &Overrides,
) -> Result<(ChainSpec, Database), Failure> {
    let spec = with_overrides(chain.spec, overrides)?;
    let block = starling_state::genesis_record(&spec).context("cannot make the genesis block")?;
    let at = block.block;
    // Larger ones are test loads: their accounts are in the database, and a copy would double the datadir.
    if let Some(text) = chain.text.filter(|text| text.len() <= GENESIS_FILE_SIZE_BYTES_MAX) {
        write_whole(&datadir.genesis_json(), text.as_bytes())
            .context(format_args!("cannot write {}", datadir.genesis_json().display()))?;
    }
    let database = Database::create(config, GenesisRecord { block, config: stored_json(&spec) })
        .context("cannot write the genesis")?;
    tracing::info!(chain = spec.name, chain_id = spec.chain_id, hash = %at.hash, "genesis written");
    Ok((spec, database))
}

/// Holds the stored configuration against the wanted one, and keeps the wanted one if the blocks allow it.
fn adopt(
    datadir: &Datadir,
    database: &Database,
    wanted: Option<NamedChain>,
    overrides: &Overrides,
) -> Result<ChainSpec, Failure> {
    let head = database.head().head;
    let view = database.view(head.hash).failed()?;
    let genesis = canonical_header(&view, 0)?;
    let head_timestamp = canonical_header(&view, head.number)?.timestamp;
    let config = database.config();
    let stored = read_stored(&config, genesis.clone())?;
    let wanted = match wanted {
        Some(chain) => chain.spec,
        // A newer program may know more forks of a built-in network than it did when the genesis was written.
        None => ChainSpec::named(&stored.name)
            .filter(|named| named.genesis_hash() == genesis.hash_slow())
            .unwrap_or_else(|| stored.clone()),
    };
    let wanted = with_overrides(wanted, overrides)?;
    compatible(&stored, &wanted, head.number, head_timestamp)
        .map_err(|error| refusal(datadir, &view, head.number, error))?;
    let json = stored_json(&wanted);
    if json != config {
        tracing::info!(chain = wanted.name, "the chain configuration changed in its future forks and is kept so");
        database.set_config(json).context("cannot keep the chain configuration")?;
    }
    Ok(wanted)
}

fn with_overrides(spec: ChainSpec, overrides: &Overrides) -> Result<ChainSpec, Failure> {
    overrides.0.iter().try_fold(spec, |spec, (fork, timestamp)| {
        spec.with_override(*fork, *timestamp)
            .map_err(|error| Failure::usage(format_args!("--override.{fork} {timestamp}: {error}")))
    })
}

fn stored_json(spec: &ChainSpec) -> Bytes {
    let config = RawValue::from_string(spec.config_json());
    let stored = config.map(|config| StoredChain { name: spec.name.clone(), config });
    let json = stored.and_then(|stored| serde_json::to_vec(&stored));
    json.expect("a configuration is JSON, and so is one with a name").into()
}

fn read_stored(json: &[u8], genesis: Header) -> Result<ChainSpec, Failure> {
    let damaged = |error: &dyn std::fmt::Display| {
        Failure::new(format_args!("the chain configuration in the database cannot be read: {error}"))
            .remedy("name the chain with --chain, or use the program version that wrote it")
    };
    let stored: StoredChain = serde_json::from_slice(json).map_err(|error| damaged(&error))?;
    ChainSpec::from_config_json(&stored.name, stored.config.get(), genesis).map_err(|error| damaged(&error))
}

fn refusal(datadir: &Datadir, view: &View, head: u64, error: Incompatible) -> Failure {
    let rewind_to = match &error {
        Incompatible::Chain { .. } => {
            return Failure::new(&error).remedy("use another --datadir, or remove this one with `starling removedb`");
        }
        Incompatible::Fork { rewind_to, .. } | Incompatible::BlobSchedule { rewind_to, .. } => *rewind_to,
        _ => return Failure::new(&error),
    };
    let block = match rewind_to {
        Activation::Block(number) => Ok(number),
        Activation::Time(timestamp) => last_block_until(view, head, timestamp),
    };
    match block {
        Ok(block) => {
            let folder = datadir.root().display();
            Failure::new(&error).remedy(format_args!("run: starling rewind --datadir {folder} {block}"))
        }
        Err(failure) => failure,
    }
}

/// The highest canonical block with a timestamp of at most `timestamp`; 0 if there is none.
fn last_block_until(view: &View, head: u64, timestamp: u64) -> Result<u64, Failure> {
    let (mut low, mut high) = (0, head);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        match canonical_header(view, middle)?.timestamp <= timestamp {
            true => low = middle,
            false => high = middle - 1,
        }
    }
    Ok(low)
}

/// The header of a canonical block that must be there.
pub(crate) fn canonical_header(view: &View, number: u64) -> Result<Header, Failure> {
    canonical(view, number)
        .and_then(|at| {
            let lost = || ReadError::Damaged(format!("no header for block {at}"));
            view.header(at)?.ok_or_else(lost)
        })
        .failed()
}

/// The canonical block of a number, which must be there.
pub(crate) fn canonical(view: &View, number: u64) -> Result<BlockRef, ReadError> {
    let hash = view.canonical_hash(number)?;
    hash.map(|hash| BlockRef::new(number, hash)).ok_or_else(|| ReadError::Damaged(format!("no block {number}")))
}
