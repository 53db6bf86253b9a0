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

pub use difficulty::{DifficultyInput, difficulty};
pub use ethash::{SealError, verify_seal};

use starling_chainspec::ChainSpec;
use starling_primitives::{Address, B256, Block, BlockRef, Bytes, Header, U256};
use std::sync::Arc;

/// A decoded block with everything that can be computed from it alone.
#[derive(Debug, Clone)]
pub struct PreparedBlock {
    /// Header and body.
    pub block: Block,
    /// The block's RLP, byte for byte as it came.
    pub rlp: Bytes,
    /// keccak of the header.
    pub hash: B256,
    /// Transaction hashes in order.
    pub tx_hashes: Vec<B256>,
    /// Senders in order.
    pub senders: Vec<Address>,
    /// Root of the transactions as computed from the body.
    pub transactions_root: B256,
    /// Hash of the ommers as computed from the body.
    pub ommers_hash: B256,
    /// Root of the withdrawals as computed from the body, if it has any.
    pub withdrawals_root: Option<B256>,
    /// Block access list that came beside the block (Engine API), RLP.
    pub access_list: Option<Bytes>,
}

/// The block's bytes are not a block.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PrepareError {
    /// Not RLP, or not of a block's shape.
    #[error("block does not decode: {0}")]
    Decode(String),
    /// A transaction's signature leads to no sender.
    #[error(transparent)]
    Sender(#[from] starling_primitives::SenderError),
}

impl PreparedBlock {
    /// Decodes and prepares a block from its RLP.
    pub fn from_rlp(spec: &ChainSpec, rlp: Bytes) -> Result<Self, PrepareError> {
        let _ = (spec, rlp);
        todo!()
    }

    /// Prepares a block that was built or decoded elsewhere.
    pub fn from_block(spec: &ChainSpec, block: Block) -> Result<Self, PrepareError> {
        let _ = (spec, block);
        todo!()
    }

    /// Number and hash.
    pub fn at(&self) -> BlockRef {
        BlockRef::new(self.block.header.number, self.hash)
    }
}

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
