//! Every check of a block that needs no EVM, in the order of the execution specs.
//!
//! ```text
//! bytes ──prepare──► PreparedBlock ──check(ancestry)──► CheckedBlock ──► execution
//! ```
//!
//! [`PreparedBlock`] needs no parent (hash, body roots, senders, size) and is made on workers by anyone;
//! only [`check`] makes a [`CheckedBlock`]. What a block must satisfy falls into three parts:
//!
//! - it decodes, and its signatures lead to senders: [`PrepareError`];
//! - header and body fit the ancestors, each other and the fork: [`HeaderError`], the first rule broken;
//! - running it gives what the header says: `execution`'s part. Rules of transactions that need the state,
//!   the gas already spent or the intrinsic costs (nonce, balance, fee caps, gas caps) are there too.

mod blobs;
mod body;
mod check;
pub mod clique;
mod difficulty;
mod error;
mod ethash;
mod header;
mod ommers;
mod prepare;

pub use blobs::next_excess_blob_gas;
pub use body::check_transaction;
pub use check::{Ancestry, BLOCK_BYTES_MAX, CheckOptions, CheckedBlock, check, check_header_on};
pub use clique::{CliqueRule, CliqueSnapshot, CliqueVote};
pub use difficulty::{DifficultyInput, difficulty};
pub use error::{HeaderError, OmmerRule, TransactionRule};
pub use ethash::{SealError, verify_seal};
pub use header::{GAS_LIMIT_MAX, GAS_LIMIT_MIN, next_base_fee};
pub use prepare::{PrepareError, PreparedBlock, PreparedTransactions, prepare_transactions, transactions_root};
