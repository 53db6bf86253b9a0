//! From a payload to a block, and what can be said of it without the chain's writer.

use super::{
    requests,
    status::PayloadStatus,
    version::{Beside, PayloadVersion},
};
use crate::{
    RpcContext,
    api::Answer,
    args::Args,
    hex::{Addr, Data, Hash, Quantity, Word},
};
use alloy_consensus::{Transaction as _, proofs::calculate_withdrawals_root};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256, keccak256};
use alloy_rlp::{BufMut, Encodable};
use serde::{Deserialize, Deserializer};
use starling_chainspec::ChainSpec;
use starling_primitives::{Block, BlockBody, EMPTY_OMMER_ROOT_HASH, Header, Transaction};
use starling_state::{BlockId, ChainView};
use starling_validation::{PrepareError, PreparedBlock, PreparedTransactions, prepare_transactions, transactions_root};
use std::sync::Arc;

/// Most bytes of a header's extra data.
const EXTRA_DATA_BYTES_MAX: usize = 32;

/// A payload as it is sent (`ExecutionPayloadV1` to `V4` in one).
#[derive(Debug, Clone)]
pub(super) struct PayloadArgs {
    parent_hash: B256,
    fee_recipient: Address,
    state_root: B256,
    receipts_root: B256,
    logs_bloom: Bytes,
    prev_randao: B256,
    block_number: u64,
    gas_limit: u64,
    gas_used: u64,
    timestamp: u64,
    extra_data: Bytes,
    base_fee_per_gas: U256,
    block_hash: B256,
    transactions: Vec<Bytes>,
    pub(super) withdrawals: Option<Vec<Withdrawal>>,
    pub(super) blob_gas_used: Option<u64>,
    pub(super) excess_blob_gas: Option<u64>,
    pub(super) block_access_list: Option<Bytes>,
    pub(super) slot_number: Option<u64>,
}

/// What is known of a payload once it has been read.
pub(super) enum Judged {
    /// Its status, without asking the chain.
    Settled(PayloadStatus),
    /// A block that is new here.
    Block(Arc<PreparedBlock>),
    /// A block that cannot be read though its hash is right: the chain is to remember it, for its descendants.
    Broken { hash: B256, parent_hash: B256, why: PrepareError },
}

/// What the header names of that which comes beside the payload.
#[derive(Debug, Clone, Copy, Default)]
struct Outside {
    /// Root of the parent beacon block.
    beacon_root: Option<B256>,
    requests_hash: Option<B256>,
}

/// A payload that is no block, in words.
struct NotABlock(String);

/// Reads the arguments of a newPayload, checks them and makes the block, whose senders are found on the current rayon pool
/// from then on: for the import pool.
pub(super) fn judge(context: &RpcContext, mut args: Args<'_>, version: PayloadVersion) -> Answer<Judged> {
    let payload: PayloadArgs = args.required()?;
    let (mut versioned_hashes, mut beacon_root, mut execution_requests) = (None, None, None);
    if version >= PayloadVersion::V3 {
        versioned_hashes = args.optional::<Vec<Hash>>()?;
        beacon_root = args.optional::<Hash>()?.map(|Hash(root)| root);
    }
    if version >= PayloadVersion::V4 {
        execution_requests =
            args.optional::<Vec<Data>>()?.map(|list| list.into_iter().map(|Data(data)| data).collect());
    }
    args.end()?;
    let spec = context.chain.spec();
    let beside = Beside {
        has_versioned_hashes: versioned_hashes.is_some(),
        has_beacon_root: beacon_root.is_some(),
        has_requests: execution_requests.is_some(),
    };
    version.check(&payload, beside, spec.fork_of(&payload.place()))?;
    let requests_hash = match &execution_requests {
        Some(list) => {
            let list: &Vec<Bytes> = list;
            requests::check(list)?;
            Some(requests::hash(list))
        }
        None => None,
    };
    let versioned_hashes: Vec<_> = versioned_hashes.unwrap_or_default().into_iter().map(|Hash(hash)| hash).collect();
    let outside = Outside { beacon_root, requests_hash };
    settle(spec, &context.chain.view(), payload, outside, &versioned_hashes)
}

/// Block hash first, then the rest; a block that is kept already has only its hash and its blobs to show.
fn settle(
    spec: &ChainSpec,
    view: &ChainView,
    payload: PayloadArgs,
    outside: Outside,
    versioned_hashes: &[B256],
) -> Answer<Judged> {
    let invalid = |NotABlock(why)| Ok(Judged::Settled(PayloadStatus::invalid(None, why)));
    let want = payload.block_hash;
    if let Some(kept) = view.block(BlockId::Hash(want))? {
        return match check_again(&payload, &kept.block, outside, versioned_hashes) {
            Ok(()) => Ok(Judged::Settled(PayloadStatus::valid(want))),
            Err(why) => invalid(why),
        };
    }
    // Recovering the senders costs more than all else that comes before the execution, and often more than that: so it
    // begins before the hash is known to be right, and goes on while the block runs. Nobody but the consensus client can
    // make us do it in vain.
    let (transactions_root, transactions) = prepare_transactions(spec, &payload.place(), &payload.transactions);
    let header = match payload.header(transactions_root, outside) {
        Ok(header) => header,
        Err(why) => return invalid(why),
    };
    if let Err(why) = check_hash(want, header.hash_slow()) {
        return invalid(why);
    }
    let parent_hash = payload.parent_hash;
    match payload.block_rlp(&header).and_then(|rlp| Ok((rlp, transactions?))) {
        Err(why) => Ok(Judged::Broken { hash: want, parent_hash, why }),
        Ok((rlp, transactions)) => match check_blobs(&transactions.transactions, versioned_hashes) {
            Ok(()) => {
                let block = Arc::new(payload.into_block(header, want, transactions, rlp));
                block.find_senders();
                Ok(Judged::Block(block))
            }
            Err(why) => invalid(why),
        },
    }
}

