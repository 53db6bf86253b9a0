use alloy_consensus::{Transaction as _, Typed2718};
use alloy_eips::eip2930::AccessListItem;
use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::{Address, B256, Bytes, U256};
use serde::Serialize;
use starling_primitives::{Header, Transaction};
use starling_state::KeptBlock;

/// A transaction and its place in a block, null while it waits for one. Members that its type does not have are absent.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TransactionJson {
    block_hash: Option<B256>,
    #[serde(with = "alloy_serde::quantity::opt")]
    block_number: Option<u64>,
    #[serde(with = "alloy_serde::quantity::opt")]
    block_timestamp: Option<u64>,
    from: Address,
    #[serde(with = "alloy_serde::quantity")]
    gas: u64,
    /// What was paid for a unit of gas, base fee included; at most, while it waits.
    #[serde(with = "alloy_serde::quantity")]
    gas_price: u128,
    #[serde(with = "alloy_serde::quantity::opt", skip_serializing_if = "Option::is_none")]
    max_fee_per_gas: Option<u128>,
    #[serde(with = "alloy_serde::quantity::opt", skip_serializing_if = "Option::is_none")]
    max_priority_fee_per_gas: Option<u128>,
    #[serde(with = "alloy_serde::quantity::opt", skip_serializing_if = "Option::is_none")]
    max_fee_per_blob_gas: Option<u128>,
    hash: B256,
    input: Bytes,
    #[serde(with = "alloy_serde::quantity")]
    nonce: u64,
    to: Option<Address>,
    #[serde(with = "alloy_serde::quantity::opt")]
    transaction_index: Option<u64>,
    value: U256,
    #[serde(rename = "type", with = "alloy_serde::quantity")]
    tx_type: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_list: Option<Vec<AccessListItem>>,
    #[serde(with = "alloy_serde::quantity::opt", skip_serializing_if = "Option::is_none")]
    chain_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob_versioned_hashes: Option<Vec<B256>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_list: Option<Vec<AuthorizationJson>>,
    v: U256,
    r: U256,
    s: U256,
    /// Typed transactions only.
    #[serde(with = "alloy_serde::quantity::opt", skip_serializing_if = "Option::is_none")]
    y_parity: Option<u8>,
}

/// A signed authorization of EIP-7702.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizationJson {
    chain_id: U256,
    address: Address,
    #[serde(with = "alloy_serde::quantity")]
    nonce: u64,
    #[serde(with = "alloy_serde::quantity")]
    y_parity: u8,
    r: U256,
    s: U256,
}

impl From<&SignedAuthorization> for AuthorizationJson {
    fn from(signed: &SignedAuthorization) -> Self {
        Self {
            chain_id: signed.chain_id,
            address: signed.address,
            nonce: signed.nonce,
            y_parity: signed.y_parity(),
            r: signed.r(),
            s: signed.s(),
        }
    }
}

impl TransactionJson {
    /// A transaction at an index of a block.
    pub(crate) fn new(tx: &Transaction, from: Address, header: &Header, block_hash: B256, index: usize) -> Self {
        Self {
            block_hash: Some(block_hash),
            block_number: Some(header.number),
            block_timestamp: Some(header.timestamp),
            gas_price: tx.effective_gas_price(header.base_fee_per_gas),
            transaction_index: Some(index as u64),
            ..Self::waiting(tx, from)
        }
    }

    /// A transaction that is in no block yet.
    pub(crate) fn waiting(tx: &Transaction, from: Address) -> Self {
        let (typed, dynamic) = (!tx.is_legacy(), tx.is_dynamic_fee());
        let signature = tx.signature();
        Self {
            block_hash: None,
            block_number: None,
            block_timestamp: None,
            from,
            gas: tx.gas_limit(),
            gas_price: tx.max_fee_per_gas(),
            max_fee_per_gas: dynamic.then(|| tx.max_fee_per_gas()),
            max_priority_fee_per_gas: tx.max_priority_fee_per_gas(),
            max_fee_per_blob_gas: tx.max_fee_per_blob_gas(),
            hash: *tx.tx_hash(),
            input: tx.input().clone(),
            nonce: tx.nonce(),
            to: tx.to(),
            transaction_index: None,
            value: tx.value(),
            tx_type: tx.ty(),
            access_list: tx.access_list().map(|list| list.0.clone()),
            chain_id: tx.chain_id(),
            blob_versioned_hashes: tx.blob_versioned_hashes().map(<[B256]>::to_vec),
            authorization_list: tx.authorization_list().map(|list| list.iter().map(Into::into).collect()),
            v: recovery_value(tx),
            r: signature.r(),
            s: signature.s(),
            y_parity: typed.then(|| u8::from(signature.v())),
        }
    }
}

/// `v` as it stands in the signature: the parity alone in typed transactions, EIP-155's or 27/28 in legacy ones.
fn recovery_value(tx: &Transaction) -> U256 {
    let parity = U256::from(u8::from(tx.signature().v()));
    match (tx.is_legacy(), tx.chain_id()) {
        (false, _) => parity,
        (true, None) => parity + U256::from(27),
        (true, Some(chain_id)) => parity + U256::from(chain_id) * U256::from(2) + U256::from(35),
    }
}

/// A block's transactions in order.
pub(crate) fn transactions(kept: &KeptBlock) -> Vec<TransactionJson> {
    let header = &kept.block.header;
    let signed = kept.block.body.transactions.iter().zip(&kept.senders).enumerate();
    signed.map(|(index, (tx, from))| TransactionJson::new(tx, *from, header, kept.at.hash, index)).collect()
}
