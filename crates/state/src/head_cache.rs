//! What the importing thread keeps in memory of the state at the block it imported last.
//!
//! Blocks mostly come one on another, and what a block touched the next ones touch again. So the
//! importer reads through a cache that always holds the state of one block, [`HeadCache::block`]: each
//! import writes its diff through, and an import on any other parent starts from an empty cache. Values
//! are keyed by hash, as on disk and in the diffs. Readers never see this: they use [`StateView`].

use crate::{StateView, state_view::slot_key};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256, map::HashMap};
use starling_primitives::{Account, BranchChanges, Nibbles, ReadError, StateDiff, StateReader};
use starling_trie::TrieReader;
use std::{cell::RefCell, hash::Hash};

/// State of one block, as much of it as was touched lately.
#[derive(Debug)]
pub struct HeadCache {
    block: B256,
    values: Values,
    rows: Rows,
}

#[derive(Debug)]
struct Values {
    accounts: Generations<B256, Option<Account>>,
    slots: Generations<(B256, B256), U256>,
}

#[derive(Debug)]
struct Rows {
    accounts: Generations<Nibbles, Option<Bytes>>,
    storages: Generations<(B256, Nibbles), Option<Bytes>>,
}

/// Share of the cache's bytes by kind, in percent; the rest is slots.
const ACCOUNTS_PERCENT: usize = 25;
const ACCOUNT_ROWS_PERCENT: usize = 35;
const STORAGE_ROWS_PERCENT: usize = 25;
/// What an entry costs in memory with its share of the table: keys, value and a load factor of about 2/3.
const ACCOUNT_SIZE_BYTES: usize = 240;
const SLOT_SIZE_BYTES: usize = 160;
const ROW_SIZE_BYTES: usize = 520;

impl HeadCache {
    /// An empty cache of about `size_bytes_max` at most.
    pub fn new(size_bytes_max: usize) -> Self {
        let share = |percent: usize, entry: usize| size_bytes_max / 100 * percent / entry;
        let slots_percent = 100 - ACCOUNTS_PERCENT - ACCOUNT_ROWS_PERCENT - STORAGE_ROWS_PERCENT;
        Self {
            block: B256::ZERO,
            values: Values {
                accounts: Generations::new(share(ACCOUNTS_PERCENT, ACCOUNT_SIZE_BYTES)),
                slots: Generations::new(share(slots_percent, SLOT_SIZE_BYTES)),
            },
            rows: Rows {
                accounts: Generations::new(share(ACCOUNT_ROWS_PERCENT, ROW_SIZE_BYTES)),
                storages: Generations::new(share(STORAGE_ROWS_PERCENT, ROW_SIZE_BYTES)),
            },
        }
    }

    /// The block whose state the entries are.
    pub fn block(&self) -> B256 {
        self.block
    }

    /// Makes the cache one of the state after `block`: keeps its entries if they are that already.
    pub fn move_to(&mut self, block: B256) {
        if self.block != block {
            self.clear();
            self.block = block;
        }
    }

    fn clear(&mut self) {
        self.values.accounts.clear();
        self.values.slots.clear();
        self.rows.accounts.clear();
        self.rows.storages.clear();
    }

    /// The state as the executor reads it, and the rows as the trie reads them. What the executor reads is
    /// remembered. `view` must show [`HeadCache::block`].
    pub fn split<'a>(&'a mut self, view: &'a StateView) -> (CachedState<'a>, CachedRows<'a>) {
        debug_assert_eq!(self.block, view.block().hash);
        let Self { values, rows, .. } = self;
        (CachedState { view, values: RefCell::new(values) }, CachedRows { view, rows })
    }

    /// Writes a block's changes through: the cache then shows the state after it.
    pub fn commit(&mut self, block: B256, diff: &StateDiff, branches: &BranchChanges) {
        for account in &diff.accounts {
            self.values.accounts.insert(account.key, account.after);
            if account.wiped {
                // Entries of the earlier life cannot be found one by one; losing all slots is rare and harmless.
                self.values.slots.clear();
                self.rows.storages.clear();
            }
            for slot in &account.slots {
                self.values.slots.insert((account.key, slot.key), slot.after);
            }
        }
        for (path, row) in &branches.accounts {
            self.rows.accounts.insert(*path, row.clone());
        }
        for storage in &branches.storages {
            for (path, row) in &storage.rows {
                self.rows.storages.insert((storage.account, *path), row.clone());
            }
        }
        self.block = block;
    }
}

