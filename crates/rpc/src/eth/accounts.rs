//! Accounts whose keys this node holds: unlocked ones, and those of a development chain. Nobody else's are signed for.

use super::{
    call_args::CallArgs,
    oracle::{next_base_fee, suggest_tip},
    send::check_for_rpc,
};
use crate::{
    ApiError, RpcContext,
    api::{Answer, Api},
    args::Args,
    convert::TransactionJson,
    hex::{Addr, Data},
};
use alloy_consensus::{SignableTransaction, Signed, TxEip1559, TxEip2930, TxEip7702, TxLegacy};
use alloy_eips::{
    eip2718::Encodable2718,
    eip2930::{AccessList, AccessListItem},
};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, eip191_hash_message};
use parking_lot::Mutex;
use serde::Serialize;
use starling_chainspec::Fork;
use starling_execution::{Call, CallLimits, Overrides};
use starling_primitives::{StateReader, Transaction};
use starling_txpool::Origin;
use std::time::Instant;

/// Two transactions of one account must not be given the same nonce: one at a time is filled in and sent.
static SENDING: Mutex<()> = Mutex::new(());

pub(super) fn register(api: &mut Api) {
    api.light("eth_accounts", accounts);
    api.query("eth_sign", sign);
    api.query("eth_signTransaction", sign_transaction);
    api.query("eth_sendTransaction", send_transaction);
    api.query("eth_fillTransaction", fill_transaction);
}

fn accounts(context: &RpcContext, args: Args<'_>) -> Answer<Vec<Address>> {
    args.end()?;
    Ok(context.signers.addresses())
}

/// Signs a message, marked as one so that it can be no transaction (EIP-191).
fn sign(context: &RpcContext, mut args: Args<'_>) -> Answer<Bytes> {
    let (Addr(address), Data(message)) = (args.required()?, args.required()?);
    args.end()?;
    let signature = signature(context, &address, &eip191_hash_message(&message))?;
    Ok(signature.as_bytes().into())
}

/// A transaction with its bytes as they travel.
#[derive(Serialize)]
struct RawAndTransaction {
    raw: Bytes,
    tx: TransactionJson,
}

impl RawAndTransaction {
    fn new(tx: &Transaction, from: Address) -> Self {
        Self { raw: tx.encoded_2718().into(), tx: TransactionJson::waiting(tx, from) }
    }
}

fn sign_transaction(context: &RpcContext, args: Args<'_>) -> Answer<RawAndTransaction> {
    let call = read(context, args)?;
    let missing = |what| ApiError::server(format!("{what} not specified"));
    call.gas.ok_or_else(|| missing("gas"))?;
    call.nonce.ok_or_else(|| missing("nonce"))?;
    if call.gas_price.is_none() && (call.max_fee_per_gas.is_none() || call.max_priority_fee_per_gas.is_none()) {
        return Err(missing("missing gasPrice or maxFeePerGas/maxPriorityFeePerGas:"));
    }
    let draft = Draft::fill(context, call)?;
    let from = draft.call.from;
    let tx = draft.sign(|hash| signature(context, &from, hash))?;
    check_for_rpc(context, &tx)?;
    Ok(RawAndTransaction::new(&tx, from))
}

fn send_transaction(context: &RpcContext, args: Args<'_>) -> Answer<B256> {
    let call = read(context, args)?;
    if !context.signers.contains(&call.from) && !context.signers.impersonates(&call.from) {
        return Err(unknown_account());
    }
    let _one_at_a_time = SENDING.lock();
    let draft = Draft::fill(context, call)?;
    let from = draft.call.from;
    let tx = draft.sign(|hash| context.signers.sign_to_send(&from, hash).ok_or_else(unknown_account))?;
    check_for_rpc(context, &tx)?;
    Ok(context.pool.submit_tx(tx, Origin::Local, &context.chain.view())?.tx.hash)
}

/// What a transaction would be with everything filled in; unsigned.
fn fill_transaction(context: &RpcContext, args: Args<'_>) -> Answer<RawAndTransaction> {
    let draft = Draft::fill(context, read(context, args)?)?;
    let from = draft.call.from;
    let tx = draft.sign(|_| Ok(Signature::new(U256::ZERO, U256::ZERO, false)))?;
    Ok(RawAndTransaction::new(&tx, from))
}

fn read(context: &RpcContext, mut args: Args<'_>) -> Answer<Call> {
    let call: CallArgs = args.required()?;
    args.end()?;
    let call = call.into_call(context.chain.spec().chain_id)?;
    if !call.blob_versioned_hashes.is_empty() {
        return Err(ApiError::server("a transaction with blobs must be sent signed, by eth_sendRawTransaction"));
    }
    Ok(call)
}

fn unknown_account() -> ApiError {
    ApiError::server("unknown account")
}

fn signature(context: &RpcContext, address: &Address, hash: &B256) -> Answer<Signature> {
    context.signers.sign(address, hash).ok_or_else(unknown_account)
}