/// A payload that came with the hash of a kept block, which has been executed: whether it is that block.
fn check_again(
    payload: &PayloadArgs,
    kept: &Block,
    outside: Outside,
    versioned_hashes: &[B256],
) -> Result<(), NotABlock> {
    let header = payload.header(transactions_root(&payload.transactions), outside)?;
    if !is_of_work(&header, &kept.header) {
        check_hash(payload.block_hash, header.hash_slow())?;
    }
    check_blobs(&kept.body.transactions, versioned_hashes)
}

fn check_hash(want: B256, got: B256) -> Result<(), NotABlock> {
    if want == got { Ok(()) } else { Err(NotABlock(format!("blockhash mismatch, want {want}, got {got}"))) }
}

/// Whether a payload's header is that of a kept proof-of-work block (a genesis, mostly), but for the
/// members that payloads do not carry.
fn is_of_work(header: &Header, kept: &Header) -> bool {
    let whole =
        Header { difficulty: kept.difficulty, nonce: kept.nonce, ommers_hash: kept.ommers_hash, ..header.clone() };
    !kept.difficulty.is_zero() && whole == *kept
}

/// The consensus client names the blobs it has seen; the block's must be the same, in order.
fn check_blobs(transactions: &[Transaction], versioned_hashes: &[B256]) -> Result<(), NotABlock> {
    let in_block: Vec<_> = transactions.iter().filter_map(|tx| tx.blob_versioned_hashes()).flatten().copied().collect();
    if in_block.len() != versioned_hashes.len() {
        let (got, want) = (versioned_hashes.len(), in_block.len());
        return Err(NotABlock(format!("invalid number of versionedHashes: {got}, the block has {want}")));
    }
    match in_block.iter().zip(versioned_hashes).position(|(a, b)| a != b) {
        Some(at) => Err(NotABlock(format!(
            "invalid versionedHash at {at}: {}, the block has {}",
            versioned_hashes[at], in_block[at]
        ))),
        None => Ok(()),
    }
}

impl PayloadArgs {
    /// As much of the header as says which fork's rules hold.
    fn place(&self) -> Header {
        Header { number: self.block_number, timestamp: self.timestamp, ..Header::default() }
    }

    /// The header that the payload stands for.
    fn header(&self, transactions_root: B256, outside: Outside) -> Result<Header, NotABlock> {
        if self.extra_data.len() > EXTRA_DATA_BYTES_MAX {
            return Err(NotABlock(format!("invalid extradata length: {}", self.extra_data.len())));
        }
        let logs_bloom = Bloom::try_from(self.logs_bloom.as_ref())
            .map_err(|_| NotABlock(format!("invalid logsBloom length: {}", self.logs_bloom.len())))?;
        let base_fee_per_gas = u64::try_from(self.base_fee_per_gas)
            .map_err(|_| NotABlock(format!("invalid baseFeePerGas: {} is over 64 bits", self.base_fee_per_gas)))?;
        Ok(Header {
            parent_hash: self.parent_hash,
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: self.fee_recipient,
            state_root: self.state_root,
            transactions_root,
            receipts_root: self.receipts_root,
            logs_bloom,
            difficulty: U256::ZERO,
            number: self.block_number,
            gas_limit: self.gas_limit,
            gas_used: self.gas_used,
            timestamp: self.timestamp,
            extra_data: self.extra_data.clone(),
            mix_hash: self.prev_randao,
            nonce: B64::ZERO,
            base_fee_per_gas: Some(base_fee_per_gas),
            withdrawals_root: self.withdrawals.as_ref().map(|list| calculate_withdrawals_root(list)),
            blob_gas_used: self.blob_gas_used,
            excess_blob_gas: self.excess_blob_gas,
            parent_beacon_block_root: outside.beacon_root,
            requests_hash: outside.requests_hash,
            block_access_list_hash: self.block_access_list.as_ref().map(keccak256),
            slot_number: self.slot_number,
        })
    }

