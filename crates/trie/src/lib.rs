//! Merkle Patricia tries: incremental roots and proofs over a reader of branch rows.
//!
//! A trie is kept as one row a branch node, keyed by the branch's path. A row holds for each of its
//! 16 children: nothing; a leaf (the rest of its key, its node reference); or a branch (the extension
//! that leads to it, the reference of the node that stands in the parent). A trie whose root is not a
//! branch (one leaf, or an extension) has a root row of its own kind at the empty path. Leaf values are
//! not in the rows: they are the flat state, which is asked for only when a leaf moves (a branch
//! collapsing into its last leaf). So an update needs point reads only, never a cursor.

use starling_primitives::{Account, B256, BranchChanges, Bytes, Nibbles, ReadError, StateDiff, U256};

/// Branch rows and leaf values of one state. Reads may come from several threads at once.
pub trait TrieReader: Sync {
    /// A row of the account trie.
    fn account_branch(&self, path: &Nibbles) -> Result<Option<Bytes>, ReadError>;
    /// A row of an account's storage trie.
    fn storage_branch(&self, account: &B256, path: &Nibbles) -> Result<Option<Bytes>, ReadError>;
    /// A leaf of the account trie, by keccak(address).
    fn leaf_account(&self, account: &B256) -> Result<Option<Account>, ReadError>;
    /// A leaf of a storage trie, by keccak(address) and keccak(slot); zero if there is none.
    fn leaf_slot(&self, account: &B256, slot: &B256) -> Result<U256, ReadError>;
}

/// What [`update`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrieUpdate {
    /// The state root after the diff.
    pub root: B256,
    /// The rows that changed, absolute values, sorted.
    pub branches: BranchChanges,
}

/// The trie cannot be updated or walked.
#[derive(Debug, thiserror::Error)]
pub enum TrieError {
    /// A row or a leaf could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Rows and flat state contradict each other.
    #[error("damaged trie: {0}")]
    Damaged(String),
}

/// Applies a sorted diff to the state that `reader` shows: fills in each changed account's
/// `after.storage_root` and returns the new state root with the branch rows that changed.
/// Large updates are spread over the current rayon pool.
pub fn update(reader: &dyn TrieReader, diff: &mut StateDiff) -> Result<TrieUpdate, TrieError> {
    let _ = (reader, diff);
    todo!()
}

/// The nodes from the state root to an account's leaf (or to where it would be), root first.
pub fn account_proof(reader: &dyn TrieReader, account: &B256) -> Result<Vec<Bytes>, TrieError> {
    let _ = (reader, account);
    todo!()
}

/// The nodes from an account's storage root to a slot's leaf (or to where it would be), root first.
/// Empty for an empty trie.
pub fn storage_proof(reader: &dyn TrieReader, account: &B256, slot: &B256) -> Result<Vec<Bytes>, TrieError> {
    let _ = (reader, account, slot);
    todo!()
}
