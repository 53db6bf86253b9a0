//! How many blocks of one height are passed on.

use starling_primitives::Address;
use std::collections::BTreeMap;

/// Blocks of one author at one height. One is honest, and a second happens when it was restarted; who signs more floods.
const PER_AUTHOR_MAX: u8 = 2;
/// Blocks of one height. More authors than these in one moment are left to the syncer.
const PER_HEIGHT_MAX: usize = 32;

/// Counts by height and author; heights are pruned as the head moves on, and those taken are near it.
#[derive(Debug, Default)]
pub(super) struct Siblings(BTreeMap<u64, BTreeMap<Address, u8>>);

impl Siblings {
    /// Whether one more is passed on; it is counted then.
    pub(super) fn admits(&mut self, number: u64, author: Address) -> bool {
        let height = self.0.entry(number).or_default();
        if height.values().map(|count| usize::from(*count)).sum::<usize>() >= PER_HEIGHT_MAX {
            return false;
        }
        let count = height.entry(author).or_default();
        let admits = *count < PER_AUTHOR_MAX;
        *count += u8::from(admits);
        admits
    }

    /// Heights below are of no interest any more.
    pub(super) fn prune(&mut self, below: u64) {
        while let Some(lowest) = self.0.first_entry().filter(|lowest| *lowest.key() < below) {
            lowest.remove();
        }
    }
}