/// A transaction with all its members decided.
struct Draft {
    call: Call,
    chain_id: u64,
    /// Whether a legacy transaction names its chain: the fork of the next block lets it (EIP-155).
    is_protected: bool,
    nonce: u64,
    gas_limit: u64,
}

impl Draft {
    /// Fills in what is not given: nonce, fees, gas limit.
    fn fill(context: &RpcContext, mut call: Call) -> Answer<Self> {
        let view = context.chain.view();
        let (spec, header, state) = (view.spec(), view.head_header(), view.head_state());
        if call.to.is_none() && call.input.is_empty() {
            return Err(ApiError::server("contract creation without any data provided"));
        }
        let nonce = match call.nonce.or_else(|| context.pool.next_nonce(&call.from)) {
            Some(nonce) => nonce,
            None => state.account(&call.from)?.map_or(0, |account| account.nonce),
        };
        fill_fees(context, &mut call, next_base_fee(spec, header))?;
        let gas_limit = match call.gas {
            Some(gas) => gas,
            None => {
                let limits = CallLimits {
                    gas_cap: context.limits.gas_cap,
                    deadline: Instant::now() + context.limits.evm_timeout,
                };
                // With its own nonce an account's second transaction could not be estimated on the head.
                let free = Call { nonce: None, ..call.clone() };
                starling_execution::estimate_gas(spec, header, &state, &free, &Overrides::default(), limits)?
            }
        };
        let is_protected = spec.is_active(Fork::SpuriousDragon, header);
        Ok(Self { call, chain_id: spec.chain_id, is_protected, nonce, gas_limit })
    }

    fn sign(self, sign: impl FnOnce(&B256) -> Answer<Signature>) -> Answer<Transaction> {
        let Self { call, chain_id, is_protected, nonce, gas_limit } = self;
        let (to, value, input) = (call.to.map_or(TxKind::Create, TxKind::Call), call.value, call.input);
        let list = call.access_list.map(|list| {
            AccessList(
                list.into_iter().map(|(address, storage_keys)| AccessListItem { address, storage_keys }).collect(),
            )
        });
        let fees = (call.max_fee_per_gas.unwrap_or_default(), call.max_priority_fee_per_gas.unwrap_or_default());
        let (max_fee_per_gas, max_priority_fee_per_gas) = fees;
        match (call.gas_price, list, call.to) {
            (Some(gas_price), None, _) => signed(
                TxLegacy { chain_id: is_protected.then_some(chain_id), nonce, gas_price, gas_limit, to, value, input },
                sign,
            ),
            (Some(gas_price), Some(access_list), _) => {
                signed(TxEip2930 { chain_id, nonce, gas_price, gas_limit, to, value, access_list, input }, sign)
            }
            (None, list, Some(to)) if !call.authorization_list.is_empty() => signed(
                TxEip7702 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas,
                    max_priority_fee_per_gas,
                    to,
                    value,
                    access_list: list.unwrap_or_default(),
                    authorization_list: call.authorization_list,
                    input,
                },
                sign,
            ),
            (None, list, _) => signed(
                TxEip1559 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas,
                    max_priority_fee_per_gas,
                    to,
                    value,
                    access_list: list.unwrap_or_default(),
                    input,
                },
                sign,
            ),
        }
    }
}

fn signed<T: SignableTransaction<Signature>>(
    tx: T,
    sign: impl FnOnce(&B256) -> Answer<Signature>,
) -> Answer<Transaction>
where
    Transaction: From<Signed<T>>,
{
    let signature = sign(&tx.signature_hash())?;
    Ok(tx.into_signed(signature).into())
}

/// Fees as geth sets them: the suggested tip, and room for the base fee to double.
fn fill_fees(context: &RpcContext, call: &mut Call, base_fee: Option<u64>) -> Answer<()> {
    if call.gas_price.is_some() {
        return Ok(());
    }
    let Some(base_fee) = base_fee else {
        if call.max_fee_per_gas.is_some() || call.max_priority_fee_per_gas.is_some() {
            let why = "maxFeePerGas and maxPriorityFeePerGas are not valid before London is active";
            return Err(ApiError::server(why));
        }
        call.gas_price = Some(suggest_tip(context)?);
        return Ok(());
    };
    let tip = match (call.max_priority_fee_per_gas, call.max_fee_per_gas) {
        (Some(tip), _) => tip,
        // A tip above what is paid at most would be refused.
        (None, most) => suggest_tip(context)?.min(most.unwrap_or(u128::MAX)),
    };
    let most = call.max_fee_per_gas.unwrap_or_else(|| tip.saturating_add(2 * u128::from(base_fee)));
    if most < tip {
        return Err(ApiError::server(format!("maxFeePerGas ({most}) < maxPriorityFeePerGas ({tip})")));
    }
    (call.max_fee_per_gas, call.max_priority_fee_per_gas) = (Some(most), Some(tip));
    Ok(())
}
