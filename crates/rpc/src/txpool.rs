//! The `txpool` namespace: shapes as geth's, and why a transaction is where it is.

use crate::{
    RpcContext,
    api::{Answer, Api},
    args::Args,
    convert::TransactionJson,
    hex::{Addr, Hash},
};
use alloy_consensus::Transaction as _;
use alloy_primitives::{B256, U64};
use serde::Serialize;
use starling_primitives::Address;
use starling_txpool::{Explanation, Origin, PooledTx, Row};
use std::collections::BTreeMap;

pub(crate) fn register(api: &mut Api) {
    api.query("txpool_content", content);
    api.query("txpool_contentFrom", content_from);
    api.query("txpool_inspect", inspect);
    api.light("txpool_status", status);
    api.light("txpool_explain", explain);
}

/// Something by nonce, in decimal.
type ByNonce<T> = BTreeMap<String, T>;

/// Something of the pending and of the queued ones.
#[derive(Serialize)]
struct Both<T> {
    pending: T,
    queued: T,
}

fn by_nonce<T>(row: Row, show: impl Fn(&PooledTx) -> T) -> ByNonce<T> {
    row.into_iter().map(|(nonce, tx)| (nonce.to_string(), show(&tx))).collect()
}

fn by_account<T>(rows: BTreeMap<Address, Row>, show: impl Fn(&PooledTx) -> T) -> BTreeMap<String, ByNonce<T>> {
    rows.into_iter().map(|(address, row)| (address.to_string(), by_nonce(row, &show))).collect()
}

fn json(tx: &PooledTx) -> TransactionJson {
    TransactionJson::waiting(&tx.tx, tx.sender)
}

fn content(context: &RpcContext, args: Args<'_>) -> Answer<Both<BTreeMap<String, ByNonce<TransactionJson>>>> {
    args.end()?;
    let content = context.pool.content();
    Ok(Both { pending: by_account(content.pending, json), queued: by_account(content.queued, json) })
}

fn content_from(context: &RpcContext, mut args: Args<'_>) -> Answer<Both<ByNonce<TransactionJson>>> {
    let Addr(address) = args.required()?;
    args.end()?;
    let (pending, queued) = context.pool.content_of(&address);
    Ok(Both { pending: by_nonce(pending, json), queued: by_nonce(queued, json) })
}

fn inspect(context: &RpcContext, args: Args<'_>) -> Answer<Both<BTreeMap<String, ByNonce<String>>>> {
    args.end()?;
    let content = context.pool.content();
    Ok(Both { pending: by_account(content.pending, summary), queued: by_account(content.queued, summary) })
}

fn summary(tx: &PooledTx) -> String {
    let to = tx.tx.to().map_or_else(|| "contract creation".into(), |to| to.to_string());
    format!("{to}: {} wei + {} gas × {} wei", tx.tx.value(), tx.tx.gas_limit(), tx.fee_cap())
}

fn status(context: &RpcContext, args: Args<'_>) -> Answer<Both<U64>> {
    args.end()?;
    let status = context.pool.status();
    Ok(Both { pending: U64::from(status.pending), queued: U64::from(status.queued) })
}

/// Where a transaction is, and why.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExplanationJson {
    hash: B256,
    /// `pool` or `gone`.
    place: &'static str,
    /// `local`, `private`, `peer`, `block` or `restart`: who brought it.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'static str>,
    /// What it waits for, or why it left, in words.
    why: String,
    /// Seconds since it came, or since it left.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<u64>,
    /// Connected peers that have it from us.
    #[serde(skip_serializing_if = "Option::is_none")]
    told: Option<Vec<String>>,
}

fn explain(context: &RpcContext, mut args: Args<'_>) -> Answer<Option<ExplanationJson>> {
    let Hash(hash) = args.required()?;
    args.end()?;
    Ok(context.pool.explain(&hash).map(|explanation| match explanation {
        Explanation::Here { origin, age, waiting, told } => ExplanationJson {
            hash,
            place: "pool",
            origin: Some(origin_name(origin)),
            why: format!("waits {waiting}"),
            seconds: Some(age.as_secs()),
            told: Some(told.iter().map(ToString::to_string).collect()),
        },
        Explanation::Gone { why, ago } => ExplanationJson {
            hash,
            place: "gone",
            origin: None,
            why: why.to_string(),
            seconds: ago.map(|ago| ago.as_secs()),
            told: None,
        },
    }))
}

fn origin_name(origin: Origin) -> &'static str {
    match origin {
        Origin::Local => "local",
        Origin::Private => "private",
        Origin::Peer(_) => "peer",
        Origin::Block => "block",
        Origin::Restart => "restart",
    }
}
