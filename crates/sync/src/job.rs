//! What is too dear for the deciding thread: hashing bodies, recovering senders, checking proof of work.

use crate::header::{BodyRoots, SealedHeader};
use alloy_rlp::{EMPTY_LIST_CODE, Header as RlpHeader, PayloadView};
use alloy_trie::root::ordered_trie_root_with_encoder;
use starling_chainspec::{ChainSpec, Consensus};
use starling_primitives::{B256, BlockRef, Bytes, PeerId, keccak256};
use starling_validation::{PrepareError, PreparedBlock, SealError, verify_seal};
use std::sync::Arc;

/// Bodies from one peer to be matched with the headers they were asked for, and blocks to be made of them.
/// Needs nothing but itself: run it on any thread.
#[derive(Debug)]
pub struct PrepareJob {
    pub(crate) id: u64,
    /// Who sent the bodies; none if they follow from the headers (empty ones).
    pub(crate) peer: Option<PeerId>,
    pub(crate) headers: Vec<SealedHeader>,
    pub(crate) bodies: Vec<Bytes>,
    /// Nobody vouches for these blocks: their proof of work is checked.
    pub(crate) check_seal: bool,
}

/// What came of a [`PrepareJob`].
#[derive(Debug)]
pub struct Prepared {
    pub(crate) id: u64,
    pub(crate) peer: Option<PeerId>,
    /// The blocks in the headers' order; headers without a body are not among them.
    pub(crate) blocks: Vec<Result<Arc<PreparedBlock>, InvalidBlock>>,
    /// Headers whose body did not come.
    pub(crate) missing: Vec<BlockRef>,
    /// A body that belongs to none of the headers, or stands in the wrong order.
    pub(crate) has_false_body: bool,
}

/// The body is the header's, and still no block that could be valid.
#[derive(Debug)]
pub(crate) struct InvalidBlock {
    pub(crate) at: BlockRef,
    pub(crate) why: NoBlock,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum NoBlock {
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// Work that was never done: says nothing of a block that somebody vouches for.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl PrepareJob {
    /// That of the request whose answer the bodies came in, or one of its own: the message behind it is
    /// in memory until the job is run.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The result to report if the job cannot be run: the bodies are asked for again.
    pub fn without_result(&self) -> Prepared {
        let missing = self.headers.iter().map(|header| header.at).collect();
        Prepared { id: self.id, peer: self.peer, blocks: Vec::new(), missing, has_false_body: false }
    }

    /// Does the work. Senders are recovered on the current rayon pool.
    ///
    /// A peer may leave bodies out, but not change their order: each is compared with the headers after the
    /// one that the last body belonged to. The first false body ends the job; what came before it is good.
    pub fn run(self, spec: &ChainSpec) -> Prepared {
        let Self { id, peer, headers, bodies, check_seal } = self;
        let mut prepared = Prepared { id, peer, blocks: Vec::new(), missing: Vec::new(), has_false_body: false };
        let mut waiting = headers.iter();
        for body in &bodies {
            let Some(roots) = roots_of(body) else {
                prepared.has_false_body = true;
                break;
            };
            let mut skipped = Vec::new();
            let found = waiting.clone().position(|header| {
                let is_it = header.roots == roots;
                if !is_it {
                    skipped.push(header.at);
                }
                is_it
            });
            let Some(header) = found.and_then(|index| waiting.nth(index)) else {
                prepared.has_false_body = true;
                break;
            };
            prepared.missing.append(&mut skipped);
            prepared.blocks.push(assemble(spec, header, body, check_seal));
        }
        prepared.missing.extend(waiting.map(|header| header.at));
        prepared
    }
}

fn assemble(
    spec: &ChainSpec,
    header: &SealedHeader,
    body: &Bytes,
    check_seal: bool,
) -> Result<Arc<PreparedBlock>, InvalidBlock> {
    let invalid = |why| InvalidBlock { at: header.at, why };
    let decode = |error| invalid(PrepareError::Decode { what: "body", error }.into());
    let rlp = block_rlp(&header.rlp, body).map_err(decode)?;
    let block = PreparedBlock::from_rlp(spec, rlp).map_err(|error| invalid(error.into()))?;
    // A signature was looked at with the header.
    let is_signed = matches!(spec.consensus, Consensus::Clique { .. });
    if check_seal && !is_signed && !spec.is_proof_of_stake(&block.block.header) {
        verify_seal(&block.block.header).map_err(|error| invalid(error.into()))?;
    }
    Ok(Arc::new(block))
}

/// `[header, transactions, ommers, withdrawals?]` of a header and `[transactions, ommers, withdrawals?]`.
pub(crate) fn block_rlp(header: &[u8], mut body: &[u8]) -> alloy_rlp::Result<Bytes> {
    let items = RlpHeader::decode_bytes(&mut body, true)?;
    let list = RlpHeader { list: true, payload_length: header.len() + items.len() };
    let mut block = Vec::with_capacity(list.length_with_payload());
    list.encode(&mut block);
    block.extend_from_slice(header);
    block.extend_from_slice(items);
    Ok(block.into())
}

/// The body that [`BodyRoots::is_of_empty_body`] speaks of.
pub(crate) fn empty_body(roots: &BodyRoots) -> Bytes {
    let lists = 2 + usize::from(roots.withdrawals.is_some());
    let mut body = vec![EMPTY_LIST_CODE + lists as u8];
    body.resize(1 + lists, EMPTY_LIST_CODE);
    body.into()
}

/// The hashes by which a header would name this body, over the very bytes. None if it is no body.
fn roots_of(body: &[u8]) -> Option<BodyRoots> {
    let mut rest = body;
    let items = list_items(&mut rest).filter(|_| rest.is_empty())?;
    let (mut transactions, ommers, withdrawals) = match items.as_slice() {
        [transactions, ommers] => (*transactions, *ommers, None),
        [transactions, ommers, withdrawals] => (*transactions, *ommers, Some(*withdrawals)),
        _ => return None,
    };
    let envelopes = list_items(&mut transactions)?.into_iter().map(envelope).collect::<Option<Vec<_>>>()?;
    let withdrawals = match withdrawals {
        Some(mut list) => Some(root_of(&list_items(&mut list)?)),
        None => None,
    };
    Some(BodyRoots { transactions: root_of(&envelopes), ommers: keccak256(ommers), withdrawals })
}

fn root_of(items: &[&[u8]]) -> B256 {
    ordered_trie_root_with_encoder(items, |item, out| out.extend_from_slice(item))
}

/// A transaction as it is hashed: a legacy one is its list, a typed one what its string holds.
fn envelope(mut item: &[u8]) -> Option<&[u8]> {
    match item.first()? {
        first if *first < EMPTY_LIST_CODE => RlpHeader::decode_bytes(&mut item, false).ok(),
        _ => Some(item),
    }
}

fn list_items<'a>(buf: &mut &'a [u8]) -> Option<Vec<&'a [u8]>> {
    match RlpHeader::decode_raw(buf) {
        Ok(PayloadView::List(items)) => Some(items),
        _ => None,
    }
}
