//! Which rules hold when: fork schedules, blob schedules, genesis data, fork ids, built-in networks.

mod consensus;
mod fork;
mod genesis;
mod spec;

pub use consensus::{CLIQUE_SEAL_BYTES, Consensus, FINALITY_DEPTH_BLOCKS};
pub use fork::{Fork, UnknownFork};
pub use genesis::GenesisState;
pub use spec::{Activation, BlobSchedule, ChainSpec};
