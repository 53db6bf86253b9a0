//! Runs blocks, transactions and calls: our own block executor over revm.
//!
//! One file, `evm.rs`, names revm. Everything else speaks of blocks, receipts and diffs.

mod border;
pub use border::*;
