//! What canonical blocks at or below the frontier changed, forwards and backwards.

use crate::{
    blocks::Changes,
    codec::untrimmed,
    generation::{AccountWithId, Generation},
    schema::{Table, key_number},
};
use starling_primitives::{Account, AccountDiff, Address, B256, EMPTY_ROOT_HASH, ReadError, SlotDiff, StateDiff, U256};
use std::collections::{BTreeMap, BTreeSet};

/// What one block changed, as history keeps it.
pub(crate) fn changes_of(tables: &Generation, number: u64) -> Result<StateDiff, ReadError> {
    let keys = tables.changed_keys(number)?;
    let mut diff = StateDiff::default();
    for (key, slots) in &keys.accounts {
        let after = tables.account_at(key, number)?;
        let before = if number == 0 { None } else { tables.account_before(key, number)?.flatten() };
        let id = storage_id(&after);
        let same_storage = id == storage_id(&before) && number > 0;
        let mut changed = Vec::with_capacity(slots.len());
        for slot in slots {
            // a storage that is new in this block was empty before
            let before =
                if same_storage { tables.slot_before(id, slot, number)?.unwrap_or_default() } else { U256::ZERO };
            let after = if id == 0 { U256::ZERO } else { tables.slot_of_id(id, slot, number)? };
            changed.push(SlotDiff { key: *slot, before, after });
        }
        let wiped = is_wiped(&before, &after);
        diff.accounts.push(account_diff(tables, *key, before, after, wiped, changed)?);
    }
    Ok(diff)
}

fn account_diff(
    tables: &Generation,
    key: B256,
    before: Option<AccountWithId>,
    after: Option<AccountWithId>,
    wiped: bool,
    slots: Vec<SlotDiff>,
) -> Result<AccountDiff, ReadError> {
    let address: Option<Address> = tables.address(&key)?;
    let address = address.ok_or_else(|| ReadError::Damaged(format!("no address for account {key}")))?;
    let account = |row: Option<AccountWithId>| -> Option<Account> { row.map(|(account, _)| account) };
    Ok(AccountDiff { key, address, before: account(before), after: account(after), wiped, slots })
}

fn storage_id(row: &Option<AccountWithId>) -> u64 {
    row.map_or(0, |(_, id)| id)
}

/// Whether storage that was there is gone, or not the same any more.
fn is_wiped(before: &Option<AccountWithId>, after: &Option<AccountWithId>) -> bool {
    storage_id(before) != 0 && storage_id(before) != storage_id(after)
}

/// An account's row at the block, and the slots to write under its id.
pub(crate) type RestoredAccount = (Option<AccountWithId>, Vec<(B256, U256)>);

/// What leads from the frontier back to a block.
#[derive(Debug)]
pub(crate) struct Inverse {
    /// For the trie: values at the frontier before, at the block after.
    pub(crate) diff: StateDiff,
    /// For the tables, in the same order: each account's row at the block, and the slots to write under its id.
    pub(crate) restored: Vec<RestoredAccount>,
    /// The keys that each undone block changed, oldest block first.
    pub(crate) changes: Vec<(u64, Changes)>,
    /// The next storage id after the block.
    pub(crate) storage_id_next: u64,
}

/// Collects what undoing all blocks above `to` takes.
pub(crate) fn inverse(tables: &Generation, to: u64) -> Result<Inverse, ReadError> {
    let frontier = tables.frontier.number;
    let mut keys: BTreeMap<B256, BTreeSet<B256>> = BTreeMap::new();
    let mut changes = Vec::new();
    for number in to + 1..=frontier {
        let changed = tables.changed_keys(number)?;
        for (account, slots) in &changed.accounts {
            keys.entry(*account).or_default().extend(slots);
        }
        changes.push((number, changed));
    }
    let storage_id_next = tables.changed_keys(to)?.storage_id_next;
    let mut inverse = Inverse { diff: StateDiff::default(), restored: Vec::new(), changes, storage_id_next };
    for (key, slots) in keys {
        add_account(tables, to, key, &slots, &mut inverse)?;
    }
    Ok(inverse)
}

fn add_account(
    tables: &Generation,
    to: u64,
    key: B256,
    slots: &BTreeSet<B256>,
    inverse: &mut Inverse,
) -> Result<(), ReadError> {
    let now = tables.account_at(&key, tables.frontier.number)?;
    let then = tables.account_at(&key, to)?;
    let id = storage_id(&then);
    let wiped = is_wiped(&now, &then);
    let (changed, written) = if id == 0 {
        (Vec::new(), Vec::new())
    } else if id == storage_id(&now) {
        restore_slots(tables, to, id, slots)?
    } else {
        restore_storage(tables, to, id)?
    };
    let mut diff = account_diff(tables, key, now, then, wiped, changed)?;
    if let Some(after) = &mut diff.after {
        // the convention between execution and trie: the root before; the trie fills in the one after
        let root_before = diff.before.map_or(EMPTY_ROOT_HASH, |before| before.storage_root);
        after.storage_root = if wiped { EMPTY_ROOT_HASH } else { root_before };
    }
    if diff.before.is_some() || diff.after.is_some() {
        inverse.diff.accounts.push(diff);
        inverse.restored.push((then, written));
    }
    Ok(())
}

type Restored = (Vec<SlotDiff>, Vec<(B256, U256)>);

/// Slots of a storage that lives on.
fn restore_slots(tables: &Generation, to: u64, id: u64, slots: &BTreeSet<B256>) -> Result<Restored, ReadError> {
    let mut changed = Vec::new();
    for slot in slots {
        let before = tables.slot_of_id(id, slot, tables.frontier.number)?;
        let after = tables.slot_of_id(id, slot, to)?;
        if before != after {
            changed.push(SlotDiff { key: *slot, before, after });
        }
    }
    let written = changed.iter().map(|slot| (slot.key, slot.after)).collect();
    Ok((changed, written))
}

/// All slots of a storage that was wiped meanwhile: its rows are as they were when it died.
fn restore_storage(tables: &Generation, to: u64, id: u64) -> Result<Restored, ReadError> {
    let mut slots: BTreeMap<B256, U256> = tables.slots_of_id(id, &B256::ZERO, usize::MAX)?.into_iter().collect();
    let mut written = BTreeMap::new();
    let mut broken = false;
    let visit = &mut |key: &[u8], value: &[u8]| {
        if key_number(key, 0) != Some(id) {
            return false;
        }
        match (key.get(8..40).map(B256::from_slice), key_number(key, 40), untrimmed(value)) {
            // in block order: the first one behind the block tells
            (Some(slot), Some(block), Ok(before)) if block > to => drop(written.entry(slot).or_insert(before)),
            (Some(_), Some(_), Ok(_)) => {}
            _ => broken = true,
        }
        !broken
    };
    let walked = tables.rows()?.walk(Table::StorageHistory, &id.to_be_bytes(), visit);
    walked.map_err(|error| ReadError::Io(error.to_string()))?;
    if broken {
        return Err(ReadError::Damaged("a row of table StorageHistory".into()));
    }
    slots.extend(&written);
    let alive = slots.into_iter().filter(|(_, value)| !value.is_zero());
    let changed = alive.map(|(key, after)| SlotDiff { key, before: U256::ZERO, after }).collect();
    Ok((changed, written.into_iter().collect()))
}
