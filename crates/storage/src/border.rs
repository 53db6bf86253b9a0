//! First sketch of the border; its parts move to homes of their own.
use starling_primitives::{
    Account, Address, B256, BlockRef, BranchChanges, Bytes, Header, Nibbles, ReadError, StateDiff, U256,
};
use std::{path::PathBuf, sync::Arc};

/// Place of a record in the journal: its sequence number. Rising, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

/// A block with all that importing it found out.
#[derive(Debug, Clone)]
pub struct BlockRecord {
    /// Number and hash.
    pub block: BlockRef,
    /// The header (also the first item of `rlp`).
    pub header: Header,
    /// The block as RLP `[header, transactions, ommers, withdrawals]`.
    pub rlp: Bytes,
    /// Hashes of its transactions in order.
    pub tx_hashes: Vec<B256>,
    /// Senders of its transactions in order.
    pub senders: Vec<Address>,
    /// Receipts in their stored form ([`starling_primitives::Receipt::encode_stored_list`]).
    pub receipts: Bytes,
    /// Total difficulty up to and with this block; none on proof of stake.
    pub total_difficulty: Option<U256>,
    /// Block access list as RLP (EIP-7928), if the fork has one.
    pub access_list: Option<Bytes>,
    /// What it changed in the state.
    pub diff: StateDiff,
    /// What it changed in the tries.
    pub branches: BranchChanges,
}

/// What the consensus said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadRecord {
    /// The canonical head.
    pub head: BlockRef,
    /// Safe block, none until told.
    pub safe: Option<BlockRef>,
    /// Finalized block, none until told.
    pub finalized: Option<BlockRef>,
}

/// One journal record.
#[derive(Debug, Clone)]
pub enum Record {
    /// A checked and executed block; its parent is the frontier or an earlier record's block.
    Block(Arc<BlockRecord>),
    /// Head, safe and finalized moved.
    Head(HeadRecord),
}

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct StorageConfig {
    /// Folder of the database, `DATADIR/db`; none keeps everything in memory.
    pub dir: Option<PathBuf>,
    /// Bound of the unflushed journal in bytes (256 MiB).
    pub journal_size_bytes_max: u64,
    /// Bound of changed keys in the layers (1 M).
    pub layer_keys_max: usize,
    /// Below this free disk space appends are refused.
    pub disk_free_bytes_min: u64,
    /// State history kept behind the frontier, in blocks; none keeps all.
    pub history_blocks: Option<u64>,
}

/// What lies in a database besides blocks and state.
#[derive(Debug, Clone)]
pub struct GenesisRecord {
    /// The genesis block.
    pub block: BlockRecord,
    /// The chain's configuration as JSON, kept verbatim for later starts.
    pub config: Bytes,
}

/// A node's data. Cheap to clone; one writer (`chain`), many readers.
#[derive(Debug, Clone)]
pub struct Database {
    _private: (),
}

/// Why a database does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Nothing there; `init` first.
    #[error("no database in {0}; run `starling init`")]
    Missing(PathBuf),
}

/// Why a write was refused. Nothing is half-written: the caller may go on reading.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The disk is full or nearly so; writing resumes when there is room.
    #[error("{free} bytes free, {needed} needed: imports stop until there is room")]
    DiskFull {
        /// Free bytes.
        free: u64,
        /// `--datadir.minfreedisk`.
        needed: u64,
    },
    /// The record's parent is neither the frontier nor in the layers.
    #[error("no state for parent {0}")]
    UnknownParent(B256),
    /// The disk said no; the journal takes no more records until the next start.
    #[error("writing failed: {0}")]
    Io(String),
}

impl Database {
    /// Opens an existing database: MDBX, then replays the journal by value.
    pub fn open(config: StorageConfig) -> Result<Self, OpenError> {
        let _ = config;
        todo!()
    }

    /// Writes a genesis into an empty folder (or into memory) and opens it.
    pub fn create(config: StorageConfig, genesis: GenesisRecord) -> Result<Self, OpenError> {
        let _ = (config, genesis);
        todo!()
    }

    /// Writes a record to the journal and publishes its layer: when this returns, the process may die
    /// and the record is still there. Power loss is [`Database::sync`]'s business.
    pub fn append(&self, record: Record) -> Result<Lsn, WriteError> {
        let _ = record;
        todo!()
    }

    /// Waits until the record and all before it are on the disk itself.
    pub fn sync(&self, lsn: Lsn) -> Result<(), WriteError> {
        let _ = lsn;
        todo!()
    }

    /// Allows the background thread to flush canonical blocks up to `frontier` and asks it to when the
    /// bounds say so. `wait` returns only when the flush is done.
    pub fn advance(&self, frontier: BlockRef, wait: bool) -> Result<(), WriteError> {
        let _ = (frontier, wait);
        todo!()
    }

