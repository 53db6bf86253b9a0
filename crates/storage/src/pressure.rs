//! What the layers may amount to, and what happens at each bound.
//!
//! ```text
//! 512 blocks            a flush, as far as finality allows
//! 70 % of a bound       a flush, whatever finality says, up to 32 blocks behind the head
//! 32 to 64 blocks       older layers' branch rows are left in the journal, as changes, and read back from there
//! layers' memory        the oldest layers' other rows too
//! journal               the writer waits, if a flush can help
//! 4,096 blocks          the oldest side branch is dropped
//! ```

use crate::{
    WriteError,
    engine::{Engine, Writer},
    layers::Layer,
    tree::Snapshot,
};
use alloy_primitives::map::B256Set;
use starling_primitives::{B256, BlockRef};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tracing::warn;

/// Blocks above the frontier at most; past that the oldest side branch is dropped, with all that stands on it. An
/// honest consensus client names a head long before; what is dropped can be imported again.
const LAYERS_MAX: usize = 4096;
/// Over the bounds, blocks further than this behind the head are flushed whatever finality says.
pub const FRONTIER_LAG_MIN_BLOCKS: u64 = 32;
/// So many blocks above the frontier ask for a flush, however small they are: each costs a little at every append.
const LAYERS_FLUSH: usize = 512;
/// So many make it a matter of bounds: the flush then does not wait for finality.
const LAYERS_BOUND: usize = 1024;
const _: () = assert!(LAYERS_FLUSH < LAYERS_BOUND && LAYERS_BOUND < LAYERS_MAX);
/// Changed accounts and slots that one flush takes at most, one block at least: while it runs, a flush holds a
/// sorted copy of its rows beside the layers, about 300 bytes a key, and the whole branch rows that its changes make,
/// as much again.
const FLUSH_KEYS_MAX: usize = 131_072;
/// A flush that the bounds ask for moves the frontier to a multiple of this, so that few short spans are left there.
const FRONTIER_ALIGNMENT_BLOCKS: u64 = 16;
/// A flush waits until it would free at least this fraction of what is over the bounds: else, with large blocks and
/// a frontier that may not follow closely, every block would bring its own flush.
const FLUSH_FRACTION_MIN: u64 = 4;
/// Newest layers whose rows always stay in memory.
const HELD_LAYERS_MIN: usize = 8;
/// Newest layers whose branch rows stay in memory, whole if they came since the start. At twice as many the older ones
/// are left in the journal, all at once, since each time the tree is made anew.
const BRANCH_LAYERS_MIN: usize = 32;
/// How long a writer that is held back sleeps before it looks again.
const PRESSURE_WAIT: Duration = Duration::from_millis(50);

/// A flush is due at 70 % of a bound, so that it is done before the whole holds the writer back.
fn due_at(bound: u64) -> u64 {
    bound - bound / 10 * 3
}

impl Engine {
    /// Drops the oldest side branch when there are too many layers; rather not the one that is being built on.
    pub(crate) fn bound_layers(&self, snapshot: Arc<Snapshot>, parent: &B256) -> Arc<Snapshot> {
        if snapshot.layer_count() < LAYERS_MAX {
            return snapshot;
        }
        let hashes = |head: &B256| -> B256Set {
            snapshot.chain(head).unwrap_or_default().iter().map(|layer| layer.block.hash).collect()
        };
        let (canonical, building) = (hashes(&snapshot.head.head.hash), hashes(parent));
        let side = |layer: &&Arc<Layer>| !canonical.contains(&layer.block.hash);
        let victim =
            snapshot.layers().filter(side).min_by_key(|layer| (building.contains(&layer.block.hash), layer.lsn));
        let Some(victim) = victim.map(|layer| layer.block) else { return snapshot };
        warn!(block = %victim, "too many blocks above the frontier: dropped the oldest side branch");
        self.publish(snapshot.without(&|layer| layer.block == victim));
        self.snapshot()
    }

    /// Whether the layers are past the point of a bound where a flush is due.
    fn near_bounds(&self) -> bool {
        let usage = self.snapshot().usage();
        usage.layers > LAYERS_BOUND
            || usage.journal_bytes > due_at(self.config.journal_size_bytes_max)
            || usage.changed_keys as u64 > due_at(self.config.layer_keys_max as u64)
            || usage.memory_bytes > due_at(self.config.layer_size_bytes_max)
    }

