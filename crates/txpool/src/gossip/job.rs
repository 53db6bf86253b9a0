use super::{Fault, decode_item, wire::tx_type};
use crate::{Origin, PoolHandle, Refusal, blobs};
use starling_primitives::{Bytes, PeerId, TxHash};
use starling_state::ChainView;
use std::collections::BTreeMap;

/// Bytes by which an announced size may be wrong: clients count the envelope differently.
const SIZE_TOLERANCE_BYTES: usize = 8;

/// Why transactions came.
#[derive(Debug)]
pub(super) enum Delivery {
    /// The peer sent them.
    Broadcast,
    /// We asked for them.
    Answer {
        /// The question's number.
        request: u64,
        /// What was asked for, as the peer announced it.
        asked: BTreeMap<TxHash, AnnouncedAs>,
    },
}

/// What a peer says of a transaction before it sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnouncedAs {
    /// Its EIP-2718 type.
    pub tx_type: u8,
    /// Its size as it travels, in bytes.
    pub size_bytes: usize,
}

impl AnnouncedAs {
    /// What an honest peer would have said of this one.
    fn of(envelope: &[u8]) -> Self {
        Self { tx_type: tx_type(envelope), size_bytes: envelope.len() }
    }

    /// Whether both can be said of one transaction.
    pub(super) fn fits(&self, other: &Self) -> bool {
        self.tx_type == other.tx_type && self.size_bytes.abs_diff(other.size_bytes) <= SIZE_TOLERANCE_BYTES
    }
}

/// Transactions of a peer, to be checked away from the loop that owns [`super::Gossip`].
#[derive(Debug)]
pub struct VerifyJob {
    peer: PeerId,
    transactions: Vec<Bytes>,
    bytes: usize,
    delivery: Delivery,
}

/// What became of a [`VerifyJob`].
#[derive(Debug)]
pub struct Verified {
    pub(super) peer: PeerId,
    pub(super) judgements: Vec<Judgement>,
    pub(super) bytes: usize,
    pub(super) request: Option<u64>,
}

/// What became of one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// The pool has it now, or had it already.
    Kept(TxHash),
    /// The pool does not want it.
    Refused(TxHash, Refusal),
    /// It was not asked for.
    Unasked(TxHash, AnnouncedAs),
    /// It is of another type or size than the peer announced.
    Contradicts(TxHash),
    /// The bytes are no item of the wire.
    Garbage,
}

impl VerifyJob {
    pub(super) fn new(peer: PeerId, transactions: Vec<Bytes>, bytes: usize, delivery: Delivery) -> Self {
        Self { peer, transactions, bytes, delivery }
    }

    /// Whose transactions they are.
    pub const fn peer(&self) -> PeerId {
        self.peer
    }

    /// What the loop is told when the job is not run: nothing was found out, and its room is free again.
    pub fn unverified(&self) -> Verified {
        let request = match self.delivery {
            Delivery::Broadcast => None,
            Delivery::Answer { request, .. } => Some(request),
        };
        Verified { peer: self.peer, judgements: Vec::new(), bytes: self.bytes, request }
    }

    /// Offers the transactions to the pool one after another, which recovers their senders: about 40 µs each.
    pub fn run(self, pool: &PoolHandle, view: &ChainView) -> Verified {
        self.run_with(|envelope, origin| pool.submit(envelope, origin, view).map(drop))
    }

    /// The same with another pool than a shared one.
    pub fn run_with(self, mut submit: impl FnMut(&Bytes, Origin) -> Result<(), Refusal>) -> Verified {
        let origin = Origin::Peer(self.peer);
        let judge = |item: &Bytes| {
            let Some(envelope) = decode_item(item) else { return Judgement::Garbage };
            let Some(hash) = blobs::hash(&envelope) else { return Judgement::Garbage };
            if let Some(judgement) = self.delivery.object(&envelope, hash) {
                return judgement;
            }
            match submit(&envelope, origin) {
                Ok(()) | Err(Refusal::Known(_)) => Judgement::Kept(hash),
                Err(refusal) => Judgement::Refused(hash, refusal),
            }
        };
        let judgements = self.transactions.iter().map(judge).collect();
        let request = match self.delivery {
            Delivery::Broadcast => None,
            Delivery::Answer { request, .. } => Some(request),
        };
        Verified { peer: self.peer, judgements, bytes: self.bytes, request }
    }
}

impl Delivery {
    /// What is to be said against what came, beside what was asked for.
    fn object(&self, envelope: &Bytes, hash: TxHash) -> Option<Judgement> {
        let Self::Answer { asked, .. } = self else { return None };
        let is = AnnouncedAs::of(envelope);
        match asked.get(&hash) {
            None => Some(Judgement::Unasked(hash, is)),
            Some(announced) => (!announced.fits(&is)).then_some(Judgement::Contradicts(hash)),
        }
    }
}

impl Judgement {
    /// Which transaction it was.
    pub fn hash(&self) -> Option<TxHash> {
        match self {
            Self::Kept(hash) | Self::Refused(hash, _) | Self::Unasked(hash, _) | Self::Contradicts(hash) => Some(*hash),
            Self::Garbage => None,
        }
    }

    /// What the peer did wrong by sending it.
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Kept(_) => None,
            Self::Refused(_, Refusal::Sidecar(_)) => Some(Fault::BadAnnouncement),
            Self::Refused(_, refusal) => refusal.is_fault().then_some(Fault::BadTransaction),
            Self::Unasked(..) => Some(Fault::Unasked),
            Self::Contradicts(_) => Some(Fault::BadAnnouncement),
            Self::Garbage => Some(Fault::BadTransaction),
        }
    }

    pub(super) fn wastes_a_recovery(&self) -> bool {
        !matches!(self, Self::Kept(_))
    }
}
