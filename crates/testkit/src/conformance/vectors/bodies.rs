//! Real blocks as their bytes, some with receipts: hash, roots, and receipts in the form of eth/69.

use super::fields::{self, bytes, hash, number, same, same_debug, text};
use crate::conformance::{
    archive::Member,
    cases::{Cases, Failure},
};
use alloy_primitives::{Bloom, Bytes};
use alloy_rlp::{Header as RlpHeader, PayloadView};
use serde_json::Value;
use starling_chainspec::ChainSpec;
use starling_primitives::{Header, Receipt, receipts_root};
use starling_validation::PreparedBlock;

pub(super) fn run(member: &Member, cases: &mut Cases<'_>) -> Result<(), String> {
    let case: Value = fields::file(member)?;
    let fork = text(&case, "fork")?;
    cases.case("", fork, || check(&case));
    Ok(())
}

fn check(case: &Value) -> Result<(), Failure> {
    let spec = ChainSpec::named(text(case, "network")?).ok_or("an unknown network".to_string())?;
    let rlp = bytes(case, "block")?;
    let prepared = PreparedBlock::from_rlp(&spec, rlp.clone()).map_err(|error| error.to_string())?;
    let (header, body) = (&prepared.block.header, &prepared.block.body);
    same("hash", prepared.hash, hash(case, "hash")?)?;
    same("number", header.number, number(case, "number")?)?;
    same("transactions", body.transactions.len() as u64, number(case, "txCount")?)?;
    same("ommers", body.ommers.len() as u64, number(case, "uncleCount")?)?;
    same("transactions root", prepared.transactions_root, header.transactions_root)?;
    same("ommers hash", prepared.ommers_hash, header.ommers_hash)?;
    same_debug("withdrawals root", prepared.withdrawals_root, header.withdrawals_root)?;
    same("encoded again", Bytes::from(alloy_rlp::encode(&prepared.block)), rlp)?;
    if case["receipts"].is_string() {
        let eth69 = case["receiptsEth69"].is_string().then(|| bytes(case, "receiptsEth69")).transpose()?;
        check_receipts(header, &bytes(case, "receipts")?, eth69.as_ref())?;
    }
    Ok(())
}

fn check_receipts(header: &Header, receipts: &Bytes, eth69: Option<&Bytes>) -> Result<(), Failure> {
    let receipts = decode_receipts(receipts)?;
    same("receipts root", receipts_root(&receipts), header.receipts_root)?;
    same("logs bloom", bloom_of(&receipts), header.logs_bloom)?;
    let gas_used = receipts.last().map_or(0, |receipt| receipt.cumulative_gas_used);
    same("gas used", gas_used, header.gas_used)?;
    let Some(eth69) = eth69 else { return Ok(()) };
    let mut stored = Vec::new();
    receipts.iter().for_each(|receipt| receipt.encode_stored(&mut stored));
    let mut list = Vec::new();
    RlpHeader { list: true, payload_length: stored.len() }.encode(&mut list);
    list.extend_from_slice(&stored);
    same("receipts of eth/69", Bytes::from(list), eth69.clone())
}

/// Typed receipts stand in the list as strings, others as lists.
fn decode_receipts(rlp: &[u8]) -> Result<Vec<Receipt>, String> {
    let items = match RlpHeader::decode_raw(&mut &*rlp).map_err(|error| error.to_string())? {
        PayloadView::List(items) => items,
        PayloadView::String(_) => return Err("the receipts are no list".into()),
    };
    let decode = |mut item: &[u8]| {
        if item.first().is_some_and(|first| *first < alloy_rlp::EMPTY_LIST_CODE) {
            item = RlpHeader::decode_bytes(&mut item, false)?;
        }
        Receipt::decode_2718(&mut item)
    };
    items.into_iter().map(decode).collect::<Result<_, _>>().map_err(|error| format!("a receipt: {error}"))
}

pub(super) fn bloom_of(receipts: &[Receipt]) -> Bloom {
    receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.bloom())
}
