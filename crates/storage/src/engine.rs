//! The engine under [`crate::Database`]: who may write what, and when.
//!
//! ```text
//! chain ── append ──► journal ──► layer ──► Snapshot (one atomic swap) ──► views
//!                        │ ≤ 100 ms              ▲
//! journal thread ── fdatasync                    │
//! background thread ── flush: layers ──► block files, tables ──► new Generation
//! ```
//!
//! Two locks: `writer` (the journal's end, and every publication), held for the length of a write; `tables` (whoever
//! changes tables and block files), held for the length of a flush or a rollback. `tables` is taken first.
//! An error that leaves the journal's or the tables' end in doubt poisons the engine: no more writes, reads go on.

use crate::{
    BlockRecord, HeadRecord, Lsn, Record, StorageConfig, WriteError,
    blocks::BlockFiles,
    disk::{Disk, is_full},
    failpoint,
    flush::Flush,
    generation::Generation,
    journal::{
        AppendError, Journal,
        frame::RecordKind,
        record::{encode_block, encode_head, put_block_ref},
    },
    layers::{Layer, Place, Span},
    rows::whole_branches,
    schema::Meta,
    sync::Syncer,
    tables::{Store, TableError},
    tree::Snapshot,
    view::{READ_DEADLINE, View},
};
use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex, MutexGuard};
use starling_primitives::{B256, BlockRef, BranchRow, Bytes, ReadError, beside};
use std::{
    sync::{Arc, OnceLock, atomic::AtomicBool},
    time::{Duration, Instant},
};
use tracing::{info, warn};

/// From this many branch rows on, half a microsecond each, they are copied for readers while the journal is written.
const BRANCHES_BESIDE_MIN: usize = 256;

/// What one writer at a time may touch.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) journal: Journal,
    /// How far the caller allows flushing.
    pub(crate) allowed: BlockRef,
    /// The block that a running flush will make the frontier.
    pub(crate) flushing: Option<BlockRef>,
}

#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) config: StorageConfig,
    pub(crate) chain_config: ArcSwap<Bytes>,
    /// Whether the threads run; without them (simulated disk) whoever needs their work does it.
    pub(crate) background: AtomicBool,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) store: Box<dyn Store>,
    pub(crate) blocks: Arc<BlockFiles>,
    pub(crate) published: ArcSwap<Snapshot>,
    pub(crate) syncer: Syncer,
    pub(crate) writer: Mutex<Writer>,
    pub(crate) tables: Mutex<()>,
    /// Told when a flush is over.
    pub(crate) flushed: Condvar,
    /// Told when a flush is due.
    pub(crate) wake: Wake,
    /// Generations that some view may still look at.
    retired: Mutex<Vec<Arc<Generation>>>,
    poisoned: OnceLock<String>,
    /// Nothing new is begun in the background.
    pub(crate) closing: AtomicBool,
    /// What is under way is given up.
    pub(crate) stop: AtomicBool,
}

/// A flag with a bell: the background thread sleeps on it.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    rung: Mutex<bool>,
    bell: Condvar,
}

impl Wake {
    pub(crate) fn ring(&self) {
        *self.rung.lock() = true;
        self.bell.notify_all();
    }

    pub(crate) fn wait(&self, time: Duration) {
        let mut rung = self.rung.lock();
        if !*rung {
            self.bell.wait_for(&mut rung, time);
        }
        *rung = false;
    }
}

