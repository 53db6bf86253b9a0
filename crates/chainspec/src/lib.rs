//! Which rules hold when: fork schedules, blob schedules, genesis data, fork ids, built-in networks.

mod fork;
mod spec;

pub use fork::Fork;
pub use spec::{Activation, BlobSchedule, ChainSpec, Consensus};
