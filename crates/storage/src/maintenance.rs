//! Looking at a database, checking it, and making it smaller: what the `db` commands are made of.

use crate::{
    Database, Lsn, WriteError,
    blocks::BlockFiles,
    engine::Engine,
    flush::write_one,
    generation::Generation,
    journal::{FOLDER, replay, replay::Scan},
    prune::prune,
    schema::{KEY_CONFIG, KEY_META, Table},
    tables::TableError,
};
use starling_primitives::{B256, BlockRef, Bytes, Header, ReadError};
use std::{fmt, sync::Arc};

/// Findings that [`Database::verify`] reports at most; a broken disk would fill the screen otherwise.
const FINDINGS_MAX: usize = 100;

/// What a database holds. Its `Display` is one `name value` a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// The canonical head.
    pub head: BlockRef,
    /// Up to and with it everything is in tables and block files.
    pub frontier: BlockRef,
    /// The lowest block whose state is kept.
    pub oldest_state: u64,
    /// Blocks above the frontier, side branches included.
    pub layers: usize,
    /// Bytes of memory that they hold.
    pub layer_bytes: u64,
    /// Bytes of their journal records.
    pub unflushed_bytes: u64,
    /// Bytes of the journal's files.
    pub journal_bytes: u64,
    /// Number of block files.
    pub block_files: u64,
    /// Bytes of them.
    pub block_bytes: u64,
    /// Rows and bytes by table.
    pub tables: Vec<(Table, u64, u64)>,
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "head {}", self.head)?;
        writeln!(f, "frontier {}", self.frontier)?;
        writeln!(f, "oldest state {}", self.oldest_state)?;
        writeln!(f, "layers {}, {} bytes in memory", self.layers, self.layer_bytes)?;
        writeln!(f, "journal {} bytes, {} not flushed", self.journal_bytes, self.unflushed_bytes)?;
        writeln!(f, "block files {}, {} bytes", self.block_files, self.block_bytes)?;
        for (table, rows, bytes) in &self.tables {
            writeln!(f, "table {} {rows} rows, {bytes} bytes", table.name())?;
        }
        Ok(())
    }
}

impl Database {
    /// What the database holds.
    pub fn stats(&self) -> Result<Stats, ReadError> {
        let engine = self.engine();
        let snapshot = engine.snapshot();
        let usage = snapshot.usage();
        let failed = |error: TableError| ReadError::Io(error.to_string());
        let size = |table: Table| engine.store.size(table).map(|(rows, bytes)| (table, rows, bytes));
        let (block_files, block_bytes) = engine.blocks.sizes().map_err(|error| failed(error.into()))?;
        Ok(Stats {
            head: snapshot.head.head,
            frontier: snapshot.frontier(),
            oldest_state: snapshot.generation.meta.history_from,
            layers: usage.layers,
            layer_bytes: usage.memory_bytes,
            unflushed_bytes: usage.journal_bytes,
            journal_bytes: engine.writer().journal.size_bytes(),
            block_files,
            block_bytes,
            tables: Table::ALL.into_iter().map(size).collect::<Result<_, _>>().map_err(failed)?,
        })
    }

    /// Looks at every checksum, link and lookup from block `from` on; what is damaged, a line each, at most 100.
    /// `progress` is told blocks done and blocks in all. State roots are the business of the floors above: see
    /// [`crate::View::frontier_accounts`].
    pub fn verify(&self, from: u64, progress: &mut dyn FnMut(u64, u64)) -> Result<Vec<String>, ReadError> {
        let engine = self.engine();
        // no flush and no rollback meanwhile: what is looked at stands still
        let _tables = engine.tables.lock();
        let snapshot = engine.snapshot();
        let tables = &snapshot.generation;
        let mut findings = Vec::new();
        findings.extend(verify_journal(engine, tables));
        let frontier = tables.frontier.number;
        let total = (frontier + 1).saturating_sub(from);
        let mut parent = from.checked_sub(1).map(|below| tables.canonical_hash(below)).transpose()?.flatten();
        for number in from..=frontier {
            match verify_block(tables, &engine.blocks, number, parent) {
                Ok(hash) => parent = Some(hash),
                Err(error) => {
                    findings.push(error.to_string());
                    parent = tables.canonical_hash(number).unwrap_or_default();
                }
            }
            if findings.len() >= FINDINGS_MAX {
                break;
            }
            progress(number + 1 - from, total);
        }
        Ok(findings)
    }

