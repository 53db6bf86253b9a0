use crate::{Consensus, Fork, GenesisState};
use alloy_primitives::{Address, B256, U256};
use starling_primitives::Header;
use std::fmt;

/// When a fork's rules begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// From this block number on.
    Block(u64),
    /// From this timestamp on, unix seconds (Shanghai and later).
    Time(u64),
}

impl Activation {
    /// Whether a block of that number and time is at or past the point.
    pub const fn is_reached(self, number: u64, timestamp: u64) -> bool {
        match self {
            Self::Block(block) => block <= number,
            Self::Time(time) => time <= timestamp,
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block(block) => write!(f, "block {block}"),
            Self::Time(time) => write!(f, "time {time}"),
        }
    }
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

impl BlobSchedule {
    const fn new(target: u64, max: u64, base_fee_update_fraction: u64) -> Self {
        Self { target, max, base_fee_update_fraction }
    }

    /// Wei for a unit of blob gas: e to the power of excess / fraction, by its Taylor series in whole numbers
    /// (`fake_exponential` of EIP-4844). What exceeds 128 bits nobody can pay; it saturates.
    pub fn base_fee(&self, excess_blob_gas: u64) -> u128 {
        const MAX: U256 = U256::from_limbs([u64::MAX, u64::MAX, 0, 0]);
        let (numerator, denominator) = (U256::from(excess_blob_gas), U256::from(self.base_fee_update_fraction.max(1)));
        let mut sum = U256::ZERO;
        let mut term = denominator;
        let mut i = U256::ONE;
        while !term.is_zero() {
            sum += term;
            if sum / denominator > MAX {
                return u128::MAX;
            }
            term = term * numerator / (denominator * i);
            i += U256::ONE;
        }
        (sum / denominator).saturating_to()
    }

    /// The public networks' values, for forks that a configuration gives no entry:
    /// EIP-4844, EIP-7691, EIP-7892. None where a fork has no values of its own.
    pub const fn default_of(fork: Fork) -> Option<Self> {
        Some(match fork {
            Fork::Cancun => Self::new(3, 6, 3_338_477),
            Fork::Prague | Fork::Osaka => Self::new(6, 9, 5_007_716),
            Fork::Bpo1 => Self::new(10, 15, 8_346_193),
            Fork::Bpo2 => Self::new(14, 21, 11_684_671),
            _ => return None,
        })
    }
}

/// A network: its rules and its genesis.
#[derive(Debug, Clone)]
pub struct ChainSpec {
    /// Name for people: `mainnet`, or `custom`.
    pub name: String,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Forks in rising order with when they begin; Frontier and Paris do not stand here.
    pub forks: Vec<(Fork, Activation)>,
    /// Blob schedules by fork, rising.
    pub blob_schedule: Vec<(Fork, BlobSchedule)>,
    /// Consensus rules.
    pub consensus: Consensus,
    /// The deposit contract of EIP-6110.
    pub deposit_contract: Option<Address>,
    /// A block at which fork ids change and nothing else (EIP-3675): set on test networks only.
    pub merge_netsplit_block: Option<u64>,
    /// Where this chain stayed without the DAO fork while others took it. Its blocks must then not
    /// carry the DAO's extra data, and the point counts in fork ids.
    pub dao_fork_refused_block: Option<u64>,
    /// Whether Amsterdam brings the requests of builders (EIP-8282), whose contracts must then be there. Its devnets
    /// of before had none.
    pub builder_requests: bool,
    /// The genesis header, its state root computed.
    pub genesis_header: Header,
    /// The genesis accounts; built-in networks parse them at first use.
    pub genesis_state: GenesisState,
}

impl ChainSpec {
    /// The rules of a block, by its number, time and (for the merge) its difficulty being zero.
    /// Whether that difficulty is right is `validation`'s to say.
    pub fn fork_of(&self, header: &Header) -> Fork {
        let by_block = self.latest(header, |activation| matches!(activation, Activation::Block(_)));
        let by_time = || self.latest(header, |activation| matches!(activation, Activation::Time(_)));
        if by_block >= Fork::London && self.is_proof_of_stake(header) {
            by_time().max(Fork::Paris)
        } else if self.consensus.is_lasting_clique() {
            by_time().max(by_block)
        } else {
            by_block
        }
    }

    /// Whether a fork's rules hold for a block. For the forks that a chain may leave out this asks
    /// whether it has them; a later fork alone does not bring them.
    pub fn is_active(&self, fork: Fork, header: &Header) -> bool {
        self.fork_of(header) >= fork && (!fork.is_optional() || self.activation(fork).is_some())
    }

    /// Whether a block is one of proof of stake, by its difficulty being zero.
    pub fn is_proof_of_stake(&self, header: &Header) -> bool {
        self.consensus.is_proof_of_stake(header)
    }

    /// When a fork begins, none if it is not scheduled (or is Frontier or Paris).
    pub fn activation(&self, fork: Fork) -> Option<Activation> {
        self.forks.iter().find(|(other, _)| *other == fork).map(|(_, activation)| *activation)
    }

    /// The blob schedule in force for a block of that time, none before Cancun.
    /// A fork without an entry keeps the last one's.
    pub fn blob_schedule_at(&self, header: &Header) -> Option<BlobSchedule> {
        self.blob_schedule_of(self.fork_of(header))
    }

    /// The blob schedule in force under a fork's rules, none before Cancun.
    pub fn blob_schedule_of(&self, fork: Fork) -> Option<BlobSchedule> {
        if fork < Fork::Cancun {
            return None;
        }
        let in_force = |entry: &&(Fork, BlobSchedule)| entry.0 <= fork && self.activation(entry.0).is_some();
        self.blob_schedule.iter().rev().find(in_force).map(|(_, schedule)| *schedule)
    }

    /// The forks that begin at a timestamp with that time, rising: what EIP-7910's current, next and
    /// last are chosen from.
    pub fn time_forks(&self) -> impl DoubleEndedIterator<Item = (Fork, u64)> + '_ {
        self.forks.iter().filter_map(|(fork, activation)| match activation {
            Activation::Time(time) => Some((*fork, *time)),
            Activation::Block(_) => None,
        })
    }

    /// The genesis block's hash.
    pub fn genesis_hash(&self) -> B256 {
        self.genesis_header.hash_slow()
    }

    /// The latest scheduled fork of one kind that `header` has reached, else Frontier.
    fn latest(&self, header: &Header, kind: impl Fn(&Activation) -> bool) -> Fork {
        let reached = |(_, at): &&(Fork, Activation)| kind(at) && at.is_reached(header.number, header.timestamp);
        self.forks.iter().rev().find(reached).map_or(Fork::Frontier, |(fork, _)| *fork)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blob_base_fee_follows_its_formula_and_saturates() {
        let check = |excess, fraction, wei| {
            assert_eq!(BlobSchedule::new(3, 6, fraction).base_fee(excess), wei, "{excess} {fraction}")
        };
        check(0, 3_338_477, 1);
        check(2_314_057, 3_338_477, 1);
        check(2_314_058, 3_338_477, 2);
        check(10 * 1024 * 1024, 3_338_477, 23);
        check(148_099_578, 3_338_477, 18_446_739_238_971_471_609);
        check(161_087_488, 3_338_477, 902_580_055_246_494_526_580);
        check(u64::MAX, 3_338_477, u128::MAX);
        check(u64::MAX, 0, u128::MAX);
    }
}
