//! State as it changes while a block or a call runs: the reader's state below, what was read and written above.
//!
//! Everything is read at most once; the first read of an account or slot is its value before. Between
//! transactions all changes lie here, within one they are in the EVM's own journal.

use alloy_primitives::{
    Address, B256, Bytes, U256, keccak256,
    map::{AddressMap, B256Map, HashMap},
};
use rayon::prelude::*;
use starling_primitives::{
    Account, AccountDiff, EMPTY_CODE_HASH, EMPTY_ROOT_HASH, ReadError, SlotDiff, StateDiff, StateReader,
};
use std::collections::hash_map::Entry as MapEntry;

/// From this many keys to hash on, a third of a microsecond each, another thread is woken.
const PARALLEL_MIN: usize = 256;

/// What an account holds besides its storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Info {
    pub(crate) nonce: u64,
    pub(crate) balance: U256,
    pub(crate) code_hash: B256,
}

impl Default for Info {
    fn default() -> Self {
        Self { nonce: 0, balance: U256::ZERO, code_hash: EMPTY_CODE_HASH }
    }
}

impl Info {
    /// Empty in the sense of EIP-161.
    pub(crate) fn is_empty(&self) -> bool {
        self.nonce == 0 && self.balance.is_zero() && !self.has_code()
    }

    pub(crate) fn has_code(&self) -> bool {
        self.code_hash != EMPTY_CODE_HASH
    }
}

impl From<Account> for Info {
    fn from(account: Account) -> Self {
        Self { nonce: account.nonce, balance: account.balance, code_hash: account.code_hash }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) before: U256,
    pub(crate) now: U256,
}

/// One account that was read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    before: Option<Account>,
    /// None: it does not exist (any more).
    pub(crate) now: Option<Info>,
    /// Its storage below is gone: slots not in `slots` are zero.
    wiped: bool,
    slots: HashMap<U256, Slot>,
}

/// Changed state over a reader.
pub(crate) struct Overlay<'a> {
    reader: &'a dyn StateReader,
    accounts: AddressMap<Entry>,
    codes: B256Map<Bytes>,
}

impl<'a> Overlay<'a> {
    pub(crate) fn new(reader: &'a dyn StateReader) -> Self {
        Self { reader, accounts: AddressMap::default(), codes: B256Map::default() }
    }

