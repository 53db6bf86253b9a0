//! The rules of a body: that it is the header's, and what of its transactions needs no state.

use crate::{HeaderError, PreparedBlock, TransactionRule, blobs};
use alloy_consensus::{Transaction as _, TxType};
use starling_chainspec::{ChainSpec, Fork};
use starling_primitives::{Transaction, keccak256};

/// Checks a block's body against its header and its fork. The header has been checked.
pub(crate) fn check_body(spec: &ChainSpec, block: &PreparedBlock) -> Result<(), HeaderError> {
    let header = &block.block.header;
    let fork = spec.fork_of(header);
    check_roots(block)?;
    check_withdrawals(fork, block)?;
    check_access_list(fork, block)?;
    check_transactions(spec, fork, block)?;
    let hashes = block.block.body.transactions.iter().filter_map(|tx| tx.blob_versioned_hashes());
    let computed = blobs::gas_of(hashes.map(<[_]>::len).sum());
    match header.blob_gas_used {
        Some(got) if got != computed => Err(HeaderError::BlobGasUsed { got, computed }),
        _ => Ok(()),
    }
}

fn check_roots(block: &PreparedBlock) -> Result<(), HeaderError> {
    let header = &block.block.header;
    let (got, computed) = (header.transactions_root, block.transactions_root);
    if got != computed {
        return Err(HeaderError::TransactionsRoot { got, computed });
    }
    let (got, computed) = (header.ommers_hash, block.ommers_hash);
    if got != computed {
        return Err(HeaderError::OmmersHash { got, computed });
    }
    Ok(())
}

fn check_withdrawals(fork: Fork, block: &PreparedBlock) -> Result<(), HeaderError> {
    match (block.block.header.withdrawals_root, block.withdrawals_root) {
        (_, None) if fork >= Fork::Shanghai => Err(HeaderError::WithdrawalsMissing),
        (_, Some(_)) if fork < Fork::Shanghai => Err(HeaderError::WithdrawalsUnexpected),
        (Some(got), Some(computed)) if got != computed => Err(HeaderError::WithdrawalsRoot { got, computed }),
        _ => Ok(()),
    }
}

/// The list that came beside the block, if one did: execution makes its own and compares again.
fn check_access_list(fork: Fork, block: &PreparedBlock) -> Result<(), HeaderError> {
    let Some(list) = &block.access_list else { return Ok(()) };
    let Some(got) = block.block.header.block_access_list_hash else {
        return Err(HeaderError::FieldUnexpected { field: "blockAccessList", fork });
    };
    let computed = keccak256(list);
    if got == computed { Ok(()) } else { Err(HeaderError::AccessListHash { got, computed }) }
}

fn check_transactions(spec: &ChainSpec, fork: Fork, block: &PreparedBlock) -> Result<(), HeaderError> {
    for (index, (tx, tx_hash)) in block.block.body.transactions.iter().zip(&block.tx_hashes).enumerate() {
        check_transaction(spec.chain_id, fork, tx).map_err(|rule| HeaderError::Transaction {
            index,
            tx_hash: *tx_hash,
            rule,
        })?;
    }
    Ok(())
}

/// What of a transaction's rules needs neither state nor its block: that its type exists in the fork, whose
/// chain it is for, and its blob hashes.
pub fn check_transaction(chain_id: u64, fork: Fork, tx: &Transaction) -> Result<(), TransactionRule> {
    let since = match tx.tx_type() {
        TxType::Legacy => Fork::Frontier,
        TxType::Eip2930 => Fork::Berlin,
        TxType::Eip1559 => Fork::London,
        TxType::Eip4844 => Fork::Cancun,
        TxType::Eip7702 => Fork::Prague,
    };
    if fork < since {
        return Err(TransactionRule::TypeBeforeFork { tx_type: tx.tx_type() as u8, since });
    }
    match tx.chain_id() {
        Some(_) if fork < Fork::SpuriousDragon => return Err(TransactionRule::ReplayProtection),
        Some(got) if got != chain_id => return Err(TransactionRule::ChainId { got, expected: chain_id }),
        _ => {}
    }
    match tx.blob_versioned_hashes() {
        Some(hashes) => blobs::check_hashes(fork, hashes),
        None => Ok(()),
    }
}
