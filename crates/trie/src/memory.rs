use crate::{TrieReader, TrieUpdate};
use alloy_primitives::map::HashMap;
use starling_primitives::{Account, B256, BranchRow, Bytes, Nibbles, ReadError, StateDiff, U256};

/// Rows and leaves in plain maps: for genesis files (start empty), tests and small chains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryTrie {
    /// Rows of the account trie.
    pub account_rows: HashMap<Nibbles, Bytes>,
    /// Rows of the storage tries, by keccak(address).
    pub storage_rows: HashMap<B256, HashMap<Nibbles, Bytes>>,
    /// Accounts by keccak(address).
    pub accounts: HashMap<B256, Account>,
    /// Slots by keccak(address) and keccak(slot), never zero.
    pub slots: HashMap<B256, HashMap<B256, U256>>,
}

impl MemoryTrie {
    /// Takes over a diff and what [`crate::update`] found for it.
    pub fn apply(&mut self, diff: &StateDiff, update: &TrieUpdate) {
        for account in &diff.accounts {
            if account.wiped || account.after.is_none() {
                self.storage_rows.remove(&account.key);
                self.slots.remove(&account.key);
            }
            match account.after {
                Some(after) => self.accounts.insert(account.key, after),
                None => self.accounts.remove(&account.key),
            };
            if account.after.is_none() || account.slots.is_empty() {
                continue;
            }
            let slots = self.slots.entry(account.key).or_default();
            for slot in &account.slots {
                if slot.after.is_zero() {
                    slots.remove(&slot.key);
                } else {
                    slots.insert(slot.key, slot.after);
                }
            }
            if slots.is_empty() {
                self.slots.remove(&account.key);
            }
        }
        put_rows(&mut self.account_rows, &update.branches.accounts);
        for storage in &update.branches.storages {
            let rows = self.storage_rows.entry(storage.account).or_default();
            put_rows(rows, &storage.rows);
            if rows.is_empty() {
                self.storage_rows.remove(&storage.account);
            }
        }
    }
}

fn put_rows(rows: &mut HashMap<Nibbles, Bytes>, changes: &[BranchRow]) {
    for row in changes {
        match &row.after {
            Some(bytes) => rows.insert(row.path, bytes.clone()),
            None => rows.remove(&row.path),
        };
    }
}

impl TrieReader for MemoryTrie {
    fn account_branch(&self, path: &Nibbles) -> Result<Option<Bytes>, ReadError> {
        Ok(self.account_rows.get(path).cloned())
    }

    fn storage_branch(&self, account: &B256, path: &Nibbles) -> Result<Option<Bytes>, ReadError> {
        Ok(self.storage_rows.get(account).and_then(|rows| rows.get(path)).cloned())
    }

    fn leaf_account(&self, account: &B256) -> Result<Option<Account>, ReadError> {
        Ok(self.accounts.get(account).copied())
    }

    fn leaf_slot(&self, account: &B256, slot: &B256) -> Result<U256, ReadError> {
        Ok(self.slots.get(account).and_then(|slots| slots.get(slot)).copied().unwrap_or_default())
    }
}
