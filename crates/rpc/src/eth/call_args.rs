//! The arguments of calls: the call itself, state overrides, block overrides.

use crate::{
    ApiError,
    api::Answer,
    hex::{Addr, BigQuantity, Data, Hash, Quantity, Word},
};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{B256, U256};
use serde::{Deserialize, de::IgnoredAny};
use starling_execution::{AccountOverride, BlockOverride, Call, Overrides};
use std::collections::BTreeMap;

/// A call as wallets write it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CallArgs {
    from: Option<Addr>,
    to: Option<Addr>,
    gas: Option<Quantity>,
    gas_price: Option<BigQuantity>,
    max_fee_per_gas: Option<BigQuantity>,
    max_priority_fee_per_gas: Option<BigQuantity>,
    value: Option<Word>,
    nonce: Option<Quantity>,
    /// The old name of `input`, which is preferred where both are given.
    data: Option<Data>,
    input: Option<Data>,
    access_list: Option<Vec<AccessArgs>>,
    chain_id: Option<Word>,
    max_fee_per_blob_gas: Option<BigQuantity>,
    blob_versioned_hashes: Option<Vec<Hash>>,
    authorization_list: Option<Vec<AuthorizationArgs>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccessArgs {
    address: Addr,
    #[serde(default)]
    storage_keys: Option<Vec<Hash>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizationArgs {
    chain_id: Word,
    address: Addr,
    nonce: Quantity,
    y_parity: Quantity,
    r: Word,
    s: Word,
}

impl CallArgs {
    /// The call, if its members fit each other and the chain.
    pub(super) fn into_call(self, chain_id: u64) -> Answer<Call> {
        self.check(chain_id)?;
        let wei = |fee: Option<BigQuantity>| fee.map(|BigQuantity(wei)| wei);
        Ok(Call {
            from: self.from.map(|Addr(from)| from).unwrap_or_default(),
            to: self.to.map(|Addr(to)| to),
            gas: self.gas.map(|Quantity(gas)| gas),
            gas_price: wei(self.gas_price),
            max_fee_per_gas: wei(self.max_fee_per_gas),
            max_priority_fee_per_gas: wei(self.max_priority_fee_per_gas),
            value: self.value.map(|Word(value)| value).unwrap_or_default(),
            input: self.input.or(self.data).map(|Data(input)| input).unwrap_or_default(),
            nonce: self.nonce.map(|Quantity(nonce)| nonce),
            access_list: self.access_list.map(|list| list.into_iter().map(AccessArgs::into_item).collect()),
            max_fee_per_blob_gas: wei(self.max_fee_per_blob_gas),
            blob_versioned_hashes: hashes(self.blob_versioned_hashes.unwrap_or_default()),
            authorization_list: self.authorization_list.unwrap_or_default().into_iter().map(Into::into).collect(),
        })
    }

    fn check(&self, chain_id: u64) -> Answer<()> {
        if self.gas_price.is_some() && (self.max_fee_per_gas.is_some() || self.max_priority_fee_per_gas.is_some()) {
            let message = "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified";
            return Err(ApiError::server(message));
        }
        let no_blobs = self.blob_versioned_hashes.as_ref().is_none_or(Vec::is_empty);
        if no_blobs && self.max_fee_per_blob_gas.is_some() {
            return Err(ApiError::server("maxFeePerBlobGas specified without blobVersionedHashes"));
        }
        if !no_blobs && self.to.is_none() {
            return Err(ApiError::server("blob transaction of type create"));
        }
        match self.chain_id {
            Some(Word(have)) if have != U256::from(chain_id) => {
                Err(ApiError::server(format!("chainId does not match node's (have={have}, want={chain_id})")))
            }
            _ => Ok(()),
        }
    }
}

fn hashes(list: Vec<Hash>) -> Vec<B256> {
    list.into_iter().map(|Hash(hash)| hash).collect()
}

impl AccessArgs {
    fn into_item(self) -> (alloy_primitives::Address, Vec<B256>) {
        (self.address.0, hashes(self.storage_keys.unwrap_or_default()))
    }
}

impl From<AuthorizationArgs> for SignedAuthorization {
    fn from(args: AuthorizationArgs) -> Self {
        let inner = Authorization { chain_id: args.chain_id.0, address: args.address.0, nonce: args.nonce.0 };
        // A parity out of range makes a signature that recovers to nobody, like any other bad one.
        let y_parity = u8::try_from(args.y_parity.0).unwrap_or(u8::MAX);
        Self::new_unchecked(inner, y_parity, args.r.0, args.s.0)
    }
}

/// State laid over the real one, by account.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct StateOverrideArgs(BTreeMap<Addr, AccountOverrideArgs>);

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AccountOverrideArgs {
    balance: Option<Word>,
    nonce: Option<Quantity>,
    code: Option<Data>,
    state: Option<BTreeMap<Hash, Hash>>,
    state_diff: Option<BTreeMap<Hash, Hash>>,
    move_precompile_to_address: Option<Addr>,
}

/// Block fields laid over the real ones.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct BlockOverrideArgs {
    number: Option<Quantity>,
    time: Option<Quantity>,
    gas_limit: Option<Quantity>,
    fee_recipient: Option<Addr>,
    prev_randao: Option<Hash>,
    base_fee_per_gas: Option<Word>,
    blob_base_fee: Option<Word>,
    difficulty: Option<Word>,
    /// Known, but of no meaning for a single call.
    beacon_root: Option<Hash>,
    /// Known, but of no meaning for a single call.
    withdrawals: Option<IgnoredAny>,
}

