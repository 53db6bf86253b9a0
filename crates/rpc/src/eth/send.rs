//! Transactions on their way to a block.

use super::tx::receipt_of;
use crate::{
    ApiError, RpcContext,
    api::{Answer, Api, to_json},
    args::Args,
    convert::TransactionJson,
    hex::{Data, Quantity},
};
use alloy_consensus::{EthereumTxEnvelope, TxEip4844Variant};
use alloy_eips::{Decodable2718, eip7594::BlobTransactionSidecarVariant};
use alloy_primitives::{B256, U256};
use jsonrpsee::types::Params;
use serde_json::value::RawValue;
use starling_chainspec::Consensus;
use starling_primitives::ReadError;
use starling_txpool::{Origin, Refusal, Submitted};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};

/// How long `eth_sendRawTransactionSync` waits unless told otherwise (EIP-7966).
const SYNC_TIMEOUT_DEFAULT: Duration = Duration::from_secs(20);
/// The longest that it waits.
const SYNC_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// A transaction as it travels: with its blobs, if it has any.
type Enveloped = EthereumTxEnvelope<TxEip4844Variant<BlobTransactionSidecarVariant>>;

pub(super) fn register(api: &mut Api) {
    api.query("eth_sendRawTransaction", send_raw);
    api.command("eth_sendRawTransactionSync", send_raw_and_wait);
    api.query("eth_pendingTransactions", pending);
}

fn send_raw(context: &RpcContext, mut args: Args<'_>) -> Answer<B256> {
    let Data(bytes) = args.required()?;
    args.end()?;
    Ok(submit_raw(context, &bytes)?.tx.hash)
}

/// Takes in a transaction as it travels.
fn submit_raw(context: &RpcContext, bytes: &[u8]) -> Answer<Submitted> {
    // What does not decode is the pool's to refuse, with its reason.
    if let Ok(tx) = Enveloped::decode_2718_exact(bytes) {
        check_for_rpc(context, &tx)?;
    }
    let submit = || context.pool.submit(bytes, Origin::Local, &context.chain.view());
    // The proofs of blobs, the first ones above all, can take longer on a busy machine than a snapshot lives; by now what
    // they need is at hand.
    let submitted = match submit() {
        Err(Refusal::Read(ReadError::Expired { .. })) => submit(),
        submitted => submitted,
    };
    Ok(submitted?)
}

/// What the pool would take, and a user would regret.
pub(super) fn check_for_rpc(context: &RpcContext, tx: &impl alloy_consensus::Transaction) -> Answer<()> {
    let gas = U256::from(tx.gas_limit());
    let fee = gas.saturating_mul(U256::from(tx.max_fee_per_gas()));
    if let Some(cap) = context.limits.tx_fee_cap.filter(|cap| fee > *cap) {
        return Err(ApiError::server(format!(
            "tx fee ({} ether) exceeds the configured cap ({} ether)",
            ether(fee),
            ether(cap)
        )));
    }
    // On a network of one's own the factories that are deployed by one and the same transaction everywhere are wanted.
    let is_public = matches!(context.chain.spec().consensus, Consensus::Ethereum { .. });
    if is_public && tx.chain_id().is_none() {
        return Err(ApiError::server(Refusal::Unprotected.to_string()));
    }
    Ok(())
}

/// EIP-7966: as `eth_sendRawTransaction`, but answers with the receipt.
async fn send_raw_and_wait(context: Arc<RpcContext>, params: Params<'static>) -> Answer<Box<RawValue>> {
    let mut args = Args::new(&params)?;
    let Data(bytes) = args.required()?;
    let wait: Option<Quantity> = args.optional()?;
    args.end()?;
    let wait = match wait {
        Some(Quantity(millis)) if millis > 0 => Duration::from_millis(millis).min(SYNC_TIMEOUT_MAX),
        _ => SYNC_TIMEOUT_DEFAULT,
    };
    let deadline = Instant::now() + wait;
    let mut events = context.chain.events();
    let sender = context.clone();
    let submitted = context.queries.run(move || submit_raw(&sender, &bytes)).await??;
    let hash = submitted.tx.hash;
    loop {
        let reader = context.clone();
        let receipt =
            context.queries.run(move || Ok::<_, ApiError>(receipt_of(&reader, &hash)?.map(|r| to_json(&r)))).await??;
        if let Some(receipt) = receipt {
            return receipt;
        }
        // A reader that lags has missed a head, and looks again.
        let woken = timeout_at(deadline, events.recv()).await;
        if woken.is_err() {
            return Err(ApiError::NotMined { hash, waited: wait });
        }
    }
}

/// What our own accounts wait for.
fn pending(context: &RpcContext, args: Args<'_>) -> Answer<Vec<TransactionJson>> {
    args.end()?;
    let ours = |address: &_| context.signers.contains(address);
    let content = context.pool.content();
    let rows = content.pending.into_iter().filter(|(address, _)| ours(address));
    Ok(rows.flat_map(|(_, row)| row.into_values()).map(|tx| TransactionJson::waiting(&tx.tx, tx.sender)).collect())
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Read(error) => error.into(),
            other => Self::Server(other.to_string()),
        }
    }
}

/// Wei as ether with two digits.
fn ether(wei: U256) -> String {
    let hundredths = wei / U256::from(10_000_000_000_000_000u64);
    format!("{}.{:02}", hundredths / U256::from(100), hundredths % U256::from(100))
}
