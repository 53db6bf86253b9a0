use crate::Fork;
use alloy_primitives::{Address, U256};
use starling_primitives::{Header, MemoryState};

/// When a fork's rules begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// From this block number on.
    Block(u64),
    /// From this timestamp on, unix seconds (Shanghai and later).
    Time(u64),
}

/// Blob limits of a fork (EIP-7840).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobSchedule {
    /// Target blobs a block.
    pub target: u64,
    /// Most blobs a block.
    pub max: u64,
    /// Update fraction of the blob base fee.
    pub base_fee_update_fraction: u64,
}

/// Who may author a block and how the head is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Consensus {
    /// Ethash until the terminal total difficulty, then proof of stake. No TTD: never merges.
    /// A TTD of zero: proof of stake from the first block.
    Ethereum {
        /// Terminal total difficulty.
        terminal_total_difficulty: Option<U256>,
    },
    /// EIP-225 proof of authority.
    Clique {
        /// Least seconds between blocks.
        period: u64,
        /// Blocks between checkpoints.
        epoch: u64,
    },
    /// A single node that seals its own blocks; rules of proof of stake.
    Dev,
}

/// A network: its rules and its genesis.
#[derive(Debug, Clone)]
pub struct ChainSpec {
    /// Name for people: `mainnet`, or `custom`.
    pub name: String,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Forks in rising order with when they begin.
    pub forks: Vec<(Fork, Activation)>,
    /// Blob schedules by fork, rising.
    pub blob_schedule: Vec<(Fork, BlobSchedule)>,
    /// Consensus rules.
    pub consensus: Consensus,
    /// The deposit contract of EIP-6110.
    pub deposit_contract: Option<Address>,
    /// The genesis header, its state root computed.
    pub genesis_header: Header,
    /// The genesis accounts.
    pub genesis_state: std::sync::Arc<MemoryState>,
}

impl ChainSpec {
    /// The rules of a block, by its number, time and (for the merge) its difficulty being zero.
    /// Whether that difficulty is right is `validation`'s to say.
    pub fn fork_of(&self, header: &Header) -> Fork {
        let _ = header;
        todo!()
    }

    /// The blob schedule in force for a block of that time, none before Cancun.
    pub fn blob_schedule_at(&self, header: &Header) -> Option<BlobSchedule> {
        let _ = header;
        todo!()
    }
}
