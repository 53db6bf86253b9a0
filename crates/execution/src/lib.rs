//! Runs blocks, transactions and calls: our own block executor over an EVM library.
//!
//! ```text
//! CheckedBlock + parent state ──execute──► ExecutedBlock: receipts, StateDiff, access list
//!     begin: DAO drain, system calls     each transaction: admit → run → commit → receipt     end: withdrawals,
//!     requests, rewards → Computed → compared with the header
//! ```
//!
//! `evm/` alone names the library. Everything else speaks of blocks, receipts and diffs. Nothing here computes
//! a state root, opens a file or spawns a thread; a block full of precompiles may use the current rayon pool (`ahead.rs`).

mod access_list;
mod ahead;
mod block;
mod build;
mod call;
mod dao;
mod dev;
mod error;
mod evm;
mod overlay;
mod requests;
mod rewards;
mod secp256r1;
mod system;

pub use ahead::LookAhead;
pub use block::{Computed, ExecutedBlock, IntermediateRoot, execute, execute_transaction, execute_unchecked};
pub use build::BlockInProgress;
pub use call::{
    AccessList, AccountOverride, BlockOverride, Call, CallLimits, CallOutcome, CallResult, Overrides, call,
    create_access_list, estimate_gas,
};
pub use error::{BlockError, CallError, TxError};
pub use evm::{PrecompileRun, intrinsic_gas, run_precompile, warm_kzg};
