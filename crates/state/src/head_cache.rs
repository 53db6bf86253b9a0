//! What the importing thread keeps in memory of the state at the block it imported last.
//!
//! Blocks mostly come one on another, and what a block touched the next ones touch again. So the
//! importer reads through a cache that always holds the state of one block, [`HeadCache::block`]: each
//! import writes its diff through, and an import on any other parent starts from an empty cache. Values
//! are keyed by hash, as on disk and in the diffs. Readers never see this: they use [`StateView`].

use crate::{StateView, state_view::slot_key};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256, map::HashMap};
use rayon::prelude::*;
use starling_primitives::{Account, BranchChanges, Nibbles, ReadError, StateDiff, StateReader};
use starling_trie::TrieReader;
use std::{cell::RefCell, hash::Hash};

/// State of one block, as much of it as was touched lately.
#[derive(Debug)]
pub struct HeadCache {
    block: B256,
    values: Values,
    rows: Rows,
    size_bytes_max: usize,
}

#[derive(Debug, Default)]
struct Values {
    accounts: Generations<B256, Option<Account>>,
    slots: Generations<(B256, B256), U256>,
}

#[derive(Debug, Default)]
struct Rows {
    accounts: Generations<Nibbles, Option<Bytes>>,
    storages: Generations<(B256, Nibbles), Option<Bytes>>,
}

/// What an entry costs in memory: key and value, its share of a table that is two thirds full, and for
/// rows the bytes behind them.
const ACCOUNT_SIZE_BYTES: usize = size_of::<(B256, Option<Account>)>() * 3 / 2;
const SLOT_SIZE_BYTES: usize = size_of::<((B256, B256), U256)>() * 3 / 2;
const ACCOUNT_ROW_SIZE_BYTES: usize = size_of::<(Nibbles, Option<Bytes>)>() * 3 / 2 + ROW_BYTES;
const STORAGE_ROW_SIZE_BYTES: usize = size_of::<((B256, Nibbles), Option<Bytes>)>() * 3 / 2 + ROW_BYTES;
/// Mean bytes of a row with its allocation: from 70 (two leaves) to 600 (sixteen branches).
const ROW_BYTES: usize = 320;

/// Addresses whose hashes are remembered while a block runs.
const HASHES: usize = 64;

/// Accounts that a thread reads in one go, a microsecond each; for less than two threads' work none is woken.
const WARM_MIN: usize = 64;

impl HeadCache {
    /// An empty cache of about `size_bytes_max` at most; which kinds of entries fill it follows the load.
    pub fn new(size_bytes_max: usize) -> Self {
        Self { block: B256::ZERO, values: Values::default(), rows: Rows::default(), size_bytes_max }
    }

    /// The block whose state the entries are.
    pub fn block(&self) -> B256 {
        self.block
    }

    /// Makes the cache one of the state after `block`: keeps its entries if they are that already.
    pub fn move_to(&mut self, block: B256) {
        if self.block != block {
            self.values = Values::default();
            self.rows = Rows::default();
            self.block = block;
        }
    }

    /// Reads accounts that a block will ask for, on the current rayon pool: the executor, alone on its thread, then finds
    /// them here. `view` must show [`HeadCache::block`].
    pub fn warm(&mut self, view: &StateView, addresses: &[Address]) -> Result<(), ReadError> {
        if addresses.len() < 2 * WARM_MIN {
            return Ok(());
        }
        let accounts = &mut self.values.accounts;
        let missing = |address: &Address| {
            let key = keccak256(address);
            if accounts.peek(&key).is_some() { None } else { Some(view.view().account(&key).map(|read| (key, read))) }
        };
        let read: Vec<_> = addresses.par_iter().with_min_len(WARM_MIN).filter_map(missing).collect::<Result<_, _>>()?;
        read.into_iter().for_each(|(key, account)| accounts.insert(key, account));
        Ok(())
    }

