//! A block in the form of JSON-RPC, back to what it hashes to.

use super::fields::{same, same_debug};
use crate::conformance::cases::Failure;
use alloy_consensus::{
    proofs::{calculate_transaction_root, calculate_withdrawals_root},
    transaction::Recovered,
};
use alloy_primitives::Address;
use alloy_rpc_types_eth::{Block as RpcBlock, Transaction as RpcTransaction};
use serde_json::Value;
use starling_chainspec::{ChainSpec, Fork};
use starling_primitives::{BlockBody, Header, Transaction, recover_senders};

/// Header, body without ommers (their hashes alone are known), and senders.
pub(super) struct Parts {
    pub(super) header: Header,
    pub(super) body: BlockBody,
    pub(super) senders: Vec<Address>,
}

/// Reads a block and checks what follows from it alone: hash, roots, senders.
pub(super) fn read(spec: &ChainSpec, block: &Value) -> Result<Parts, Failure> {
    let block: RpcBlock<RpcTransaction<Transaction>> = super::fields::read(block)?;
    let (named_hash, header) = (block.header.hash, block.header.inner);
    same("hash", header.hash_slow(), named_hash)?;
    let (transactions, named_senders): (Vec<_>, Vec<_>) =
        block.transactions.into_transactions().map(|tx| Recovered::into_parts(tx.inner)).unzip();
    let senders =
        recover_senders(&transactions, spec.fork_of(&header) >= Fork::Homestead).map_err(|error| error.to_string())?;
    same_debug("senders", &senders, &named_senders)?;
    same("transactions root", calculate_transaction_root(&transactions), header.transactions_root)?;
    let withdrawals_root = block.withdrawals.as_ref().map(|list| calculate_withdrawals_root(list));
    same_debug("withdrawals root", withdrawals_root, header.withdrawals_root)?;
    let body = BlockBody { transactions, ommers: Vec::new(), withdrawals: block.withdrawals };
    Ok(Parts { header, body, senders })
}
