//! What goes into [`super::Announcer`] and what comes out.

use super::{CheckJob, CheckedAnnouncement};
use crate::{Fault, ImportResult};
use starling_devp2p::eth::{BlockId, NewBlock, Request, Response};
use starling_primitives::{B256, BlockRef, Bytes, PeerId, U256};
use starling_validation::PreparedBlock;
use std::sync::Arc;

/// Something happened.
#[derive(Debug)]
pub enum AnnounceEvent {
    /// A peer has passed its Status.
    Joined {
        /// Who.
        peer: PeerId,
    },
    /// It is gone.
    Left {
        /// Who.
        peer: PeerId,
    },
    /// NewBlockHashes came.
    Hashes {
        /// From whom.
        peer: PeerId,
        /// Which.
        blocks: Vec<BlockId>,
    },
    /// NewBlock came.
    Block {
        /// From whom.
        peer: PeerId,
        /// The block, and the total difficulty by the peer's word.
        block: NewBlock,
    },
    /// An answer came to a request whose id [`super::is_own_request`] knows.
    Answer {
        /// Who.
        peer: PeerId,
        /// The id from [`AnnounceAction::Request`].
        id: u64,
        /// Items, raw.
        response: Response,
    },
    /// A request could not be sent.
    RequestFailed {
        /// To whom.
        peer: PeerId,
        /// The id from [`AnnounceAction::Request`].
        id: u64,
    },
    /// A [`CheckJob`] was run.
    Checked(CheckedAnnouncement),
    /// A block of [`AnnounceAction::Import`] was imported, or not; also of any other import.
    Imported {
        /// Which.
        block: BlockRef,
        /// What became of it.
        result: ImportResult,
    },
    /// The head is a young block that did not come by gossip: it is passed on.
    Head {
        /// Which.
        block: BlockRef,
        /// Its RLP.
        rlp: Bytes,
        /// From genesis to it.
        total_difficulty: U256,
    },
    /// The time of [`super::Announcer::next_deadline`] has come.
    Tick,
}

/// Something is to be done, in order.
#[derive(Debug)]
pub enum AnnounceAction {
    /// Ask a peer; time-outs are kept here.
    Request {
        /// Whom.
        peer: PeerId,
        /// Request id, of no other part of the node.
        id: u64,
        /// What.
        request: Request,
    },
    /// Run the job on a worker and hand back its result.
    Check(CheckJob),
    /// Import the block, through the same door as any other; ends in [`AnnounceEvent::Imported`].
    Import(Arc<PreparedBlock>),
    /// Send NewBlock.
    SendBlock {
        /// To whom.
        peer: PeerId,
        /// What.
        block: NewBlock,
    },
    /// Send NewBlockHashes.
    SendHashes {
        /// To whom.
        peer: PeerId,
        /// Which.
        blocks: Vec<BlockId>,
    },
    /// What a peer claims to have now: the syncer follows it if it is heavier.
    PeerHas {
        /// Who.
        peer: PeerId,
        /// Its head.
        head: B256,
        /// By its word.
        total_difficulty: U256,
    },
    /// A peer did something wrong.
    Penalise {
        /// Who.
        peer: PeerId,
        /// What.
        fault: Fault,
    },
    /// A block broke a rule before it was imported: for the operator.
    Refused {
        /// Which.
        block: BlockRef,
        /// The rule.
        why: String,
    },
}
