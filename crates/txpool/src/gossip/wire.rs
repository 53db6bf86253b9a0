//! The network's form of a transaction: a list in the oldest type, a string with the envelope since.

use crate::{PooledTx, blobs};
use alloy_rlp::Header;
use starling_primitives::Bytes;

/// A transaction as it goes over the wire, with its blobs if it has any. None if these cannot be read.
pub fn encode_item(tx: &PooledTx) -> Option<Bytes> {
    let envelope = tx.network_bytes()?;
    Some(if is_list(&envelope) { envelope } else { blobs::wrap(&envelope) })
}

/// The same since eth/72: without its blobs. None as well if these have other proofs than those of cells.
pub fn encode_stripped_item(tx: &PooledTx) -> Option<Bytes> {
    if !tx.tx.is_eip4844() {
        return encode_item(tx);
    }
    Some(blobs::wrap(&blobs::strip(&tx.network_bytes()?)?))
}

/// The envelope in an item of the wire; none if it is no item. The envelope itself is not read.
pub fn decode_item(item: &Bytes) -> Option<Bytes> {
    if is_list(item) {
        return Some(item.clone());
    }
    let mut rest: &[u8] = item;
    let envelope = Header::decode_bytes(&mut rest, false).ok()?;
    rest.is_empty().then(|| item.slice_ref(envelope))
}

/// The type of an envelope.
pub(super) fn tx_type(envelope: &[u8]) -> u8 {
    envelope.first().copied().filter(|_| !is_list(envelope)).unwrap_or(0)
}

/// Whether an item of the wire says that it is a transaction with blobs.
pub(super) fn has_blobs(item: &Bytes) -> bool {
    !is_list(item) && decode_item(item).is_some_and(|envelope| blobs::is_blob_type(&envelope))
}

fn is_list(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| *first >= 0xc0)
}
