//! The conformance runner: every case of the official suites and of real chain data, in minutes.
//!
//! ```text
//! NAME.tar.zst ─► one reader: decode, walk the tar ─► bounded queue ─► a worker a core: JSON, run ─► table, failures
//! vectors/*.json ─┘
//! ```
//!
//! Nothing is unpacked to disk. Each format is a module that turns a member into cases; which format a member has is
//! told by its archive's name or, for archives that nobody here knows, by what stands in it. Blocks go through the
//! same door as blocks from peers, files and the consensus client, and a block that must be refused must be refused for
//! the reason that the case names ([`reasons`]).

mod amsterdam;
pub mod archive;
mod blocks;
mod caller;
pub mod cases;
mod door;
mod engine;
pub mod json;
pub mod network;
pub mod options;
pub mod pack;
mod reasons;
pub mod report;
mod runner;
mod state;
mod unsigned;
pub mod vectors;

pub use options::Options;
pub use reasons::Refusal;
pub use report::Report;
pub use runner::run;