    /// The state as the executor reads it, and the rows as the trie reads them. What the executor reads is
    /// remembered. `view` must show [`HeadCache::block`].
    pub fn split<'a>(&'a mut self, view: &'a StateView) -> (CachedState<'a>, CachedRows<'a>) {
        debug_assert_eq!(self.block, view.block().hash);
        let Self { values, rows, .. } = self;
        let hashes = RefCell::new([(Address::ZERO, B256::ZERO); HASHES]);
        (CachedState { view, values: RefCell::new(values), hashes }, CachedRows { view, rows })
    }

    /// Writes a block's changes through: the cache then shows the state after it.
    pub fn commit(&mut self, block: B256, diff: &StateDiff, branches: &BranchChanges) {
        for account in &diff.accounts {
            self.values.accounts.insert(account.key, account.after);
            if account.wiped {
                // Entries of the earlier life cannot be found one by one; losing all of the kind is rare and harmless.
                self.values.slots = Generations::default();
                self.rows.storages = Generations::default();
            }
        }
        for account in &diff.accounts {
            for slot in &account.slots {
                self.values.slots.insert((account.key, slot.key), slot.after);
            }
        }
        for row in &branches.accounts {
            self.rows.accounts.insert(row.path, row.after.clone());
        }
        for storage in &branches.storages {
            for row in &storage.rows {
                self.rows.storages.insert((storage.account, row.path), row.after.clone());
            }
        }
        self.block = block;
        if self.young_bytes() > self.size_bytes_max / 2 {
            self.values.accounts.age();
            self.values.slots.age();
            self.rows.accounts.age();
            self.rows.storages.age();
        }
    }

    fn young_bytes(&self) -> usize {
        self.values.accounts.young.len() * ACCOUNT_SIZE_BYTES
            + self.values.slots.young.len() * SLOT_SIZE_BYTES
            + self.rows.accounts.young.len() * ACCOUNT_ROW_SIZE_BYTES
            + self.rows.storages.young.len() * STORAGE_ROW_SIZE_BYTES
    }
}

/// [`StateReader`] through the cache.
#[derive(Debug)]
pub struct CachedState<'a> {
    view: &'a StateView,
    values: RefCell<&'a mut Values>,
    /// The last addresses by their last byte, with their hashes: the slots of a contract are read one after another.
    hashes: RefCell<[(Address, B256); HASHES]>,
}

impl CachedState<'_> {
    fn hash(&self, address: &Address) -> B256 {
        let known = &mut self.hashes.borrow_mut()[usize::from(address[19]) % HASHES];
        // The hash of no address is zero.
        if known.0 != *address || known.1.is_zero() {
            *known = (*address, keccak256(address));
        }
        known.1
    }
}

impl StateReader for CachedState<'_> {
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadError> {
        let key = keccak256(address);
        self.values.borrow_mut().accounts.get_or_read(key, || self.view.view().account(&key))
    }

    fn slot(&self, address: &Address, slot: &U256) -> Result<U256, ReadError> {
        let key = (self.hash(address), slot_key(slot));
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

/// A map that forgets what was not used lately: entries live in a young and an old generation. What is
/// read moves to the young one; [`Generations::age`] makes the young one old and drops the old one.
#[derive(Debug)]
struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K, V> Default for Generations<K, V> {
    fn default() -> Self {
        Self { young: HashMap::default(), old: HashMap::default() }
    }
}

impl<K: Hash + Eq + Copy, V: Clone> Generations<K, V> {
    fn peek(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    fn insert(&mut self, key: K, value: V) {
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
        self.young.insert(key, value.clone());
        Ok(value)
    }

    fn age(&mut self) {
        std::mem::swap(&mut self.young, &mut self.old);
        self.young.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_survives_and_the_rest_is_forgotten() {
        let mut map = Generations::<u32, u32>::default();
        map.insert(0, 10);
        map.insert(1, 11);
        for _ in 0..5 {
            map.age();
            assert_eq!(map.get_or_read(0, || Err("forgotten")), Ok(10));
        }
        assert_eq!(map.get_or_read(1, || Err("forgotten")), Err("forgotten"));
    }

    #[test]
    fn a_newer_value_hides_the_older_one() {
        let mut map = Generations::<u32, u32>::default();
        map.insert(1, 1);
        map.age();
        map.insert(1, 2);
        assert_eq!(map.peek(&1), Some(&2));
        map.age();
        assert_eq!(map.get_or_read(1, || Err("forgotten")), Ok(2));
    }
}
