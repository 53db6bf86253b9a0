//! Payloads that a consensus client asked for, built on threads of their own until it takes them.
//!
//! ```text
//! start ─► job: empty block ─► full block ─► the pool has changed? build again, keep the dearer ─► …
//! take ──► the first full block is waited for, not long; then whatever is best, and the job ends
//! ```
//!
//! A job ends when its payload is taken, after [`JOB_SECS_MAX`], or when [`JOBS_RUNNING_MAX`] newer ones run. What it
//! built can be taken as long as it is among the last [`JOBS_KEPT_MAX`].

use crate::{
    Attributes, AttributesVersion, BuildError, BuildOptions, Built, Candidates, Limits, Nothing, Parent, PayloadId,
    PendingBlocks, build, draft::draft,
};
use parking_lot::{Condvar, Mutex};
use starling_primitives::{B256, BlockRef, Header};
use starling_state::ChainView;
use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Jobs that can be asked for; the oldest is forgotten first.
const JOBS_KEPT_MAX: usize = 10;
/// Jobs that are still improving; the oldest stops first, and keeps what it has.
const JOBS_RUNNING_MAX: usize = 3;
const _: () = assert!(JOBS_RUNNING_MAX <= JOBS_KEPT_MAX);
/// A proposal that is not taken within a slot is not wanted any more.
const JOB_SECS_MAX: Duration = Duration::from_secs(12);
/// How often a job looks whether the pool has changed: building costs a core for some tens of milliseconds.
const IMPROVE_INTERVAL: Duration = Duration::from_millis(500);
/// How long the first full block may go on taking transactions once the payload is asked for.
const TAKE_GRACE: Duration = Duration::from_millis(200);
/// How long a taker waits in all: the Engine API allows getPayload a second.
const TAKE_WAIT_MAX: Duration = Duration::from_millis(900);
const _: () = assert!(TAKE_GRACE.as_millis() < TAKE_WAIT_MAX.as_millis());

/// Gives the pool's best transactions for a block with a header that is not finished yet.
pub type BestFor = dyn Fn(&ChainView, &Header) -> Box<dyn Candidates> + Send + Sync;

/// What jobs are fed from.
pub struct JobSource {
    /// The chain as it stands, over a fresh snapshot.
    pub view: Box<dyn Fn() -> Arc<ChainView> + Send + Sync>,
    /// The pool's best transactions for a block with this header, which is not finished yet.
    pub candidates: Box<BestFor>,
    /// A number that is another one once the pool has changed.
    pub pool_version: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Most blobs of a block, if fewer than the fork allows.
    pub blobs_max: Option<u64>,
}

impl JobSource {
    /// A source without a pool: blocks without transactions.
    pub fn of_chain(view: impl Fn() -> Arc<ChainView> + Send + Sync + 'static) -> Self {
        Self {
            view: Box::new(view),
            candidates: Box::new(|_, _| Box::new(Nothing)),
            pool_version: Box::new(|| 0),
            blobs_max: None,
        }
    }
}

/// The payloads that are being built. Cheap to clone.
#[derive(Clone)]
pub struct PayloadJobs {
    source: Arc<JobSource>,
    jobs: Arc<Mutex<VecDeque<Arc<Job>>>>,
}

/// A payload as it was taken.
pub type Taken = Result<Arc<Built>, BuildError>;

impl PayloadJobs {
    /// No jobs yet.
    pub fn new(source: JobSource) -> Self {
        Self { source: Arc::new(source), jobs: Arc::default() }
    }

    /// The pending block, out of the same source.
    pub fn pending_blocks(&self, options: BuildOptions) -> PendingBlocks {
        PendingBlocks::new(self.source.clone(), options)
    }

    /// Begins a payload on a block, whose header is given; one with the same id goes on. Fails at once if no block
    /// can have these attributes.
    pub fn start(
        &self,
        version: AttributesVersion,
        parent: (B256, Header),
        attributes: Attributes,
    ) -> Result<PayloadId, BuildError> {
        let id = PayloadId::new(version, parent.0, &attributes);
        let (next, _) = draft((self.source.view)().spec(), parent.0, &parent.1, &attributes, None)?;
        let job = {
            let mut jobs = self.jobs.lock();
            if jobs.iter().any(|job| job.id == id) {
                return Ok(id);
            }
            let job = Arc::new(Job::new(id, parent, attributes, next));
            jobs.push_front(job.clone());
            jobs.iter().skip(JOBS_RUNNING_MAX).for_each(|job| job.end());
            jobs.truncate(JOBS_KEPT_MAX);
            job
        };
        let source = self.source.clone();
        let spawned = std::thread::Builder::new().name("payload".into()).spawn(move || job.run(&source));
        if let Err(error) = spawned {
            tracing::error!(%error, "no thread to build a payload on");
            self.jobs.lock().retain(|job| job.id != id);
            return Err(BuildError::Block(starling_execution::BlockError::Internal(error.to_string())));
        }
        Ok(id)
    }

    /// The timestamp of a payload; none if there is no such job.
    pub fn timestamp(&self, id: PayloadId) -> Option<u64> {
        self.find(id).map(|job| job.attributes.timestamp)
    }

    /// The best payload so far, which ends the job; none if there is no such job. Blocks while the first full block
    /// is being built, for less than a second.
    pub fn take(&self, id: PayloadId) -> Option<Taken> {
        Some(self.find(id)?.take())
    }

