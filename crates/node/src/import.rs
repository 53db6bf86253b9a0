//! Feeding the chain from files.
//!
//! ```text
//! reader thread ──► workers (decode, recover senders) ──► importer thread, in order ──► ChainCore
//!        │  waits while too much is in flight                     │ gives the room back
//!        └───────────────────────── Room ◄────────────────────────┘
//! ```
//!
//! Workers run over whole blocks and, within a large one, over its transactions, so that every core is busy
//! while the importer executes. The first error in file order ends the import; what came before it is kept.

use crate::{
    failure::Failure,
    formats::{BlockFile, FormatError, RawBlock, peek_block},
    process::STACK_SIZE_BYTES,
    shutdown::Shutdown,
};
use alloy_primitives::B256;
use parking_lot::{Condvar, Mutex};
use starling_chain::{ChainCore, ChainError, ImportOutcome};
use starling_chainspec::ChainSpec;
use starling_primitives::BlockRef;
use starling_storage::{Database, View};
use starling_validation::{PrepareError, PreparedBlock};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, SyncSender},
    },
    time::{Duration, Instant},
};

/// Blocks in flight; more make the reader wait. Small blocks need many to keep the workers busy.
const BLOCKS_IN_FLIGHT_MAX: usize = 512;
/// A decoded block takes about this many times the bytes of its RLP.
const DECODED_PER_RLP_BYTE: u64 = 4;
/// Room for blocks in flight, whatever `--memory` says: more does not make it faster.
const ROOM_SIZE_BYTES_MAX: u64 = 64 << 20;
/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// A view of the chain is taken anew after this time, well before it expires.
const VIEW_AGE_MAX: Duration = Duration::from_secs(1);

/// What an import did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Imported {
    /// Blocks executed and kept.
    pub blocks: u64,
    /// Blocks that were there already.
    pub known: u64,
    /// Gas of the executed blocks.
    pub gas: u64,
    /// Transactions of the executed blocks.
    pub transactions: u64,
}

/// A block on its way, in file order.
enum Step {
    /// Known already; nothing to do.
    Known,
    /// Being prepared.
    Block { whence: Whence, size_bytes: u64, prepared: Receiver<Result<PreparedBlock, PrepareError>> },
    /// The files end here, with an error.
    Broken(Failure),
}

/// Where a block stands, for messages.
#[derive(Debug, Clone)]
struct Whence {
    file: Arc<str>,
    offset: u64,
}

impl std::fmt::Display for Whence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, byte {}", self.file, self.offset)
    }
}

/// Imports files in order.
#[derive(Debug)]
pub(crate) struct Importer {
    /// The chain that is fed.
    pub core: ChainCore,
    /// Where blocks are prepared.
    pub pool: Arc<rayon::ThreadPool>,
    /// Ends the import between two blocks.
    pub shutdown: Shutdown,
    /// Bound of decoded blocks in flight, in bytes.
    pub room_size_bytes: u64,
}

impl Importer {
    /// Imports the files and gives the chain back, with what was done and what ended it early.
    pub(crate) fn run(self, files: Vec<PathBuf>) -> io::Result<(ChainCore, Imported, Result<(), Failure>)> {
        let room = Arc::new(Room::new(self.room_size_bytes.min(ROOM_SIZE_BYTES_MAX)));
        let read = Arc::new(Read { total: total_size_bytes(&files), done: AtomicU64::new(0) });
        let (steps, queue) = mpsc::sync_channel(BLOCKS_IN_FLIGHT_MAX);
        let kept = Arc::new(Mutex::new(Some(Kept::new(self.core.database().clone()))));
        let reader = Reader {
            spec: self.core.spec().clone(),
            pool: self.pool.clone(),
            kept: kept.clone(),
            room: room.clone(),
            read: read.clone(),
            steps,
        };
        std::thread::Builder::new().name("reader".into()).spawn(move || reader.run(&files))?;
        let mut loop_ = ImportLoop {
            core: self.core,
            shutdown: self.shutdown,
            room,
            imported: Imported::default(),
            progress: Progress::new(read),
        };
        let importer =
            std::thread::Builder::new().name("importer".into()).stack_size(STACK_SIZE_BYTES).spawn(move || {
                let result = loop_.run(&queue);
                (loop_.core, loop_.imported, result)
            })?;
        let ended = importer.join().map_err(|_| io::Error::other("the import thread died"));
        // The reader may wait for a pipe for ever. It must not hold the database open meanwhile.
        kept.lock().take();
        ended
    }
}

/// Total size of the files, none if one of them is a pipe.
fn total_size_bytes(files: &[PathBuf]) -> Option<u64> {
    files.iter().map(|path| path.metadata().ok().filter(|file| file.is_file()).map(|file| file.len())).sum()
}

/// Bytes read, for the time left.
#[derive(Debug)]
struct Read {
    total: Option<u64>,
    done: AtomicU64,
}

