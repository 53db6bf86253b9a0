use super::{Verified, VerifyJob};
use crate::PooledTx;
use starling_devp2p::eth::{CellMask, Cells, EthVersion, PooledHashes};
use starling_primitives::{Bytes, PeerId, TxHash};
use std::sync::Arc;

/// Something happened.
#[derive(Debug)]
pub enum GossipEvent {
    /// A peer speaks `eth` with us from now on.
    Joined {
        /// Who.
        peer: PeerId,
        /// The version of `eth`: since eth/72 transactions travel without their blobs.
        version: EthVersion,
        /// What the pool has pending: the peer is told of it.
        pending: Vec<Arc<PooledTx>>,
    },
    /// It is gone.
    Left {
        /// Who.
        peer: PeerId,
    },
    /// These have become pending.
    Pending(Vec<Arc<PooledTx>>),
    /// A peer has transactions.
    Announced {
        /// Who.
        peer: PeerId,
        /// Which.
        announced: PooledHashes,
    },
    /// A peer sent transactions unasked, in the network's form.
    Transactions {
        /// Who.
        peer: PeerId,
        /// What.
        transactions: Vec<Bytes>,
    },
    /// The answer to [`GossipAction::Request`], in the network's form.
    Pooled {
        /// Who answers.
        peer: PeerId,
        /// The question's number.
        request: u64,
        /// The answer; empty if the peer has none of them any more.
        transactions: Vec<Bytes>,
    },
    /// The answer to [`GossipAction::RequestCells`].
    Cells {
        /// Who answers.
        peer: PeerId,
        /// The question's number.
        request: u64,
        /// The answer.
        cells: Cells,
    },
    /// A request will not be answered any more, for a reason that is known and judged elsewhere.
    Failed {
        /// Who was asked.
        peer: PeerId,
        /// The question's number.
        request: u64,
    },
    /// A [`VerifyJob`] was run.
    Verified(Verified),
}

/// What is to be done.
#[derive(Debug)]
pub enum GossipAction {
    /// Send transactions in full.
    Broadcast {
        /// To whom.
        peer: PeerId,
        /// In the network's form, at most about [`BROADCAST_BYTES_MAX`](super::spread::BROADCAST_BYTES_MAX).
        transactions: Vec<Bytes>,
        /// Their hashes, for the record.
        hashes: Vec<TxHash>,
    },
    /// Tell of transactions.
    Announce {
        /// Whom.
        peer: PeerId,
        /// Of which.
        announced: PooledHashes,
    },
    /// Ask for transactions; ends in `Pooled` or `Failed`.
    Request {
        /// Whom.
        peer: PeerId,
        /// What the answer is known by; never used twice.
        request: u64,
        /// Which.
        hashes: Vec<TxHash>,
    },
    /// Ask for cells of blobs; ends in `Cells` or `Failed`.
    RequestCells {
        /// Whom.
        peer: PeerId,
        /// What the answer is known by; never used twice.
        request: u64,
        /// Of which transactions.
        hashes: Vec<TxHash>,
        /// Which columns.
        mask: CellMask,
    },
    /// Have a worker run this; ends in `Verified`.
    Verify(VerifyJob),
    /// A peer did something wrong.
    Penalise {
        /// Who.
        peer: PeerId,
        /// What.
        fault: Fault,
    },
}

/// What a peer did wrong, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// It did not answer in time. Happens to the best.
    NoAnswer,
    /// It has nothing of what it announced.
    UselessAnswer,
    /// It sends more that is useless than a peer may.
    Flood,
    /// An answer to nothing that was asked, or with what was not asked for.
    Unasked,
    /// A transaction that no honest node passes on.
    BadTransaction,
    /// A transaction of another type or size than it announced, or with other blobs than it names.
    BadAnnouncement,
    /// Cells of other blobs than a transaction names, or proofs that do not prove them.
    BadCells,
    /// A transaction with blobs sent in full, which must only be announced (EIP-4844).
    BlobBroadcast,
}
