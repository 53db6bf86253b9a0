//! The two kinds of trie: where their rows and values are read, and what their leaves hold.

use crate::row::{self, Children, RootRow};
use crate::{TrieError, TrieReader, node, node::NodeRef};
use alloy_rlp::Encodable;
use starling_primitives::{Account, B256, Bytes, Nibbles, ReadError, U256};

/// One trie as the reader shows it.
pub(crate) trait Trie: Sync {
    /// What a leaf holds.
    type Value: Encodable + Sync;
    /// A row.
    fn row(&self, path: &Nibbles) -> Result<Option<Bytes>, ReadError>;
    /// A leaf's value in the flat state.
    fn value(&self, key: &B256) -> Result<Option<Self::Value>, ReadError>;
    /// Which trie, for errors.
    fn name(&self) -> String;

    /// An error about what was found at `path`.
    fn damaged(&self, path: &Nibbles, what: &str) -> TrieError {
        let nibbles: String = path.iter().map(|nibble| char::from(b"0123456789abcdef"[usize::from(nibble)])).collect();
        TrieError::Damaged(format!("{}, row at 0x{nibbles}: {what}", self.name()))
    }

    /// What stands at the root, none in an empty trie.
    fn root_row(&self) -> Result<Option<(RootRow, Bytes)>, TrieError> {
        let Some(row) = self.row(&Nibbles::new())? else { return Ok(None) };
        let root = row::decode_root(&row).map_err(|flaw| self.damaged(&Nibbles::new(), flaw))?;
        Ok(Some((root, row)))
    }

    /// The row of the branch at `path`, which some other row says is there.
    fn branch_row(&self, path: &Nibbles) -> Result<Bytes, TrieError> {
        self.row(path)?.ok_or_else(|| self.damaged(path, "missing"))
    }

    /// The children in a branch's row.
    fn children(&self, path: &Nibbles, row: &[u8]) -> Result<Children, TrieError> {
        row::decode_branch(path, row).map_err(|flaw| self.damaged(path, flaw))
    }

    /// The children of the branch at `path`, which some other row says is there.
    fn branch(&self, path: &Nibbles) -> Result<Children, TrieError> {
        self.children(path, &self.branch_row(path)?)
    }

    /// The reference to the branch at `path` itself, without an extension before it.
    fn branch_node(&self, path: &Nibbles) -> Result<NodeRef, TrieError> {
        let mut rlp = Vec::new();
        node::encode_branch(&self.branch(path)?, &mut rlp);
        Ok(NodeRef::of(&rlp))
    }

    /// The value of a leaf that a row says is there.
    fn leaf(&self, key: &B256) -> Result<Self::Value, TrieError> {
        self.value(key)?.ok_or_else(|| TrieError::Damaged(format!("{}: no value for the leaf {key}", self.name())))
    }
}

/// The trie of accounts.
pub(crate) struct AccountTrie<'a>(pub(crate) &'a dyn TrieReader);

impl Trie for AccountTrie<'_> {
    type Value = Account;

    fn row(&self, path: &Nibbles) -> Result<Option<Bytes>, ReadError> {
        self.0.account_branch(path)
    }

    fn value(&self, key: &B256) -> Result<Option<Account>, ReadError> {
        self.0.leaf_account(key)
    }

    fn name(&self) -> String {
        "account trie".into()
    }
}

/// One account's trie of slots.
pub(crate) struct StorageTrie<'a> {
    pub(crate) reader: &'a dyn TrieReader,
    /// keccak of the account's address.
    pub(crate) account: &'a B256,
}

impl Trie for StorageTrie<'_> {
    type Value = U256;

    fn row(&self, path: &Nibbles) -> Result<Option<Bytes>, ReadError> {
        self.reader.storage_branch(self.account, path)
    }

    fn value(&self, key: &B256) -> Result<Option<U256>, ReadError> {
        Ok(Some(self.reader.leaf_slot(self.account, key)?).filter(|value| !value.is_zero()))
    }

    fn name(&self) -> String {
        format!("storage trie of {}", self.account)
    }
}

/// The path of a branch's child branch at `nibble`, behind `extension`.
pub(crate) fn child_path(path: &Nibbles, nibble: u8, extension: &Nibbles) -> Nibbles {
    let mut below = *path;
    below.push_unchecked(nibble);
    below.extend(extension);
    below
}
