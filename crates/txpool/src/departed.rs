//! What was here, and why it left.

use alloy_primitives::TxHash;
use schnellru::{ByLength, LruMap};
use std::time::Instant;

/// Transactions of our own RPC that are remembered after they left; the oldest is forgotten for a new one.
const OURS_MAX: u32 = 65_536;
/// The same of all others.
const OTHERS_MAX: u32 = 8_192;

/// Why a transaction is not in the pool any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Departure {
    /// It is in a block of the chain.
    Mined {
        /// The block's number.
        block: u64,
    },
    /// Another one of the same sender and nonce paid more.
    Replaced {
        /// Which.
        by: TxHash,
    },
    /// Another one of the same sender and nonce is in a block.
    NonceUsed {
        /// The block at which it was noticed.
        block: u64,
    },
    /// The pool was full, and its account paid least.
    Evicted,
    /// It waited too long for an earlier nonce or for funds.
    Expired,
    /// The next block allows less gas than it wants, or a fork made it void.
    Void {
        /// Why.
        why: String,
    },
    /// It came back, from the journal or from a block that left the chain, and was refused.
    Refused {
        /// Why.
        why: String,
    },
    /// Somebody asked for it to go.
    Dropped,
    /// It left before the last start of the node.
    Before {
        /// Why, as it was noted then.
        why: String,
    },
}

impl std::fmt::Display for Departure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mined { block } => write!(f, "mined in block {block}"),
            Self::Replaced { by } => write!(f, "replaced by {by}, of the same sender and nonce"),
            Self::NonceUsed { block } => {
                write!(f, "another transaction of the same sender and nonce was mined, by block {block}")
            }
            Self::Evicted => write!(f, "evicted: the pool was full and its account paid least"),
            Self::Expired => write!(f, "expired: it waited too long for an earlier nonce or for funds"),
            Self::Void { why } => write!(f, "dropped: it cannot be in a block any more: {why}"),
            Self::Refused { why } => write!(f, "refused when it came back: {why}"),
            Self::Dropped => write!(f, "dropped on request"),
            Self::Before { why } => f.write_str(why),
        }
    }
}

/// Why, and when, as far as this run of the node knows.
pub(crate) type Left = (Departure, Option<Instant>);

/// What left lately.
#[derive(Debug)]
pub(crate) struct Departed {
    ours: LruMap<TxHash, Left, ByLength>,
    others: LruMap<TxHash, Left, ByLength>,
}

impl Default for Departed {
    fn default() -> Self {
        Self { ours: LruMap::new(ByLength::new(OURS_MAX)), others: LruMap::new(ByLength::new(OTHERS_MAX)) }
    }
}

impl Departed {
    pub(crate) fn note(&mut self, hash: TxHash, ours: bool, why: Departure, at: Option<Instant>) {
        let map = if ours { &mut self.ours } else { &mut self.others };
        map.insert(hash, (why, at));
    }

    pub(crate) fn forget(&mut self, hash: &TxHash) {
        self.ours.remove(hash);
        self.others.remove(hash);
    }

    pub(crate) fn get(&self, hash: &TxHash) -> Option<&Left> {
        self.ours.peek(hash).or_else(|| self.others.peek(hash))
    }

    pub(crate) fn is_ours(&self, hash: &TxHash) -> bool {
        self.ours.peek(hash).is_some()
    }

    /// Those of our own RPC, oldest first.
    pub(crate) fn ours(&self) -> Vec<(TxHash, Departure)> {
        let mut all: Vec<_> = self.ours.iter().map(|(hash, (why, _))| (*hash, why.clone())).collect();
        all.reverse();
        all
    }
}
