//! Forgetting old history: rows that only readers of blocks behind the window would ask for.

use crate::{
    blocks::{BlockFiles, Changes},
    codec::Malformed,
    schema::{BlockPlace, Meta, Table, account_history_key, decode_account_value, key_number, storage_history_key},
    tables::{Batch, TableError, delete_range, get_with, seek},
};
use starling_primitives::B256;

/// Most blocks whose history one flush forgets, so that it stays short; the next one goes on.
const BLOCKS_MAX: u64 = 4096;

/// Forgets the history of blocks further than `keep` behind the frontier, and the storage that they wiped.
pub(crate) fn prune(batch: &mut dyn Batch, blocks: &BlockFiles, meta: &mut Meta, keep: u64) -> Result<(), TableError> {
    let wanted = meta.frontier.number.saturating_sub(keep);
    let until = wanted.min(meta.history_from.saturating_add(BLOCKS_MAX));
    for number in meta.history_from + 1..=until {
        let place = get_with(batch, Table::Blocks, &number.to_be_bytes(), &BlockPlace::decode)?;
        let place = place.ok_or_else(|| TableError::Damaged(format!("no place for block {number}")))?;
        forget_block(batch, number, &blocks.changes(number, place)?)?;
    }
    meta.history_from = meta.history_from.max(until);
    sweep_dead_storage(batch, meta.history_from)
}

/// Deletes the history rows that a block made. Its slots' rows stand under the id that the account had after it.
pub(crate) fn forget_block(batch: &mut dyn Batch, number: u64, changes: &Changes) -> Result<(), TableError> {
    for (account, slots) in &changes.accounts {
        let id = id_after(batch, account, number)?;
        if id != 0 {
            let keys: Vec<_> = slots.iter().map(|slot| storage_history_key(id, slot, number)).collect();
            batch.write(Table::StorageHistory, &mut keys.iter().map(|key| (&key[..], None)))?;
        }
        let key = account_history_key(account, number);
        batch.write(Table::AccountHistory, &mut [(&key[..], None)].into_iter())?;
    }
    Ok(())
}

fn id_after(batch: &dyn Batch, account: &B256, number: u64) -> Result<u64, TableError> {
    let from = account_history_key(account, number + 1);
    let row = match seek(batch, Table::AccountHistory, &from, account.as_slice())? {
        Some((_, value)) => decode_account_value(&value)?,
        None => get_with(batch, Table::Accounts, account.as_slice(), &decode_account_value)?.flatten(),
    };
    Ok(row.map_or(0, |(_, id)| id))
}

/// Deletes storage that was wiped at or before a block.
fn sweep_dead_storage(batch: &mut dyn Batch, until: u64) -> Result<(), TableError> {
    let mut dead: Vec<(Vec<u8>, u64)> = Vec::new();
    let mut broken = false;
    batch.walk(Table::DeadStorage, &[], &mut |key, _| match (key_number(key, 0), key_number(key, 8)) {
        (Some(block), Some(id)) if block <= until => {
            dead.push((key.to_vec(), id));
            true
        }
        (Some(_), Some(_)) => false,
        _ => {
            broken = true;
            false
        }
    })?;
    if broken {
        return Err(Malformed("row of table DeadStorage").into());
    }
    for (_, id) in &dead {
        for table in [Table::Storage, Table::StorageHistory] {
            delete_range(batch, table, &id.to_be_bytes(), &(id + 1).to_be_bytes())?;
        }
    }
    batch.write(Table::DeadStorage, &mut dead.iter().map(|(key, _)| (key.as_slice(), None)))
}