/// Reads files, passes over what is known, and hands the rest to the workers.
struct Reader {
    spec: Arc<ChainSpec>,
    pool: Arc<rayon::ThreadPool>,
    /// None once the import has ended.
    kept: Arc<Mutex<Option<Kept>>>,
    room: Arc<Room>,
    read: Arc<Read>,
    steps: SyncSender<Step>,
}

/// The importer is gone: there is nobody to read for.
struct Gone;

impl Reader {
    fn run(self, files: &[PathBuf]) {
        for path in files {
            match self.file(path) {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => {
                    // Nobody is left to hear it if this fails.
                    let _ = self.steps.send(Step::Broken(failure));
                    return;
                }
                Err(Gone) => return,
            }
        }
    }

    fn file(&self, path: &Path) -> Result<Result<(), Failure>, Gone> {
        let mut file = match open(path) {
            Ok(file) => file,
            Err(error) => return Ok(Err(Failure::new(error))),
        };
        let name: Arc<str> = path.display().to_string().into();
        let before = self.read.done.load(Ordering::Relaxed);
        while let Some(block) = file.next() {
            let step = match block {
                Ok(block) => self.block(&name, block)?,
                Err(error) => Err(broken(error)),
            };
            match step {
                Ok(step) => self.steps.send(step).map_err(|_| Gone)?,
                Err(failure) => return Ok(Err(failure)),
            }
            self.read.done.store(before + file.position(), Ordering::Relaxed);
        }
        Ok(Ok(()))
    }

    fn block(&self, file: &Arc<str>, block: RawBlock) -> Result<Result<Step, Failure>, Gone> {
        let whence = Whence { file: file.clone(), offset: block.offset };
        let (number, hash) = match peek_block(&block.rlp) {
            Ok(place) => place,
            Err(error) => return Ok(Err(Failure::new(format_args!("{whence}: not a block: {error}")))),
        };
        match self.kept.lock().as_mut().ok_or(Gone)?.has(number, hash) {
            Ok(false) if number == 0 => Ok(Err(self.other_genesis(&whence, hash))),
            Ok(false) => Ok(Ok(self.prepare(whence, block))),
            Ok(true) => Ok(Ok(Step::Known)),
            Err(failure) => Ok(Err(failure)),
        }
    }

    fn other_genesis(&self, whence: &Whence, hash: B256) -> Failure {
        let genesis = self.spec.genesis_hash();
        Failure::new(format_args!("{whence}: its block 0 has hash {hash}, this chain begins with {genesis}"))
            .remedy("the file belongs to another chain: name it with --chain")
    }

    fn prepare(&self, whence: Whence, block: RawBlock) -> Step {
        let size_bytes = block.rlp.len() as u64 * DECODED_PER_RLP_BYTE;
        self.room.take(size_bytes);
        let (sender, prepared) = mpsc::sync_channel(1);
        let spec = self.spec.clone();
        self.pool.spawn_fifo(move || {
            // Fails only when the import has ended, and nobody wants the block any more.
            let _ = sender.send(PreparedBlock::from_rlp(&spec, block.rlp));
        });
        Step::Block { whence, size_bytes, prepared }
    }
}

fn open(path: &Path) -> Result<BlockFile, FormatError> {
    match path.to_str() {
        Some("-") => BlockFile::stream(&"stdin".into(), io::stdin()),
        _ => BlockFile::open(path),
    }
}

fn broken(error: FormatError) -> Failure {
    Failure::new(error).remedy("the blocks before it are kept; get the file again and repeat the import")
}

/// Which blocks were there before the import began.
struct Kept {
    database: Database,
    head: BlockRef,
    view: Option<(View, Instant)>,
}

impl Kept {
    fn new(database: Database) -> Self {
        let head = database.head().head;
        Self { database, head, view: None }
    }

    fn has(&mut self, number: u64, hash: B256) -> Result<bool, Failure> {
        if number > self.head.number {
            return Ok(false);
        }
        let fresh = self.view.take().filter(|(_, taken)| taken.elapsed() < VIEW_AGE_MAX);
        let (view, taken) = match fresh {
            Some(view) => view,
            None => {
                let head = self.database.head().head;
                (self.database.view(head.hash).map_err(Failure::new)?, Instant::now())
            }
        };
        let kept = view.canonical_hash(number).map_err(Failure::new)? == Some(hash);
        self.view = Some((view, taken));
        Ok(kept)
    }
}

/// Bytes that may be in flight. One block larger than the room is let in alone.
#[derive(Debug)]
struct Room {
    size_bytes: u64,
    taken: Mutex<u64>,
    freed: Condvar,
}

impl Room {
    fn new(size_bytes: u64) -> Self {
        Self { size_bytes, taken: Mutex::new(0), freed: Condvar::new() }
    }

