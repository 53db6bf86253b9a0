use super::{Fault, decode_item, wire::tx_type};
use crate::{Origin, PoolHandle, Refusal, Stripped, blobs};
use starling_devp2p::eth::CellMask;
use starling_primitives::{Bytes, PeerId, TxHash};
use starling_state::ChainView;
use std::collections::BTreeMap;

/// Bytes by which an announced size may be wrong: clients count the envelope differently.
const SIZE_TOLERANCE_BYTES: usize = 8;

/// What came, and why.
#[derive(Debug)]
pub(super) enum Delivery {
    /// Transactions that the peer sent.
    Broadcast(Vec<Bytes>),
    /// Transactions that we asked for.
    Answer {
        /// The question's number.
        request: u64,
        /// What was asked for, as the peer announced it.
        asked: BTreeMap<TxHash, AnnouncedAs>,
        /// What came.
        transactions: Vec<Bytes>,
    },
    /// Blobs that we asked for, in cells.
    Cells {
        /// The question's number.
        request: u64,
        /// Which columns came.
        mask: CellMask,
        /// The transactions, each with a list of cells.
        parts: Vec<(Stripped, Bytes)>,
    },
}

/// What is offered to the pool.
#[derive(Debug)]
pub enum Offer<'a> {
    /// A transaction as it travels, with its blobs if it has any.
    Whole(&'a Bytes),
    /// One whose blobs are still to be fetched, if the pool would take it.
    Stripped(&'a Stripped),
}

/// What a peer says of a transaction before it sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnouncedAs {
    /// Its EIP-2718 type.
    pub tx_type: u8,
    /// Its size as it travels, in bytes.
    pub size_bytes: usize,
    /// If it travels without its blobs, the columns that the peer has of them.
    pub mask: Option<CellMask>,
}

impl AnnouncedAs {
    /// What an honest peer would have said of this one.
    fn of(envelope: &[u8]) -> Self {
        Self { tx_type: tx_type(envelope), size_bytes: envelope.len(), mask: None }
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
    /// Its blobs are to be fetched.
    Stripped(Stripped),
    /// The pool does not want it.
    Refused(TxHash, Refusal),
    /// It was not asked for.
    Unasked(TxHash, AnnouncedAs),
    /// It is of another type or size than the peer announced.
    Contradicts(TxHash),
    /// The cells that came for it are not those of its blobs, or its proofs do not prove them.
    BadCells(TxHash),
    /// The bytes are no item of the wire.
    Garbage,
}

impl VerifyJob {
    pub(super) fn new(peer: PeerId, bytes: usize, delivery: Delivery) -> Self {
        Self { peer, bytes, delivery }
    }

    /// Whose transactions they are.
    pub const fn peer(&self) -> PeerId {
        self.peer
    }

    /// What the loop is told when the job is not run: nothing was found out, and its room is free again.
    pub fn unverified(&self) -> Verified {
        self.judged(Vec::new())
    }

    /// Offers the transactions to the pool one after another, which recovers their senders: about 40 µs each, and some
    /// milliseconds for each blob.
    pub fn run(self, pool: &PoolHandle, view: &ChainView) -> Verified {
        self.run_with(|offer, origin| match offer {
            Offer::Whole(envelope) => pool.submit(envelope, origin, view).map(drop),
            Offer::Stripped(stripped) => pool.check_stripped(stripped, origin, view),
        })
    }

    /// The same with another pool than a shared one.
    pub fn run_with(self, mut submit: impl FnMut(Offer<'_>, Origin) -> Result<(), Refusal>) -> Verified {
        let origin = Origin::Peer(self.peer);
        let mut submit = |offer: Offer<'_>| submit(offer, origin);
        let judgements = match &self.delivery {
            Delivery::Broadcast(transactions) => {
                transactions.iter().map(|item| judge(item, None, &mut submit)).collect()
            }
            Delivery::Answer { asked, transactions, .. } => {
                transactions.iter().map(|item| judge(item, Some(asked), &mut submit)).collect()
            }
            Delivery::Cells { mask, parts, .. } => {
                parts.iter().map(|(stripped, list)| judge_cells(stripped, *mask, list, &mut submit)).collect()
            }
        };
        self.judged(judgements)
    }

    fn judged(&self, judgements: Vec<Judgement>) -> Verified {
        Verified { peer: self.peer, judgements, bytes: self.bytes, request: self.delivery.request() }
    }
}

impl Delivery {
    /// How many signature recoveries it may cost.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Broadcast(transactions) | Self::Answer { transactions, .. } => transactions.len(),
            Self::Cells { parts, .. } => parts.len(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Broadcast(transactions) | Self::Answer { transactions, .. } => {
                transactions.iter().map(|item| item.len()).sum()
            }
            Self::Cells { parts, .. } => parts.iter().map(|(_, list)| list.len()).sum(),
        }
    }