impl Engine {
    pub(crate) fn new(
        config: StorageConfig,
        disk: Arc<dyn Disk>,
        store: Box<dyn Store>,
        snapshot: Snapshot,
        journal: Journal,
    ) -> Result<Self, ReadError> {
        let chain_config = ArcSwap::from_pointee(snapshot.generation.config()?);
        let (blocks, allowed) = (snapshot.generation.blocks.clone(), snapshot.frontier());
        let syncer = Syncer::new(journal.current().clone(), journal.lsn_last());
        Ok(Self {
            config,
            chain_config,
            background: AtomicBool::new(false),
            disk,
            store,
            blocks,
            published: ArcSwap::from_pointee(snapshot),
            syncer,
            writer: Mutex::new(Writer { journal, allowed, flushing: None }),
            tables: Mutex::new(()),
            flushed: Condvar::new(),
            wake: Wake::default(),
            retired: Mutex::default(),
            poisoned: OnceLock::new(),
            closing: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        })
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.published.load_full()
    }

    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock()
    }

    /// No more writes until the next start; reads go on.
    pub(crate) fn poison(&self, why: &str) -> WriteError {
        if self.poisoned.set(why.to_owned()).is_ok() {
            tracing::error!(why, "the database takes no more writes until the next start");
        }
        self.syncer.fail();
        WriteError::Io(why.to_owned())
    }

    pub(crate) fn check_writable(&self) -> Result<(), WriteError> {
        self.poisoned.get().map_or(Ok(()), |why| Err(WriteError::Io(why.clone())))
    }

    pub(crate) fn check_room(&self) -> Result<(), WriteError> {
        let needed = self.config.disk_free_bytes_min;
        let free = self.disk.free_bytes().map_err(|error| WriteError::Io(error.to_string()))?;
        if free < needed { Err(WriteError::DiskFull { free, needed }) } else { Ok(()) }
    }

    /// Appends a record: see [`crate::Database::append`].
    pub(crate) fn append(&self, record: Record) -> Result<Lsn, WriteError> {
        self.check_writable()?;
        self.check_room()?;
        match record {
            Record::Block(block) => {
                self.hold_back()?;
                self.append_block(&block)
            }
            Record::Head(head) => self.append_head(head),
        }
    }

    fn append_block(&self, record: &BlockRecord) -> Result<Lsn, WriteError> {
        let mut writer = self.writer.lock();
        let parent = record.header.parent_hash;
        let snapshot = self.snapshot();
        if let Some(layer) = snapshot.layer(&record.block.hash) {
            return Ok(Lsn(layer.lsn));
        }
        let snapshot = self.bound_layers(snapshot, &parent);
        if !snapshot.knows(&parent) {
            return Err(WriteError::UnknownParent(parent));
        }
        debug_assert!(rows_are_changes_of(&snapshot, record), "branch rows of {} on another state", record.block);
        // Readers want the branch rows whole, the journal wants what changed of them: one beside the other.
        let mut branches = Bytes::new();
        let is_large = record.branches.count() >= BRANCHES_BESIDE_MIN;
        let result = beside(
            is_large,
            || branches = whole_branches(&record.branches),
            || writer.journal.append(RecordKind::Block, |out| encode_block(out, record)),
        );
        let (written, parts) = result.map_err(|error| self.append_error(error))?;
        let rows = &written.bytes[parts.rows.clone()];
        let place = Place {
            lsn: written.lsn,
            record_size_bytes: written.bytes.len() as u64,
            file: written.file.clone(),
            at: written.at,
            parts,
        };
        let (header, total_difficulty) = (record.header.clone(), record.total_difficulty);
        let layer = Layer::new(record.block, header, total_difficulty, rows, branches, place);
        let span = Span::of_layer(layer).map_err(|error| self.poison(&error.to_string()))?;
        let (lsn, file) = (written.lsn, written.file);
        writer.journal.shrink();
        failpoint::pass(failpoint::JOURNAL_WRITE);
        self.publish(merged(snapshot.with(span), &record.block.hash));
        self.syncer.written(file, lsn);
        self.relieve(&writer);
        Ok(Lsn(lsn))
    }

    fn append_head(&self, head: HeadRecord) -> Result<Lsn, WriteError> {
        let mut writer = self.writer.lock();
        let snapshot = self.snapshot();
        let stands = |block: &BlockRef| is_ancestor(&snapshot, &head.head.hash, block);
        if !snapshot.knows(&head.head.hash) || !writer.flushing.as_ref().is_none_or(stands) {
            return Err(WriteError::UnknownParent(head.head.hash));
        }
        let lsn = self.append_plain(&mut writer, RecordKind::Head, |out| encode_head(out, &head))?;
        self.publish(snapshot.with_head(head));
        Ok(lsn)
    }

    /// Journals that everything above a block is forgotten, and forgets it.
    pub(crate) fn append_rollback(&self, to: BlockRef) -> Result<Lsn, WriteError> {
        let mut writer = self.writer.lock();
        let lsn = self.append_plain(&mut writer, RecordKind::Rollback, |out| put_block_ref(out, &to))?;
        self.publish(self.snapshot().rolled_back(to));
        Ok(lsn)
    }

    fn append_plain(
        &self,
        writer: &mut Writer,
        kind: RecordKind,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Lsn, WriteError> {
        let (written, ()) = writer.journal.append(kind, encode).map_err(|error| self.append_error(error))?;
        let (lsn, file) = (written.lsn, written.file);
        self.syncer.written(file, lsn);
        Ok(Lsn(lsn))
    }

    fn append_error(&self, error: AppendError) -> WriteError {
        match error {
            AppendError::Refused(error) if is_full(&error) => {
                let free = self.disk.free_bytes().unwrap_or_default();
                WriteError::DiskFull { free, needed: self.config.disk_free_bytes_min }
            }
            AppendError::Refused(error) | AppendError::Broken(error) => self.poison(&format!("journal: {error}")),
        }
    }

    /// Publishes a snapshot; the caller holds the writer's lock.
    pub(crate) fn publish(&self, snapshot: Snapshot) {
        self.published.store(Arc::new(snapshot));
    }

    /// Waits until a record is on the disk itself.
    pub(crate) fn sync(&self, lsn: Lsn) -> Result<(), WriteError> {
        self.check_writable()?;
        self.syncer.wait_for(lsn.0).map_err(|error| self.poison(&format!("journal: {error}")))
    }

    /// Notes how far flushing is allowed; see [`crate::Database::advance`].
    pub(crate) fn advance(&self, frontier: BlockRef, wait: bool) -> Result<(), WriteError> {
        self.check_writable()?;
        let due = {
            let mut writer = self.writer.lock();
            let snapshot = self.snapshot();
            if frontier.number <= snapshot.frontier().number {
                return Ok(());
            }
            if !is_ancestor(&snapshot, &snapshot.head.head.hash, &frontier) {
                return Err(WriteError::UnknownParent(frontier.hash));
            }
            writer.allowed = frontier;
            self.due(&writer).is_some()
        };
        if wait {
            let _tables = self.tables.lock();
            return self.flush(frontier);
        }
        if due {
            self.wake.ring();
        }
        Ok(())
    }

    /// Flushes if the bounds ask for it; what the background thread does.
    pub(crate) fn flush_if_due(&self) -> Result<(), WriteError> {
        self.check_writable()?;
        let _tables = self.tables.lock();
        let due = self.due(&self.writer.lock());
        due.map_or(Ok(()), |target| self.flush(target))
    }

    /// Moves the frontier up to a canonical block; the caller holds the `tables` lock.
    fn flush(&self, target: BlockRef) -> Result<(), WriteError> {
        let Some((snapshot, layers)) = self.begin_flush(target) else { return Ok(()) };
        let result = self.write_layers(&snapshot, layers);
        let mut writer = self.writer.lock();
        writer.flushing = None;
        let result = match result {
            Ok(generation) => {
                failpoint::pass(failpoint::FLUSH_DELETE);
                let next = self.snapshot().over(generation);
                self.replace_generation(&mut writer, next);
                info!(frontier = %target, "flushed");
                Ok(())
            }
            Err(TableError::Stopped) => Ok(()),
            Err(TableError::Full) => {
                warn!("the disk is full: the flush waits until there is room");
                let free = self.disk.free_bytes().unwrap_or_default();
                Err(WriteError::DiskFull { free, needed: self.config.disk_free_bytes_min })
            }
            Err(error) => Err(self.poison(&format!("flush: {error}"))),
        };
        self.flushed.notify_all();
        result
    }

    /// Waits for a flush that is under way, at most so long.
    pub(crate) fn wait_for_flush(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut writer = self.writer.lock();
        while writer.flushing.is_some() && !self.flushed.wait_until(&mut writer, until).timed_out() {}
    }

    fn begin_flush(&self, target: BlockRef) -> Option<(Arc<Snapshot>, Vec<Arc<Layer>>)> {
        let mut writer = self.writer.lock();
        let snapshot = self.snapshot();
        if !is_ancestor(&snapshot, &snapshot.head.head.hash, &target) {
            return None;
        }
        let mut layers = snapshot.chain(&target.hash)?;
        layers.reverse();
        if layers.is_empty() {
            return None;
        }
        writer.flushing = Some(target);
        Some((snapshot, layers))
    }

    fn write_layers(&self, snapshot: &Snapshot, layers: Vec<Arc<Layer>>) -> Result<Arc<Generation>, TableError> {
        let (head, journal_first, lsn) = {
            let writer = self.writer.lock();
            let now = self.snapshot();
            let flushed = layers.last().map_or(now.frontier(), |layer| layer.block);
            let live = now.standing_on(flushed).map(|layer| layer.lsn).min();
            let lsn_last = writer.journal.lsn_last();
            (now.head, writer.journal.first_file_needed(live.unwrap_or(lsn_last + 1)), lsn_last)
        };
        self.syncer.wait_for(lsn)?;
        let flushed = layers.last().map_or(snapshot.frontier(), |layer| layer.block);
        let flush = Flush {
            store: &*self.store,
            blocks: &self.blocks,
            meta: snapshot.generation.meta,
            dead: snapshot.dead_beside(flushed),
            layers,
            head,
            journal_first,
            history_blocks: self.config.history_blocks,
            stop: &self.stop,
            extra: Vec::new(),
        };
        let meta = flush.run()?;
        Ok(Arc::new(Generation::open(&*self.store, meta, self.blocks.clone())?))
    }

    /// Publishes a snapshot over new tables and lets go of what only the old ones needed.
    fn replace_generation(&self, writer: &mut Writer, next: Snapshot) {
        let journal_first = next.generation.meta.journal_first;
        let old = self.published.swap(Arc::new(next));
        self.retired.lock().push(old.generation.clone());
        self.close_expired();
        if let Err(error) = writer.journal.delete_before(journal_first) {
            warn!(%error, "old journal files stay until the next start");
        }
    }

    /// Closes generations that no view may look at any more.
    pub(crate) fn close_expired(&self) {
        self.retired.lock().retain(|generation| {
            let expired = generation.is_expired();
            if expired {
                generation.close();
            }
            !expired
        });
    }

    /// Ends all reading of tables: the database is being closed, or its past rewritten.
    pub(crate) fn close_all(&self) {
        self.retired.lock().drain(..).for_each(|generation| generation.close());
    }

    /// Starts a new journal file; what is in the older ones will be superfluous.
    pub(crate) fn roll_journal(&self, writer: &mut Writer) -> Result<u64, WriteError> {
        let rolled = writer.journal.roll();
        self.syncer.written(writer.journal.current().clone(), writer.journal.lsn_last());
        rolled.map_err(|error| self.append_error(AppendError::Refused(error)))
    }

    /// After a rollback below the frontier: the old tables are gone, and everything above them.
    pub(crate) fn restart_from(&self, writer: &mut Writer, meta: Meta) -> Result<(), WriteError> {
        let generation = Generation::open(&*self.store, meta, self.blocks.clone());
        let generation = generation.map_err(|error| self.poison(&format!("rollback: {error}")))?;
        writer.allowed = meta.frontier;
        let next = Snapshot::new(Arc::new(generation), meta.head);
        let old = self.snapshot();
        self.replace_generation(writer, next);
        old.generation.close();
        self.close_all();
        if let Err(error) = self.blocks.cut(meta.blocks_end) {
            warn!(%error, "blocks that were rolled back stay in the block files until the next start");
        }
        Ok(())
    }

    /// After a commit that changed nothing but history: the same frontier, the same layers, other tables.
    pub(crate) fn replace_meta(&self, meta: Meta) -> Result<(), WriteError> {
        let generation = Generation::open(&*self.store, meta, self.blocks.clone());
        let generation = generation.map_err(|error| self.poison(&format!("history: {error}")))?;
        let mut writer = self.writer.lock();
        let next = self.snapshot().over(Arc::new(generation));
        self.replace_generation(&mut writer, next);
        Ok(())
    }
}