    fn take(&self, size_bytes: u64) {
        let mut taken = self.taken.lock();
        while *taken > 0 && *taken + size_bytes > self.size_bytes {
            self.freed.wait(&mut taken);
        }
        *taken += size_bytes;
    }

    fn give_back(&self, size_bytes: u64) {
        *self.taken.lock() -= size_bytes;
        self.freed.notify_one();
    }
}

/// The importer thread.
struct ImportLoop {
    core: ChainCore,
    shutdown: Shutdown,
    room: Arc<Room>,
    imported: Imported,
    progress: Progress,
}

impl ImportLoop {
    fn run(&mut self, queue: &Receiver<Step>) -> Result<(), Failure> {
        for step in queue {
            if self.shutdown.is_asked() {
                let head = self.core.head().number;
                return Err(Failure::interrupted(format_args!("interrupted at block {head}"))
                    .remedy("repeat the import to go on from there"));
            }
            match step {
                Step::Known => self.imported.known += 1,
                Step::Broken(failure) => return Err(failure),
                Step::Block { whence, size_bytes, prepared } => {
                    let prepared = prepared.recv().map_err(|_| Failure::new("a worker thread died"))?;
                    self.import(&whence, prepared)?;
                    self.room.give_back(size_bytes);
                }
            }
            self.progress.tell(&self.imported, self.core.head());
        }
        Ok(())
    }

    fn import(&mut self, whence: &Whence, prepared: Result<PreparedBlock, PrepareError>) -> Result<(), Failure> {
        let block = prepared.map_err(|error| Failure::new(format_args!("{whence}: {error}")))?;
        let at = block.at();
        let (gas, transactions) = (block.block.header.gas_used, block.senders.len() as u64);
        match self.core.import_as_head(Arc::new(block)) {
            Ok(ImportOutcome::Valid) => {
                self.imported.blocks += 1;
                self.imported.gas += gas;
                self.imported.transactions += transactions;
                Ok(())
            }
            Ok(ImportOutcome::Known) => {
                self.imported.known += 1;
                Ok(())
            }
            Ok(outcome) => Err(refusal(whence, at, self.core.head(), outcome)),
            Err(error) => Err(self.failed(at, error)),
        }
    }

    fn failed(&self, at: BlockRef, error: ChainError) -> Failure {
        let failure = Failure::new(format_args!("block {at} could not be imported: {error}"));
        match error {
            ChainError::DiskFull(_) => failure.remedy("make room on the disk and repeat the import; nothing is lost"),
            _ => failure.remedy("nothing that was imported is lost; repeat the import"),
        }
    }
}

fn refusal(whence: &Whence, at: BlockRef, head: BlockRef, outcome: ImportOutcome) -> Failure {
    match outcome {
        ImportOutcome::Invalid { why, .. } => Failure::new(format_args!("block {at} is invalid: {why} ({whence})"))
            .remedy(format_args!("all blocks before it are kept, the head is {head}")),
        ImportOutcome::UnknownParent => Failure::new(format_args!("block {at} has an unknown parent ({whence})"))
            .remedy(format_args!("the head is {head}: import the blocks between first")),
        _ => Failure::new(format_args!("block {at} branches off too deep below the head {head} ({whence})"))
            .remedy("rewind to its parent first"),
    }
}

/// Tells now and then how far it is.
#[derive(Debug)]
struct Progress {
    read: Arc<Read>,
    began: Instant,
    /// When it was told last, and what was done by then.
    last: (Instant, Imported),
}

impl Progress {
    fn new(read: Arc<Read>) -> Self {
        let now = Instant::now();
        Self { read, began: now, last: (now, Imported::default()) }
    }

    fn tell(&mut self, imported: &Imported, head: BlockRef) {
        let seconds = self.last.0.elapsed().as_secs_f64();
        if seconds < PROGRESS_EVERY.as_secs_f64() {
            return;
        }
        let rate = |now: u64, before: u64| (now - before) as f64 / seconds;
        let blocks = rate(imported.blocks, self.last.1.blocks);
        let mgas = rate(imported.gas, self.last.1.gas) / 1e6;
        tracing::info!(
            head = head.number,
            known = imported.known,
            "importing: {blocks:.0} blocks/s, {mgas:.1} Mgas/s, {}",
            self.time_left()
        );
        self.last = (Instant::now(), *imported);
    }

    fn time_left(&self) -> String {
        let done = self.read.done.load(Ordering::Relaxed);
        match self.read.total {
            Some(total) if done > 0 => {
                let left = self.began.elapsed().as_secs_f64() * (total.saturating_sub(done)) as f64 / done as f64;
                format!("{} left", human_time(left))
            }
            _ => "time left unknown".into(),
        }
    }
}

/// `2h 05m`, `3m 20s`, `7s`
fn human_time(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m {seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h {minutes:02}m"),
    }
}
