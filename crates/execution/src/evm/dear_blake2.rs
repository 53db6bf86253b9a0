//! BLAKE2b compressions of very many rounds, each computed once.
//!
//! A round costs one gas, so a call may ask for as many as it has gas: whole seconds of a core. The same call comes
//! again soon: an estimate tries it at many gas limits, a transaction is run when it is built into a block and when
//! the block comes back.

use revm::precompile::{Crypto, DefaultCrypto};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

/// Rounds from which on a result is kept: about a fifth of a second.
const ROUNDS_MIN: u32 = 1 << 24;

/// Results kept, of a few hundred bytes each. The oldest is forgotten for a new one.
const RESULTS_MAX: usize = 16;

/// All that a result follows from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Input {
    pub(super) rounds: u32,
    pub(super) state: [u64; 8],
    pub(super) message: [u64; 16],
    pub(super) offset: [u64; 2],
    pub(super) last: bool,
}

type Slot = Arc<OnceLock<[u64; 8]>>;

/// Results by input, oldest first.
#[derive(Debug, Default)]
pub(super) struct DearBlake2(Mutex<VecDeque<(Input, Slot)>>);

impl DearBlake2 {
    /// The state after all rounds. Who asks for what another thread is at waits for it.
    pub(super) fn compress(&self, input: Input) -> [u64; 8] {
        if input.rounds < ROUNDS_MIN {
            return compress(&input);
        }
        let slot = self.slot(&input);
        *slot.get_or_init(|| compress(&input))
    }

    fn slot(&self, input: &Input) -> Slot {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, slot)) = kept.iter().find(|(other, _)| other == input) {
            return slot.clone();
        }
        if kept.len() == RESULTS_MAX {
            kept.pop_front();
        }
        let slot = Slot::default();
        kept.push_back((input.clone(), slot.clone()));
        slot
    }
}

fn compress(input: &Input) -> [u64; 8] {
    let mut state = input.state;
    DefaultCrypto.blake2_compress(input.rounds, &mut state, &input.message, &input.offset, input.last);
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(rounds: u32, first: u64) -> Input {
        Input { rounds, state: [first; 8], message: [3; 16], offset: [128, 0], last: true }
    }

    #[test]
    fn a_dear_result_is_the_librarys_and_kept() {
        let kept = DearBlake2::default();
        for first in [1, 2, 1] {
            let input = input(ROUNDS_MIN, first);
            assert_eq!(kept.compress(input.clone()), compress(&input));
        }
        assert_eq!(kept.0.lock().unwrap().len(), 2);
        kept.compress(input(ROUNDS_MIN - 1, 1));
        assert_eq!(kept.0.lock().unwrap().len(), 2, "a cheap one is not kept");
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let kept = DearBlake2::default();
        for first in 0..=RESULTS_MAX as u64 {
            kept.slot(&input(ROUNDS_MIN, first));
        }
        let kept = kept.0.into_inner().unwrap();
        assert_eq!(kept.len(), RESULTS_MAX);
        assert_eq!(kept.front().map(|(input, _)| input.state[0]), Some(1));
    }
}