    /// What a block with these attributes on that parent would be filled with.
    pub fn candidates(
        &self,
        view: &ChainView,
        parent: (B256, &Header),
        attributes: &Attributes,
    ) -> Result<Box<dyn Candidates>, BuildError> {
        let (next, _) = draft(view.spec(), parent.0, parent.1, attributes, None)?;
        Ok((self.source.candidates)(view, &next))
    }

    fn find(&self, id: PayloadId) -> Option<Arc<Job>> {
        self.jobs.lock().iter().find(|job| job.id == id).cloned()
    }
}

impl fmt::Debug for PayloadJobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.jobs.lock().iter().map(|job| job.id)).finish()
    }
}

/// One payload.
struct Job {
    // what it is
    id: PayloadId,
    parent: (B256, Header),
    attributes: Attributes,
    /// The header that it begins with, for the pool's choice.
    next: Header,
    started: Instant,
    // what both sides see
    /// Ends the block that is being filled, with what it has.
    stop: Arc<AtomicBool>,
    progress: Mutex<Progress>,
    moved: Condvar,
}

#[derive(Default)]
struct Progress {
    best: Option<Arc<Built>>,
    /// Why there is no block, as long as there is none.
    error: Option<BuildError>,
    /// At least one block was built from the pool, or none will be.
    is_full: bool,
    /// No more is wanted.
    is_over: bool,
}

impl Job {
    fn new(id: PayloadId, parent: (B256, Header), attributes: Attributes, next: Header) -> Self {
        Self {
            id,
            parent,
            attributes,
            next,
            started: Instant::now(),
            stop: Arc::default(),
            progress: Mutex::default(),
            moved: Condvar::new(),
        }
    }

    /// Builds until it is over. Whatever happens here, takers do not wait for long.
    fn run(&self, source: &JobSource) {
        let _last = scopeguard(self);
        self.build(source, &mut Nothing);
        loop {
            let version = (source.pool_version)();
            let view = (source.view)();
            let mut candidates = (source.candidates)(&view, &self.next);
            drop(view);
            self.build(source, candidates.as_mut());
            self.progress.lock().is_full = true;
            self.moved.notify_all();
            if !self.wait_for_change(source, version) {
                return;
            }
        }
    }

    /// Waits until the pool is another one; not so if the job is over.
    fn wait_for_change(&self, source: &JobSource, version: u64) -> bool {
        let mut progress = self.progress.lock();
        loop {
            if progress.is_over || self.started.elapsed() >= JOB_SECS_MAX {
                return false;
            }
            self.moved.wait_for(&mut progress, IMPROVE_INTERVAL);
            if !progress.is_over && (source.pool_version)() != version {
                return true;
            }
        }
    }

    /// Builds a block and keeps it if it is the dearest.
    fn build(&self, source: &JobSource, candidates: &mut dyn Candidates) {
        let started = Instant::now();
        let built = self.try_build(source, candidates);
        metrics::histogram!("builder_build_duration_seconds").record(started.elapsed());
        let mut progress = self.progress.lock();
        match built {
            Ok(built) => {
                if progress.best.as_ref().is_none_or(|best| best.fees <= built.fees) {
                    progress.best = Some(Arc::new(built));
                }
            }
            Err(error) => {
                tracing::warn!(id = %self.id, %error, "a payload could not be built");
                progress.error = Some(error);
            }
        }
    }

    fn try_build(&self, source: &JobSource, candidates: &mut dyn Candidates) -> Result<Built, BuildError> {
        let (hash, header) = &self.parent;
        let view = (source.view)();
        let state = view.state_at(BlockRef::new(header.number, *hash))?;
        let limits =
            Limits { deadline: None, stop: Some(self.stop.clone()), blobs_max: source.blobs_max, needs_sidecars: true };
        build(view.spec(), Parent { header, state: &state }, &self.attributes, candidates, &limits)
    }

    fn take(&self) -> Taken {
        let asked = Instant::now();
        let mut progress = self.progress.lock();
        while !progress.is_full {
            let waited = asked.elapsed();
            if waited >= TAKE_GRACE {
                self.stop.store(true, Ordering::Relaxed);
            }
            if waited >= TAKE_WAIT_MAX {
                break;
            }
            let until = if waited < TAKE_GRACE { TAKE_GRACE } else { TAKE_WAIT_MAX };
            self.moved.wait_for(&mut progress, until.saturating_sub(waited));
        }
        progress.is_over = true;
        self.stop.store(true, Ordering::Relaxed);
        self.moved.notify_all();
        match (&progress.best, &progress.error) {
            (Some(best), _) => Ok(best.clone()),
            (None, Some(error)) => Err(error.clone()),
            (None, None) => {
                let why = "the first block of this payload is not built yet".to_owned();
                Err(BuildError::Block(starling_execution::BlockError::Internal(why)))
            }
        }
    }

    /// No more improvement; what is there stays.
    fn end(&self) {
        self.progress.lock().is_over = true;
        self.moved.notify_all();
    }
}

/// Lets takers go when a job's thread ends, however it ends.
fn scopeguard(job: &Job) -> impl Drop + '_ {
    struct Guard<'a>(&'a Job);
    impl Drop for Guard<'_> {
        fn drop(&mut self) {
            let mut progress = self.0.progress.lock();
            progress.is_full = true;
            progress.is_over = true;
            self.0.moved.notify_all();
        }
    }
    Guard(job)
}
