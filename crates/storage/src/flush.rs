//! Flush: the oldest layers become rows of tables and entries of block files, in one commit that moves the frontier.
//!
//! Order: journal synced → block files and their folder synced → one table commit with [`Meta`] → layers dropped →
//! old journal files deleted. A crash anywhere leaves either the old frontier, with leftovers that nothing names,
//! or the new one. Keys that several blocks changed are written once; before-values go into the same commit.
//!
//! Storage ids are given out here, in canonical order: an account gets one with its first slot and keeps it until
//! its storage is wiped; the wiped id's rows stay for readers of the past.

use crate::{
    HeadRecord,
    blocks::{BlockFiles, Changes},
    branches::BranchRows,
    failpoint,
    generation::AccountWithId,
    journal::record::{Body, decode_body},
    layers::Layer,
    rows::{AccountRow, Sections},
    schema::{
        KEY_META, Meta, Table, account_history_key, account_row, account_value, dead_storage_key, storage_history_key,
        storage_key, transaction_value,
    },
    tables::{Batch, Rows, Store, TableError, get_with},
};
use alloy_primitives::map::{B256Map, B256Set};
use alloy_rlp::Encodable;
use starling_primitives::{Account, Address, B256, Bytes, SlotDiff, U256};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
};

/// What a flush is given.
pub(crate) struct Flush<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) blocks: &'a BlockFiles,
    /// Where the database stands.
    pub(crate) meta: Meta,
    /// Canonical layers from the frontier on, oldest first.
    pub(crate) layers: Vec<Arc<Layer>>,
    /// Layers of dead side branches: of them only the total difficulty is kept.
    pub(crate) dead: Vec<Arc<Layer>>,
    pub(crate) head: HeadRecord,
    /// The first journal file that is needed afterwards.
    pub(crate) journal_first: u64,
    pub(crate) history_blocks: Option<u64>,
    pub(crate) stop: &'a AtomicBool,
    /// Rows that go into the same commit: the chain's configuration, at genesis.
    pub(crate) extra: Vec<(Table, &'static [u8], Vec<u8>)>,
}

impl Flush<'_> {
    /// Does it; the new [`Meta`].
    pub(crate) fn run(mut self) -> Result<Meta, TableError> {
        let rows: Vec<Arc<[u8]>> = self.layers.iter().map(|layer| layer.rows()).collect::<Result<_, _>>()?;
        let sections: Vec<Sections<'_>> = rows.iter().map(|rows| Sections::decode(rows)).collect::<Result<_, _>>()?;
        let branches: Vec<Bytes> = self.layers.iter().map(|layer| layer.branches()).collect::<Result<_, _>>()?;
        let mut batch = self.store.batch()?;
        let mut state = StateRows::new(self.meta.storage_id_next, &*batch, &sections)?;
        let mut transactions = Vec::new();
        let mut writer = self.blocks.writer(self.meta.blocks_end);
        for ((layer, sections), branches) in self.layers.iter().zip(&sections).zip(&branches) {
            self.check_stop()?;
            let changes = state.add_block(layer.block.number, sections, branches, &*batch)?;
            let place = writer.append(layer.block.number, &read_body(layer)?, &changes)?;
            write_block(&mut *batch, layer)?;
            let places = sections.tx_hashes.iter().zip(0..);
            transactions.extend(places.map(|(hash, index)| (*hash, transaction_value(layer.block.number, index))));
            write_one(&mut *batch, Table::Blocks, &layer.block.number.to_be_bytes(), &place.encode())?;
        }
        self.meta.blocks_end = writer.finish()?;
        self.meta.storage_id_next = state.storage_id_next;
        write_transactions(&mut *batch, transactions)?;
        failpoint::pass(failpoint::FLUSH_WRITE);
        state.write(&mut *batch, self.stop)?;
        for layer in &self.dead {
            write_difficulty(&mut *batch, layer)?;
        }
        for (table, key, value) in &self.extra {
            write_one(&mut *batch, *table, key, value)?;
        }
        if let Some(newest) = self.layers.last() {
            self.meta.frontier = newest.block;
        }
        if let Some(keep) = self.history_blocks {
            crate::prune::prune(&mut *batch, self.blocks, &mut self.meta, keep)?;
        }
        (self.meta.head, self.meta.journal_first) = (self.head, self.journal_first);
        write_one(&mut *batch, Table::Meta, KEY_META, &self.meta.encode())?;
        self.check_stop()?;
        failpoint::pass(failpoint::FLUSH_COMMIT);
        batch.commit()?;
        Ok(self.meta)
    }

    fn check_stop(&self) -> Result<(), TableError> {
        if self.stop.load(Ordering::Relaxed) { Err(TableError::Stopped) } else { Ok(()) }
    }
}

