use crate::{Departure, Origin};
use starling_primitives::PeerId;
use std::time::Duration;

/// Peers that are remembered to have been told of a transaction; later ones are not.
pub const TOLD_MAX: usize = 16;

/// Where a transaction is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Explanation {
    /// It is in the pool.
    Here {
        /// Who brought it.
        origin: Origin,
        /// How long it has been here.
        age: Duration,
        /// What it waits for.
        waiting: Waiting,
        /// Peers that were sent it, or told of it: the first [`TOLD_MAX`].
        told: Vec<PeerId>,
    },
    /// It was in the pool.
    Gone {
        /// Why it left.
        why: Departure,
        /// How long ago; none if that was before the last start of the node.
        ago: Option<Duration>,
    },
}

/// What a transaction in the pool waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// The next block: so many are before it, by its present price.
    Block {
        /// Pending transactions that pay more.
        before: usize,
    },
    /// A base fee that it can pay.
    BaseFee {
        /// What it pays at most, in wei per gas.
        fee_cap: u128,
        /// What the next block asks.
        base_fee: u64,
    },
    /// Transactions of its sender with lower nonces.
    Nonce {
        /// The first one that is missing.
        missing: u64,
    },
    /// Funds: what its sender has does not pay for it and those before it.
    Funds,
}

impl std::fmt::Display for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Block { before } => write!(f, "for the next block; {before} pending transactions pay more"),
            Self::BaseFee { fee_cap, base_fee } => {
                write!(f, "for a lower base fee: it pays {fee_cap} wei at most, the next block asks {base_fee}")
            }
            Self::Nonce { missing } => write!(f, "for the transaction with nonce {missing} of its sender"),
            Self::Funds => write!(f, "for funds: its sender cannot pay for it and those before it"),
        }
    }
}
