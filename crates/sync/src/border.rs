//! What goes into [`crate::Syncer`] and what comes out.

use crate::{
    job::{PrepareJob, Prepared},
    progress::Progress,
};
use starling_devp2p::eth::{BlockRange, EthVersion, Request, Response};
use starling_primitives::{B256, BlockRef, PeerId, U256};
use starling_validation::{HeaderError, PrepareError, PreparedBlock};
use std::sync::Arc;

/// What a peer said of itself in its Status, and since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerInfo {
    /// The version of eth that was agreed on.
    pub version: EthVersion,
    /// Its head.
    pub head: B256,
    /// The blocks that it serves; none before eth/69, whose Status does not say.
    pub range: Option<BlockRange>,
    /// Total difficulty of its chain as it claims; none since eth/69, and never assumed.
    pub total_difficulty: Option<U256>,
}

/// A head that somebody trusted named: the consensus client, or the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The head to reach.
    pub head: B256,
    /// The safe block, zero if not named.
    pub safe: B256,
    /// The finalized block, zero if not named.
    pub finalized: B256,
}

/// A block of a trusted chain that breaks a rule, with what is known to descend from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedBlock {
    /// Which.
    pub block: BlockRef,
    /// Its parent's hash.
    pub parent_hash: B256,
    /// The rule; none if the chain itself found it, and knows.
    pub why: Option<BrokenRule>,
    /// Hashes of descendants, at most 1,024, those nearest the head that was named.
    pub descendants: Vec<B256>,
}

/// A rule that is checked before a block goes to the chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenRule {
    /// About the header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The body that the header names cannot be read.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
}

/// What became of a block that [`SyncAction::Import`] handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportResult {
    /// It is kept, now or already.
    Kept,
    /// Its parent's state is not at hand: the branch leaves the chain below the flushed frontier.
    TooOld,
    /// Its parent is unknown: the chain was rewound meanwhile.
    UnknownParent,
    /// It breaks a rule.
    Invalid {
        /// The rule.
        why: String,
    },
    /// Nothing can be imported now (disk full, shutdown). Says nothing of the block; it is handed out again.
    Failed {
        /// The reason.
        why: String,
    },
}

/// Something happened.
#[derive(Debug)]
pub enum SyncEvent {
    /// A peer has passed its Status.
    PeerJoined {
        /// Who.
        peer: PeerId,
        /// What it said.
        info: PeerInfo,
    },
    /// A peer's range or head moved (BlockRangeUpdate, NewBlock).
    PeerUpdated {
        /// Who.
        peer: PeerId,
        /// What holds of it now.
        info: PeerInfo,
    },
    /// A peer is gone; what it was asked will not be answered.
    PeerLeft {
        /// Who.
        peer: PeerId,
    },
    /// An answer came. One that comes too late, or that nobody asked for, is ignored.
    Answer {
        /// Who.
        peer: PeerId,
        /// The id from [`SyncAction::Request`].
        id: u64,
        /// Items, raw.
        response: Response,
    },
    /// A request could not be sent. A peer that left needs no such event.
    RequestFailed {
        /// To whom.
        peer: PeerId,
        /// The id from [`SyncAction::Request`].
        id: u64,
    },
    /// Somebody trusted named a head that is not kept here.
    Target(Target),
    /// The consensus client handed over a block whose parent is unknown: its ancestors are wanted, and it is
    /// used when it is reached.
    Payload(Arc<PreparedBlock>),
    /// A [`PrepareJob`] was run.
    Prepared(Prepared),
    /// A block of [`SyncAction::Import`] was imported, or not. One event a block, in order.
    Imported {
        /// Which.
        block: BlockRef,
        /// What became of it.
        result: ImportResult,
    },
    /// [`SyncAction::SetHead`] was carried out.
    HeadSet {
        /// Which head.
        head: B256,
        /// None if the head is as wanted now, else why not.
        refused: Option<String>,
    },
    /// The time of [`crate::Syncer::next_deadline`] has come.
    Tick,
}

/// Something is to be done. Each is done once, in order; none may be left out.
#[derive(Debug)]
pub enum SyncAction {
    /// Ask a peer.
    Request {
        /// Whom.
        peer: PeerId,
        /// Request id, unique over all peers.
        id: u64,
        /// What.
        request: Request,
    },
    /// Run the job on a worker and hand back its result.
    Prepare(PrepareJob),
    /// Import the blocks in this order, through the same door as any other block; one
    /// [`SyncEvent::Imported`] each. After one that is not kept, the rest need not be tried, but must be
    /// reported (as [`ImportResult::UnknownParent`]).
    Import {
        /// Ascending, each the parent of the next.
        blocks: Vec<Arc<PreparedBlock>>,
    },
    /// Make a kept block the head. Zero hashes leave safe and finalized as they are.
    SetHead {
        /// What to make of it.
        target: Target,
    },
    /// A peer did something wrong.
    Penalise {
        /// Who.
        peer: PeerId,
        /// What.
        fault: Fault,
    },
    /// A peer sent blocks that were asked for and right: reason to keep it.
    Praise {
        /// Who.
        peer: PeerId,
        /// How many.
        blocks: u32,
    },
    /// The chain is to remember that these are invalid, after the imports before it: who names one of them is told so.
    Refuse(RefusedBlock),
    /// The target cannot be had: to be shown to the operator. It is not tried again.
    TargetRefused {
        /// The head that was named.
        head: B256,
        /// Why.
        why: String,
    },
    /// The chain has reached what it was to reach (`--exitwhensynced` ends here).
    Synced {
        /// The head.
        head: BlockRef,
    },
    /// Numbers for logs and `eth_syncing`, at most once a [`crate::PROGRESS_PERIOD`].
    Progress(Progress),
}

/// What a peer did wrong. [`Fault::is_lie`] tells what cannot happen to an honest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Fault {
    /// Headers that do not decode, do not hang together, or are not the ones asked for.
    #[error("headers that were not asked for or do not form a chain")]
    BadHeaders,
    /// A header that breaks the rules of the chain.
    #[error("a header that breaks the rules")]
    InvalidHeader,
    /// A body of none of the blocks asked for, or in another order.
    #[error("a body of no block that was asked for")]
    BadBodies,
    /// More items than asked for, or items of another kind.
    #[error("an answer of another kind or length than asked for")]
    BadAnswer,
    /// A chain with an invalid block in it, offered by its total difficulty.
    #[error("a chain with an invalid block")]
    InvalidBlock,
    /// The head or the total difficulty that its Status claims is not what it has.
    #[error("a head or total difficulty that it does not have")]
    FalseHead,
    /// Nothing, again and again, about blocks that are within its range.
    #[error("empty answers about blocks that it claims to have")]
    Useless,
    /// No answer in time, again and again.
    #[error("no answers")]
    Timeout,
}

impl Fault {
    /// Whether only a liar does this: reason to disconnect. The others are reason to prefer somebody else.
    pub fn is_lie(self) -> bool {
        !matches!(self, Self::Useless | Self::Timeout)
    }
}