/// Reads a layer's body back from the journal.
pub(crate) fn read_body(layer: &Layer) -> Result<Body, TableError> {
    let bytes = layer.body.read_all()?;
    decode_body(&bytes).map_err(|error| TableError::Damaged(format!("block {} in the journal: {error}", layer.block)))
}

pub(crate) fn write_one(batch: &mut dyn Batch, table: Table, key: &[u8], value: &[u8]) -> Result<(), TableError> {
    batch.write(table, &mut [(key, Some(value))].into_iter())
}

fn write_block(batch: &mut dyn Batch, layer: &Layer) -> Result<(), TableError> {
    let number = layer.block.number;
    let mut header = layer.block.hash.to_vec();
    layer.header.encode(&mut header);
    write_one(batch, Table::Headers, &number.to_be_bytes(), &header)?;
    write_one(batch, Table::Numbers, layer.block.hash.as_slice(), &number.to_le_bytes())?;
    write_difficulty(batch, layer)
}

fn write_transactions(batch: &mut dyn Batch, mut places: Vec<(B256, [u8; 12])>) -> Result<(), TableError> {
    places.sort_unstable();
    batch.write(Table::Transactions, &mut places.iter().map(|(hash, place)| (hash.as_slice(), Some(&place[..]))))
}

fn write_difficulty(batch: &mut dyn Batch, layer: &Layer) -> Result<(), TableError> {
    match &layer.total_difficulty {
        Some(value) => {
            write_one(batch, Table::Difficulty, layer.block.hash.as_slice(), &value.to_be_bytes_trimmed_vec())
        }
        None => Ok(()),
    }
}

/// An account as the tables have it after a flush.
pub(crate) type Placed = (B256, Option<AccountWithId>);

/// State rows of a run of blocks, coalesced.
#[derive(Default)]
struct StateRows<'a> {
    storage_id_next: u64,
    /// Every changed account as it is now; before the first block, as the tables have it.
    accounts: B256Map<Option<AccountWithId>>,
    /// Storage ids as the tables have them: their branch rows are dropped if the id dies.
    ids_before: B256Map<u64>,
    /// Of all changed accounts.
    addresses: B256Map<Address>,
    /// In block order: of equal keys the last counts.
    slots: Vec<([u8; 40], U256)>,
    account_history: Vec<([u8; 40], Vec<u8>)>,
    storage_history: Vec<([u8; 48], U256)>,
    dead: Vec<(u64, u64)>,
    codes: BTreeMap<B256, &'a [u8]>,
    branches: BranchRows<'a>,
}