    pub(crate) fn reader(&self) -> &'a dyn StateReader {
        self.reader
    }

    /// The account as it stands, none if it does not exist.
    pub(crate) fn account(&mut self, address: &Address) -> Result<Option<Info>, ReadError> {
        Ok(self.entry(address)?.now)
    }

    /// The account's entry, read from below on first use.
    pub(crate) fn entry(&mut self, address: &Address) -> Result<&mut Entry, ReadError> {
        match self.accounts.entry(*address) {
            MapEntry::Occupied(entry) => Ok(entry.into_mut()),
            MapEntry::Vacant(entry) => {
                let before = self.reader.account(address)?;
                Ok(entry.insert(Entry { before, now: before.map(Info::from), ..Entry::default() }))
            }
        }
    }

    /// A slot's value as it stands.
    pub(crate) fn slot(&mut self, address: &Address, key: U256) -> Result<U256, ReadError> {
        let reader = self.reader;
        let entry = self.entry(address)?;
        match entry.slots.entry(key) {
            MapEntry::Occupied(slot) => Ok(slot.get().now),
            MapEntry::Vacant(slot) => {
                let value =
                    if entry.wiped || entry.before.is_none() { U256::ZERO } else { reader.slot(address, &key)? };
                slot.insert(Slot { before: value, now: value });
                Ok(value)
            }
        }
    }

    /// Whether the account has any storage: what makes a creation on it collide (EIP-7610).
    pub(crate) fn has_storage(&mut self, address: &Address) -> Result<bool, ReadError> {
        let entry = self.entry(address)?;
        let below = !entry.wiped && entry.before.is_some_and(|account| account.storage_root != EMPTY_ROOT_HASH);
        Ok(below || entry.slots.values().any(|slot| !slot.now.is_zero()))
    }

    /// Code that was deployed above the reader.
    pub(crate) fn deployed_code(&self, hash: &B256) -> Option<&Bytes> {
        self.codes.get(hash)
    }

    /// Remembers deployed code.
    pub(crate) fn deploy_code(&mut self, hash: B256, code: Bytes) {
        self.codes.insert(hash, code);
    }

    /// Adds to a balance. Under EIP-161 (`clear_empty`) an account that is empty afterwards ceases to exist.
    pub(crate) fn credit(&mut self, address: &Address, wei: U256, clear_empty: bool) -> Result<U256, ReadError> {
        let entry = self.entry(address)?;
        let mut info = entry.now.unwrap_or_default();
        info.balance = info.balance.saturating_add(wei);
        let balance = info.balance;
        if clear_empty && info.is_empty() {
            entry.remove();
        } else {
            entry.now = Some(info);
        }
        Ok(balance)
    }

    /// What changed since the reader's state, sorted as [`StateDiff`] asks.
    pub(crate) fn diff(&self) -> StateDiff {
        let touched: Vec<_> = self.accounts.iter().collect();
        let mut accounts = spread(&touched, |(address, entry)| entry.diff(**address));
        accounts.sort_unstable_by_key(|account| account.key);
        let mut codes: Vec<(B256, Bytes)> = accounts
            .iter()
            .filter_map(|account| {
                let hash = account.after?.code_hash;
                let changed = account.before.is_none_or(|before| before.code_hash != hash);
                changed.then(|| self.codes.get(&hash).map(|code| (hash, code.clone()))).flatten()
            })
            .collect();
        codes.sort_unstable_by_key(|(hash, _)| *hash);
        codes.dedup_by_key(|(hash, _)| *hash);
        StateDiff { accounts, codes }
    }
}

impl Entry {
    /// The account ceases to exist, with its storage.
    pub(crate) fn remove(&mut self) {
        self.now = None;
        self.wipe();
    }

    /// The storage ceases to exist.
    pub(crate) fn wipe(&mut self) {
        self.wiped = true;
        self.slots.clear();
    }

    /// Sets a slot that was read through [`Overlay::slot`], or one of an account whose storage was empty.
    pub(crate) fn set_slot(&mut self, key: U256, value: U256) {
        self.slots.entry(key).or_insert(Slot { before: U256::ZERO, now: value }).now = value;
    }

    fn diff(&self, address: Address) -> Option<AccountDiff> {
        let wiped = self.wiped && self.before.is_some_and(|before| before.storage_root != EMPTY_ROOT_HASH);
        let changed: Vec<_> = match self.now {
            None => Vec::new(),
            Some(_) => self.slots.iter().filter(|(_, slot)| slot.before != slot.now).collect(),
        };
        let mut slots = spread(&changed, |(key, slot)| {
            Some(SlotDiff { key: keccak256(key.to_be_bytes::<32>()), before: slot.before, after: slot.now })
        });
        let same = self.before.map(Info::from) == self.now;
        if same && slots.is_empty() && !wiped {
            return None;
        }
        slots.sort_unstable_by_key(|slot| slot.key);
        let storage_root = match self.before {
            Some(before) if !wiped => before.storage_root,
            _ => EMPTY_ROOT_HASH,
        };
        let after = self.now.map(|info| Account {
            nonce: info.nonce,
            balance: info.balance,
            storage_root,
            code_hash: info.code_hash,
        });
        Some(AccountDiff { key: keccak256(address), address, before: self.before, after, wiped, slots })
    }
}

/// What a function that hashes a key makes of each item, on the current rayon pool if they are many.
fn spread<T: Sync, R: Send>(items: &[T], make: impl Fn(&T) -> Option<R> + Send + Sync) -> Vec<R> {
    if items.len() < PARALLEL_MIN {
        return items.iter().filter_map(make).collect();
    }
    items.par_iter().with_min_len(PARALLEL_MIN / 2).filter_map(make).collect()
}
