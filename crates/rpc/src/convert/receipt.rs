use super::blob_base_fee;
use crate::api::Answer;
use alloy_consensus::{Transaction as _, Typed2718};
use alloy_primitives::{Address, B256, Bloom, Log};
use serde::Serialize;
use starling_chainspec::ChainSpec;
use starling_primitives::{Bytes, Header, Receipt, ReceiptOutcome, Transaction};
use starling_state::KeptBlock;

/// A log and where it was written.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogJson {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    #[serde(with = "alloy_serde::quantity")]
    block_number: u64,
    transaction_hash: B256,
    #[serde(with = "alloy_serde::quantity")]
    transaction_index: u64,
    block_hash: B256,
    #[serde(with = "alloy_serde::quantity")]
    block_timestamp: u64,
    /// Counts through the block, not through the transaction.
    #[serde(with = "alloy_serde::quantity")]
    log_index: u64,
    /// Only subscriptions tell of logs that a reorg took back.
    removed: bool,
}

impl LogJson {
    /// The log as one that a reorg took back.
    pub(crate) fn removed(mut self) -> Self {
        self.removed = true;
        self
    }

    /// A log, by its index in the block.
    pub(crate) fn new(log: &Log, header: &Header, block_hash: B256, tx: (usize, B256), log_index: usize) -> Self {
        Self {
            address: log.address,
            topics: log.topics().to_vec(),
            data: log.data.data.clone(),
            block_number: header.number,
            transaction_hash: tx.1,
            transaction_index: tx.0 as u64,
            block_hash,
            block_timestamp: header.timestamp,
            log_index: log_index as u64,
            removed: false,
        }
    }
}

/// A receipt with what follows from its transaction and block.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReceiptJson {
    block_hash: B256,
    #[serde(with = "alloy_serde::quantity")]
    block_number: u64,
    transaction_hash: B256,
    #[serde(with = "alloy_serde::quantity")]
    transaction_index: u64,
    from: Address,
    to: Option<Address>,
    #[serde(with = "alloy_serde::quantity")]
    gas_used: u64,
    #[serde(with = "alloy_serde::quantity")]
    cumulative_gas_used: u64,
    contract_address: Option<Address>,
    logs: Vec<LogJson>,
    logs_bloom: Bloom,
    #[serde(rename = "type", with = "alloy_serde::quantity")]
    tx_type: u8,
    #[serde(with = "alloy_serde::quantity")]
    effective_gas_price: u128,
    #[serde(with = "alloy_serde::quantity::opt", skip_serializing_if = "Option::is_none")]
    blob_gas_used: Option<u64>,
    #[serde(with = "alloy_serde::quantity::opt", skip_serializing_if = "Option::is_none")]
    blob_gas_price: Option<u128>,
    /// Before Byzantium.
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<B256>,
    /// Since Byzantium.
    #[serde(with = "alloy_serde::quantity::opt", skip_serializing_if = "Option::is_none")]
    status: Option<u8>,
}

/// What of the receipts before it a receipt needs.
#[derive(Default)]
struct Before {
    gas_used: u64,
    logs: usize,
}

/// A block's receipts in order.
pub(crate) fn receipts(spec: &ChainSpec, kept: &KeptBlock) -> Answer<Vec<ReceiptJson>> {
    let receipts = kept.receipts()?;
    let blob_gas_price = blob_base_fee(spec, &kept.block.header);
    let mut before = Before::default();
    let signed = kept.block.body.transactions.iter().zip(&kept.senders);
    Ok(signed
        .zip(&receipts)
        .enumerate()
        .map(|(index, ((tx, from), receipt))| {
            let json = receipt_json(kept, (index, tx, *from), receipt, &before, blob_gas_price);
            before.gas_used = receipt.cumulative_gas_used;
            before.logs += receipt.logs.len();
            json
        })
        .collect())
}

fn receipt_json(
    kept: &KeptBlock,
    (index, tx, from): (usize, &Transaction, Address),
    receipt: &Receipt,
    before: &Before,
    blob_gas_price: Option<u128>,
) -> ReceiptJson {
    let header = &kept.block.header;
    let place = (index, *tx.tx_hash());
    let logs = receipt.logs.iter().enumerate();
    let (root, status) = match receipt.outcome {
        ReceiptOutcome::StateRoot(root) => (Some(root), None),
        ReceiptOutcome::Status(succeeded) => (None, Some(u8::from(succeeded))),
    };
    let blob_gas_used = tx.blob_gas_used();
    ReceiptJson {
        block_hash: kept.at.hash,
        block_number: header.number,
        transaction_hash: place.1,
        transaction_index: index as u64,
        from,
        to: tx.to(),
        gas_used: receipt.cumulative_gas_used.saturating_sub(before.gas_used),
        cumulative_gas_used: receipt.cumulative_gas_used,
        contract_address: tx.to().is_none().then(|| from.create(tx.nonce())),
        logs: logs.map(|(i, log)| LogJson::new(log, header, kept.at.hash, place, before.logs + i)).collect(),
        logs_bloom: receipt.bloom(),
        tx_type: tx.ty(),
        effective_gas_price: tx.effective_gas_price(header.base_fee_per_gas),
        blob_gas_used,
        blob_gas_price: blob_gas_used.and(blob_gas_price),
        root,
        status,
    }
}