impl<'a> StateRows<'a> {
    /// Reads the current rows of all accounts that will change, in key order.
    fn new<R: Rows + ?Sized>(storage_id_next: u64, tables: &R, blocks: &[Sections<'a>]) -> Result<Self, TableError> {
        let keys: B256Set = blocks.iter().flat_map(|block| block.accounts.iter().map(|(row, _)| row.key)).collect();
        let mut keys: Vec<B256> = keys.into_iter().collect();
        keys.sort_unstable();
        let mut rows = Self { storage_id_next, ..Self::default() };
        for key in keys {
            let row = get_with(tables, Table::Accounts, key.as_slice(), &crate::schema::decode_account_value)?;
            let row = row.flatten();
            if let Some((_, id @ 1..)) = row {
                rows.ids_before.insert(key, id);
            }
            rows.accounts.insert(key, row);
        }
        Ok(rows)
    }

    /// Adds a block's rows; `tables` are as before the flush.
    fn add_block<R: Rows + ?Sized>(
        &mut self,
        number: u64,
        block: &Sections<'a>,
        branches: &'a [u8],
        tables: &R,
    ) -> Result<Changes, TableError> {
        let mut changes = Changes::default();
        for (row, slots) in &block.accounts {
            self.add_account(number, row, slots);
            // genesis is never undone
            if number > 0 {
                changes.accounts.push((row.key, slots.iter().map(|slot| slot.key).collect()));
            }
        }
        changes.storage_id_next = self.storage_id_next;
        self.codes.extend(block.codes.iter().copied());
        // a wiped storage's rows in the tables are those of another id
        let id_before = |account: &B256| {
            let id = self.accounts.get(account).copied().flatten().map_or(0, |(_, id)| id);
            self.ids_before.get(account).copied().filter(|before| *before == id)
        };
        self.branches.add(block, branches, tables, &id_before)?;
        Ok(changes)
    }

    fn add_account(&mut self, number: u64, row: &AccountRow, slots: &[SlotDiff]) {
        let before = self.accounts.get(&row.key).copied().flatten();
        self.addresses.insert(row.key, row.address);
        let id_before = before.map_or(0, |(_, id)| id);
        let mut id = id_before;
        if row.wiped && id != 0 {
            self.dead.push((number, id));
            self.branches.wipe(&row.key);
            id = 0;
        }
        if id == 0 && row.after.is_some() && !slots.is_empty() {
            id = self.storage_id_next;
            self.storage_id_next += 1;
        }
        // genesis has no past
        if number > 0 {
            let key = account_history_key(&row.key, number);
            self.account_history.push((key, account_value(before.as_ref())));
        }
        self.add_slots(number, id, id != id_before || number == 0, slots);
        self.accounts.insert(row.key, row.after.map(|account: Account| (account, id)));
    }

    /// A storage that is new in this block needs no before-values: older readers do not know its id.
    fn add_slots(&mut self, number: u64, id: u64, new: bool, slots: &[SlotDiff]) {
        if id == 0 {
            return;
        }
        for slot in slots {
            self.slots.push((storage_key(id, &slot.key), slot.after));
            if !new {
                self.storage_history.push((storage_history_key(id, &slot.key, number), slot.before));
            }
        }
    }

    /// Writes everything, table by table, sorted; memory is given back on the way.
    fn write(self, batch: &mut dyn Batch, stop: &AtomicBool) -> Result<(), TableError> {
        let check = || if stop.load(Ordering::Relaxed) { Err(TableError::Stopped) } else { Ok(()) };
        let mut accounts: Vec<(B256, Option<AccountWithId>)> = self.accounts.into_iter().collect();
        accounts.sort_unstable_by_key(|(key, _)| *key);
        self.branches.write(batch, &accounts, &self.ids_before)?;
        check()?;
        write_accounts(batch, &accounts, &self.addresses)?;
        drop((accounts, self.addresses));
        write_slots(batch, self.slots)?;
        check()?;
        batch.write(Table::Codes, &mut self.codes.iter().map(|(hash, code)| (hash.as_slice(), Some(*code))))?;
        check()?;
        let mut history = self.account_history;
        history.sort_unstable();
        batch.write(Table::AccountHistory, &mut history.iter().map(|(key, value)| (&key[..], Some(&value[..]))))?;
        check()?;
        write_storage_history(batch, self.storage_history)?;
        let dead: Vec<[u8; 16]> = self.dead.iter().map(|(block, id)| dead_storage_key(*block, *id)).collect();
        batch.write(Table::DeadStorage, &mut dead.iter().map(|key| (&key[..], Some(&[][..]))))
    }
}

/// Writes the accounts that are there, and of those that are gone the address: history still asks for it.
fn write_accounts(
    batch: &mut dyn Batch,
    accounts: &[(B256, Option<AccountWithId>)],
    addresses: &B256Map<Address>,
) -> Result<(), TableError> {
    for chunk in accounts.chunks(4096) {
        let values: Vec<Option<Vec<u8>>> = chunk
            .iter()
            .map(|(key, account)| account.as_ref().zip(addresses.get(key)))
            .map(|row| row.map(|(account, address)| account_row(account, address)))
            .collect();
        let mut rows = chunk.iter().zip(&values).map(|((key, _), value)| (key.as_slice(), value.as_deref()));
        batch.write(Table::Accounts, &mut rows)?;
    }
    let gone = accounts.iter().filter(|(_, account)| account.is_none());
    let mut rows = gone.filter_map(|(key, _)| Some((key.as_slice(), Some(addresses.get(key)?.as_slice()))));
    batch.write(Table::Addresses, &mut rows)
}

fn write_slots(batch: &mut dyn Batch, mut slots: Vec<([u8; 40], U256)>) -> Result<(), TableError> {
    // stable: of equal keys the last one is the newest
    slots.sort_by_key(|(key, _)| *key);
    let newest = slots.chunk_by(|a, b| a.0 == b.0).filter_map(|equal| equal.last());
    let newest: Vec<([u8; 40], [u8; 32], usize)> =
        newest.map(|(key, value)| (*key, value.to_be_bytes(), value.byte_len())).collect();
    let mut rows = newest.iter().map(|(key, value, length)| (&key[..], (*length > 0).then(|| &value[32 - length..])));
    batch.write(Table::Storage, &mut rows)
}

fn write_storage_history(batch: &mut dyn Batch, mut history: Vec<([u8; 48], U256)>) -> Result<(), TableError> {
    history.sort_unstable_by_key(|(key, _)| *key);
    for chunk in history.chunks(4096) {
        let values: Vec<Vec<u8>> = chunk.iter().map(|(_, value)| crate::codec::trimmed(value)).collect();
        let mut rows = chunk.iter().zip(&values).map(|((key, _), value)| (&key[..], Some(value.as_slice())));
        batch.write(Table::StorageHistory, &mut rows)?;
    }
    Ok(())
}