/// [`StateReader`] through the cache.
#[derive(Debug)]
pub struct CachedState<'a> {
    view: &'a StateView,
    values: RefCell<&'a mut Values>,
}

impl StateReader for CachedState<'_> {
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadError> {
        let key = keccak256(address);
        self.values.borrow_mut().accounts.get_or_read(key, || self.view.view().account(&key))
    }

    fn slot(&self, address: &Address, slot: &U256) -> Result<U256, ReadError> {
        let key = (keccak256(address), slot_key(slot));
        self.values.borrow_mut().slots.get_or_read(key, || self.view.view().slot(&key.0, &key.1))
    }

    fn code(&self, hash: &B256) -> Result<Bytes, ReadError> {
        self.view.code(hash)
    }

    fn block_hash(&self, number: u64) -> Result<Option<B256>, ReadError> {
        self.view.block_hash(number)
    }
}

/// [`TrieReader`] through the cache. Rows that are only read are not remembered: an update writes every
/// row that it reads, and [`HeadCache::commit`] brings it here.
#[derive(Debug)]
pub struct CachedRows<'a> {
    view: &'a StateView,
    rows: &'a Rows,
}

impl TrieReader for CachedRows<'_> {
    fn account_branch(&self, path: &Nibbles) -> Result<Option<Bytes>, ReadError> {
        match self.rows.accounts.peek(path) {
            Some(row) => Ok(row.clone()),
            None => self.view.account_branch(path),
        }
    }

    fn storage_branch(&self, account: &B256, path: &Nibbles) -> Result<Option<Bytes>, ReadError> {
        match self.rows.storages.peek(&(*account, *path)) {
            Some(row) => Ok(row.clone()),
            None => self.view.storage_branch(account, path),
        }
    }

    fn leaf_account(&self, account: &B256) -> Result<Option<Account>, ReadError> {
        self.view.leaf_account(account)
    }

    fn leaf_slot(&self, account: &B256, slot: &B256) -> Result<U256, ReadError> {
        self.view.leaf_slot(account, slot)
    }
}

/// A bounded map that forgets what was not used lately: entries live in a young and an old generation;
/// when the young one is full it becomes the old one, and the old one is dropped.
#[derive(Debug)]
struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    young_max: usize,
}

impl<K: Hash + Eq + Copy, V: Clone> Generations<K, V> {
    /// At most `entries_max` entries, and always room for one.
    fn new(entries_max: usize) -> Self {
        Self { young: HashMap::default(), old: HashMap::default(), young_max: (entries_max / 2).max(1) }
    }

    fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    fn peek(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.young_max && !self.young.contains_key(&key) {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(key, value);
    }

    fn get_or_read<E>(&mut self, key: K, read: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
        if let Some(value) = self.young.get(&key) {
            return Ok(value.clone());
        }
        let value = match self.old.remove(&key) {
            Some(value) => value,
            None => read()?,
        };
        self.insert(key, value.clone());
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_generation_map_keeps_what_is_used() {
        let mut map = Generations::<u32, u32>::new(8);
        for key in 0..100 {
            map.insert(key, key);
            assert_eq!(map.get_or_read(0, || Err("forgotten")), Ok(0), "the entry in use at {key}");
            assert!(map.young.len() + map.old.len() <= 8);
        }
        assert_eq!(map.get_or_read(1, || Err("forgotten")), Err("forgotten"));
    }

    #[test]
    fn a_newer_value_hides_the_older_one() {
        let mut map = Generations::<u32, u32>::new(4);
        for (key, value) in [(1, 1), (2, 2), (1, 3), (3, 3), (4, 4)] {
            map.insert(key, value);
        }
        assert_eq!(map.peek(&1).copied().unwrap_or(3), 3);
    }
}