    /// Makes the canonical block `to`, at or below the frontier, head and frontier again, by one forward commit of
    /// inverse diffs; everything above it is forgotten.
    pub fn rollback(&self, to: u64) -> Result<(), WriteError> {
        let _ = to;
        todo!()
    }

    /// A snapshot whose head is `head`: a block in the layers, or the frontier.
    pub fn view(&self, head: B256) -> Result<View, ReadError> {
        let _ = head;
        todo!()
    }

    /// The last head record.
    pub fn head(&self) -> HeadRecord {
        todo!()
    }

    /// The chain's configuration as given at [`Database::create`].
    pub fn config(&self) -> Bytes {
        todo!()
    }
}

/// A block as it is kept. Cut from disk or journal, nothing decoded.
#[derive(Debug, Clone)]
pub struct StoredBlock {
    /// Number and hash.
    pub block: BlockRef,
    /// RLP of the whole block.
    pub rlp: Bytes,
    /// Senders in order.
    pub senders: Vec<Address>,
    /// Receipts in their stored form; empty for genesis.
    pub receipts: Bytes,
    /// Block access list, if kept.
    pub access_list: Option<Bytes>,
}

/// An immutable snapshot: the chain up to one head, and the state after one block of it.
/// Cheap to clone, usable from several threads, bounded in life by a deadline.
#[derive(Debug, Clone)]
pub struct View {
    _private: (),
}

impl View {
    /// The block that the view's chain ends with.
    pub fn head(&self) -> BlockRef {
        todo!()
    }
    /// The block whose state [`View::account`] and the like show.
    pub fn state_block(&self) -> BlockRef {
        todo!()
    }
    /// The same chain with the state after another of its blocks.
    pub fn at(&self, number: u64) -> Result<Self, ReadError> {
        let _ = number;
        todo!()
    }
    /// The lowest block whose state is kept.
    pub fn oldest_state(&self) -> u64 {
        todo!()
    }
    /// The frontier below which state is in MDBX.
    pub fn frontier(&self) -> BlockRef {
        todo!()
    }
    /// An account by keccak(address).
    pub fn account(&self, account: &B256) -> Result<Option<Account>, ReadError> {
        let _ = account;
        todo!()
    }
    /// A slot by keccak(address) and keccak(slot).
    pub fn slot(&self, account: &B256, slot: &B256) -> Result<U256, ReadError> {
        let _ = (account, slot);
        todo!()
    }
    /// Code by hash.
    pub fn code(&self, hash: &B256) -> Result<Option<Bytes>, ReadError> {
        let _ = hash;
        todo!()
    }
    /// The address whose keccak is known.
    pub fn address(&self, account: &B256) -> Result<Option<Address>, ReadError> {
        let _ = account;
        todo!()
    }
    /// A row of the account trie. Kept for blocks from the frontier up.
    pub fn account_branch(&self, path: &Nibbles) -> Result<Option<Bytes>, ReadError> {
        let _ = path;
        todo!()
    }
    /// A row of a storage trie. Kept for blocks from the frontier up.
    pub fn storage_branch(&self, account: &B256, path: &Nibbles) -> Result<Option<Bytes>, ReadError> {
        let _ = (account, path);
        todo!()
    }
    /// Hash of the canonical block of that number, up to the head.
    pub fn canonical_hash(&self, number: u64) -> Result<Option<B256>, ReadError> {
        let _ = number;
        todo!()
    }
    /// Number of a kept block, canonical or on a side branch above the frontier.
    pub fn block_number(&self, hash: &B256) -> Result<Option<u64>, ReadError> {
        let _ = hash;
        todo!()
    }
    /// The header of a kept block.
    pub fn header(&self, block: BlockRef) -> Result<Option<Header>, ReadError> {
        let _ = block;
        todo!()
    }
    /// A kept block.
    pub fn block(&self, block: BlockRef) -> Result<Option<StoredBlock>, ReadError> {
        let _ = block;
        todo!()
    }
    /// Total difficulty of a kept block, if it has one.
    pub fn total_difficulty(&self, block: BlockRef) -> Result<Option<U256>, ReadError> {
        let _ = block;
        todo!()
    }
    /// Where a transaction of the canonical chain stands: block number and index.
    pub fn transaction(&self, hash: &B256) -> Result<Option<(u64, u32)>, ReadError> {
        let _ = hash;
        todo!()
    }
    /// Changed accounts and slots of a canonical block at or below the state block, as history keeps them: for inverse diffs.
    pub fn changes(&self, number: u64) -> Result<StateDiff, ReadError> {
        let _ = number;
        todo!()
    }
}
