//! A diff's way into the tries: storage tries first, for their roots stand in the accounts.

use crate::merge::{Change, PARALLEL_MIN, merge, root};
use crate::tries::{AccountTrie, StorageTrie};
use crate::{TrieError, TrieReader, TrieUpdate};
use rayon::prelude::*;
use starling_primitives::{AccountDiff, B256, BranchChanges, EMPTY_ROOT_HASH, StateDiff, StorageBranches};

/// Applies a sorted diff to the state that `reader` shows (rows and leaves from *before* the diff): fills in
/// each changed account's `after.storage_root` and returns the new state root with the rows that changed.
///
/// Accounts are put as they are given, empty or not; whether an empty one stays is the executor's rule.
/// Rows of an account's older storage are not listed as gone when the account is (`after` is none) or was
/// wiped: whoever keeps rows drops them all. Large updates are spread over the current rayon pool; the
/// result does not depend on it.
pub fn update(reader: &dyn TrieReader, diff: &mut StateDiff) -> Result<TrieUpdate, TrieError> {
    if !diff.is_sorted() {
        return Err(TrieError::Damaged("the state diff is not sorted by key".into()));
    }
    let storages = update_storages(reader, &mut diff.accounts)?;
    let changes: Vec<_> =
        diff.accounts.iter().map(|account| Change { key: &account.key, value: account.after.as_ref() }).collect();
    let (root, accounts) = merge(&AccountTrie(reader), false, &changes)?;
    Ok(TrieUpdate { root, branches: BranchChanges { accounts, storages } })
}

/// The state root that the rows have.
pub fn state_root(reader: &dyn TrieReader) -> Result<B256, TrieError> {
    root(&AccountTrie(reader))
}

/// The storage root that an account's rows have.
pub fn storage_root(reader: &dyn TrieReader, account: &B256) -> Result<B256, TrieError> {
    root(&StorageTrie { reader, account })
}

fn update_storages(reader: &dyn TrieReader, accounts: &mut [AccountDiff]) -> Result<Vec<StorageBranches>, TrieError> {
    let slots: usize = accounts.iter().map(|account| account.slots.len()).sum();
    if slots < PARALLEL_MIN {
        return accounts.iter_mut().filter_map(|account| update_storage(reader, account).transpose()).collect();
    }
    accounts.par_iter_mut().filter_map(|account| update_storage(reader, account).transpose()).collect()
}

/// Fills in one account's storage root; the rows that changed, if any did.
fn update_storage(reader: &dyn TrieReader, account: &mut AccountDiff) -> Result<Option<StorageBranches>, TrieError> {
    let Some(after) = &mut account.after else { return Ok(None) };
    let fresh = account.wiped || account.before.is_none();
    if account.slots.is_empty() {
        if fresh {
            after.storage_root = EMPTY_ROOT_HASH;
        }
        return Ok(None);
    }
    let changes: Vec<_> = account
        .slots
        .iter()
        .map(|slot| Change { key: &slot.key, value: (!slot.after.is_zero()).then_some(&slot.after) })
        .collect();
    let trie = StorageTrie { reader, account: &account.key };
    let (root, rows) = merge(&trie, fresh, &changes)?;
    after.storage_root = root;
    Ok((!rows.is_empty()).then_some(StorageBranches { account: account.key, rows }))
}
