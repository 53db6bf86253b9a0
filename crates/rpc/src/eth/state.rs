//! Accounts and their storage.

use crate::{
    ApiError, RpcContext,
    api::{Answer, Api},
    args::Args,
    hex::{Addr, Hash},
    tags::{BlockSelector, BlockTag},
};
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use serde::{Deserialize, Deserializer};
use starling_primitives::StateReader;
use std::collections::BTreeMap;

pub(super) fn register(api: &mut Api) {
    api.query("eth_getBalance", balance);
    api.query("eth_getCode", code);
    api.query("eth_getStorageAt", storage_at);
    api.query("eth_getStorageValues", storage_values);
    api.query("eth_getTransactionCount", transaction_count);
}

fn balance(context: &RpcContext, mut args: Args<'_>) -> Answer<U256> {
    let (Addr(address), block) = (args.required()?, args.optional()?);
    args.end()?;
    let account = context.state(block)?.account(&address)?;
    Ok(account.map(|account| account.balance).unwrap_or_default())
}

fn transaction_count(context: &RpcContext, mut args: Args<'_>) -> Answer<U64> {
    let (Addr(address), block): (_, Option<BlockSelector>) = (args.required()?, args.optional()?);
    args.end()?;
    let account = context.state(block)?.account(&address)?;
    let nonce = account.map(|account| account.nonce).unwrap_or_default();
    let waiting = match block {
        Some(BlockSelector::Tag(BlockTag::Pending)) => context.pool.next_nonce(&address).unwrap_or_default(),
        _ => 0,
    };
    Ok(U64::from(nonce.max(waiting)))
}

fn code(context: &RpcContext, mut args: Args<'_>) -> Answer<Bytes> {
    let (Addr(address), block) = (args.required()?, args.optional()?);
    args.end()?;
    let state = context.state(block)?;
    match state.account(&address)? {
        Some(account) => Ok(state.code(&account.code_hash)?),
        None => Ok(Bytes::new()),
    }
}

/// A storage slot as callers write it: hex of at most 32 bytes, prefix and leading zeros as they please.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StorageKey {
    pub(crate) slot: U256,
    /// Written with all of its 64 digits: answers echo a key in the form it came in.
    pub(crate) full_length: bool,
}

/// A key's text, unread: a bad one has errors of its own.
pub(crate) type KeyText<'a> = std::borrow::Cow<'a, str>;

impl StorageKey {
    /// Reads a key.
    pub(crate) fn parse(text: &str) -> Answer<Self> {
        const DIGITS_MAX: usize = 64;
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        if digits.len() > DIGITS_MAX {
            return Err(ApiError::params(format!("storage key too long (want at most 32 bytes): {text:?}")));
        }
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ApiError::params(format!("invalid hex in storage key: {text:?}")));
        }
        // No digits at all are slot zero, as in geth.
        let slot = U256::from_str_radix(if digits.is_empty() { "0" } else { digits }, 16);
        let slot = slot.map_err(|_| ApiError::params(format!("invalid hex in storage key: {text:?}")))?;
        Ok(Self { slot, full_length: digits.len() == DIGITS_MAX })
    }
}

fn storage_at(context: &RpcContext, mut args: Args<'_>) -> Answer<B256> {
    let (Addr(address), key, block) = (args.required()?, args.required::<KeyText<'_>>()?, args.optional()?);
    args.end()?;
    let key = StorageKey::parse(&key)?;
    Ok(context.state(block)?.slot(&address, &key.slot)?.into())
}

/// Slots to read, by account.
struct StorageRequest(BTreeMap<Address, Vec<B256>>);

impl<'de> Deserialize<'de> for StorageRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let request = BTreeMap::<Addr, Vec<Hash>>::deserialize(deserializer)?;
        let slots = |slots: Vec<Hash>| slots.into_iter().map(|Hash(slot)| slot).collect();
        Ok(Self(request.into_iter().map(|(Addr(address), keys)| (address, slots(keys))).collect()))
    }
}

fn storage_values(context: &RpcContext, mut args: Args<'_>) -> Answer<BTreeMap<Address, Vec<B256>>> {
    let (StorageRequest(request), block) = (args.required()?, args.optional()?);
    args.end()?;
    let wanted: usize = request.values().map(Vec::len).sum();
    let limit = context.limits.storage_values_max;
    if wanted == 0 {
        return Err(ApiError::params("empty request"));
    }
    if wanted > limit {
        return Err(ApiError::TooLarge(format!("too many slots (max {limit})")));
    }
    let state = context.state(block)?;
    let read = |(address, slots): (Address, Vec<B256>)| {
        let values: Result<_, _> =
            slots.iter().map(|slot| state.slot(&address, &(*slot).into()).map(B256::from)).collect();
        Ok((address, values?))
    };
    request.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<(u64, bool), &str>) {
        let got = StorageKey::parse(text).map(|key| (key.slot, key.full_length));
        let want = expect.map(|(slot, full)| (U256::from(slot), full));
        assert_eq!(got, want.map_err(|start| ApiError::params(format!("{start}: {text:?}"))), "{text}");
    }

    #[test]
    fn storage_keys() {
        check("0x0", Ok((0, false)));
        check("0x", Ok((0, false)));
        check("12", Ok((0x12, false)));
        check("0x001", Ok((1, false)));
        check(&format!("0x{:064x}", 7), Ok((7, true)));
        check(&format!("0x{:065x}", 7), Err("storage key too long (want at most 32 bytes)"));
        check("0xasdf", Err("invalid hex in storage key"));
        check("0x+1", Err("invalid hex in storage key"));
        check("0x1_0", Err("invalid hex in storage key"));
    }
}
