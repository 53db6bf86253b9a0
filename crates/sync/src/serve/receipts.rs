use super::{ANSWER_BYTES_MAX, ANSWER_BYTES_SOFT, Answer, ITEMS_MAX};
use alloy_rlp::{BufMut, Header as RlpHeader};
use starling_devp2p::eth::{GetReceipts, Receipts};
use starling_primitives::{B256, BlockRef, Bytes, ReadError, Receipt};
use starling_state::{BlockId, ChainView};

/// The receipts of the named blocks that are kept, in the form of eth/69 (`bloom` false) or eth/68. A block
/// whose receipts do not fit a message ends the answer.
///
/// # Errors
/// When the database cannot be read: nothing about the request.
pub fn receipts(view: &ChainView, hashes: &[B256], bloom: bool) -> Result<Vec<Bytes>, ReadError> {
    let mut answer = Answer::default();
    for hash in hashes.iter().take(ITEMS_MAX) {
        let Some((at, stored)) = stored(view, *hash)? else { continue };
        let list = if bloom { with_blooms(at, &stored)? } else { stored };
        if !answer.push(list) || answer.is_full() {
            break;
        }
    }
    Ok(answer.items)
}

/// The same for eth/70: the answer may take up a whole message, begins with the first
/// block's receipt of the index asked for, and may end within a block.
///
/// # Errors
/// When the database cannot be read: nothing about the request.
pub fn receipts_paged(view: &ChainView, request: &GetReceipts) -> Result<Receipts, ReadError> {
    let mut answer = Receipts { last_block_incomplete: false, lists: Vec::new() };
    let mut room = ANSWER_BYTES_MAX;
    for (index, hash) in request.hashes.iter().take(ITEMS_MAX).enumerate() {
        let Some((at, stored)) = stored(view, *hash)? else {
            // Later lists would be taken for this block's.
            break;
        };
        let first =
            if index == 0 { usize::try_from(request.first_block_receipt_index).unwrap_or(usize::MAX) } else { 0 };
        let Page { list, complete } = page(at, &stored, first, room)?;
        let nothing_fits = !complete && list.len() == 1;
        if list.len() > room || nothing_fits {
            break;
        }
        room -= list.len();
        answer.lists.push(list);
        answer.last_block_incomplete = !complete;
        if !complete || ANSWER_BYTES_MAX - room >= ANSWER_BYTES_SOFT {
            break;
        }
    }
    Ok(answer)
}

/// A part of a block's receipts.
struct Page {
    list: Bytes,
    /// Whether it goes up to the last one.
    complete: bool,
}

/// The receipts from `first` on whose list is no longer than `room` bytes.
fn page(at: BlockRef, stored: &Bytes, first: usize, room: usize) -> Result<Page, ReadError> {
    if first == 0 && stored.len() <= room {
        return Ok(Page { list: stored.clone(), complete: true });
    }
    let damaged = |error: alloy_rlp::Error| ReadError::Damaged(format!("receipts of block {at}: {error}"));
    let mut rest = RlpHeader::decode_bytes(&mut stored.as_ref(), true).map_err(damaged)?;
    for _ in 0..first {
        if rest.is_empty() {
            break;
        }
        item(&mut rest).map_err(damaged)?;
    }
    let from = rest;
    let mut length = 0;
    while !rest.is_empty() {
        let with_next = length + item(&mut rest).map_err(damaged)?.len();
        if (RlpHeader { list: true, payload_length: with_next }).length_with_payload() > room {
            return Ok(Page { list: list_of(&from[..length]), complete: false });
        }
        length = with_next;
    }
    Ok(Page { list: list_of(from), complete: true })
}

/// Cuts the next RLP item off, its own header included.
fn item<'a>(rest: &mut &'a [u8]) -> alloy_rlp::Result<&'a [u8]> {
    let whole = *rest;
    let header = RlpHeader::decode(rest)?;
    let length = whole.len() - rest.len() + header.payload_length;
    let item = whole.get(..length).ok_or(alloy_rlp::Error::InputTooShort)?;
    *rest = &whole[length..];
    Ok(item)
}

fn list_of(payload: &[u8]) -> Bytes {
    let header = RlpHeader { list: true, payload_length: payload.len() };
    let mut list = Vec::with_capacity(header.length_with_payload());
    header.encode(&mut list);
    list.extend_from_slice(payload);
    list.into()
}

/// A kept block's receipts in their stored form, which is that of eth/69.
fn stored(view: &ChainView, hash: B256) -> Result<Option<(BlockRef, Bytes)>, ReadError> {
    let Some(at) = view.find(BlockId::Hash(hash))? else { return Ok(None) };
    let stored = view.receipts_stored(at)?;
    // Genesis has no receipts, and may have been stored without a list of them.
    Ok(stored.map(|list| (at, if list.is_empty() { list_of(&[]) } else { list })))
}

/// The form of eth/68: consensus receipts with their blooms, typed ones wrapped in a string.
fn with_blooms(at: BlockRef, stored: &[u8]) -> Result<Bytes, ReadError> {
    let receipts = Receipt::decode_stored_list(stored)
        .map_err(|error| ReadError::Damaged(format!("receipts of block {at}: {error}")))?;
    let (mut payload, mut consensus) = (Vec::new(), Vec::new());
    for receipt in &receipts {
        consensus.clear();
        receipt.encode_2718(&mut consensus);
        // A legacy receipt is a list already.
        if consensus.first().is_some_and(|first| *first < alloy_rlp::EMPTY_LIST_CODE) {
            RlpHeader { list: false, payload_length: consensus.len() }.encode(&mut payload);
        }
        payload.put_slice(&consensus);
    }
    Ok(list_of(&payload))
}
