//! From consensus types to the JSON that geth writes: members, order and absences are its own.

mod block;
mod receipt;
mod transaction;

pub(crate) use block::{BlockJson, HeaderJson, TransactionsJson, WithdrawalJson};
pub(crate) use receipt::{LogJson, ReceiptJson, receipts};
pub(crate) use transaction::{TransactionJson, transactions};

use starling_chainspec::ChainSpec;
use starling_primitives::Header;

/// Wei for a unit of blob gas in a block; none before blobs.
pub(crate) fn blob_base_fee(spec: &ChainSpec, header: &Header) -> Option<u128> {
    let schedule = spec.blob_schedule_at(header)?;
    let excess = header.excess_blob_gas?;
    Some(alloy_eips::eip4844::fake_exponential(
        alloy_eips::eip4844::BLOB_TX_MIN_BLOB_GASPRICE,
        u128::from(excess),
        u128::from(schedule.base_fee_update_fraction),
    ))
}
