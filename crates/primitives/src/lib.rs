//! Our own words that several crates speak, and the alloy names that stand in their signatures.
//!
//! Nothing here decides anything: a [`StateDiff`] says what a block changed, an [`Account`] what an
//! account is, a [`StateReader`] how state is asked for. What the words mean on disk is `storage`'s
//! business, what they hash to is `trie`'s.

mod account;
mod beside;
mod diff;
mod intrinsic_gas;
mod node_key;
pub mod peer_id;
mod read;
mod receipt;
mod senders;

pub use account::{Account, EMPTY_CODE_HASH, EMPTY_ROOT_HASH};
pub use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
pub use alloy_primitives::{
    Address, B64, B256, BlockHash, BlockNumber, Bloom, Bytes, Log, LogData, TxHash, U256, address, b256, bytes,
    keccak256,
};
pub use beside::beside;
pub use diff::{AccountDiff, BranchChanges, BranchRow, SlotDiff, StateDiff, StorageBranches};
pub use intrinsic_gas::IntrinsicGas;
pub use node_key::{InvalidNodeKey, InvalidSignature, NodeKey, recover_peer};
pub use nybbles::Nibbles;
pub use peer_id::{InvalidPeerId, PeerId, node_id};
pub use read::{MemoryState, ReadError, StateReader};
pub use receipt::{Receipt, ReceiptOutcome, receipts_root, receipts_root_and_bloom};
pub use senders::{
    SenderError, SenderRules, Senders, impersonated_sender, impersonation, recover_address, recover_sender,
    recover_senders,
};

/// A signed transaction as it stands in a block: EIP-2718 envelope, blobs without their sidecar.
pub type Transaction = alloy_consensus::EthereumTxEnvelope<alloy_consensus::TxEip4844>;
/// A block body: transactions, ommers, withdrawals.
pub type BlockBody = alloy_consensus::BlockBody<Transaction>;
/// A block: header and body.
pub type Block = alloy_consensus::Block<Transaction>;

/// A block's place: number and hash. The hash alone names it, the number says where to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct BlockRef {
    /// Height above genesis, which is 0.
    pub number: BlockNumber,
    /// keccak of the header's RLP.
    pub hash: BlockHash,
}

impl BlockRef {
    /// A block's place.
    pub const fn new(number: BlockNumber, hash: BlockHash) -> Self {
        Self { number, hash }
    }
}

impl std::fmt::Display for BlockRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.number, self.hash)
    }
}
