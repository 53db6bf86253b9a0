//! The EVM: the one place that names the `revm` library. Everything outside speaks of [`Machine`],
//! [`Ran`] and [`Overlay`](crate::overlay::Overlay).
//!
//! ```text
//! Machine ── journal of one transaction (the library's) ── OverlayDb ── Overlay ── StateReader
//!    │                                                        └ analysed code: block, then process-wide cache
//!    └ commit(): the transaction's journal is applied to the overlay; all allocations stay for the next one
//! ```
//!
//! Deviations from the library, each in its own file: creation on storage collides (`machine.rs`), SSTORE of
//! Constantinople (`constantinople.rs`), a deadline that also ends loops without calls (`watchdog.rs`),
//! precompiles that were moved (`precompiles.rs`).

mod access_list;
mod block_access_list;
mod code;
mod commit;
mod constantinople;
mod convert;
mod crypto;
mod database;
mod dear_blake2;
mod env;
mod intrinsic;
mod machine;
mod precompile_results;
mod precompiles;
mod watchdog;

pub(crate) use access_list::AccessListTracer;
pub(crate) use block_access_list::AccessRecorder;
pub(crate) use env::{BlockRules, CallMode, CallTx, authority};
pub use intrinsic::intrinsic_gas;
pub(crate) use machine::{Ending, Machine, Ran, RunError};
pub(crate) use precompile_results::PrecompileResults;
pub use precompiles::{PrecompileRun, run_precompile};
pub(crate) use watchdog::End;

/// Loads the KZG trusted setup (two to three seconds, once a process), so that the first blob or point
/// evaluation does not wait for it.
pub fn warm_kzg() {
    let _ = alloy_eips::eip4844::env_settings::EnvKzgSettings::Default.get();
}
