//! Requests of the execution layer to the consensus layer (EIP-7685), and deposits among them (EIP-6110).

use crate::error::BlockError;
use alloy_eips::eip6110::DEPOSIT_REQUEST_TYPE;
use alloy_primitives::{Address, B256, Bytes, b256};
use sha2::{Digest, Sha256};
use starling_primitives::Receipt;

/// keccak of `DepositEvent(bytes,bytes,bytes,bytes,bytes)`.
const DEPOSIT_EVENT: B256 = b256!("0x649bbc62d0e31342afea4e5cd82d4049e7e1ee912fc0889aa790803be39038c5");

/// The ABI form of a deposit event: for each of its five fields where it begins, and its length in bytes.
/// Public key, withdrawal credentials, amount, signature, index.
const DEPOSIT_FIELDS: [(usize, usize); 5] = [(160, 48), (256, 32), (320, 8), (384, 96), (512, 8)];
const DEPOSIT_EVENT_BYTES: usize = 576;
const WORD: usize = 32;

/// sha256 over the sha256 of each request.
pub(crate) fn hash(requests: &[Bytes]) -> B256 {
    let mut outer = Sha256::new();
    for request in requests {
        outer.update(Sha256::digest(request));
    }
    B256::new(outer.finalize().into())
}

/// The deposits in the block's logs as one request, none if there are none.
pub(crate) fn deposits(contract: Option<Address>, receipts: &[Receipt]) -> Result<Option<Bytes>, BlockError> {
    let Some(contract) = contract else { return Ok(None) };
    let mut request = vec![DEPOSIT_REQUEST_TYPE];
    for (index, receipt) in receipts.iter().enumerate() {
        for log in receipt.logs.iter().filter(|log| log.address == contract) {
            if log.topics().first() == Some(&DEPOSIT_EVENT) {
                push_deposit(&log.data.data, &mut request).ok_or(BlockError::DepositLayout { index })?;
            }
        }
    }
    Ok((request.len() > 1).then(|| request.into()))
}

/// Appends a deposit's fields; none if the event does not have the one layout that is allowed.
fn push_deposit(event: &[u8], request: &mut Vec<u8>) -> Option<()> {
    if event.len() != DEPOSIT_EVENT_BYTES {
        return None;
    }
    for (field, (offset, length)) in DEPOSIT_FIELDS.into_iter().enumerate() {
        if word(event, field * WORD)? != offset || word(event, offset)? != length {
            return None;
        }
        request.extend_from_slice(event.get(offset + WORD..offset + WORD + length)?);
    }
    Some(())
}

/// A 32-byte big-endian number, none if it is larger than any length here.
fn word(event: &[u8], at: usize) -> Option<usize> {
    let (high, low) = event.get(at..at + WORD)?.split_at(WORD - 4);
    let low = u32::from_be_bytes(low.try_into().ok()?);
    high.iter().all(|byte| *byte == 0).then_some(low as usize)
}
