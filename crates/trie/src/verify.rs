//! The full check, for `db verify`: flat state against a second, independent builder of tries, and rows
//! against flat state.

use crate::node::{self, NodeRef};
use crate::row::{Child, RootRow};
use crate::tries::{AccountTrie, StorageTrie, Trie, child_path};
use crate::{TrieError, TrieReader};
use alloy_trie::HashBuilder;
use starling_primitives::{Account, B256, EMPTY_ROOT_HASH, Nibbles, ReadError, U256, keccak256};

/// Flat state that cannot be what it claims to be.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The flat state could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Keys do not ascend.
    #[error("key {key} is out of order")]
    Order {
        /// The key that is not above the one before it.
        key: B256,
    },
    /// A slot that holds zero ought not to be there.
    #[error("account {account} has a zero at slot {slot}")]
    ZeroSlot {
        /// keccak of the account's address.
        account: B256,
        /// keccak of the slot.
        slot: B256,
    },
    /// An account's storage root is not that of its slots.
    #[error("account {account} names the storage root {stored}, its slots have {computed}")]
    StorageRoot {
        /// keccak of the account's address.
        account: B256,
        /// What the account says.
        stored: B256,
        /// What its slots give.
        computed: B256,
    },
}

/// The state root of flat state, streamed: accounts sorted by keccak(address), each with its slots sorted by
/// keccak(slot). Every account's storage root is checked on the way. Memory does not grow with the state.
pub fn root_of_flat<S>(
    accounts: impl IntoIterator<Item = Result<(B256, Account, S), ReadError>>,
) -> Result<B256, VerifyError>
where
    S: IntoIterator<Item = Result<(B256, U256), ReadError>>,
{
    let mut flat = FlatRoot::default();
    for account in accounts {
        let (key, account, slots) = account?;
        flat.add(&key, &account, slots)?;
    }
    Ok(flat.root())
}

/// [`root_of_flat`] account by account, for callers whose slots are read by the cursor of their accounts.
#[derive(Debug, Default)]
pub struct FlatRoot {
    accounts: Sorted,
}

impl FlatRoot {
    /// Takes the next account.
    pub fn add(
        &mut self,
        key: &B256,
        account: &Account,
        slots: impl IntoIterator<Item = Result<(B256, U256), ReadError>>,
    ) -> Result<(), VerifyError> {
        let mut storage = Sorted::default();
        for slot in slots {
            let (slot, value) = slot?;
            if value.is_zero() {
                return Err(VerifyError::ZeroSlot { account: *key, slot });
            }
            storage.add(&slot, &alloy_rlp::encode_fixed_size(&value))?;
        }
        let computed = storage.root();
        if computed != account.storage_root {
            return Err(VerifyError::StorageRoot { account: *key, stored: account.storage_root, computed });
        }
        self.accounts.add(key, &alloy_rlp::encode(account))
    }

    /// The state root of all accounts taken.
    pub fn root(self) -> B256 {
        self.accounts.root()
    }
}

/// alloy's builder, which panics on keys out of order, behind a check.
#[derive(Debug, Default)]
struct Sorted {
    builder: HashBuilder,
    last: Option<B256>,
}

impl Sorted {
    fn add(&mut self, key: &B256, value: &[u8]) -> Result<(), VerifyError> {
        if self.last.is_some_and(|last| last >= *key) {
            return Err(VerifyError::Order { key: *key });
        }
        self.last = Some(*key);
        self.builder.add_leaf(Nibbles::unpack(key), value);
        Ok(())
    }

    fn root(mut self) -> B256 {
        self.builder.root()
    }
}

/// What a walk over a trie's rows found. Rows that are stored but not counted here belong to nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowCount {
    /// Rows reached from the root.
    pub rows: u64,
    /// Leaves in them.
    pub leaves: u64,
}

/// Walks all rows of the account trie and recomputes every node from the flat accounts: the root that they
/// really have, and how many there are. The first contradiction is the error.
pub fn check_account_rows(reader: &dyn TrieReader) -> Result<(B256, RowCount), TrieError> {
    check_rows(&AccountTrie(reader))
}

/// [`check_account_rows`] for one account's storage trie.
pub fn check_storage_rows(reader: &dyn TrieReader, account: &B256) -> Result<(B256, RowCount), TrieError> {
    check_rows(&StorageTrie { reader, account })
}

fn check_rows<T: Trie>(trie: &T) -> Result<(B256, RowCount), TrieError> {
    let mut walk = Walk { trie, count: RowCount::default(), node: Vec::new() };
    let root = walk.root()?;
    Ok((root, walk.count))
}

struct Walk<'t, T> {
    trie: &'t T,
    count: RowCount,
    /// The node being encoded.
    node: Vec<u8>,
}

impl<T: Trie> Walk<'_, T> {
    fn root(&mut self) -> Result<B256, TrieError> {
        let path = Nibbles::new();
        let (computed, stored) = match self.trie.root_row()? {
            None => return Ok(EMPTY_ROOT_HASH),
            Some((RootRow::Branch, _)) => return Ok(self.branch(&path)?.root_hash()),
            Some((RootRow::Leaf { key, root }, _)) => {
                self.leaf(&key, 0)?;
                (keccak256(&self.node), root)
            }
            Some((RootRow::Extension { path, root }, _)) => {
                self.way_to_branch(&path, &path)?;
                (keccak256(&self.node), root)
            }
        };
        self.count.rows += 1;
        if computed == stored { Ok(computed) } else { Err(self.trie.damaged(&path, "names another root than it has")) }
    }

    fn branch(&mut self, path: &Nibbles) -> Result<NodeRef, TrieError> {
        self.count.rows += 1;
        let children = self.trie.branch(path)?;
        for (nibble, child) in (0..).zip(&children) {
            let (computed, stored) = match child {
                Child::Empty => continue,
                Child::Leaf { key, node } => (self.leaf(key, path.len() + 1)?, node),
                Child::Branch { extension, node } => {
                    (self.way_to_branch(&child_path(path, nibble, extension), extension)?, node)
                }
            };
            if computed != *stored {
                return Err(self.trie.damaged(path, &format!("child {nibble:x} is not what its reference says")));
            }
        }
        self.node.clear();
        node::encode_branch(&children, &mut self.node);
        Ok(NodeRef::of(&self.node))
    }

    fn leaf(&mut self, key: &B256, depth: usize) -> Result<NodeRef, TrieError> {
        self.count.leaves += 1;
        let value = alloy_rlp::encode(self.trie.leaf(key)?);
        self.node.clear();
        node::encode_leaf(key, depth, &value, &mut self.node);
        Ok(NodeRef::of(&self.node))
    }

    fn way_to_branch(&mut self, path: &Nibbles, extension: &Nibbles) -> Result<NodeRef, TrieError> {
        let branch = self.branch(path)?;
        if extension.is_empty() {
            return Ok(branch);
        }
        self.node.clear();
        node::encode_extension(extension, &branch, &mut self.node);
        Ok(NodeRef::of(&self.node))
    }
}
