//! Results of dear precompiles that one thread leaves for another. A precompile's result follows from its input and
//! the fork alone, so within a block it does not matter who computed it, or on what state.

use super::PrecompileRun;
use alloy_primitives::{
    Address, Bytes,
    map::{AddressMap, HashMap},
};
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// Gas from which on a result is worth keeping: one signature recovery, tens of microseconds.
pub(super) const DEAR_GAS_MIN: u64 = 3_000;

/// Most bytes of inputs and outputs kept. When they are reached nothing more is kept, and the work ahead ends.
const SIZE_BYTES_MAX: usize = 16 << 20;

/// What an entry costs besides its bytes: keys, headers of allocations, its share of a table.
const ENTRY_SIZE_BYTES: usize = 192;

/// Successful results by address and input, all of one fork.
#[derive(Debug, Default)]
pub(crate) struct PrecompileResults {
    kept: Mutex<Kept>,
    full: AtomicBool,
}

#[derive(Debug, Default)]
struct Kept {
    runs: AddressMap<HashMap<Bytes, PrecompileRun>>,
    size_bytes: usize,
}

impl PrecompileResults {
    /// The result if it is there and the gas suffices for it.
    pub(crate) fn get(&self, address: &Address, input: &[u8], gas: u64) -> Option<PrecompileRun> {
        self.kept().runs.get(address)?.get(input).filter(|run| run.gas_used <= gas).cloned()
    }

    pub(crate) fn put(&self, address: Address, input: &[u8], run: PrecompileRun) {
        let mut kept = self.kept();
        let size_bytes = kept.size_bytes + ENTRY_SIZE_BYTES + input.len() + run.output.len();
        if size_bytes > SIZE_BYTES_MAX {
            self.full.store(true, Ordering::Relaxed);
            return;
        }
        kept.size_bytes = size_bytes;
        kept.runs.entry(address).or_default().insert(Bytes::copy_from_slice(input), run);
    }

    /// Whether nothing more is kept.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A panic elsewhere leaves a table that lacks entries at worst.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl PrecompileResults {
    pub(crate) fn len(&self) -> usize {
        self.kept().runs.values().map(HashMap::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_needs_its_gas_and_the_table_its_bound() {
        let results = PrecompileResults::default();
        let address = Address::with_last_byte(8);
        let run = PrecompileRun { gas_used: 5_000, output: Bytes::from_static(b"out") };
        results.put(address, b"in", run.clone());
        assert_eq!(results.get(&address, b"in", 5_000), Some(run.clone()));
        assert_eq!(results.get(&address, b"in", 4_999), None);
        assert_eq!(results.get(&address, b"other", 5_000), None);
        assert_eq!(results.get(&Address::with_last_byte(9), b"in", 5_000), None);

        let huge = vec![0; SIZE_BYTES_MAX];
        results.put(address, &huge, run);
        assert!(results.is_full());
        assert_eq!(results.get(&address, &huge, 5_000), None);
    }
}
