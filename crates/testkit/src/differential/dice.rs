//! Choices, drawn from a seed.

use alloy_primitives::{B256, Bytes, U256};
use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng};

/// A seeded source of choices.
#[derive(Debug)]
pub(super) struct Dice(StdRng);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// A number below `bound`, which is not zero.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0.random_range(0..bound)
    }

    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0.random_range(low..=high)
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of the choices, of which there is at least one.
    pub(super) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }

    pub(super) fn bytes(&mut self, len_max: u64) -> Bytes {
        let mut bytes = vec![0; self.below(len_max + 1) as usize];
        self.0.fill_bytes(&mut bytes);
        bytes.into()
    }

    pub(super) fn hash(&mut self) -> B256 {
        let mut hash = B256::ZERO;
        self.0.fill_bytes(hash.as_mut_slice());
        hash
    }

    /// A word: mostly small, sometimes at an edge, sometimes any.
    pub(super) fn word(&mut self) -> U256 {
        match self.below(10) {
            0..=5 => U256::from(self.below(8)),
            6 => U256::from(self.below(1 << 16)),
            7 => U256::MAX >> self.below(256) as usize,
            8 => U256::from(1) << self.below(256) as usize,
            _ => self.hash().into(),
        }
    }
}
