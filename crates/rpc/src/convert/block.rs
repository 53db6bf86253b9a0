use super::TransactionJson;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256};
use alloy_rlp::Encodable;
use serde::Serialize;
use starling_primitives::{Block, Header};

/// A block header. Members of later forks are absent before them.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HeaderJson {
    #[serde(with = "alloy_serde::quantity")]
    number: u64,
    hash: Option<B256>,
    parent_hash: B256,
    nonce: Option<B64>,
    mix_hash: B256,
    sha3_uncles: B256,
    logs_bloom: Bloom,
    state_root: B256,
    miner: Option<Address>,
    difficulty: U256,
    extra_data: Bytes,
    #[serde(with = "alloy_serde::quantity")]
    gas_limit: u64,
    #[serde(with = "alloy_serde::quantity")]
    gas_used: u64,
    #[serde(with = "alloy_serde::quantity")]
    timestamp: u64,
    transactions_root: B256,
    receipts_root: B256,
    #[serde(with = "alloy_serde::quantity::opt", skip_serializing_if = "Option::is_none")]
    base_fee_per_gas: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    withdrawals_root: Option<B256>,
    #[serde(with = "alloy_serde::quantity::opt", skip_serializing_if = "Option::is_none")]
    blob_gas_used: Option<u64>,
    #[serde(with = "alloy_serde::quantity::opt", skip_serializing_if = "Option::is_none")]
    excess_blob_gas: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_beacon_block_root: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_hash: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block_access_list_hash: Option<B256>,
    #[serde(with = "alloy_serde::quantity::opt", skip_serializing_if = "Option::is_none")]
    slot_number: Option<u64>,
}

impl HeaderJson {
    /// A header whose hash is known already.
    pub(crate) fn new(header: &Header, hash: B256) -> Self {
        Self {
            number: header.number,
            hash: Some(hash),
            parent_hash: header.parent_hash,
            nonce: Some(header.nonce),
            mix_hash: header.mix_hash,
            sha3_uncles: header.ommers_hash,
            logs_bloom: header.logs_bloom,
            state_root: header.state_root,
            miner: Some(header.beneficiary),
            difficulty: header.difficulty,
            extra_data: header.extra_data.clone(),
            gas_limit: header.gas_limit,
            gas_used: header.gas_used,
            timestamp: header.timestamp,
            transactions_root: header.transactions_root,
            receipts_root: header.receipts_root,
            base_fee_per_gas: header.base_fee_per_gas,
            withdrawals_root: header.withdrawals_root,
            blob_gas_used: header.blob_gas_used,
            excess_blob_gas: header.excess_blob_gas,
            parent_beacon_block_root: header.parent_beacon_block_root,
            requests_hash: header.requests_hash,
            block_access_list_hash: header.block_access_list_hash,
            slot_number: header.slot_number,
        }
    }

    /// Of a block that is still to be made: no hash, no nonce, and nobody who made it.
    pub(crate) fn unsealed(self) -> Self {
        Self { hash: None, nonce: None, miner: None, ..self }
    }
}

/// A block: its header, its size, and what its body holds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct BlockJson {
    #[serde(flatten)]
    header: HeaderJson,
    /// Bytes of the block's RLP.
    #[serde(with = "alloy_serde::quantity")]
    size: u64,
    /// Absent in an ommer, which has no body.
    #[serde(skip_serializing_if = "Option::is_none")]
    transactions: Option<TransactionsJson>,
    uncles: Vec<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    withdrawals: Option<Vec<WithdrawalJson>>,
}

/// A block's transactions, as the caller wants them.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum TransactionsJson {
    /// Hashes only.
    Hashes(Vec<B256>),
    /// In full.
    Full(Vec<TransactionJson>),
}

/// A withdrawal of EIP-4895.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WithdrawalJson {
    #[serde(with = "alloy_serde::quantity")]
    index: u64,
    #[serde(with = "alloy_serde::quantity")]
    validator_index: u64,
    address: Address,
    /// Gwei.
    #[serde(with = "alloy_serde::quantity")]
    amount: u64,
}

impl From<&Withdrawal> for WithdrawalJson {
    fn from(withdrawal: &Withdrawal) -> Self {
        let Withdrawal { index, validator_index, address, amount } = *withdrawal;
        Self { index, validator_index, address, amount }
    }
}

impl BlockJson {
    /// As [`HeaderJson::unsealed`].
    pub(crate) fn unsealed(self) -> Self {
        Self { header: self.header.unsealed(), ..self }
    }

    /// A block with its hash and RLP size.
    pub(crate) fn new(block: &Block, hash: B256, size_bytes: usize, transactions: TransactionsJson) -> Self {
        let body = &block.body;
        Self {
            header: HeaderJson::new(&block.header, hash),
            size: size_bytes as u64,
            transactions: Some(transactions),
            uncles: body.ommers.iter().map(Header::hash_slow).collect(),
            withdrawals: body.withdrawals.as_ref().map(|list| list.iter().map(Into::into).collect()),
        }
    }

    /// An ommer, shown as a block without a body; its size counts the three empty lists, as geth's does.
    pub(crate) fn ommer(header: &Header) -> Self {
        let bare = Block { header: header.clone(), body: Default::default() };
        Self {
            header: HeaderJson::new(header, header.hash_slow()),
            size: bare.length() as u64,
            transactions: None,
            uncles: Vec::new(),
            withdrawals: None,
        }
    }
}
