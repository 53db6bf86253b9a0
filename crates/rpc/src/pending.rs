//! The block that would come next, and the state that readers ask for: after a kept block, or after that one.

use crate::{ApiError, RpcContext, api::Answer};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use starling_builder::{BuildError, Built};
use starling_primitives::{Account, AccountDiff, BlockRef, BranchRow, Nibbles, ReadError, StateReader};
use starling_state::{ChainView, KeptBlock, StateView};
use starling_trie::TrieReader;
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

impl RpcContext {
    /// The block that would come next after a view's head, with the pool's best transactions. None where nobody here can
    /// say: before the merge on chains of proof of work.
    pub(crate) fn pending(&self, view: &ChainView) -> Answer<Option<Arc<Built>>> {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let time_min = self.dev.as_ref().map_or(clock, |dev| dev.next_timestamp(clock));
        self.pending.get(view, time_min).map_err(|error| match error {
            BuildError::Read(error) => error.into(),
            other => ApiError::Internal(format!("the pending block cannot be built: {other}")),
        })
    }
}

/// The pending block as a kept one. Its hash will be another's: nobody has sealed it.
pub(crate) fn kept(built: &Built) -> KeptBlock {
    let header = &built.block.header;
    let at = BlockRef::new(header.number, header.hash_slow());
    KeptBlock::of(at, built.block.clone(), built.senders.clone(), &built.receipts)
}

/// The state after a kept block, or after the pending one.
#[derive(Debug)]
pub(crate) struct AskedState {
    below: StateView,
    /// What is not in a kept block yet.
    above: Option<Arc<Built>>,
}

impl From<StateView> for AskedState {
    fn from(below: StateView) -> Self {
        Self { below, above: None }
    }
}

impl AskedState {
    /// The state after a block that was built on `below`.
    pub(crate) fn after(below: StateView, built: Arc<Built>) -> Self {
        Self { below, above: Some(built) }
    }

    /// What the block above changed of an account, by keccak(address).
    fn changed(&self, key: &B256) -> Option<&AccountDiff> {
        let accounts = &self.above.as_ref()?.diff.accounts;
        accounts.binary_search_by_key(key, |account| account.key).ok().map(|index| &accounts[index])
    }

    /// What the block above changed of the rows of an account's storage trie.
    fn changed_rows(&self, account: &B256) -> &[BranchRow] {
        let storages = self.above.as_ref().map_or(&[][..], |built| &built.branches.storages);
        match storages.binary_search_by_key(account, |storage| storage.account) {
            Ok(index) => &storages[index].rows,
            Err(_) => &[],
        }
    }
}

/// A row among changed ones, sorted by path.
fn row(rows: &[BranchRow], path: &Nibbles) -> Option<Option<Bytes>> {
    let index = rows.binary_search_by(|row| row.path.cmp(path)).ok()?;
    Some(rows[index].after.clone())
}

/// Whether nothing is left of the storage that an account had before.
fn is_storage_new(account: &AccountDiff) -> bool {
    account.wiped || account.after.is_none()
}

impl StateReader for AskedState {
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadError> {
        match self.changed(&keccak256(address)) {
            Some(account) => Ok(account.after),
            None => self.below.account(address),
        }
    }

    fn slot(&self, address: &Address, slot: &U256) -> Result<U256, ReadError> {
        self.leaf_slot(&keccak256(address), &keccak256(slot.to_be_bytes::<32>()))
    }

    fn code(&self, hash: &B256) -> Result<Bytes, ReadError> {
        let codes = self.above.as_ref().map_or(&[][..], |built| &built.diff.codes);
        match codes.binary_search_by_key(hash, |(hash, _)| *hash) {
            Ok(index) => Ok(codes[index].1.clone()),
            Err(_) => self.below.code(hash),
        }
    }

    fn block_hash(&self, number: u64) -> Result<Option<B256>, ReadError> {
        self.below.block_hash(number)
    }
}

impl TrieReader for AskedState {
    fn account_branch(&self, path: &Nibbles) -> Result<Option<Bytes>, ReadError> {
        let rows = self.above.as_ref().map_or(&[][..], |built| &built.branches.accounts);
        match row(rows, path) {
            Some(row) => Ok(row),
            None => self.below.account_branch(path),
        }
    }

    fn storage_branch(&self, account: &B256, path: &Nibbles) -> Result<Option<Bytes>, ReadError> {
        match row(self.changed_rows(account), path) {
            Some(row) => Ok(row),
            None if self.changed(account).is_some_and(is_storage_new) => Ok(None),
            None => self.below.storage_branch(account, path),
        }
    }

    fn leaf_account(&self, account: &B256) -> Result<Option<Account>, ReadError> {
        match self.changed(account) {
            Some(account) => Ok(account.after),
            None => self.below.leaf_account(account),
        }
    }

    fn leaf_slot(&self, account: &B256, slot: &B256) -> Result<U256, ReadError> {
        let Some(changed) = self.changed(account) else { return self.below.leaf_slot(account, slot) };
        match changed.slots.binary_search_by_key(slot, |slot| slot.key) {
            Ok(index) => Ok(changed.slots[index].after),
            Err(_) if is_storage_new(changed) => Ok(U256::ZERO),
            Err(_) => self.below.leaf_slot(account, slot),
        }
    }
}
