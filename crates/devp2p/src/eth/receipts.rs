//! Receipts as each version writes them.
//!
//! eth/68 sends what the receipt trie hashes: bloom included, and typed receipts as strings. Since eth/69 (EIP-7642)
//! a receipt is the list of type, outcome, cumulative gas and logs, which is also how [`Receipt`] is stored, so
//! stored lists go out as they are.

use super::EthVersion;
use alloy_rlp::{Encodable, Error, Header, Result};
use starling_primitives::Receipt;

/// The receipts of one block as a list in the form of `version`.
pub fn encode_receipts(version: EthVersion, receipts: &[Receipt]) -> Vec<u8> {
    let mut payload = Vec::new();
    for receipt in receipts {
        match version {
            EthVersion::V68 if receipt.tx_type as u8 != 0 => {
                let mut envelope = Vec::new();
                receipt.encode_2718(&mut envelope);
                envelope.as_slice().encode(&mut payload);
            }
            EthVersion::V68 => receipt.encode_2718(&mut payload),
            EthVersion::V69 | EthVersion::V70 | EthVersion::V71 | EthVersion::V72 => {
                receipt.encode_stored(&mut payload)
            }
        }
    }
    let mut out = Vec::with_capacity(payload.len() + 9);
    Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend_from_slice(&payload);
    out
}

/// Reads one list of a Receipts answer. A bloom, where there is one, must fit the logs.
pub fn decode_receipts(version: EthVersion, mut list: &[u8]) -> Result<Vec<Receipt>> {
    let mut items = Header::decode_bytes(&mut list, true)?;
    super::raw::end(list)?;
    let mut receipts = Vec::new();
    while !items.is_empty() {
        receipts.push(match version {
            EthVersion::V68 => decode_with_bloom(&mut items)?,
            EthVersion::V69 | EthVersion::V70 | EthVersion::V71 | EthVersion::V72 => {
                Receipt::decode_stored(&mut items)?
            }
        });
    }
    Ok(receipts)
}

fn decode_with_bloom(items: &mut &[u8]) -> Result<Receipt> {
    if items.first().is_some_and(|first| *first >= 0xc0) {
        return Receipt::decode_2718(items);
    }
    let mut envelope = Header::decode_bytes(items, false)?;
    // An envelope begins with its type; what begins like a list is an oldest receipt in a coat it may not wear.
    if envelope.first().is_none_or(|first| *first == 0 || *first >= 0x80) {
        return Err(Error::UnexpectedString);
    }
    let receipt = Receipt::decode_2718(&mut envelope)?;
    super::raw::end(envelope)?;
    Ok(receipt)
}
