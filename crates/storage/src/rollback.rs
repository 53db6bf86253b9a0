//! Going back: above the frontier a journal record, below it inverse diffs as one forward commit that lowers Meta.
//!
//! Below the frontier nothing but the commit counts: the new journal file before it is an empty successor until Meta
//! names it, and what is cut and deleted after it is what the next start would remove as leftovers. So a crash at
//! any point leaves the database before or after the step, and asking again goes on.

use crate::{
    HeadRecord, View, WriteError,
    engine::{Engine, Writer},
    flush::write_one,
    generation::Generation,
    prune::forget_block,
    rows::PathBytes,
    schema::{FileOffset, KEY_META, Meta, Table, account_row, storage_branch_key, storage_key},
    tables::{Batch, TableError, delete_range},
    undo::{self, Inverse},
};
use starling_primitives::{B256, BlockRef, BranchChanges, Bytes, ReadError, StateDiff, keccak256};
use std::time::Duration;

/// Blocks undone by one commit: bounds the memory of a deep rollback.
const STEP_BLOCKS_MAX: u64 = 1024;
/// A step may take long; its own view must not expire meanwhile.
const STEP_DEADLINE: Duration = Duration::from_secs(3600);
/// Behind every key of a table.
const LAST_KEY: [u8; 64] = [0xff; 64];

/// Computes the branch rows after an inverse diff, given the state it starts from, and fills in the diff's storage
/// roots: the `trie` crate's business. An error ends the rollback with nothing changed.
pub type BranchUpdate<'a> = dyn FnMut(&mut StateDiff, &View) -> Result<BranchChanges, String> + 'a;

impl Engine {
    /// See [`crate::Database::rollback`].
    pub(crate) fn rollback(&self, to: u64, branches: &mut BranchUpdate<'_>) -> Result<(), WriteError> {
        self.check_writable()?;
        let _tables = self.tables.lock();
        let snapshot = self.snapshot();
        let view = View::new(snapshot.clone(), snapshot.head.head.hash, STEP_DEADLINE)?;
        // says precisely what is not kept
        let target = view.at(to)?.state_block();
        if to >= snapshot.frontier().number {
            let lsn = self.append_rollback(target)?;
            return self.sync(lsn);
        }
        drop((view, snapshot));
        loop {
            let frontier = self.snapshot().frontier().number;
            if frontier <= to {
                return Ok(());
            }
            self.rollback_step(to.max(frontier.saturating_sub(STEP_BLOCKS_MAX)), branches)?;
        }
    }

    /// Lowers the frontier to a block; whatever stands above is forgotten.
    fn rollback_step(&self, to: u64, branches: &mut BranchUpdate<'_>) -> Result<(), WriteError> {
        let mut writer = self.writer();
        let snapshot = self.snapshot();
        let tables = &snapshot.generation;
        let view = View::new(snapshot.clone(), snapshot.frontier().hash, STEP_DEADLINE)?;
        let mut inverse = undo::inverse(tables, to)?;
        let rows = branches(&mut inverse.diff, &view).map_err(WriteError::Rollback)?;
        check_roots(&inverse)?;
        let meta = self.lowered_meta(&mut writer, tables, to)?;
        self.commit_inverse(tables, &meta, &inverse, &rows).map_err(|error| match error {
            TableError::Full => WriteError::DiskFull {
                free: self.disk.free_bytes().unwrap_or_default(),
                needed: self.config.disk_free_bytes_min,
            },
            error => self.poison(&format!("rollback: {error}")),
        })?;
        self.restart_from(&mut writer, meta)
    }

    fn lowered_meta(&self, writer: &mut Writer, tables: &Generation, to: u64) -> Result<Meta, WriteError> {
        let missing = |what: &str| ReadError::Damaged(format!("no {what} of block {to}"));
        let hash = tables.canonical_hash(to)?.ok_or_else(|| missing("header"))?;
        let place = tables.block_place(to)?.ok_or_else(|| missing("place"))?;
        let block = BlockRef::new(to, hash);
        let head = self.snapshot().head;
        let below = |named: Option<BlockRef>| named.map(|named| if named.number > to { block } else { named });
        Ok(Meta {
            frontier: block,
            head: HeadRecord { head: block, safe: below(head.safe), finalized: below(head.finalized) },
            journal_first: self.roll_journal(writer)?,
            blocks_end: FileOffset { file: place.start.file, offset: place.start.offset + u64::from(place.length) },
            ..tables.meta
        })
    }

    fn commit_inverse(
        &self,
        tables: &Generation,
        meta: &Meta,
        inverse: &Inverse,
        branches: &BranchChanges,
    ) -> Result<(), TableError> {
        let mut batch = self.store.batch()?;
        // history first, oldest block first: a row's storage id is found through the rows behind it
        for (number, changes) in &inverse.changes {
            forget_block(&mut *batch, *number, changes)?;
        }
        restore_state(&mut *batch, inverse)?;
        drop_storage_from(&mut *batch, inverse.storage_id_next)?;
        restore_branches(&mut *batch, inverse, branches)?;
        for (number, _) in &inverse.changes {
            forget_lookups(&mut *batch, tables, *number)?;
        }
        delete_range(&mut *batch, Table::DeadStorage, &(meta.frontier.number + 1).to_be_bytes(), &LAST_KEY)?;
        write_one(&mut *batch, Table::Meta, KEY_META, &meta.encode())?;
        batch.commit()
    }
}

