//! The single owner of the head: import, fork choice, reorg, finality.
//!
//! ```text
//!             ┌────────────── ChainCore (one thread, synchronous) ──────────────┐
//!  prepared ─►│ known? → parent's state → check → execute → state root → journal │─► head? ─► ChainView, event
//!             └──────────────────────────────────────────────────────────────────┘
//! ```
//!
//! [`ChainCore`] does the work and can be driven directly (`import`, tests); [`spawn`] puts it behind a
//! mailbox on a thread of its own, and [`ChainHandle`] speaks with it. Readers never do: they take
//! [`ChainHandle::view`], which waits for nobody.
//!
//! - Only this crate moves the head. The journal record is the commit point: an outcome is returned, a
//!   view published and an event sent only after it is written.
//! - Before a block is called valid, every field of its header was checked, the state root last.
//! - A block that is not valid leaves nothing behind but a line in a bounded list.
//! - Before the merge the heaviest chain leads, and the first seen of two equals; afterwards the head is
//!   what [`ChainCore::set_head`] is told.

mod actor;
mod core;
mod fork_choice;
mod handle;
mod import;
mod invalid;
mod rewind;
mod times;

pub use crate::core::{ChainConfig, ChainCore};
pub use actor::{Chain, spawn};
pub use fork_choice::SetHeadOutcome;
pub use handle::{ChainEvent, ChainHandle};
pub use import::ImportOutcome;
pub use invalid::{BadBlock, InvalidReason, RefusedBlock};
pub use times::ImportTimes;

use starling_primitives::ReadError;

/// The chain cannot do what it was asked now. Says nothing of the block.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ChainError {
    /// The disk is full; imports resume by themselves when there is room. Wait and retry.
    #[error("{0}")]
    DiskFull(String),
    /// State could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Writing failed for good; the node must be started again.
    #[error("{0}")]
    Write(String),
    /// The executor itself failed, which no block can cause: a defect to be reported.
    #[error("internal error: {0}")]
    Internal(String),
    /// The node is shutting down.
    #[error("the node is shutting down")]
    Closed,
}

impl From<starling_storage::WriteError> for ChainError {
    fn from(error: starling_storage::WriteError) -> Self {
        match error {
            starling_storage::WriteError::DiskFull { .. } => Self::DiskFull(error.to_string()),
            other => Self::Write(other.to_string()),
        }
    }
}

impl From<starling_trie::TrieError> for ChainError {
    fn from(error: starling_trie::TrieError) -> Self {
        match error {
            starling_trie::TrieError::Read(error) => Self::Read(error),
            starling_trie::TrieError::Damaged(what) => Self::Read(ReadError::Damaged(what)),
        }
    }
}
