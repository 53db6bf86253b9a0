//! Merkle Patricia tries: incremental roots and proofs over a reader of branch rows.
//!
//! A trie is kept as one row a branch node, keyed by the branch's path. A row holds for each of its
//! 16 children: nothing; a leaf (its key, its node reference); or a branch (the extension that leads to it,
//! the reference of the node that stands in the parent). A trie whose root is not a branch (one leaf, or an
//! extension) has a root row of its own kind at the empty path; an empty trie has no rows. Leaf values are
//! not in the rows: they are the flat state, which is asked for only when a leaf moves (a branch
//! collapsing into its last leaf, a leaf making room for another). So an update needs point reads only,
//! never a cursor.
//!
//! ```text
//! keys           the trie              its rows
//! 11…            ┌1┬1─ 11…             ""   1: branch at "1", its hash    2: leaf 2a…, its hash
//! 12…       root ┤ └2─ 12…             "1"  1: leaf 11…, its hash         2: leaf 12…, its hash
//! 2a…            └2─── 2a…
//! ```
//!
//! The rows of a trie follow from its leaves alone, not from its history: an update over old rows and one
//! from nothing end in the same bytes. Nothing here opens a file, sleeps or knows a block.
//!
//! Beside the rows stands the [`SparseTrie`]: a trie of nodes, of which only some are known. [`WitnessState`]
//! reads state through it and re-hashes it, so that a block can be run without a database.

mod assemble;
mod memory;
mod merge;
mod node;
mod proof;
mod row;
mod sparse;
mod tries;
mod update;
mod verify;
mod witness;

pub use memory::MemoryTrie;
pub use proof::{account_proof, storage_proof, storage_proofs};
pub use sparse::{NodeSet, SPARSE_KEY_BYTES_MAX, SparseError, SparseTrie, hex_prefix};
use starling_primitives::{Account, B256, BranchChanges, Bytes, Nibbles, ReadError, U256};
pub use update::{state_root, storage_root, update};
pub use verify::{FlatRoot, RowCount, VerifyError, check_account_rows, check_storage_rows, root_of_flat};
pub use witness::{Witness, WitnessError, WitnessState};

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
    /// Rows do not decode, rows and flat state contradict each other, or a diff is not sorted.
    #[error("damaged trie: {0}")]
    Damaged(String),
}
