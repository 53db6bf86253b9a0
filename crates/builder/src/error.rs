use crate::Unfit;
use starling_execution::BlockError;
use starling_primitives::{ReadError, TxHash};
use starling_trie::TrieError;

/// Why there is no block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// No block on this parent can have these attributes: the caller asks for something else.
    #[error("{0}")]
    Attributes(String),
    /// A transaction that must stand in the block may not; only where transactions are given.
    #[error("transaction {tx_hash} does not fit: {why}")]
    Transaction {
        /// Which.
        tx_hash: TxHash,
        /// The rule it breaks.
        why: Box<Unfit>,
    },
    /// The chain itself does not let a block be made: a system contract is missing or fails.
    #[error(transparent)]
    Block(BlockError),
    /// State could not be read: the parent is not kept any more, or the snapshot expired. Asking again may help.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl From<BlockError> for BuildError {
    fn from(error: BlockError) -> Self {
        match error {
            BlockError::Read(error) => Self::Read(error),
            other => Self::Block(other),
        }
    }
}

impl From<TrieError> for BuildError {
    fn from(error: TrieError) -> Self {
        Self::Read(read_error(error))
    }
}

/// A trie's error as one of reading, which it is.
pub(crate) fn read_error(error: TrieError) -> ReadError {
    match error {
        TrieError::Read(error) => error,
        TrieError::Damaged(what) => ReadError::Damaged(what),
    }
}
