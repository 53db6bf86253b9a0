use super::{Answer, ITEMS_MAX};
use alloy_rlp::Header as RlpHeader;
use starling_primitives::{B256, Bytes, ReadError};
use starling_state::{BlockId, ChainView};

/// The bodies of the named blocks that are kept, each as RLP `[transactions, ommers, withdrawals?]`, in the
/// request's order.
///
/// # Errors
/// When the database cannot be read: nothing about the request.
pub fn bodies(view: &ChainView, hashes: &[B256]) -> Result<Vec<Bytes>, ReadError> {
    let mut answer = Answer::default();
    for hash in hashes.iter().take(ITEMS_MAX) {
        let Some(at) = view.find(BlockId::Hash(*hash))? else { continue };
        let Some(rlp) = view.block_rlp(at)? else { continue };
        let body = body_of(&rlp).ok_or_else(|| ReadError::Damaged(format!("block {at}: not an RLP list")))?;
        if !answer.push(body) || answer.is_full() {
            break;
        }
    }
    Ok(answer.items)
}

/// A block without its first item, the header.
fn body_of(mut block: &[u8]) -> Option<Bytes> {
    let mut items = RlpHeader::decode_bytes(&mut block, true).ok()?;
    RlpHeader::decode_bytes(&mut items, true).ok()?;
    let header = RlpHeader { list: true, payload_length: items.len() };
    let mut body = Vec::with_capacity(header.length_with_payload());
    header.encode(&mut body);
    body.extend_from_slice(items);
    Some(body.into())
}
