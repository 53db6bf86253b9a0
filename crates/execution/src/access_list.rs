//! The access list of a block (EIP-7928): what it accessed and changed, transaction by transaction.

use crate::error::BlockError;
use alloy_eip7928::{AccountChanges, compute_block_access_list_hash, total_bal_items};
use alloy_primitives::{B256, Bytes};

/// Gas that an address or a storage key in the list stands for: a block's list may have no more items than
/// its gas limit pays for.
const ITEM_GAS: u64 = 2_000;

/// The list as RLP, and its hash.
pub(crate) fn encode(list: &[AccountChanges], gas_limit: u64) -> Result<(Bytes, B256), BlockError> {
    let (items, limit) = (total_bal_items(list), gas_limit / ITEM_GAS);
    if items > limit {
        return Err(BlockError::AccessListTooLarge { items, limit });
    }
    let mut rlp = Vec::new();
    alloy_rlp::encode_list(list, &mut rlp);
    Ok((rlp.into(), compute_block_access_list_hash(list)))
}
