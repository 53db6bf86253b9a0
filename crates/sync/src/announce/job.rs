//! What is too dear for the deciding loop: senders, roots, the seal.

use crate::header::SealedHeader;
use alloy_rlp::Header as RlpHeader;
use starling_primitives::{Address, BlockRef, Bytes, Header, ReadError, U256};
use starling_state::{BlockId, ChainView};
use starling_validation::{CheckOptions, PreparedBlock, check_header_on};
use std::sync::Arc;

/// A block to be checked without running it. Needs a view of the chain: run it on any thread that may block.
#[derive(Debug)]
pub struct CheckJob {
    at: BlockRef,
    rlp: Bytes,
}

/// What came of a [`CheckJob`].
#[derive(Debug)]
pub struct CheckedAnnouncement {
    pub(super) at: BlockRef,
    pub(super) verdict: Verdict,
}

/// Whether a block may be passed on.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Its header and its seal are right.
    Good { block: Arc<PreparedBlock>, author: Address, total_difficulty: U256 },
    /// Its parent is not known here.
    Orphan { block: Arc<PreparedBlock> },
    /// It breaks a rule.
    Invalid { why: String },
    /// The database cannot be read, which says nothing of the block.
    Unreadable,
}

impl CheckJob {
    pub(super) fn new(at: BlockRef, rlp: Bytes) -> Self {
        Self { at, rlp }
    }

    /// The block that is checked.
    pub fn at(&self) -> BlockRef {
        self.at
    }

    /// The result to report if the job cannot be run.
    pub fn without_result(&self) -> CheckedAnnouncement {
        CheckedAnnouncement { at: self.at, verdict: Verdict::Unreadable }
    }

    /// Does the work. Senders are recovered on the current rayon pool. With `check_seal` off, proof of work is not
    /// looked at (`--fakepow`); signatures always are.
    pub fn run(self, view: &ChainView, check_seal: bool) -> CheckedAnnouncement {
        let verdict = match PreparedBlock::from_rlp(view.spec(), self.rlp) {
            Ok(block) => judge(view, Arc::new(block), check_seal).unwrap_or(Verdict::Unreadable),
            Err(error) => Verdict::Invalid { why: error.to_string() },
        };
        CheckedAnnouncement { at: self.at, verdict }
    }
}

fn judge(view: &ChainView, block: Arc<PreparedBlock>, check_seal: bool) -> Result<Verdict, ReadError> {
    let header = &block.block.header;
    let parent = match header.number.checked_sub(1) {
        Some(number) => BlockRef::new(number, header.parent_hash),
        None => return Ok(Verdict::Invalid { why: "a genesis".into() }),
    };
    let Some(parent_header) = view.header(BlockId::Hash(parent.hash))? else { return Ok(Verdict::Orphan { block }) };
    let Some(total) = view.total_difficulty(parent)? else { return Ok(Verdict::Orphan { block }) };
    let spec = view.spec();
    let snapshot = view.clique_snapshot(parent)?;
    let checked = check_header_on(
        spec,
        header,
        (parent.hash, &parent_header),
        Some(total),
        snapshot.as_deref(),
        CheckOptions { seal: check_seal },
    );
    let author = match (&checked, &snapshot) {
        (Err(error), _) => return Ok(Verdict::Invalid { why: error.to_string() }),
        (Ok(()), Some(snapshot)) => match snapshot.check(spec, header) {
            Ok(signer) => signer,
            Err(error) => return Ok(Verdict::Invalid { why: error.to_string() }),
        },
        (Ok(()), None) => header.beneficiary,
    };
    let total_difficulty = total.saturating_add(header.difficulty);
    Ok(Verdict::Good { block, author, total_difficulty })
}

/// Number and hash of a block, and its header, read from its first item.
pub(super) fn header_of(mut block: &[u8]) -> Option<(BlockRef, Header)> {
    let items = RlpHeader::decode_bytes(&mut block, true).ok()?;
    let mut rest = items;
    RlpHeader::decode_bytes(&mut rest, true).ok()?;
    let header = items.get(..items.len() - rest.len())?;
    let (sealed, header) = SealedHeader::decode(Bytes::copy_from_slice(header)).ok()?;
    Some((sealed.at, header))
}
