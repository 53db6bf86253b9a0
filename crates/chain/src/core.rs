use crate::{BadBlock, ChainError, ChainEvent, ChainHandle, ImportTimes, handle::Shared, invalid::InvalidBlocks};
use starling_chainspec::ChainSpec;
use starling_primitives::{B256, BlockRef, Header, ReadError, U256};
use starling_state::{ChainView, CliqueSnapshots, HeadCache};
use starling_storage::{Database, HeadRecord, Lsn, Record, View};
use std::sync::Arc;

/// How far behind the head the flushed frontier stays when nothing is finalized: no ordinary reorg reaches it.
pub(crate) const FRONTIER_LAG_BLOCKS: u64 = 128;
const _: () = assert!(starling_storage::FRONTIER_LAG_MIN_BLOCKS < FRONTIER_LAG_BLOCKS);

/// What an operator may set of the chain.
#[derive(Debug, Clone, Copy)]
pub struct ChainConfig {
    /// Deepest reorg that a consensus client may ask for, in blocks (`--engine.maxreorgdepth`).
    pub reorg_depth_max: u64,
    /// Bound of the importer's state cache in bytes: a share of `--memory`.
    pub cache_size_bytes_max: usize,
    /// Check Ethash seals (off on import, as in geth and reth).
    pub check_seal: bool,
}

impl Default for ChainConfig {
    fn default() -> Self {
        Self { reorg_depth_max: 1024, cache_size_bytes_max: 128 << 20, check_seal: false }
    }
}

/// The chain: owns the head and everything that moves it. One thread drives it.
#[derive(Debug)]
pub struct ChainCore {
    pub(crate) spec: Arc<ChainSpec>,
    pub(crate) config: ChainConfig,
    pub(crate) db: Database,

    /// Who may sign, on chains of Clique.
    pub(crate) clique: CliqueSnapshots,
    /// State at the last imported block, for the next import.
    pub(crate) cache: HeadCache,
    pub(crate) invalid: InvalidBlocks,

    pub(crate) head: Head,
    pub(crate) safe: Option<BlockRef>,
    pub(crate) finalized: Option<BlockRef>,
    pub(crate) times: ImportTimes,
    /// The last record written since the start.
    pub(crate) written: Option<Lsn>,
    /// What readers see; written here alone.
    pub(crate) shared: Arc<Shared>,
}

/// The canonical head with what the next decisions need of it.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) at: BlockRef,
    pub(crate) header: Arc<Header>,
    /// None on proof of stake.
    pub(crate) total_difficulty: Option<U256>,
}

impl ChainCore {
    /// Takes charge of an open database. Its chain is the one that its last head record names.
    pub fn open(spec: Arc<ChainSpec>, db: Database, config: ChainConfig) -> Result<Self, ChainError> {
        let record = db.head();
        let view = db.view(record.head.hash)?;
        let head = Head::read(&view, record.head)?;
        let clique = CliqueSnapshots::default();
        let published = ChainView::new(spec.clone(), view, record.safe, record.finalized, clique.clone())?;
        Ok(Self {
            shared: Arc::new(Shared::new(db.clone(), published)),
            clique,
            cache: HeadCache::new(config.cache_size_bytes_max),
            invalid: InvalidBlocks::default(),
            times: ImportTimes::default(),
            written: None,
            head,
            safe: record.safe,
            finalized: record.finalized,
            spec,
            config,
            db,
        })
    }

    /// The chain's rules.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.spec
    }

    /// The canonical head.
    pub fn head(&self) -> BlockRef {
        self.head.at
    }

    /// The head's header.
    pub fn head_header(&self) -> &Header {
        &self.head.header
    }

    /// The chain as it stands.
    pub fn view(&self) -> Arc<ChainView> {
        self.shared.view()
    }

    /// The last invalid blocks, newest first, at most 16.
    pub fn bad_blocks(&self) -> Vec<BadBlock> {
        self.invalid.bad_blocks()
    }

    /// Where the importing thread's time went since the chain was opened.
    pub fn times(&self) -> ImportTimes {
        self.times
    }

    /// The database underneath.
    pub fn database(&self) -> &Database {
        &self.db
    }

    /// Writes a record to the journal: from here on it survives the death of the process.
    pub(crate) fn append(&mut self, record: Record) -> Result<(), ChainError> {
        self.written = Some(self.db.append(record)?);
        Ok(())
    }

    /// Waits until all that was written survives a power loss too.
    pub(crate) fn sync(&self) -> Result<(), ChainError> {
        self.written.map_or(Ok(()), |lsn| Ok(self.db.sync(lsn)?))
    }

    pub(crate) fn head_record(&self) -> HeadRecord {
        HeadRecord { head: self.head.at, safe: self.safe, finalized: self.finalized }
    }

    /// Writes the head down, publishes it, and lets the frontier follow. `head`, `safe` and `finalized`
    /// hold the new values already; `common` is the last block that the old and the new chain share.
    pub(crate) fn publish(&mut self, view: View, common: BlockRef) -> Result<(), ChainError> {
        self.append(Record::Head(self.head_record()))?;
        self.advance_frontier(&view)?;
        let published = ChainView::new(self.spec.clone(), view, self.safe, self.finalized, self.clique.clone())?;
        self.shared.publish(published, ChainEvent::HeadMoved { head: self.head.at, common });
        Ok(())
    }

    /// Lets storage flush what no ordinary reorg reaches: below the finalized block, or far below the head
    /// on chains and imports without finality. (Storage at its bounds goes further by itself.)
    fn advance_frontier(&self, view: &View) -> Result<(), ChainError> {
        let lagging = self.head.at.number.saturating_sub(FRONTIER_LAG_BLOCKS);
        let number = self.finalized.map_or(lagging, |finalized| finalized.number.min(lagging));
        if number <= view.frontier().number {
            return Ok(());
        }
        let Some(hash) = view.canonical_hash(number)? else { return Ok(()) };
        Ok(self.db.advance(BlockRef { number, hash }, false)?)
    }

    /// Makes a handle for readers and, through [`crate::spawn`], for those who command.
    pub(crate) fn handle(&self, commands: tokio::sync::mpsc::Sender<crate::actor::Command>) -> ChainHandle {
        ChainHandle::new(self.spec.clone(), self.shared.clone(), commands)
    }
}

impl Head {
    pub(crate) fn read(view: &View, at: BlockRef) -> Result<Self, ChainError> {
        let header = header_of(view, at)?;
        Ok(Self { at, header: Arc::new(header), total_difficulty: view.total_difficulty(at)? })
    }
}

/// The header of a block that must be there.
pub(crate) fn header_of(view: &View, at: BlockRef) -> Result<Header, ChainError> {
    view.header(at)?.ok_or_else(|| ReadError::Damaged(format!("no header for block {at}")).into())
}

/// The place of a block that must be there.
pub(crate) fn place_of(view: &View, hash: B256) -> Result<Option<BlockRef>, ChainError> {
    Ok(view.block_number(&hash)?.map(|number| BlockRef { number, hash }))
}
