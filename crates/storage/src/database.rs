//! The door: opening and making databases, and the calls that the floors above know.

use crate::{
    BranchUpdate, GenesisRecord, HeadRecord, Lsn, OpenError, Record, StorageConfig, View, WriteError,
    disk::{Disk, RealDisk, simulated::SimulatedDisk},
    engine::Engine,
    mdbx::MdbxStore,
    recover,
    tables::{MemoryStore, Store, TableError},
    view::READ_DEADLINE,
};
use parking_lot::Mutex;
use starling_primitives::{B256, BlockRef, Bytes, ReadError};
use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::Duration,
};

/// The background thread looks around this often, even when nobody wakes it: a full disk may have room again.
const BACKGROUND_INTERVAL: Duration = Duration::from_secs(1);
/// Stack of the two threads.
const STACK_SIZE_BYTES: usize = 4 << 20;
/// The background thread's priority: behind everything that somebody waits for.
#[cfg(target_os = "linux")]
const BACKGROUND_NICE: i32 = 10;

/// A node's data. Cheap to clone; one writer (`chain`), many readers. The last clone to go syncs the journal.
#[derive(Debug, Clone)]
pub struct Database {
    owner: Arc<Owner>,
}

/// Ends the threads with the last handle.
#[derive(Debug)]
struct Owner {
    engine: Arc<Engine>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Database {
    /// Opens an existing database: MDBX, then replays the journal by value.
    pub fn open(config: StorageConfig) -> Result<Self, OpenError> {
        let Some(dir) = config.dir.clone() else { return Err(OpenError::Missing("memory".into())) };
        if !dir.join("mdbx.dat").exists() {
            return Err(OpenError::Missing(dir));
        }
        let store = open_store(&dir)?;
        let disk = Arc::new(RealDisk::new(dir));
        Self::start(recover::open(config, disk, Box::new(store))?)
    }

    /// Writes a genesis into an empty folder (or into memory) and opens it.
    pub fn create(config: StorageConfig, genesis: GenesisRecord) -> Result<Self, OpenError> {
        let (disk, store): (Arc<dyn Disk>, Box<dyn Store>) = match &config.dir {
            Some(dir) => {
                std::fs::create_dir_all(dir).map_err(|error| io_error(dir, error))?;
                let mut store = open_store(dir)?;
                if recover::read_meta(&store)?.is_some() {
                    return Err(OpenError::Exists(dir.clone()));
                }
                store.create_tables().map_err(|error| io_error(dir, error))?;
                (Arc::new(RealDisk::new(dir.clone())), Box::new(store))
            }
            None => {
                let disk = SimulatedDisk::default();
                (Arc::new(disk.clone()), Box::new(MemoryStore::new(disk)))
            }
        };
        Self::start(recover::create(config, disk, store, &genesis)?)
    }

    /// Removes a database that nobody has open: its tables, journal and block files, nothing else in the folder.
    pub fn remove(dir: &Path) -> Result<(), OpenError> {
        let exists = dir.join("mdbx.dat").exists();
        // opening it proves that no other process has it open
        drop(exists.then(|| open_store(dir)).transpose()?);
        for name in ["mdbx.dat", "mdbx.lck"] {
            ignore_missing(std::fs::remove_file(dir.join(name))).map_err(|error| io_error(dir, error))?;
        }
        for name in [crate::journal::FOLDER, crate::blocks::FOLDER] {
            ignore_missing(std::fs::remove_dir_all(dir.join(name))).map_err(|error| io_error(dir, error))?;
        }
        Ok(())
    }

    fn start(engine: Engine) -> Result<Self, OpenError> {
        let engine = Arc::new(engine);
        let owner = Owner { engine: engine.clone(), threads: Mutex::default() };
        let path = engine.config.dir.clone().unwrap_or_else(|| "memory".into());
        let spawn = |name: &str, run: fn(&Engine)| {
            let engine = engine.clone();
            let builder = std::thread::Builder::new().name(name.into()).stack_size(STACK_SIZE_BYTES);
            let thread = builder.spawn(move || guarded(&engine, run)).map_err(|error| io_error(&path, error))?;
            owner.threads.lock().push(thread);
            Ok(())
        };
        spawn("journal", run_journal)?;
        spawn("background", run_background)?;
        engine.background.store(true, Ordering::Release);
        Ok(Self { owner: Arc::new(owner) })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.owner.engine
    }

    /// Writes a record to the journal and publishes its layer: when this returns, the process may die
    /// and the record is still there. Power loss is [`Database::sync`]'s business.
    ///
    /// A block that is there already is not written again. Waits while the journal is at twice its bound and a flush
    /// is under way or can be. When nothing can be flushed, because the head does not move, the oldest layers' rows
    /// are read back from the journal instead of being held; past 4,096 blocks above the frontier the oldest side
    /// branch is dropped, and a child of it is [`WriteError::UnknownParent`].
    pub fn append(&self, record: Record) -> Result<Lsn, WriteError> {
        self.engine().append(record)
    }

    /// Waits until the record and all before it are on the disk itself.
    pub fn sync(&self, lsn: Lsn) -> Result<(), WriteError> {
        self.engine().sync(lsn)
    }

    /// Allows the background thread to flush canonical blocks up to `frontier`, which it does when the bounds of
    /// [`StorageConfig`] say so; then it may also go up to [`crate::FRONTIER_LAG_MIN_BLOCKS`] behind the head.
    /// `wait` flushes up to it now, whatever the bounds, and returns when that is done.
    pub fn advance(&self, frontier: BlockRef, wait: bool) -> Result<(), WriteError> {
        self.engine().advance(frontier, wait)
    }

    /// Makes the canonical block `to` the head again; everything above it is forgotten. At or above the frontier this
    /// is a synced journal record; below, the frontier moves down with it, by forward commits of inverse diffs, and
    /// `branches` computes the trie rows that go with each (the `trie` crate's update over the view it is given).
    /// After a crash in between the frontier is at some block down to `to`; call again to go on.
    pub fn rollback(&self, to: u64, branches: &mut BranchUpdate<'_>) -> Result<(), WriteError> {
        self.engine().rollback(to, branches)
    }

    /// A snapshot whose head is `head`: a block in the layers, or the frontier. Reads fail after five seconds.
    pub fn view(&self, head: B256) -> Result<View, ReadError> {
        self.view_with_deadline(head, READ_DEADLINE)
    }

    /// A snapshot for an owner that needs it longer. While it can be read, space that flushes free is not reused.
    pub fn view_with_deadline(&self, head: B256, time: Duration) -> Result<View, ReadError> {
        View::new(self.engine().snapshot(), head, time)
    }

    /// The last head record.
    pub fn head(&self) -> HeadRecord {
        self.engine().published.load().head
    }

    /// The chain's configuration as given at [`Database::create`], or last replaced.
    pub fn config(&self) -> Bytes {
        self.engine().chain_config.load_full().as_ref().clone()
    }
}

/// How long a flush that is under way may take to end when the database is closed; past it, it is given up, and the
/// next start begins where it began. None is begun.
const FLUSH_GRACE: Duration = Duration::from_secs(1);

impl Drop for Owner {
    fn drop(&mut self) {
        self.engine.closing.store(true, Ordering::Release);
        self.engine.wake.ring();
        self.engine.wait_for_flush(FLUSH_GRACE);
        self.engine.stop.store(true, Ordering::Release);
        self.engine.syncer.stop();
        for thread in self.threads.lock().drain(..) {
            // a panic in it was reported when it happened
            let _ = thread.join();
        }
        // views may outlive the database; their reads then say that they have expired, and the files can be opened again
        self.engine.close_all();
        self.engine.snapshot().generation.close();
    }
}

/// A panic in one of the threads must not be followed by another write.
fn guarded(engine: &Engine, run: fn(&Engine)) {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(engine)));
    if result.is_err() {
        engine.poison("a panic in a storage thread");
    }
}

fn run_journal(engine: &Engine) {
    if let Err(error) = engine.syncer.run() {
        engine.poison(&format!("journal: {error}"));
    }
}

fn run_background(engine: &Engine) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(BACKGROUND_NICE) {
        tracing::debug!(%error, "the background thread keeps its priority");
    }
    while !engine.closing.load(Ordering::Acquire) {
        engine.wake.wait(BACKGROUND_INTERVAL);
        engine.close_expired();
        // what went wrong has been logged, and stands in the way of the next write
        let _ = engine.flush_if_due();
    }
}

fn open_store(dir: &Path) -> Result<MdbxStore, OpenError> {
    MdbxStore::open(dir).map_err(|error: TableError| io_error(dir, error))
}

fn io_error(dir: &Path, error: impl ToString) -> OpenError {
    OpenError::Io { path: dir.to_owned(), what: error.to_string() }
}

fn ignore_missing(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