    /// The block, of which all parts are at hand.
    fn into_block(self, header: Header, hash: B256, transactions: PreparedTransactions, rlp: Bytes) -> PreparedBlock {
        let PreparedTransactions { transactions, hashes, senders } = transactions;
        let withdrawals = self.withdrawals.map(Into::into);
        PreparedBlock {
            hash,
            tx_hashes: hashes,
            senders,
            transactions_root: header.transactions_root,
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            withdrawals_root: header.withdrawals_root,
            access_list: self.block_access_list,
            block: Block { header, body: BlockBody { transactions, ommers: Vec::new(), withdrawals } },
            rlp,
        }
    }

    /// The block's RLP: the header, the transactions byte for byte, no ommers, the withdrawals.
    fn block_rlp(&self, header: &Header) -> Result<Bytes, PrepareError> {
        let item =
            |(index, tx)| BodyItem::of(tx).map_err(|NotABlock(error)| PrepareError::Transaction { index, error });
        let transactions = self.transactions.iter().enumerate().map(item).collect::<Result<Vec<_>, _>>()?;
        let no_ommers: [Header; 0] = [];
        let content = header.length()
            + alloy_rlp::list_length(&transactions)
            + alloy_rlp::list_length(&no_ommers)
            + self.withdrawals.as_ref().map_or(0, Encodable::length);
        let list = alloy_rlp::Header { list: true, payload_length: content };
        let mut rlp = Vec::with_capacity(list.length_with_payload());
        list.encode(&mut rlp);
        header.encode(&mut rlp);
        alloy_rlp::encode_list(&transactions, &mut rlp);
        alloy_rlp::encode_list(&no_ommers, &mut rlp);
        if let Some(withdrawals) = &self.withdrawals {
            withdrawals.encode(&mut rlp);
        }
        Ok(rlp.into())
    }
}

/// A transaction's EIP-2718 bytes as an item of a block body: a legacy one is a list already, a typed one becomes a
/// string.
#[derive(Debug)]
enum BodyItem<'a> {
    List(&'a [u8]),
    String(&'a [u8]),
}

impl<'a> BodyItem<'a> {
    /// What is neither must not reach the body, where it could pose as two items.
    fn of(tx: &'a Bytes) -> Result<Self, NotABlock> {
        match tx.first() {
            None => Err(NotABlock("no bytes".into())),
            Some(0x00..=0x7f) => Ok(Self::String(tx)),
            Some(_) => match alloy_rlp::Header::decode(&mut &tx[..]) {
                Ok(head) if head.list && head.length_with_payload() == tx.len() => Ok(Self::List(tx)),
                _ => Err(NotABlock("not one RLP list".into())),
            },
        }
    }
}

impl Encodable for BodyItem<'_> {
    fn encode(&self, out: &mut dyn BufMut) {
        match self {
            Self::List(whole) => out.put_slice(whole),
            Self::String(content) => content.encode(out),
        }
    }

    fn length(&self) -> usize {
        match self {
            Self::List(whole) => whole.len(),
            Self::String(content) => content.length(),
        }
    }
}

impl<'de> Deserialize<'de> for PayloadArgs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = PayloadJson::deserialize(deserializer)?;
        let quantity = |Quantity(number)| number;
        Ok(Self {
            parent_hash: json.parent_hash.0,
            fee_recipient: json.fee_recipient.0,
            state_root: json.state_root.0,
            receipts_root: json.receipts_root.0,
            logs_bloom: json.logs_bloom.0,
            prev_randao: json.prev_randao.0,
            block_number: json.block_number.0,
            gas_limit: json.gas_limit.0,
            gas_used: json.gas_used.0,
            timestamp: json.timestamp.0,
            extra_data: json.extra_data.0,
            base_fee_per_gas: json.base_fee_per_gas.0,
            block_hash: json.block_hash.0,
            transactions: json.transactions.into_iter().map(|Data(tx)| tx).collect(),
            withdrawals: json.withdrawals.map(|list| list.into_iter().map(Into::into).collect()),
            blob_gas_used: json.blob_gas_used.map(quantity),
            excess_blob_gas: json.excess_blob_gas.map(quantity),
            block_access_list: json.block_access_list.map(|Data(list)| list),
            slot_number: json.slot_number.map(quantity),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PayloadJson {
    parent_hash: Hash,
    fee_recipient: Addr,
    state_root: Hash,
    receipts_root: Hash,
    logs_bloom: Data,
    prev_randao: Hash,
    block_number: Quantity,
    gas_limit: Quantity,
    gas_used: Quantity,
    timestamp: Quantity,
    extra_data: Data,
    base_fee_per_gas: Word,
    block_hash: Hash,
    transactions: Vec<Data>,
    withdrawals: Option<Vec<WithdrawalJson>>,
    blob_gas_used: Option<Quantity>,
    excess_blob_gas: Option<Quantity>,
    block_access_list: Option<Data>,
    slot_number: Option<Quantity>,
}

/// A withdrawal as it is sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WithdrawalJson {
    index: Quantity,
    validator_index: Quantity,
    address: Addr,
    amount: Quantity,
}

impl From<WithdrawalJson> for Withdrawal {
    fn from(json: WithdrawalJson) -> Self {
        Self {
            index: json.index.0,
            validator_index: json.validator_index.0,
            address: json.address.0,
            amount: json.amount.0,
        }
    }
}

#[cfg(test)]
mod tests;