/// Both kinds of overrides of one call.
pub(super) fn overrides(state: Option<StateOverrideArgs>, block: Option<BlockOverrideArgs>) -> Answer<Overrides> {
    let accounts = state.unwrap_or_default().0;
    let accounts: Answer<_> =
        accounts.into_iter().map(|(address, args)| Ok((address.0, args.read(address)?))).collect();
    Ok(Overrides { accounts: accounts?, block: block.unwrap_or_default().read()? })
}

impl AccountOverrideArgs {
    fn read(self, Addr(address): Addr) -> Answer<AccountOverride> {
        if self.state.is_some() && self.state_diff.is_some() {
            return Err(ApiError::server(format!("account {address} has both 'state' and 'stateDiff'")));
        }
        let slots = |slots: BTreeMap<Hash, Hash>| slots.into_iter().map(|(slot, value)| (slot.0, value.0)).collect();
        Ok(AccountOverride {
            balance: self.balance.map(|Word(balance)| balance),
            nonce: self.nonce.map(|Quantity(nonce)| nonce),
            code: self.code.map(|Data(code)| code),
            state: self.state.map(slots),
            state_diff: self.state_diff.map(slots),
            move_precompile_to: self.move_precompile_to_address.map(|Addr(to)| to),
        })
    }
}

impl BlockOverrideArgs {
    fn read(self) -> Answer<BlockOverride> {
        let unsupported =
            |name| ApiError::server(format!("block override {name:?} is not supported for this RPC method"));
        if self.beacon_root.is_some() {
            return Err(unsupported("beaconRoot"));
        }
        if self.withdrawals.is_some() {
            return Err(unsupported("withdrawals"));
        }
        Ok(BlockOverride {
            number: self.number.map(|Quantity(number)| number),
            time: self.time.map(|Quantity(time)| time),
            gas_limit: self.gas_limit.map(|Quantity(limit)| limit),
            fee_recipient: self.fee_recipient.map(|Addr(recipient)| recipient),
            prev_randao: self.prev_randao.map(|Hash(randao)| randao),
            base_fee_per_gas: self.base_fee_per_gas.map(|Word(fee)| fee),
            blob_base_fee: self.blob_base_fee.map(|Word(fee)| fee),
            difficulty: self.difficulty.map(|Word(difficulty)| difficulty),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, Bytes};

    fn check(json: &str, expect: Result<Call, &str>) {
        let args: CallArgs = serde_json::from_str(json).unwrap();
        match (args.into_call(7), expect) {
            (Ok(got), Ok(want)) => assert_eq!(format!("{got:?}"), format!("{want:?}"), "{json}"),
            (Err(got), Err(want)) => assert_eq!(got, ApiError::server(want), "{json}"),
            (got, want) => panic!("{json}: {got:?}, expected {want:?}"),
        }
    }

    #[test]
    fn calls() {
        let input = Bytes::from_static(&[2]);
        check("{}", Ok(Call::default()));
        check(r#"{"data":"0x01","input":"0x02","chainId":"0x7"}"#, Ok(Call { input, ..Call::default() }));
        check(r#"{"type":"0x2","unknown":1}"#, Ok(Call::default()));
        check(r#"{"chainId":"0x1"}"#, Err("chainId does not match node's (have=1, want=7)"));
        check(
            r#"{"gasPrice":"0x1","maxFeePerGas":"0x1"}"#,
            Err("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified"),
        );
        check(
            r#"{"maxFeePerBlobGas":"0x1","blobVersionedHashes":[]}"#,
            Err("maxFeePerBlobGas specified without blobVersionedHashes"),
        );
        let hash = B256::repeat_byte(1);
        check(&format!(r#"{{"blobVersionedHashes":["{hash}"]}}"#), Err("blob transaction of type create"));
    }

    #[test]
    fn override_conflicts() {
        let zero = Address::ZERO;
        let state: StateOverrideArgs =
            serde_json::from_str(&format!(r#"{{"{zero}":{{"state":{{}},"stateDiff":{{}}}}}}"#)).unwrap();
        let message = format!("account {zero} has both 'state' and 'stateDiff'");
        assert_eq!(overrides(Some(state), None).unwrap_err(), ApiError::server(message));
        let block: BlockOverrideArgs = serde_json::from_str(r#"{"withdrawals":[]}"#).unwrap();
        assert!(overrides(None, Some(block)).is_err());
    }
}
