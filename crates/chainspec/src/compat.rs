//! May a database that was made under one configuration be used under another? Forks to come may
//! change; a fork that the head has passed may not, since blocks were executed under it.

use crate::{Activation, ChainSpec, Consensus, Fork};
use std::fmt;

/// The stored configuration and the wanted one differ in what the head has already passed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Incompatible {
    /// A fork that has begun, or would have begun, moved. A chain rewound to `rewind_to` could take it.
    #[error("{fork} is at {} in the database and at {} as configured; rewind to {rewind_to} first", Point(.stored), Point(.wanted))]
    Fork {
        /// The fork.
        fork: Fork,
        /// When it begins by the database.
        stored: Option<Activation>,
        /// When it begins as configured.
        wanted: Option<Activation>,
        /// The last block (or the last timestamp of a block) that both agree on.
        rewind_to: Activation,
    },
    /// The blob schedule of a fork that has begun changed.
    #[error("the blob schedule of {fork} differs from the database's; rewind to {rewind_to} first")]
    BlobSchedule {
        /// The fork.
        fork: Fork,
        /// The last timestamp of a block that both agree on.
        rewind_to: Activation,
    },
    /// Something that holds from genesis on; only a new database helps.
    #[error("{what} is {stored} in the database and {wanted} as configured; they cannot share a database")]
    Chain {
        /// What differs.
        what: &'static str,
        /// By the database.
        stored: String,
        /// As configured.
        wanted: String,
    },
}

/// Whether a chain whose head has that number and timestamp, run under `stored`, may go on under `wanted`.
/// Of several differences the one that asks for the deepest rewind is the error. The terminal total
/// difficulty is not compared: blocks show for themselves when they merged.
pub fn compatible(
    stored: &ChainSpec,
    wanted: &ChainSpec,
    head_number: u64,
    head_timestamp: u64,
) -> Result<(), Incompatible> {
    same_chain(stored, wanted)?;
    // rising forks, so the first that differs begins first
    for fork in Fork::ALL {
        let (old, new) = (stored.activation(fork), wanted.activation(fork));
        let passed = |at: Option<Activation>| at.filter(|at| at.is_reached(head_number, head_timestamp));
        if old != new && (passed(old).is_some() || passed(new).is_some()) {
            let rewind_to = before_earlier(passed(old), passed(new));
            return Err(Incompatible::Fork { fork, stored: old, wanted: new, rewind_to });
        }
        if passed(old).is_some() && stored.blob_schedule_of(fork) != wanted.blob_schedule_of(fork) {
            return Err(Incompatible::BlobSchedule { fork, rewind_to: before_earlier(old, new) });
        }
    }
    Ok(())
}

fn same_chain(stored: &ChainSpec, wanted: &ChainSpec) -> Result<(), Incompatible> {
    let differs = |what, stored: String, wanted: String| match stored == wanted {
        true => Ok(()),
        false => Err(Incompatible::Chain { what, stored, wanted }),
    };
    differs("genesis hash", stored.genesis_hash().to_string(), wanted.genesis_hash().to_string())?;
    differs("chain id", stored.chain_id.to_string(), wanted.chain_id.to_string())?;
    differs("consensus", consensus(stored), consensus(wanted))
}

fn consensus(spec: &ChainSpec) -> String {
    match spec.consensus {
        Consensus::Ethereum { .. } => "ethash or proof of stake".into(),
        Consensus::Clique { period, epoch, .. } => format!("clique (period {period}, epoch {epoch})"),
        Consensus::Dev => "dev".into(),
    }
}

/// One before the earlier point. Both are of one kind, since they are the same fork's.
fn before_earlier(a: Option<Activation>, b: Option<Activation>) -> Activation {
    let value = |at| match at {
        Activation::Block(value) | Activation::Time(value) => value,
    };
    let points = [a, b].into_iter().flatten();
    match points.min_by_key(|at| value(*at)) {
        Some(Activation::Block(block)) => Activation::Block(block.saturating_sub(1)),
        Some(Activation::Time(time)) => Activation::Time(time.saturating_sub(1)),
        None => Activation::Block(0),
    }
}

struct Point<'a>(&'a Option<Activation>);

impl fmt::Display for Point<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(at) => at.fmt(f),
            None => f.write_str("no block"),
        }
    }
}
