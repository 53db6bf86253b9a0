//! How a database is opened, and why a call on it fails.

use starling_primitives::{B256, Bytes, ReadError};
use std::path::PathBuf;

use crate::BlockRecord;

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct StorageConfig {
    /// Folder of the database, `DATADIR/db`; none keeps everything in memory.
    pub dir: Option<PathBuf>,
    /// Bound of the unflushed journal in bytes.
    pub journal_size_bytes_max: u64,
    /// Bound of changed keys in the layers.
    pub layer_keys_max: usize,
    /// Bound of the layers' memory in bytes. Past it a flush is due; where that does not help (in time), the oldest
    /// layers' rows are read back from the journal instead of being held.
    pub layer_size_bytes_max: u64,
    /// Below this free disk space, in bytes, appends are refused.
    pub disk_free_bytes_min: u64,
    /// State history kept behind the frontier, in blocks; none keeps all.
    pub history_blocks: Option<u64>,
}

impl StorageConfig {
    /// The default bounds for a folder.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: Some(dir.into()), ..Self::memory() }
    }

    /// The default bounds, everything in memory.
    pub fn memory() -> Self {
        Self {
            dir: None,
            // 256 MiB replay in well under a second: this bound is what makes a restart fast.
            journal_size_bytes_max: 256 << 20,
            layer_keys_max: 1_000_000,
            layer_size_bytes_max: 160 << 20,
            disk_free_bytes_min: 2 << 30,
            history_blocks: None,
        }
    }
}

/// What lies in a database besides blocks and state.
#[derive(Debug, Clone)]
pub struct GenesisRecord {
    /// The genesis block.
    pub block: BlockRecord,
    /// The chain's configuration as JSON, kept verbatim for later starts.
    pub config: Bytes,
}

/// Why a database does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Nothing there; `init` first.
    #[error("no database in {0}; run `starling init`")]
    Missing(PathBuf),
    /// There is one already.
    #[error("there is a database in {0} already; `starling removedb` removes it")]
    Exists(PathBuf),
    /// Another program version wrote it.
    #[error("the database has format version {found}, this program reads version {supported}: {advice}")]
    Version {
        /// On disk.
        found: u32,
        /// This program's.
        supported: u32,
        /// What to do about it.
        advice: &'static str,
    },
    /// The journal holds a record of a kind that this program does not know.
    #[error(
        "journal record {lsn} is of kind {kind}, which format version {supported} does not know: a newer program wrote it, use that one"
    )]
    UnknownRecord {
        /// Its sequence number.
        lsn: u64,
        /// Its kind.
        kind: u8,
        /// This program's format version.
        supported: u32,
    },
    /// Stored bytes are not what was written.
    #[error("damaged database: {what}; nothing was changed. `starling db verify` says what is lost")]
    Damaged {
        /// Where, and what is wrong.
        what: String,
    },
    /// The disk or the operating system said no.
    #[error("cannot open the database in {path}: {what}")]
    Io {
        /// Its folder.
        path: PathBuf,
        /// What went wrong.
        what: String,
    },
}

/// Why a write was refused. Nothing is half-written: the caller may go on reading.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
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
    /// State or block asked for is not kept.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The caller's part of a rollback failed.
    #[error("rollback: {0}")]
    Rollback(String),
    /// The disk said no; the journal takes no more records until the next start.
    #[error("writing failed: {0}")]
    Io(String),
}
