//! Making a database, and opening one again: tables first, then the journal replayed by value, without the EVM.
//!
//! The invariant is *journal tail ≥ frontier*. Records of blocks at or below the frontier, and of side branches
//! that no longer stand on it, are passed over: replaying is idempotent.

use crate::{
    GenesisRecord, HeadRecord, OpenError, StorageConfig,
    blocks::{self, BlockFiles},
    codec::{Malformed, Reader},
    disk::Disk,
    engine::{Engine, merged},
    flush::Flush,
    generation::Generation,
    journal::{
        self, Journal,
        frame::RecordKind,
        record::{block_ref, decode_block, decode_head, encode_block},
        replay::{self, Replayed},
    },
    layers::{Layer, Place, Span},
    rows::whole_branches,
    schema::{FORMAT_VERSION, FileOffset, KEY_CONFIG, KEY_FORMAT, KEY_META, Meta, Table, version_error},
    tables::{Store, TableError, get_vec},
    tree::Snapshot,
};
use starling_primitives::Bytes;
use std::{
    io,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};
use tracing::info;

/// The first journal file's id.
const JOURNAL_FILE_FIRST: u64 = 1;
/// The first storage id; 0 stands for none.
const STORAGE_ID_FIRST: u64 = 1;

fn open_error(config: &StorageConfig) -> impl Fn(TableError) -> OpenError + use<> {
    let path = config.dir.clone().unwrap_or_else(|| PathBuf::from("memory"));
    move |error| match error {
        TableError::Damaged(what) => OpenError::Damaged { what },
        other => OpenError::Io { path: path.clone(), what: other.to_string() },
    }
}

/// Reads where the tables stand, format version first; none if they are empty.
pub(crate) fn read_meta(store: &dyn Store) -> Result<Option<Meta>, OpenError> {
    let damaged = |what: &str| OpenError::Damaged { what: what.to_owned() };
    let failed = |error: TableError| damaged(&error.to_string());
    let rows = store.snapshot().map_err(failed)?;
    let Some(format) = get_vec(&*rows, Table::Meta, KEY_FORMAT).map_err(failed)? else { return Ok(None) };
    let found = Reader::new(&format).u32().map_err(|_| damaged("the format version is not one"))?;
    if found != FORMAT_VERSION {
        return Err(version_error(found));
    }
    let meta = get_vec(&*rows, Table::Meta, KEY_META).map_err(failed)?.ok_or_else(|| damaged("no Meta row"))?;
    Meta::decode(&meta).map(Some).map_err(|_| damaged("the Meta row does not decode"))
}

/// Writes a genesis into empty tables, as a flush of one block, and an empty journal.
pub(crate) fn create(
    config: StorageConfig,
    disk: Arc<dyn Disk>,
    store: Box<dyn Store>,
    genesis: &GenesisRecord,
) -> Result<Engine, OpenError> {
    let failed = open_error(&config);
    let io_failed = |error: io::Error| failed(error.into());
    disk.make_folder(journal::FOLDER).map_err(io_failed)?;
    disk.make_folder(blocks::FOLDER).map_err(io_failed)?;
    clear(&*disk).map_err(io_failed)?;
    let journal = Journal::create(disk.clone(), JOURNAL_FILE_FIRST).map_err(io_failed)?;
    let blocks = Arc::new(BlockFiles::new(disk.clone()));
    let block = genesis.block.block;
    let head = HeadRecord { head: block, safe: None, finalized: None };
    let flush = Flush {
        store: &*store,
        blocks: &blocks,
        meta: Meta {
            frontier: block,
            head,
            journal_first: JOURNAL_FILE_FIRST,
            blocks_end: FileOffset { file: 0, offset: 0 },
            storage_id_next: STORAGE_ID_FIRST,
            history_from: 0,
        },
        layers: vec![genesis_layer(genesis).map_err(|error| failed(error.into()))?],
        dead: Vec::new(),
        head,
        journal_first: JOURNAL_FILE_FIRST,
        history_blocks: None,
        stop: &AtomicBool::new(false),
        extra: vec![
            (Table::Meta, KEY_FORMAT, FORMAT_VERSION.to_le_bytes().to_vec()),
            (Table::Meta, KEY_CONFIG, genesis.config.to_vec()),
        ],
    };
    let meta = flush.run().map_err(&failed)?;
    let generation = Generation::open(&*store, meta, blocks).map_err(&failed)?;
    let snapshot = Snapshot::new(Arc::new(generation), head);
    Engine::new(config, disk, store, snapshot, journal).map_err(|error| OpenError::Damaged { what: error.to_string() })
}

