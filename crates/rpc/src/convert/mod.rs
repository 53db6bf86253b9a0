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
    Some(schedule.base_fee(excess))
}
