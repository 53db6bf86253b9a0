use crate::Fork;
use alloy_primitives::{Address, B256, Signature, U256, keccak256};
use alloy_rlp::Encodable;
use starling_primitives::Header;

/// Blocks behind the head that count as settled on a chain that nobody finalizes.
pub const FINALITY_DEPTH_BLOCKS: u64 = 128;

/// Bytes of a Clique seal, at the end of the extra data (EIP-225).
pub const CLIQUE_SEAL_BYTES: usize = 65;

const WEI_PER_ETHER: u64 = 1_000_000_000_000_000_000;

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
        /// Where the chain turns to proof of stake, as Goerli did. None: never, and then the time forks
        /// hold on Clique blocks too.
        terminal_total_difficulty: Option<U256>,
    },
    /// A single node that seals its own blocks; rules of proof of stake.
    Dev,
}

impl Consensus {
    /// The total difficulty whose first block is the last before proof of stake; zero on a `dev` chain.
    pub fn terminal_total_difficulty(&self) -> Option<U256> {
        match self {
            Self::Ethereum { terminal_total_difficulty } | Self::Clique { terminal_total_difficulty, .. } => {
                *terminal_total_difficulty
            }
            Self::Dev => Some(U256::ZERO),
        }
    }

    /// Whether a block is one of proof of stake: its difficulty is zero on a chain that has, or will
    /// have, a terminal total difficulty. Whether it may be is `validation`'s to say.
    pub fn is_proof_of_stake(&self, header: &Header) -> bool {
        header.difficulty.is_zero() && self.terminal_total_difficulty().is_some()
    }

    /// Clique that never merges: its time forks hold without proof of stake.
    pub(crate) fn is_lasting_clique(&self) -> bool {
        matches!(self, Self::Clique { terminal_total_difficulty: None, .. })
    }

    /// Whether the heaviest branch, by total difficulty, is the head when `header` is the heaviest's tip.
    /// If not, the head is what a consensus client (or the dev sealer) says.
    pub fn total_difficulty_rules(&self, header: &Header) -> bool {
        !self.is_proof_of_stake(header)
    }

    /// How many blocks behind the head count as settled; none where somebody else says what is final.
    pub fn finality_depth_blocks(&self) -> Option<u64> {
        match self {
            Self::Ethereum { terminal_total_difficulty: Some(_) }
            | Self::Clique { terminal_total_difficulty: Some(_), .. } => None,
            Self::Ethereum { .. } | Self::Clique { .. } | Self::Dev => Some(FINALITY_DEPTH_BLOCKS),
        }
    }

    /// Whose block it is: who gets its fees. The fee recipient, but on Clique the signer, since the
    /// beneficiary field there carries votes. None if a Clique seal leads to no signer.
    pub fn author(&self, header: &Header) -> Option<Address> {
        match self {
            Self::Clique { .. } if !self.is_proof_of_stake(header) => clique_signer(header),
            _ => Some(header.beneficiary),
        }
    }

    /// What the author gets for a block, in wei, without its ommers: EIP-649, EIP-1234, EIP-3675.
    pub fn block_reward(&self, fork: Fork) -> U256 {
        let ether = match self {
            Self::Clique { .. } | Self::Dev => 0,
            Self::Ethereum { .. } if fork >= Fork::Paris => 0,
            Self::Ethereum { .. } if fork >= Fork::Constantinople => 2,
            Self::Ethereum { .. } if fork >= Fork::Byzantium => 3,
            Self::Ethereum { .. } => 5,
        };
        U256::from(ether) * U256::from(WEI_PER_ETHER)
    }

    /// What an ommer's author gets, in wei: an eighth less of the block reward for each block of distance.
    pub fn ommer_reward(&self, fork: Fork, block_number: u64, ommer_number: u64) -> U256 {
        let eighths = 8u64.saturating_sub(block_number.saturating_sub(ommer_number));
        self.block_reward(fork) * U256::from(eighths) / U256::from(8)
    }

    /// What the block's author gets for each ommer it includes, in wei: a thirty-second of the block reward.
    pub fn inclusion_reward(&self, fork: Fork) -> U256 {
        self.block_reward(fork) / U256::from(32)
    }
}

/// The signer of a Clique header: the key that signed the header with the seal cut off (EIP-225).
fn clique_signer(header: &Header) -> Option<Address> {
    let vanity_bytes = header.extra_data.len().checked_sub(CLIQUE_SEAL_BYTES)?;
    let seal = header.extra_data.get(vanity_bytes..)?;
    // 0 or 1, not the 27 and 28 of transactions
    let parity = match seal.last()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let signature = Signature::from_bytes_and_parity(seal.get(..CLIQUE_SEAL_BYTES - 1)?, parity);
    starling_primitives::recover_address(&signature, clique_seal_hash(header)?)
}

/// What a Clique signer signs: the hash of the header with the seal cut off. None if there is no room for one.
pub fn clique_seal_hash(header: &Header) -> Option<B256> {
    let unsealed_bytes = header.extra_data.len().checked_sub(CLIQUE_SEAL_BYTES)?;
    let unsealed = Header { extra_data: header.extra_data.slice(..unsealed_bytes), ..header.clone() };
    let mut rlp = Vec::with_capacity(unsealed.length());
    unsealed.encode(&mut rlp);
    Some(keccak256(rlp))
}