/// Removes what an interrupted creation left: without a Meta row nothing of it counts.
fn clear(disk: &dyn Disk) -> io::Result<()> {
    for folder in [journal::FOLDER, blocks::FOLDER] {
        for name in disk.list(folder)? {
            disk.remove(&format!("{folder}/{name}"))?;
        }
    }
    Ok(())
}

/// Genesis as a layer whose bytes lie in a buffer instead of in the journal.
fn genesis_layer(genesis: &GenesisRecord) -> Result<Arc<Layer>, io::Error> {
    let mut bytes = Vec::new();
    let parts = encode_block(&mut bytes, &genesis.block);
    if u32::try_from(bytes.len()).is_err() {
        return Err(io::Error::other("a genesis of more than 4 GiB"));
    }
    let memory = crate::disk::simulated::SimulatedDisk::default();
    let file = memory.open("genesis", true)?;
    file.write_at(&bytes, 0)?;
    let record = &genesis.block;
    let branches = whole_branches(&record.branches);
    let rows = &bytes[parts.rows.clone()];
    let place = Place { lsn: 0, record_size_bytes: 0, file, at: 0, parts };
    Ok(Arc::new(Layer::new(record.block, record.header.clone(), record.total_difficulty, rows, branches, place)))
}

/// Opens tables and journal.
pub(crate) fn open(config: StorageConfig, disk: Arc<dyn Disk>, store: Box<dyn Store>) -> Result<Engine, OpenError> {
    let failed = open_error(&config);
    let Some(meta) = read_meta(&*store)? else {
        return Err(OpenError::Missing(config.dir.unwrap_or_else(|| PathBuf::from("memory"))));
    };
    let blocks = Arc::new(BlockFiles::new(disk.clone()));
    let generation = Generation::open(&*store, meta, blocks.clone()).map_err(&failed)?;
    let mut replay = Replay::new(Snapshot::new(Arc::new(generation), meta.head));
    let journal = replay::open(&disk, meta.journal_first, &mut |record| replay.add(record))?;
    let snapshot = replay.finish(meta)?;
    blocks.cut(meta.blocks_end).map_err(|error| failed(error.into()))?;
    let (frontier, head, layers) = (meta.frontier, snapshot.head.head, snapshot.layer_count());
    info!(%frontier, %head, layers, "opened the database");
    Engine::new(config, disk, store, snapshot, journal).map_err(|error| OpenError::Damaged { what: error.to_string() })
}

/// Builds the layers back from journal records.
pub(crate) struct Replay {
    snapshot: Snapshot,
}

impl Replay {
    pub(crate) fn new(snapshot: Snapshot) -> Self {
        Self { snapshot }
    }

    pub(crate) fn add(&mut self, record: Replayed<'_>) -> Result<(), OpenError> {
        let lsn = record.lsn;
        let damaged = |error: Malformed| OpenError::Damaged { what: format!("journal record {lsn}: {error}") };
        match record.kind {
            RecordKind::Block => self.add_block(&record).map_err(damaged),
            RecordKind::Head => {
                self.snapshot.head = decode_head(&mut Reader::new(record.payload)).map_err(damaged)?;
                Ok(())
            }
            RecordKind::Rollback => {
                let to = block_ref(&mut Reader::new(record.payload)).map_err(damaged)?;
                self.snapshot = self.snapshot.rolled_back(to);
                Ok(())
            }
        }
    }

    fn add_block(&mut self, record: &Replayed<'_>) -> Result<(), Malformed> {
        let payload = decode_block(record.payload)?;
        let known = self.snapshot.knows(&payload.block.hash);
        if known || !self.snapshot.knows(&payload.header.parent_hash) {
            return Ok(());
        }
        let rows = &record.payload[payload.parts.rows.clone()];
        let branches = Bytes::copy_from_slice(&record.payload[payload.parts.patches.clone()]);
        let place = Place {
            lsn: record.lsn,
            record_size_bytes: (journal::frame::RECORD_HEADER_SIZE_BYTES + record.payload.len()) as u64,
            file: record.file.clone(),
            at: record.payload_at,
            parts: payload.parts,
        };
        let layer = Layer::new(payload.block, payload.header, payload.total_difficulty, rows, branches, place);
        self.snapshot = merged(self.snapshot.with(Span::of_layer(layer)?), &payload.block.hash);
        Ok(())
    }

    /// The layers, if they hold the head.
    pub(crate) fn finish(mut self, meta: Meta) -> Result<Snapshot, OpenError> {
        if !self.snapshot.knows(&self.snapshot.head.head.hash) {
            // head records from before the last commit may name blocks that it left behind
            self.snapshot.head = meta.head;
        }
        let head = self.snapshot.head.head;
        if self.snapshot.knows(&head.hash) {
            return Ok(self.snapshot);
        }
        Err(OpenError::Damaged { what: format!("the journal does not hold the head, block {head}") })
    }
}
