//! The transaction of a state test out of its parts, for the sets that do not give its bytes.

use super::json::{Hex, Number, Word};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::SignedAuthorization,
};
use alloy_primitives::{Address, B256, Signature, TxKind};
use serde::Deserialize;
use serde_json::value::RawValue;
use starling_primitives::Transaction;

/// Lists hold what variants choose from.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parts {
    nonce: Number,
    gas_price: Option<Word>,
    max_fee_per_gas: Option<Word>,
    max_priority_fee_per_gas: Option<Word>,
    #[serde(default)]
    to: String,
    sender: Address,
    data: Vec<Hex>,
    gas_limit: Vec<Word>,
    value: Vec<Word>,
    access_lists: Option<Vec<Option<Vec<AccessJson>>>>,
    blob_versioned_hashes: Option<Vec<B256>>,
    max_fee_per_blob_gas: Option<Word>,
    authorization_list: Option<Vec<SignedAuthorization>>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccessJson {
    address: Address,
    storage_keys: Vec<B256>,
}

/// The transaction of a variant and who sends it. Its signature is one of nobody.
///
/// # Errors
/// In words: a part is too large for its field, or is missing.
pub(super) fn transaction(
    text: &RawValue,
    data: usize,
    gas: usize,
    value: usize,
) -> Result<(Transaction, Address), String> {
    let parts: Parts = serde_json::from_str(text.get()).map_err(|error| error.to_string())?;
    let missing = |what: &str| format!("no such {what}");
    let fee =
        |fee: Option<Word>| fee.map(|Word(fee)| u128::try_from(fee).map_err(|_| format!("fee {fee}"))).transpose();
    let nonce = parts.nonce.0;
    let Word(gas_limit) = *parts.gas_limit.get(gas).ok_or_else(|| missing("gas limit"))?;
    let gas_limit = u64::try_from(gas_limit).map_err(|_| format!("gas limit {gas_limit}"))?;
    let Word(value) = *parts.value.get(value).ok_or_else(|| missing("value"))?;
    let input = parts.data.get(data).ok_or_else(|| missing("data"))?.0.clone();
    let to = match parts.to.as_str() {
        "" => TxKind::Create,
        to => TxKind::Call(to.parse().map_err(|error| format!("to {to}: {error}"))?),
    };
    let called = to.to().copied().unwrap_or_default();
    let (price, fee_cap) = (fee(parts.gas_price)?.unwrap_or_default(), fee(parts.max_fee_per_gas)?);
    let tip_cap = fee(parts.max_priority_fee_per_gas)?.unwrap_or_default();
    let max_fee_per_gas = fee_cap.unwrap_or_default();
    let has_access_list = parts.access_lists.is_some();
    let list = parts.access_lists.and_then(|lists| lists.get(data).cloned().flatten()).unwrap_or_default();
    let item = |item: AccessJson| AccessListItem { address: item.address, storage_keys: item.storage_keys };
    let access_list = AccessList(list.into_iter().map(item).collect());
    const CHAIN_ID: u64 = 1;

    let tx = if let Some(authorization_list) = parts.authorization_list {
        sign(TxEip7702 {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas: tip_cap,
            to: called,
            value,
            access_list,
            authorization_list,
            input,
        })
    } else if let Some(max_fee_per_blob_gas) = fee(parts.max_fee_per_blob_gas)? {
        sign(TxEip4844 {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas: tip_cap,
            to: called,
            value,
            access_list,
            blob_versioned_hashes: parts.blob_versioned_hashes.unwrap_or_default(),
            max_fee_per_blob_gas,
            input,
        })
    } else if fee_cap.is_some() {
        sign(TxEip1559 {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas: tip_cap,
            to,
            value,
            access_list,
            input,
        })
    } else if has_access_list {
        sign(TxEip2930 { chain_id: CHAIN_ID, nonce, gas_price: price, gas_limit, to, value, access_list, input })
    } else {
        sign(TxLegacy { chain_id: None, nonce, gas_price: price, gas_limit, to, value, input })
    };
    Ok((tx, parts.sender))
}

fn sign<T: SignableTransaction<Signature>>(tx: T) -> Transaction
where
    Transaction: From<alloy_consensus::Signed<T>>,
{
    tx.into_signed(Signature::test_signature()).into()
}