/// The trie must have come to the storage roots that history knows.
fn check_roots(inverse: &Inverse) -> Result<(), WriteError> {
    for (diff, (row, _)) in inverse.diff.accounts.iter().zip(&inverse.restored) {
        if diff.after != row.map(|(account, _)| account) {
            return Err(WriteError::Rollback(format!(
                "account {} comes out otherwise than history has it",
                diff.address
            )));
        }
    }
    Ok(())
}

fn restore_state(batch: &mut dyn Batch, inverse: &Inverse) -> Result<(), TableError> {
    for (diff, (row, slots)) in inverse.diff.accounts.iter().zip(&inverse.restored) {
        let value = row.as_ref().map(|row| account_row(row, &diff.address));
        batch.write(Table::Accounts, &mut [(diff.key.as_slice(), value.as_deref())].into_iter())?;
        let Some((_, id)) = row else {
            // history below may still ask for it
            write_one(batch, Table::Addresses, diff.key.as_slice(), diff.address.as_slice())?;
            continue;
        };
        for (slot, value) in slots {
            let trimmed = crate::codec::trimmed(value);
            let value = (!value.is_zero()).then_some(trimmed.as_slice());
            batch.write(Table::Storage, &mut [(&storage_key(*id, slot)[..], value)].into_iter())?;
        }
    }
    Ok(())
}

/// Storage ids that were given out after the block: everything under them goes.
fn drop_storage_from(batch: &mut dyn Batch, id: u64) -> Result<(), TableError> {
    for table in [Table::Storage, Table::StorageHistory, Table::StorageBranches] {
        delete_range(batch, table, &id.to_be_bytes(), &LAST_KEY)?;
    }
    Ok(())
}

fn restore_branches(batch: &mut dyn Batch, inverse: &Inverse, branches: &BranchChanges) -> Result<(), TableError> {
    for row in &branches.accounts {
        let path = PathBytes::new(&row.path);
        let after = row.after.as_ref().map(|after| &after[..]);
        batch.write(Table::AccountBranches, &mut [(path.as_slice(), after)].into_iter())?;
    }
    for storage in &branches.storages {
        let place = inverse.diff.accounts.binary_search_by_key(&storage.account, |diff| diff.key);
        let row = place.ok().and_then(|place| inverse.restored[place].0);
        let Some((_, id @ 1..)) = row else { continue };
        for row in &storage.rows {
            let key = storage_branch_key(id, PathBytes::new(&row.path).as_slice());
            let after = row.after.as_ref().map(|after| &after[..]);
            batch.write(Table::StorageBranches, &mut [(key.as_slice(), after)].into_iter())?;
        }
    }
    Ok(())
}

/// Deletes what leads to a block by number, by hash and by its transactions.
fn forget_lookups(batch: &mut dyn Batch, tables: &Generation, number: u64) -> Result<(), TableError> {
    let key = number.to_be_bytes();
    if let Some(hash) = tables.canonical_hash(number)? {
        for table in [Table::Numbers, Table::Difficulty] {
            batch.write(table, &mut [(hash.as_slice(), None)].into_iter())?;
        }
    }
    if let Some(place) = tables.block_place(number)? {
        let rlp = tables.blocks.body(number, place)?.rlp;
        let mut hashes = transaction_hashes(&rlp)?;
        hashes.sort_unstable();
        batch.write(Table::Transactions, &mut hashes.iter().map(|hash| (hash.as_slice(), None)))?;
    }
    for table in [Table::Headers, Table::Blocks] {
        batch.write(table, &mut [(&key[..], None)].into_iter())?;
    }
    Ok(())
}

/// Hashes of a block's transactions, from its RLP: of the list itself for legacy ones, of the envelope for typed ones.
pub(crate) fn transaction_hashes(block: &Bytes) -> Result<Vec<B256>, TableError> {
    let hashes = || -> alloy_rlp::Result<Vec<B256>> {
        let mut items = alloy_rlp::Header::decode_bytes(&mut &block[..], true)?;
        alloy_rlp::Header::decode_bytes(&mut items, true)?;
        let mut transactions = alloy_rlp::Header::decode_bytes(&mut items, true)?;
        let mut hashes = Vec::new();
        while !transactions.is_empty() {
            let whole = transactions;
            let header = alloy_rlp::Header::decode(&mut transactions)?;
            let payload = transactions.get(..header.payload_length).ok_or(alloy_rlp::Error::InputTooShort)?;
            transactions = &transactions[header.payload_length..];
            let length = whole.len() - transactions.len();
            hashes.push(keccak256(if header.list { &whole[..length] } else { payload }));
        }
        Ok(hashes)
    };
    hashes().map_err(|error| TableError::Damaged(format!("block RLP: {error}")))
}
