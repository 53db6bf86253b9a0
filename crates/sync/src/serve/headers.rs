use super::{Answer, ITEMS_MAX};
use alloy_rlp::{Decodable, Header as RlpHeader};
use starling_devp2p::eth::{GetBlockHeaders, HashOrNumber};
use starling_primitives::{B256, BlockRef, Bytes, ReadError};
use starling_state::{BlockId, ChainView};

/// The headers that a request names, each as its RLP, in the request's order.
///
/// # Errors
/// When the database cannot be read: nothing about the request.
pub fn headers(view: &ChainView, request: &GetBlockHeaders) -> Result<Vec<Bytes>, ReadError> {
    let mut answer = Answer::default();
    let limit = usize::try_from(request.limit).unwrap_or(ITEMS_MAX).min(ITEMS_MAX);
    // A step that no number holds asks for one header: there is no second one.
    let step = request.skip.saturating_add(1);
    let id = match request.start {
        HashOrNumber::Hash(hash) => BlockId::Hash(hash),
        HashOrNumber::Number(number) => BlockId::Number(number),
    };
    let mut next = view.find(id)?;
    while let Some(at) = next.take_if(|_| answer.items.len() < limit && !answer.is_full()) {
        if view.is_canonical(at)? {
            canonical(view, at.number, step, request.reverse, limit, &mut answer)?;
            break;
        }
        let Some(rlp) = view.header_rlp(at)? else { break };
        // A side branch has no way up.
        next = if request.reverse { back(view, at, rlp.clone(), step)? } else { None };
        answer.push(rlp);
    }
    Ok(answer.items)
}

/// From a block of the canonical chain on, one look-up a header.
fn canonical(
    view: &ChainView,
    from: u64,
    step: u64,
    reverse: bool,
    limit: usize,
    answer: &mut Answer,
) -> Result<(), ReadError> {
    let mut next = Some(from);
    while let Some(number) = next.take_if(|_| answer.items.len() < limit && !answer.is_full()) {
        let Some((_, rlp)) = view.canonical_header_rlp(number)? else { break };
        answer.push(rlp);
        next = if reverse { number.checked_sub(step) } else { number.checked_add(step) };
    }
    Ok(())
}

/// The block `step` generations below one of a side branch, which is walked down until it meets the
/// canonical chain.
fn back(view: &ChainView, at: BlockRef, rlp: Bytes, step: u64) -> Result<Option<BlockRef>, ReadError> {
    let Some(number) = at.number.checked_sub(step) else { return Ok(None) };
    let (mut at, mut rlp) = (at, rlp);
    while at.number > number {
        let Some(hash) = parent_hash(&rlp) else { return Ok(None) };
        at = BlockRef::new(at.number - 1, hash);
        if view.is_canonical(at)? {
            return view.find(BlockId::Number(number));
        }
        rlp = match view.header_rlp(at)? {
            Some(rlp) => rlp,
            None => return Ok(None),
        };
    }
    Ok(Some(at))
}

/// The first item of a header.
fn parent_hash(mut rlp: &[u8]) -> Option<B256> {
    let mut fields = RlpHeader::decode_bytes(&mut rlp, true).ok()?;
    B256::decode(&mut fields).ok()
}