    /// Forgets the history of blocks further than `keep` behind the frontier; the oldest block with state then.
    pub fn prune_history(&self, keep: u64) -> Result<u64, WriteError> {
        let engine = self.engine();
        engine.check_writable()?;
        let _tables = engine.tables.lock();
        loop {
            let before = engine.snapshot().generation.meta.history_from;
            let mut meta = engine.snapshot().generation.meta;
            let done = commit(engine, |batch| {
                prune(batch, &engine.blocks, &mut meta, keep)?;
                write_one(batch, Table::Meta, KEY_META, &meta.encode())?;
                Ok(meta)
            });
            let meta = done.map_err(|error| engine.poison(&format!("pruning history: {error}")))?;
            engine.replace_meta(meta)?;
            if meta.history_from == before {
                return Ok(before);
            }
        }
    }

    /// Replaces the chain's configuration.
    pub fn set_config(&self, config: Bytes) -> Result<(), WriteError> {
        let engine = self.engine();
        engine.check_writable()?;
        let _tables = engine.tables.lock();
        let done = commit(engine, |batch| write_one(batch, Table::Meta, KEY_CONFIG, &config));
        done.map_err(|error| WriteError::Io(error.to_string()))?;
        engine.chain_config.store(Arc::new(config));
        Ok(())
    }

    /// Free disk space in bytes, if the system says.
    pub fn disk_free_bytes(&self) -> Option<u64> {
        self.engine().disk.free_bytes().ok()
    }

    /// Why an append would be refused now: the disk is full, or an earlier write failed.
    pub fn write_refused(&self) -> Option<String> {
        let engine = self.engine();
        engine.check_writable().and_then(|()| engine.check_room()).err().map(|error| error.to_string())
    }

    /// Waits until everything appended so far is on the disk itself.
    pub fn sync_all(&self) -> Result<(), WriteError> {
        let lsn = self.engine().writer().journal.lsn_last();
        self.sync(Lsn(lsn))
    }

    /// Syncs the journal and ends the threads, if this is the last handle.
    pub fn close(self) {
        drop(self);
    }
}

fn commit<T>(
    engine: &Engine,
    change: impl FnOnce(&mut dyn crate::tables::Batch) -> Result<T, TableError>,
) -> Result<T, TableError> {
    let mut batch = engine.store.batch()?;
    let changed = change(&mut *batch)?;
    batch.commit()?;
    Ok(changed)
}

fn verify_journal(engine: &Engine, tables: &Generation) -> Option<String> {
    // the writer waits: half a record would look torn
    let _writer = engine.writer();
    match replay::scan(&engine.disk, tables.meta.journal_first, &mut |_| Ok(())) {
        Ok(Scan { torn_bytes: 0, .. }) => None,
        Ok(scan) => Some(format!("{FOLDER}: {} bytes at its end are no record", scan.torn_bytes)),
        Err(error) => Some(error.to_string()),
    }
}

/// Checks one block's rows against each other and against its entry in the block files; its hash.
fn verify_block(
    tables: &Generation,
    blocks: &BlockFiles,
    number: u64,
    parent: Option<B256>,
) -> Result<B256, ReadError> {
    let damaged = |what: String| ReadError::Damaged(format!("block {number}: {what}"));
    let hash = tables.canonical_hash(number)?.ok_or_else(|| damaged("no header".into()))?;
    let header = tables.header(BlockRef::new(number, hash))?.ok_or_else(|| damaged("no header".into()))?;
    check_header(&header, number, hash, parent).map_err(&damaged)?;
    if tables.number(&hash)? != Some(number) {
        return Err(damaged("its hash does not lead to it".into()));
    }
    let place = tables.block_place(number)?.ok_or_else(|| damaged("no place in the block files".into()))?;
    let (rlp, changes) = blocks.verify(number, place)?;
    let hashes = crate::rollback::transaction_hashes(&rlp).map_err(|error| damaged(error.to_string()))?;
    for (index, tx_hash) in (0..).zip(hashes) {
        if tables.transaction(&tx_hash)? != Some((number, index)) {
            return Err(damaged(format!("transaction {tx_hash} does not lead to it")));
        }
    }
    if number > tables.meta.history_from {
        for (account, _) in &changes.accounts {
            if tables.account_before(account, number)?.is_none() {
                return Err(damaged(format!("no history of account {account}")));
            }
        }
    }
    Ok(hash)
}

fn check_header(header: &Header, number: u64, hash: B256, parent: Option<B256>) -> Result<(), String> {
    if header.hash_slow() != hash {
        return Err(format!("its header does not hash to {hash}"));
    }
    if header.number != number {
        return Err(format!("its header says number {}", header.number));
    }
    match parent {
        Some(parent) if parent != header.parent_hash => Err("it does not follow the block before".into()),
        _ => Ok(()),
    }
}