    fn request(&self) -> Option<u64> {
        match self {
            Self::Broadcast(_) => None,
            Self::Answer { request, .. } | Self::Cells { request, .. } => Some(*request),
        }
    }
}

type Asked<'a> = Option<&'a BTreeMap<TxHash, AnnouncedAs>>;

fn judge(item: &Bytes, asked: Asked<'_>, submit: &mut impl FnMut(Offer<'_>) -> Result<(), Refusal>) -> Judgement {
    let Some(envelope) = decode_item(item) else { return Judgement::Garbage };
    let Some(hash) = blobs::hash(&envelope) else { return Judgement::Garbage };
    let mut comes_stripped = false;
    if let Some(asked) = asked {
        let is = AnnouncedAs::of(&envelope);
        match asked.get(&hash) {
            None => return Judgement::Unasked(hash, is),
            Some(announced) if !announced.fits(&is) => return Judgement::Contradicts(hash),
            Some(announced) => comes_stripped = announced.mask.is_some(),
        }
    }
    if !comes_stripped {
        return judged(hash, submit(Offer::Whole(&envelope)));
    }
    match Stripped::read(&envelope).and_then(|stripped| submit(Offer::Stripped(&stripped)).map(|()| stripped)) {
        Ok(stripped) => Judgement::Stripped(stripped),
        Err(refusal) => judged(hash, Err(refusal)),
    }
}

/// Who sent the cells sent the proofs too, so either is its fault.
fn judge_cells(
    stripped: &Stripped,
    mask: CellMask,
    list: &[u8],
    submit: &mut impl FnMut(Offer<'_>) -> Result<(), Refusal>,
) -> Judgement {
    match stripped.with_cells(mask, list).and_then(|envelope| submit(Offer::Whole(&envelope))) {
        Err(Refusal::Sidecar(_)) => Judgement::BadCells(stripped.hash()),
        other => judged(stripped.hash(), other),
    }
}

fn judged(hash: TxHash, submitted: Result<(), Refusal>) -> Judgement {
    match submitted {
        Ok(()) | Err(Refusal::Known(_)) => Judgement::Kept(hash),
        Err(refusal) => Judgement::Refused(hash, refusal),
    }
}

impl Judgement {
    /// Which transaction it was.
    pub fn hash(&self) -> Option<TxHash> {
        match self {
            Self::Kept(hash) | Self::Refused(hash, _) | Self::Unasked(hash, _) => Some(*hash),
            Self::Contradicts(hash) | Self::BadCells(hash) => Some(*hash),
            Self::Stripped(stripped) => Some(stripped.hash()),
            Self::Garbage => None,
        }
    }

    /// The transaction, if its blobs are to be fetched.
    pub(super) fn stripped(self) -> Option<Stripped> {
        match self {
            Self::Stripped(stripped) => Some(stripped),
            _ => None,
        }
    }

    /// What the peer did wrong by sending it.
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Kept(_) | Self::Stripped(_) => None,
            Self::Refused(_, Refusal::Sidecar(_)) => Some(Fault::BadAnnouncement),
            Self::Refused(_, refusal) => refusal.is_fault().then_some(Fault::BadTransaction),
            Self::Unasked(..) => Some(Fault::Unasked),
            Self::Contradicts(_) => Some(Fault::BadAnnouncement),
            Self::BadCells(_) => Some(Fault::BadCells),
            Self::Garbage => Some(Fault::BadTransaction),
        }
    }

    pub(super) fn wastes_a_recovery(&self) -> bool {
        !matches!(self, Self::Kept(_) | Self::Stripped(_))
    }
}
