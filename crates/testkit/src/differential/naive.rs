//! State the plain way: maps in memory, every root from scratch. What layers and incremental tries are held against.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::{TrieAccount, root};
use starling_primitives::{Account, EMPTY_CODE_HASH, EMPTY_ROOT_HASH, MemoryState, ReadError, StateDiff, StateReader};
use std::collections::{BTreeMap, HashMap};

/// State after one block.
#[derive(Debug, Clone, Default)]
pub(super) struct NaiveState {
    /// Accounts with their storage, by address and hash of the slot.
    accounts: BTreeMap<Address, (Account, BTreeMap<B256, U256>)>,
    codes: HashMap<B256, Bytes>,
    pub(super) block_hashes: HashMap<u64, B256>,
}

impl NaiveState {
    pub(super) fn new(genesis: &MemoryState) -> Self {
        let mut state = Self { codes: genesis.codes.clone(), ..Self::default() };
        for (address, (account, slots)) in &genesis.accounts {
            let slots: BTreeMap<B256, U256> =
                slots.iter().map(|(slot, value)| (keccak256(slot.to_be_bytes::<32>()), *value)).collect();
            state.accounts.insert(*address, (Account { storage_root: storage_root(&slots), ..*account }, slots));
        }
        state
    }

    /// Applies a diff, whose values before must be the values here.
    pub(super) fn apply(&mut self, diff: &StateDiff) -> Result<(), String> {
        if !diff.is_sorted() {
            return Err("the diff is not sorted".into());
        }
        for account in &diff.accounts {
            let address = account.address;
            let (before, mut slots) = match self.accounts.remove(&address) {
                Some((account, slots)) => (Some(account), slots),
                None => (None, BTreeMap::new()),
            };
            if before != account.before || account.key != keccak256(address) {
                return Err(format!("{address}: the diff says {:?} was before, here is {before:?}", account.before));
            }
            if account.wiped {
                slots.clear();
            }
            for slot in &account.slots {
                let here = slots.remove(&slot.key).unwrap_or_default();
                if here != slot.before {
                    return Err(format!("{address}: the diff says slot {} was {}, here {here}", slot.key, slot.before));
                }
                if !slot.after.is_zero() {
                    slots.insert(slot.key, slot.after);
                }
            }
            match account.after {
                Some(after) => {
                    let after = Account { storage_root: storage_root(&slots), ..after };
                    self.accounts.insert(address, (after, slots));
                }
                None if account.slots.is_empty() => {}
                None => return Err(format!("{address} is gone and has slots")),
            }
        }
        self.codes.extend(diff.codes.iter().cloned());
        Ok(())
    }

    /// The state root, from scratch.
    pub(super) fn root(&self) -> B256 {
        root::state_root_unhashed(self.accounts.iter().map(|(address, (account, _))| {
            let Account { nonce, balance, storage_root, code_hash } = *account;
            (*address, TrieAccount { nonce, balance, storage_root, code_hash })
        }))
    }

    pub(super) fn nonce(&self, address: &Address) -> u64 {
        self.accounts.get(address).map_or(0, |(account, _)| account.nonce)
    }

    pub(super) fn balance(&self, address: &Address) -> U256 {
        self.accounts.get(address).map_or(U256::ZERO, |(account, _)| account.balance)
    }

    /// Every account, with its slots by hash.
    pub(super) fn accounts(&self) -> impl Iterator<Item = (&Address, &Account, &BTreeMap<B256, U256>)> {
        self.accounts.iter().map(|(address, (account, slots))| (address, account, slots))
    }
}

fn storage_root(slots: &BTreeMap<B256, U256>) -> B256 {
    if slots.is_empty() { EMPTY_ROOT_HASH } else { root::storage_root(slots.iter().map(|(key, value)| (*key, *value))) }
}

impl StateReader for NaiveState {
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadError> {
        Ok(self.accounts.get(address).map(|(account, _)| *account))
    }

    fn slot(&self, address: &Address, slot: &U256) -> Result<U256, ReadError> {
        let key = keccak256(slot.to_be_bytes::<32>());
        Ok(self.accounts.get(address).and_then(|(_, slots)| slots.get(&key)).copied().unwrap_or_default())
    }

    fn code(&self, hash: &B256) -> Result<Bytes, ReadError> {
        if *hash == EMPTY_CODE_HASH {
            return Ok(Bytes::new());
        }
        self.codes.get(hash).cloned().ok_or_else(|| ReadError::Damaged(format!("no code for hash {hash}")))
    }

    fn block_hash(&self, number: u64) -> Result<Option<B256>, ReadError> {
        Ok(self.block_hashes.get(&number).copied())
    }
}