    /// The block that a flush should make the frontier now, if the layers ask for one and the caller allows it.
    pub(crate) fn due(&self, writer: &Writer) -> Option<BlockRef> {
        let near_bounds = self.near_bounds();
        let snapshot = self.snapshot();
        if !near_bounds && snapshot.layer_count() <= LAYERS_FLUSH {
            return None;
        }
        let mut chain = snapshot.chain(&snapshot.head.head.hash)?;
        chain.reverse();
        let lagging = snapshot.head.head.number.saturating_sub(FRONTIER_LAG_MIN_BLOCKS);
        let told = chain.iter().any(|layer| layer.block == writer.allowed).then_some(writer.allowed.number);
        let allowed = told.unwrap_or_default().max(if near_bounds { lagging } else { 0 });
        chain.retain(|layer| layer.block.number <= allowed);
        let freed: u64 = chain.iter().map(|layer| layer.record_size_bytes).sum();
        if freed < snapshot.usage().journal_bytes / FLUSH_FRACTION_MIN {
            return None;
        }
        let mut keys = 0;
        let over = chain.iter().position(|layer| {
            keys += layer.changed_keys;
            keys > FLUSH_KEYS_MAX
        });
        chain.truncate(over.map_or(chain.len(), |over| over.max(1)));
        let newest = chain.last()?.block;
        let aligned = newest.number - newest.number % FRONTIER_ALIGNMENT_BLOCKS;
        let at_aligned = chain.iter().find(|layer| layer.block.number == aligned);
        Some(at_aligned.map_or(newest, |layer| layer.block))
    }

    /// After an append: wakes the flush, and leaves rows in the journal where it does not help in time.
    pub(crate) fn relieve(&self, writer: &Writer) {
        if writer.flushing.is_none() && self.due(writer).is_some() {
            self.wake.ring();
        }
        if self.snapshot().usage().branch_layers >= 2 * BRANCH_LAYERS_MIN {
            self.leave_branches();
        }
        if self.snapshot().usage().memory_bytes > self.config.layer_size_bytes_max {
            self.spill();
        }
    }

    /// Leaves the branch rows of all but the newest layers in the journal.
    fn leave_branches(&self) {
        let snapshot = self.snapshot();
        let mut holding: Vec<u64> =
            snapshot.layers().filter(|layer| layer.holds_branches()).map(|layer| layer.lsn).collect();
        holding.sort_unstable();
        if let Some(until) = holding.iter().rev().nth(BRANCH_LAYERS_MIN) {
            let old = |layer: &Layer| layer.holds_branches() && layer.lsn <= *until;
            self.publish(snapshot.lightened(&|layer| old(layer).then(|| layer.without_branches())));
        }
    }

    /// Leaves the rows of the oldest layers in the journal until half of the memory bound is free again.
    fn spill(&self) {
        let snapshot = self.snapshot();
        let mut held: Vec<&Arc<Layer>> = snapshot.layers().filter(|layer| layer.is_held()).collect();
        held.sort_unstable_by_key(|layer| layer.lsn);
        held.truncate(held.len().saturating_sub(HELD_LAYERS_MIN));
        let mut excess = snapshot.usage().memory_bytes.saturating_sub(self.config.layer_size_bytes_max / 2);
        let mut until = None;
        for layer in held {
            if excess == 0 {
                break;
            }
            excess = excess.saturating_sub(layer.memory_bytes() as u64);
            until = Some(layer.lsn);
        }
        if let Some(until) = until {
            let old = |layer: &Layer| layer.is_held() && layer.lsn <= until;
            self.publish(snapshot.lightened(&|layer| old(layer).then(|| layer.spilled())));
        }
    }

    /// Makes a writer wait while the journal is at its bound and a flush can help.
    pub(crate) fn hold_back(&self) -> Result<(), WriteError> {
        loop {
            let unflushed = self.snapshot().usage().journal_bytes;
            if unflushed <= self.config.journal_size_bytes_max {
                return Ok(());
            }
            self.check_writable()?;
            if !self.background.load(Ordering::Acquire) {
                return self.flush_if_due();
            }
            let mut writer = self.writer.lock();
            if (writer.flushing.is_none() && self.due(&writer).is_none()) || self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            self.wake.ring();
            self.flushed.wait_for(&mut writer, PRESSURE_WAIT);
        }
    }
}
