//! The block that would come next, as readers ask for it by the tag `pending`. Nobody ever gets it as a block of the chain.
//!
//! It is built when somebody asks, one at a time, and kept. What may be stale, and for how long:
//!
//! - the head: never, another head is another block
//! - the pool: not at all while building takes less than [`QUICK`]; a slow one is kept until building it costs less than
//!   a quarter of the time
//! - the clock: [`AGE_MAX`]

use crate::{
    Attributes, Authorship, BuildError, BuildOptions, Built, JobSource, Limits, Parent, build, build_for_seal,
    draft::draft,
    seal::{Order, Turn, turn},
};
use parking_lot::Mutex;
use starling_chainspec::Consensus;
use starling_primitives::{Address, B256};
use starling_state::ChainView;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

/// No transaction is begun later than this: what a reader waits for, at most.
const BUILD_TIME_MAX: Duration = Duration::from_millis(200);
/// A block that took less is built anew as soon as the pool has changed: it costs no more than a call.
const QUICK: Duration = Duration::from_millis(50);
/// One that took longer is kept for this many times what it took.
const KEEP_FACTOR: u32 = 4;
/// How long a block is kept although nothing has changed: its timestamp is the clock's.
const AGE_MAX: Duration = Duration::from_secs(2);

/// The pending block of a chain. Cheap to clone.
#[derive(Clone)]
pub struct PendingBlocks {
    source: Arc<JobSource>,
    options: BuildOptions,
    last: Arc<Mutex<Option<Last>>>,
}

/// What was built last.
struct Last {
    // what it was built of
    head: B256,
    time_min: u64,
    pool_version: u64,
    // what came of it
    built: Arc<Built>,
    at: Instant,
    took: Duration,
}

impl Last {
    fn is_fresh(&self, pool_version: u64, time_min: u64) -> bool {
        let age = self.at.elapsed();
        // A clock that runs on is no change; one that was set is.
        let ran = time_min.checked_sub(self.time_min).is_some_and(|secs| secs <= age.as_secs() + 1);
        if !ran {
            return false;
        }
        let is_dear = self.took > QUICK && age < self.took * KEEP_FACTOR;
        is_dear || (self.pool_version == pool_version && age < AGE_MAX)
    }
}

impl PendingBlocks {
    pub(crate) fn new(source: Arc<JobSource>, options: BuildOptions) -> Self {
        Self { source, options, last: Arc::default() }
    }

    /// The block after a view's head, with the pool's best transactions, not before `time_min` (Unix seconds). None where
    /// blocks come from elsewhere by work, or where no signer may sign one now: nobody here can say what comes next. For
    /// threads that may block.
    pub fn get(&self, view: &ChainView, time_min: u64) -> Result<Option<Arc<Built>>, BuildError> {
        let head = view.head().hash;
        let mut last = self.last.lock();
        // Before the pool is read: what changes meanwhile makes the next one.
        let pool_version = (self.source.pool_version)();
        if let Some(last) = &*last
            && last.head == head
            && last.is_fresh(pool_version, time_min)
        {
            return Ok(Some(last.built.clone()));
        }
        let at = Instant::now();
        let Some(built) = self.build(view, time_min, at + BUILD_TIME_MAX)? else { return Ok(None) };
        let built = Arc::new(built);
        *last = Some(Last { head, time_min, pool_version, built: built.clone(), at, took: at.elapsed() });
        metrics::histogram!("builder_pending_build_duration_seconds").record(at.elapsed());
        Ok(Some(built))
    }

    fn build(&self, view: &ChainView, time_min: u64, deadline: Instant) -> Result<Option<Built>, BuildError> {
        let Some((attributes, authorship)) = self.next(view, time_min)? else { return Ok(None) };
        let (spec, header, state) = (view.spec(), view.head_header(), view.head_state());
        let (next, _) = draft(spec, view.head().hash, header, &attributes, authorship.as_ref())?;
        let mut candidates = (self.source.candidates)(view, &next);
        let parent = Parent { header, state: &state };
        let blobs_max = if authorship.is_some() { Some(0) } else { self.source.blobs_max };
        let limits = Limits { deadline: Some(deadline), blobs_max, ..Limits::default() };
        match authorship {
            Some(by) => build_for_seal(spec, parent, &attributes, &by, candidates.as_mut(), &limits).map(Some),
            None => build(spec, parent, &attributes, candidates.as_mut(), &limits).map(Some),
        }
    }

    /// What the next block is. Who gets the fees is the consensus client's to say, and so nobody yet.
    fn next(&self, view: &ChainView, time_min: u64) -> Result<Option<(Attributes, Option<Authorship>)>, BuildError> {
        let (spec, head) = (view.spec(), view.head_header());
        if matches!(spec.consensus, Consensus::Clique { .. }) {
            return self.next_of_clique(view, time_min);
        }
        let attributes = Attributes {
            timestamp: time_min.max(head.timestamp.saturating_add(1)),
            fee_recipient: Address::ZERO,
            prev_randao: B256::ZERO,
            withdrawals: None,
            parent_beacon_block_root: None,
            slot_number: None,
            gas_limit_target: self.options.gas_limit_target,
            extra_data: self.options.extra_data.clone(),
        };
        let is_staked = spec.is_proof_of_stake(head) || spec.consensus == Consensus::Dev;
        Ok(is_staked.then_some((attributes, None)))
    }

    /// The block of the signer in turn, or of one that may sign if that one may not.
    fn next_of_clique(
        &self,
        view: &ChainView,
        time_min: u64,
    ) -> Result<Option<(Attributes, Option<Authorship>)>, BuildError> {
        let Some(snapshot) = view.clique_snapshot(view.head())? else { return Ok(None) };
        let plan_of = |signer: &Address| {
            let order = Order {
                signer: *signer,
                proposals: &[],
                vanity: &self.options.extra_data,
                gas_limit_target: self.options.gas_limit_target,
            };
            match turn(view.spec(), &snapshot, view.head_header(), &order, Duration::from_secs(time_min), 0) {
                Turn::Make(plan) => Some(plan),
                _ => None,
            }
        };
        let plan = snapshot.signers.iter().filter_map(plan_of).max_by_key(|plan| plan.authorship.difficulty);
        Ok(plan.map(|plan| (plan.attributes, Some(plan.authorship))))
    }
}

impl fmt::Debug for PendingBlocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingBlocks").field("options", &self.options).finish_non_exhaustive()
    }
}