/// Whether the rows that a block's branch rows are changes of are those of the block before: where they are not, the
/// journal could not be read back.
fn rows_are_changes_of(snapshot: &Arc<Snapshot>, record: &BlockRecord) -> bool {
    let Ok(view) = View::new(snapshot.clone(), record.header.parent_hash, READ_DEADLINE) else { return false };
    let same = |row: &BranchRow, read: Result<Option<Bytes>, ReadError>| match (&row.before, read) {
        (Some(before), Ok(stored)) => stored.as_ref() == Some(before),
        _ => true,
    };
    let storages = record.branches.storages.iter();
    let mut storage_rows = storages.flat_map(|storage| storage.rows.iter().map(|row| (&storage.account, row)));
    record.branches.accounts.iter().all(|row| same(row, view.account_branch(&row.path)))
        && storage_rows.all(|(account, row)| same(row, view.storage_branch(account, &row.path)))
}

/// Adds the merged spans that a new block asks for, shortest first.
pub(crate) fn merged(mut snapshot: Snapshot, hash: &B256) -> Snapshot {
    while let Some(parts) = snapshot.wants_merge(hash) {
        snapshot = snapshot.with_merged(Span::merge(&parts));
    }
    snapshot
}

/// Whether a block stands on the chain from a head down to the frontier.
pub(crate) fn is_ancestor(snapshot: &Snapshot, head: &B256, block: &BlockRef) -> bool {
    if *block == snapshot.frontier() {
        return snapshot.knows(head);
    }
    snapshot.chain(head).unwrap_or_default().iter().any(|layer| layer.block == *block)
}
