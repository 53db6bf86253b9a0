//! State in memory, keyed by hash as on disk, with storage roots and state roots from scratch.
#![allow(dead_code)]

pub(crate) mod chain;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::{TrieAccount, root};
use starling_primitives::{Account, EMPTY_CODE_HASH, EMPTY_ROOT_HASH, MemoryState, ReadError, StateDiff, StateReader};
use std::collections::{BTreeMap, BTreeSet, HashMap};

#[derive(Debug, Clone, Default)]
pub(crate) struct HashedState {
    pub(crate) accounts: BTreeMap<B256, (Account, BTreeMap<B256, U256>)>,
    pub(crate) codes: HashMap<B256, Bytes>,
    pub(crate) block_hashes: HashMap<u64, B256>,
    /// Accounts whose storage root is only known to be another one, until the next state root.
    stale: BTreeSet<B256>,
}

/// Stands for the root of storage that is not empty.
const STALE_ROOT: B256 = B256::repeat_byte(1);

impl HashedState {
    pub(crate) fn new(genesis: &MemoryState) -> Self {
        let mut state = Self { codes: genesis.codes.clone(), ..Default::default() };
        for (address, (account, storage)) in &genesis.accounts {
            let storage: BTreeMap<B256, U256> =
                storage.iter().map(|(slot, value)| (keccak256(slot.to_be_bytes::<32>()), *value)).collect();
            let account = Account { storage_root: storage_root(&storage), ..*account };
            state.accounts.insert(keccak256(address), (account, storage));
        }
        state
    }

    /// Applies a diff, checking that its values before are the values here.
    pub(crate) fn apply(&mut self, diff: &StateDiff) {
        assert!(diff.is_sorted(), "diff is not sorted");
        for account in &diff.accounts {
            assert_eq!(account.key, keccak256(account.address));
            let here = self.accounts.get(&account.key).map(|(account, _)| *account);
            assert_eq!(here, account.before, "before-value of {}", account.address);
            assert!(!account.wiped || here.is_some_and(|here| here.storage_root != EMPTY_ROOT_HASH), "nothing to wipe");
            let unchanged = account.before == account.after && account.slots.is_empty() && !account.wiped;
            assert!(!unchanged, "{} did not change", account.address);
            let mut storage = match self.accounts.remove(&account.key) {
                Some((_, storage)) if !account.wiped => storage,
                _ => BTreeMap::new(),
            };
            for slot in &account.slots {
                assert_ne!(slot.before, slot.after, "a slot that did not change");
                let before = storage.remove(&slot.key).unwrap_or_default();
                assert_eq!(before, slot.before, "before-value of a slot of {}", account.address);
                if !slot.after.is_zero() {
                    storage.insert(slot.key, slot.after);
                }
            }
            if let Some(after) = account.after {
                let storage_root = match (storage.is_empty(), account.slots.is_empty()) {
                    (true, _) => EMPTY_ROOT_HASH,
                    (false, true) => after.storage_root,
                    (false, false) => STALE_ROOT,
                };
                if storage_root == STALE_ROOT {
                    self.stale.insert(account.key);
                }
                self.accounts.insert(account.key, (Account { storage_root, ..after }, storage));
            }
        }
        self.codes.extend(diff.codes.iter().cloned());
    }

    pub(crate) fn root(&mut self) -> B256 {
        for key in std::mem::take(&mut self.stale) {
            if let Some((account, storage)) = self.accounts.get_mut(&key) {
                account.storage_root = storage_root(storage);
            }
        }
        root::state_root(self.accounts.iter().map(|(key, (account, _))| {
            let account = TrieAccount {
                nonce: account.nonce,
                balance: account.balance,
                storage_root: account.storage_root,
                code_hash: account.code_hash,
            };
            (*key, account)
        }))
    }

    /// The root after a diff that stays apart.
    pub(crate) fn root_after(&self, diff: &StateDiff) -> B256 {
        let mut state = self.clone();
        state.apply(diff);
        state.root()
    }
}

fn storage_root(storage: &BTreeMap<B256, U256>) -> B256 {
    if storage.is_empty() { EMPTY_ROOT_HASH } else { root::storage_root(storage.iter().map(|(k, v)| (*k, *v))) }
}

impl StateReader for HashedState {
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadError> {
        Ok(self.accounts.get(&keccak256(address)).map(|(account, _)| *account))
    }

    fn slot(&self, address: &Address, slot: &U256) -> Result<U256, ReadError> {
        let account = self.accounts.get(&keccak256(address));
        let value = account.and_then(|(_, storage)| storage.get(&keccak256(slot.to_be_bytes::<32>())));
        Ok(value.copied().unwrap_or_default())
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
