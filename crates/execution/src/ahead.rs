//! A second core for blocks that spend their time in precompiles.
//!
//! ```text
//! execute      tx 0 ─► tx 1 ─► tx 2 ─► …  ◄── meet ──►  … ◄─ tx n-1 ◄─ tx n   look-ahead, on a worker
//!                      └ takes results that are there        └ keeps results of dear precompiles
//! ```
//!
//! The worker runs the block's transactions from the last one back, each on the parent's state, and all that it
//! leaves behind is what precompiles returned for their inputs. What it runs may go another way than the block does;
//! then its results are asked for by nobody. Nothing it does can change what the block gives.

use crate::{
    evm::{BlockRules, CallMode, End, Machine, PrecompileResults},
    overlay::Overlay,
};
use alloy_consensus::Transaction as _;
use starling_chainspec::ChainSpec;
use starling_primitives::StateReader;
use starling_validation::PreparedBlock;
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// A block that has spent this much gas on dear precompiles calls for help: about two milliseconds of work, against
/// microseconds to wake a worker. Blocks of transfers and trades stay below it and pay nothing.
const DEAR_GAS_BEFORE_HELP: u64 = 250_000;

/// Transactions with less gas are not run ahead: what they could spend on precompiles is not worth running the rest
/// of them twice.
const TX_GAS_MIN: u64 = 100_000;

/// Help with one block, which [`crate::execute`] calls for when it is worth it. The work runs on the current rayon
/// pool, after whatever waits there, and ends soon after this is dropped.
#[derive(Debug)]
pub struct LookAhead(Arc<Work>);

struct Work {
    // what to run
    spec: Arc<ChainSpec>,
    block: Arc<PreparedBlock>,
    state: Box<dyn StateReader + Send + Sync>,
    // what both threads see
    results: Arc<PrecompileResults>,
    /// The transaction that the block is at.
    position: Arc<AtomicUsize>,
    called: AtomicBool,
}

impl LookAhead {
    /// Help with this block; `state` is its parent's.
    pub fn new(
        spec: Arc<ChainSpec>,
        block: Arc<PreparedBlock>,
        state: impl StateReader + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Work {
            spec,
            block,
            state: Box::new(state),
            results: Arc::default(),
            position: Arc::default(),
            called: AtomicBool::new(false),
        }))
    }

    /// The block is about to run this transaction.
    pub(crate) fn reach(&self, index: usize, machine: &mut Machine<'_>) {
        self.0.position.store(index, Ordering::Relaxed);
        if machine.precompiles_mut().dear_gas() >= DEAR_GAS_BEFORE_HELP && !self.0.called.swap(true, Ordering::Relaxed)
        {
            machine.precompiles_mut().look_up(self.0.results.clone());
            self.call();
        }
    }

    fn call(&self) {
        if rayon::current_num_threads() > 1 {
            let work = self.0.clone();
            rayon::spawn_fifo(move || {
                // A defect that only work ahead meets must not end the process; without it the block takes longer.
                let _ = catch_unwind(AssertUnwindSafe(|| work.run()));
            });
        }
    }
}

impl Drop for LookAhead {
    fn drop(&mut self) {
        self.0.position.store(usize::MAX, Ordering::Relaxed);
    }
}

impl Work {
    fn run(&self) {
        let header = &self.block.block.header;
        let Some(author) = self.spec.consensus.author(header) else { return };
        // As a call: nonces cannot be right on the parent's state.
        let rules =
            BlockRules::of_block(&self.spec, header, author).for_call(CallMode { free: false, blobs_free: false });
        let mut machine = Machine::new(&rules, Overlay::new(&*self.state));
        machine.precompiles_mut().keep(self.results.clone());
        let transactions = &self.block.block.body.transactions;
        for (index, tx) in transactions.iter().enumerate().rev() {
            if self.position.load(Ordering::Relaxed) >= index || self.results.is_full() {
                return;
            }
            if tx.gas_limit() < TX_GAS_MIN {
                continue;
            }
            let Ok(sender) = self.block.senders.of(index, transactions) else { continue };
            machine.set_end(End::Past { position: self.position.clone(), index });
            // Whether it ran says nothing of the block.
            let _ = machine.transact(tx, sender);
            machine.discard();
        }
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("block", &self.block.at()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
