use alloy_eips::eip4895::Withdrawal;
use starling_primitives::{Address, B64, B256, Bytes, U256};

/// The gas limit that blocks move to unless told otherwise (EIP-7935).
pub const GAS_LIMIT_TARGET_DEFAULT: u64 = 60_000_000;

/// What a block is to be, besides its transactions (`PayloadAttributesV1` to `V4` in one, and what an operator sets).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// Unix seconds, after the parent's.
    pub timestamp: u64,
    /// Who gets the fees. On Clique the header's beneficiary: the address voted on, or zero.
    pub fee_recipient: Address,
    /// The beacon chain's randomness; zero on Clique.
    pub prev_randao: B256,
    /// Withdrawals, since Shanghai; none counts as an empty list there.
    pub withdrawals: Option<Vec<Withdrawal>>,
    /// Root of the parent's beacon block, since Cancun; none counts as zero there.
    pub parent_beacon_block_root: Option<B256>,
    /// Slot of the beacon chain, since Amsterdam; none counts as the one after the parent's.
    pub slot_number: Option<u64>,
    /// The gas limit to move to, by at most one part in 1024 a block.
    pub gas_limit_target: u64,
    /// The header's extra data: at most 32 bytes, but on Clique vanity, signers and room for the seal.
    pub extra_data: Bytes,
}

/// Who makes a block where that is not simply the fee recipient: Clique, and chains before the merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authorship {
    /// Who gets the fees, and what COINBASE says: the signer, on Clique.
    pub author: Address,
    /// The header's difficulty.
    pub difficulty: U256,
    /// The header's nonce: on Clique the vote.
    pub nonce: B64,
}

/// What an operator wants of the blocks that are built here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildOptions {
    /// The gas limit to move to (`--miner.gaslimit`).
    pub gas_limit_target: u64,
    /// The header's extra data, at most 32 bytes (`--miner.extradata`).
    pub extra_data: Bytes,
    /// Most blobs of a block, if fewer than the fork allows (`--miner.maxblobs`).
    pub blobs_max: Option<u64>,
    /// Least tip of a transaction, in wei per gas (`--miner.gasprice`). Zero: what the pool takes in is mined.
    pub tip_min: u128,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self { gas_limit_target: GAS_LIMIT_TARGET_DEFAULT, extra_data: Bytes::new(), blobs_max: None, tip_min: 0 }
    }
}
