//! RLP items that are kept as the bytes they came in.

use alloy_primitives::Bytes;
use alloy_rlp::{BufMut, Error, Header, Result};

/// What an item must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A list: a header, a body, the receipts of a block.
    List,
    /// A list or a non-empty string: a transaction, which is a list in its oldest type and a typed envelope since.
    Envelope,
    /// A list, or the empty string where there is none: an access list.
    ListOrNothing,
}

/// The next item of `buf`, head included. `message` is what `buf` lies in.
pub(crate) fn item(message: &Bytes, buf: &mut &[u8], kind: Kind) -> Result<Bytes> {
    let bytes = split_item(buf, kind)?;
    Ok(message.slice_ref(bytes))
}

fn split_item<'a>(buf: &mut &'a [u8], kind: Kind) -> Result<&'a [u8]> {
    let start = *buf;
    let header = Header::decode(buf)?;
    let fits = match kind {
        Kind::List => header.list,
        Kind::Envelope => header.list || header.payload_length > 0,
        Kind::ListOrNothing => header.list || header.payload_length == 0,
    };
    if !fits {
        return Err(Error::UnexpectedString);
    }
    let head = start.len() - buf.len();
    let (bytes, rest) = start.split_at_checked(head + header.payload_length).ok_or(Error::InputTooShort)?;
    *buf = rest;
    Ok(bytes)
}

/// How a list of items ended.
pub(crate) enum Items {
    /// All of them.
    All(Vec<Bytes>),
    /// There are more than were allowed.
    TooMany,
}

/// The items of the list at the front of `buf`, at most `max`. Items are counted while they are cut, so a list of a
/// million empty ones costs no more than `max` of them.
pub(crate) fn items(message: &Bytes, buf: &mut &[u8], kind: Kind, max: usize) -> Result<Items> {
    let mut list = Header::decode_bytes(buf, true)?;
    let mut items = Vec::new();
    while !list.is_empty() {
        if items.len() == max {
            return Ok(Items::TooMany);
        }
        items.push(item(message, &mut list, kind)?);
    }
    Ok(Items::All(items))
}

/// The first `max` elements of a list of fixed-size strings such as hashes; later ones are skipped unread, but their
/// number is right.
pub(crate) fn hashes(buf: &mut &[u8], max: usize) -> Result<(Vec<alloy_primitives::B256>, usize)> {
    const ELEMENT_BYTES: usize = 33;
    let list = Header::decode_bytes(buf, true)?;
    if !list.len().is_multiple_of(ELEMENT_BYTES) {
        return Err(Error::UnexpectedLength);
    }
    let element = |bytes: &[u8]| match bytes {
        [0xa0, hash @ ..] => Ok(alloy_primitives::B256::from_slice(hash)),
        _ => Err(Error::UnexpectedLength),
    };
    let hashes = list.chunks_exact(ELEMENT_BYTES).take(max).map(element).collect::<Result<_>>()?;
    Ok((hashes, list.len() / ELEMENT_BYTES))
}

/// Nothing may follow.
pub(crate) fn end(buf: &[u8]) -> Result<()> {
    if buf.is_empty() { Ok(()) } else { Err(Error::UnexpectedLength) }
}

/// Length of a list of raw items.
pub(crate) fn items_length(items: &[Bytes]) -> usize {
    let payload = items.iter().map(|item| item.len()).sum::<usize>();
    payload + alloy_rlp::length_of_length(payload)
}

/// Writes a list of raw items.
pub(crate) fn encode_items(items: &[Bytes], out: &mut Vec<u8>) {
    let payload_length = items.iter().map(|item| item.len()).sum();
    Header { list: true, payload_length }.encode(out);
    for item in items {
        out.put_slice(item);
    }
}
