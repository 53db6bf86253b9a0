//! Which rules hold when: fork schedules, blob schedules, genesis data, fork ids, built-in networks.

mod bootnodes;
mod compat;
mod consensus;
mod dev_record;
mod fork;
mod fork_id;
mod genesis;
mod networks;
mod overrides;
mod spec;

pub use compat::{Incompatible, compatible};
pub use consensus::{CLIQUE_SEAL_BYTES, Consensus, FINALITY_DEPTH_BLOCKS, clique_seal_hash};
pub use dev_record::{DevChange, DevRecord, DevRecordError};
pub use fork::{Fork, UnknownFork};
pub use fork_id::{ForkFilter, ForkHash, ForkId, ForkIdError};
pub use genesis::{GenesisError, GenesisState, state_root};
pub use networks::NETWORKS;
pub use spec::{Activation, BlobSchedule, ChainSpec};
