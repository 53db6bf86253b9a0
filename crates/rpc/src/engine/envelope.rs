//! A payload as it is handed out, with what comes beside it.

use crate::convert::WithdrawalJson;
use alloy_eips::{eip2718::Encodable2718, eip7594::BlobTransactionSidecarVariant};
use alloy_primitives::{Address, B256, Bloom, Bytes, U256};
use serde::{Serialize, Serializer, ser::SerializeSeq};
use starling_builder::Built;
use std::sync::Arc;

/// `ExecutionPayloadV1` to `V4` in one; members of later forks are absent before them.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PayloadJson {
    parent_hash: B256,
    fee_recipient: Address,
    state_root: B256,
    receipts_root: B256,
    logs_bloom: Bloom,
    prev_randao: B256,
    #[serde(with = "alloy_serde::quantity")]
    block_number: u64,
    #[serde(with = "alloy_serde::quantity")]
    gas_limit: u64,
    #[serde(with = "alloy_serde::quantity")]
    gas_used: u64,
    #[serde(with = "alloy_serde::quantity")]
    timestamp: u64,
    extra_data: Bytes,
    #[serde(with = "alloy_serde::quantity")]
    base_fee_per_gas: u64,
    block_hash: B256,
    transactions: Vec<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    withdrawals: Option<Vec<WithdrawalJson>>,
    #[serde(with = "alloy_serde::quantity::opt", skip_serializing_if = "Option::is_none")]
    blob_gas_used: Option<u64>,
    #[serde(with = "alloy_serde::quantity::opt", skip_serializing_if = "Option::is_none")]
    excess_blob_gas: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block_access_list: Option<Bytes>,
    #[serde(with = "alloy_serde::quantity::opt", skip_serializing_if = "Option::is_none")]
    slot_number: Option<u64>,
}

impl PayloadJson {
    pub(super) fn new(built: &Built) -> Self {
        let (header, body) = (&built.block.header, &built.block.body);
        Self {
            parent_hash: header.parent_hash,
            fee_recipient: header.beneficiary,
            state_root: header.state_root,
            receipts_root: header.receipts_root,
            logs_bloom: header.logs_bloom,
            prev_randao: header.mix_hash,
            block_number: header.number,
            gas_limit: header.gas_limit,
            gas_used: header.gas_used,
            timestamp: header.timestamp,
            extra_data: header.extra_data.clone(),
            base_fee_per_gas: header.base_fee_per_gas.unwrap_or_default(),
            block_hash: header.hash_slow(),
            transactions: body.transactions.iter().map(|tx| tx.encoded_2718().into()).collect(),
            withdrawals: body.withdrawals.as_ref().map(|list| list.iter().map(Into::into).collect()),
            blob_gas_used: header.blob_gas_used,
            excess_blob_gas: header.excess_blob_gas,
            block_access_list: built.access_list.clone(),
            slot_number: header.slot_number,
        }
    }
}

/// A payload with its worth, and what later forks hand out beside it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Envelope {
    execution_payload: PayloadJson,
    /// What the fee recipient gets, in wei.
    block_value: U256,
    #[serde(skip_serializing_if = "Option::is_none")]
    blobs_bundle: Option<BlobsBundle>,
    #[serde(skip_serializing_if = "Option::is_none")]
    should_override_builder: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_requests: Option<Vec<Bytes>>,
}

impl Envelope {
    /// With the members that the block's fork has.
    pub(crate) fn new(built: &Built) -> Self {
        let has_blobs = built.block.header.blob_gas_used.is_some();
        Self {
            execution_payload: PayloadJson::new(built),
            block_value: built.fees,
            blobs_bundle: has_blobs.then(|| BlobsBundle(built.sidecars.clone())),
            should_override_builder: has_blobs.then_some(false),
            execution_requests: built.requests.clone(),
        }
    }
}

/// `BlobsBundleV1` (a proof a blob) or `V2` (a proof a cell), in the order of the block's transactions.
#[derive(Debug)]
struct BlobsBundle(Vec<Arc<BlobTransactionSidecarVariant>>);

impl Serialize for BlobsBundle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Parts<'a> {
            commitments: Each<'a>,
            proofs: Each<'a>,
            blobs: Each<'a>,
        }
        let sidecars = &self.0;
        let each = |part| Each { sidecars, part };
        Parts { commitments: each(Part::Commitments), proofs: each(Part::Proofs), blobs: each(Part::Blobs) }
            .serialize(serializer)
    }
}

/// One part of every sidecar, as one list.
struct Each<'a> {
    sidecars: &'a [Arc<BlobTransactionSidecarVariant>],
    part: Part,
}

#[derive(Clone, Copy)]
enum Part {
    Commitments,
    Proofs,
    Blobs,
}

impl Serialize for Each<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for sidecar in self.sidecars {
            match self.part {
                Part::Commitments => sidecar.commitments().iter().try_for_each(|item| list.serialize_element(item))?,
                Part::Proofs => proofs(sidecar).iter().try_for_each(|item| list.serialize_element(item))?,
                Part::Blobs => sidecar.blobs().iter().try_for_each(|item| list.serialize_element(item))?,
            }
        }
        list.end()
    }
}

fn proofs(sidecar: &BlobTransactionSidecarVariant) -> &[alloy_eips::eip4844::Bytes48] {
    match sidecar {
        BlobTransactionSidecarVariant::Eip4844(sidecar) => &sidecar.proofs,
        BlobTransactionSidecarVariant::Eip7594(sidecar) => &sidecar.cell_proofs,
    }
}
