//! Subscriptions: a connection is told what happens, until it asks for the end, closes, or reads too slowly.
//!
//! A message that finds the connection's queue full ends the subscription, with the reason as its last message: a slow
//! reader is never waited for, and never left with a gap that it does not know of.

use crate::{
    ApiError, RpcContext,
    api::{Answer, Api, to_json},
    args::Args,
    convert::TransactionJson,
    eth::{LogFilter, check_terms, sync_state},
    heads::Change,
};
use jsonrpsee::{
    SubscriptionSink,
    core::SubscriptionError,
    types::{Params, SubscriptionId},
};
use serde::Serialize;
use serde_json::{json, value::RawValue};
use starling_chain::ChainEvent;
use starling_primitives::{BlockRef, PeerId};
use starling_txpool::PoolNews;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// How often is looked whether a sync has begun or ended, and who has come and gone among the peers.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Adds `eth_subscribe`.
pub(crate) fn register_eth(api: &mut Api) {
    api.subscription("eth_subscribe", "eth_subscription", "eth_unsubscribe", |context, params, pending| async move {
        match Kind::parse(&context, &params) {
            Ok(kind) => serve(kind, context, pending.accept().await?).await,
            Err(error) => {
                pending.reject(error).await;
                Ok(())
            }
        }
    });
}

/// Adds `admin_subscribe`.
pub(crate) fn register_admin(api: &mut Api) {
    api.subscription(
        "admin_subscribe",
        "admin_subscription",
        "admin_unsubscribe",
        |context, params, pending| async move {
            match parse_admin(&params) {
                Ok(()) => peer_events(context, pending.accept().await?).await,
                Err(error) => {
                    pending.reject(error).await;
                    Ok(())
                }
            }
        },
    );
}

/// Ids as geth's: a random number in hex.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HexIds;

impl jsonrpsee::core::traits::IdProvider for HexIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        SubscriptionId::Str(format!("{:#x}", rand::random::<u128>()).into())
    }
}

/// What a subscriber wants to hear of.
enum Kind {
    NewHeads,
    Logs(Box<LogFilter>),
    NewPendingTransactions { whole: bool },
    Syncing,
}

impl Kind {
    fn parse(context: &RpcContext, params: &Params<'_>) -> Answer<Self> {
        let mut args = Args::new(params)?;
        let name: String = args.required()?;
        let kind = match name.as_str() {
            "newHeads" => Self::NewHeads,
            "logs" => {
                let filter: LogFilter = args.optional()?.unwrap_or_default();
                check_terms(context, &filter)?;
                Self::Logs(Box::new(filter))
            }
            "newPendingTransactions" => Self::NewPendingTransactions { whole: args.optional()?.unwrap_or(false) },
            "syncing" => Self::Syncing,
            other => return Err(no_such(other, "eth")),
        };
        args.end()?;
        Ok(kind)
    }
}

fn parse_admin(params: &Params<'_>) -> Answer<()> {
    let mut args = Args::new(params)?;
    let name: String = args.required()?;
    args.end()?;
    if name == "peerEvents" { Ok(()) } else { Err(no_such(&name, "admin")) }
}

fn no_such(name: &str, namespace: &str) -> ApiError {
    ApiError::NoSubscription(format!("no {name:?} subscription in {namespace} namespace"))
}

type Served = Result<(), SubscriptionError>;

async fn serve(kind: Kind, context: Arc<RpcContext>, sink: SubscriptionSink) -> Served {
    match kind {
        Kind::NewHeads => {
            heads(context, sink, |change, _, view| change.headers(view)?.iter().map(to_json).collect()).await
        }
        Kind::Logs(filter) => {
            let filter = Arc::new(*filter);
            heads(context, sink, move |change, context, view| {
                change.logs(context, view, &filter)?.iter().map(to_json).collect()
            })
            .await
        }
        Kind::NewPendingTransactions { whole } => pending_transactions(context, sink, whole).await,
        Kind::Syncing => syncing(context, sink).await,
    }
}

/// Sends what follows from each change of the head.
async fn heads(
    context: Arc<RpcContext>,
    mut sink: SubscriptionSink,
    show: impl Fn(&Change, &RpcContext, &starling_state::ChainView) -> Answer<Vec<Box<RawValue>>> + Clone + Send + 'static,
) -> Served {
    let mut events = context.chain.events();
    let mut last = context.chain.view().head();
    while next_head(&mut events, &sink).await {
        let (reader, show) = (context.clone(), show.clone());
        let read = context.queries.run(move || read_change(&reader, last, &show)).await;
        let (head, messages) =
            read.map_err(ApiError::from).flatten().map_err(|error| SubscriptionError::from(error.to_string()))?;
        last = head;
        for message in messages {
            send(&mut sink, message)?;
        }
    }
    Ok(())
}

fn read_change(
    context: &RpcContext,
    last: BlockRef,
    show: &impl Fn(&Change, &RpcContext, &starling_state::ChainView) -> Answer<Vec<Box<RawValue>>>,
) -> Answer<(BlockRef, Vec<Box<RawValue>>)> {
    let view = context.chain.view();
    let change = Change::since(last, &view)?;
    Ok((view.head(), show(&change, context, &view)?))
}

/// Waits for the head to move; false when nobody listens any more.
async fn next_head(events: &mut Receiver<ChainEvent>, sink: &SubscriptionSink) -> bool {
    tokio::select! {
        () = sink.closed() => false,
        // Who lags sees where the head is now all the same.
        event = events.recv() => !matches!(event, Err(RecvError::Closed)),
    }
}

async fn pending_transactions(context: Arc<RpcContext>, mut sink: SubscriptionSink, whole: bool) -> Served {
    let mut news = context.pool.news();
    loop {
        let event = tokio::select! {
            () = sink.closed() => return Ok(()),
            event = news.recv() => event,
        };
        let tx = match event {
            Ok(PoolNews::Pending(tx)) => tx,
            Ok(PoolNews::Left { .. }) => continue,
            Err(RecvError::Lagged(missed)) => {
                return Err(
                    format!("subscription ended: {missed} transactions came faster than they could be sent").into()
                );
            }
            Err(RecvError::Closed) => return Ok(()),
        };
        let message = match whole {
            true => to_json(&TransactionJson::waiting(&tx.tx, tx.sender)),
            false => to_json(&tx.hash),
        };
        send(&mut sink, message.map_err(|error| SubscriptionError::from(error.to_string()))?)?;
    }
}

#[derive(Serialize)]
struct SyncingJson {
    syncing: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Box<RawValue>>,
}

async fn syncing(context: Arc<RpcContext>, mut sink: SubscriptionSink) -> Served {
    let mut before = None;
    let mut look = tokio::time::interval(LOOK_INTERVAL);
    loop {
        tokio::select! {
            () = sink.closed() => return Ok(()),
            _ = look.tick() => {}
        }
        let is_syncing = (context.status)().syncing.is_some();
        if before == Some(is_syncing) {
            continue;
        }
        before = Some(is_syncing);
        let message = match is_syncing {
            true => to_json(&SyncingJson { syncing: true, status: to_json(&sync_state(&context)).ok() }),
            false => to_json(&false),
        };
        send(&mut sink, message.map_err(|error| SubscriptionError::from(error.to_string()))?)?;
    }
}

/// Who comes and goes. A peer that stays shorter than a look is not seen.
async fn peer_events(context: Arc<RpcContext>, mut sink: SubscriptionSink) -> Served {
    let Some(network) = context.network.clone() else { return Err("there is no network".to_owned().into()) };
    let peers =
        || network.peers().into_iter().map(|peer| (peer.id, (peer.remote, peer.local))).collect::<BTreeMap<_, _>>();
    let mut before = peers();
    let mut look = tokio::time::interval(LOOK_INTERVAL);
    loop {
        tokio::select! {
            () = sink.closed() => return Ok(()),
            _ = look.tick() => {}
        }
        let now = peers();
        let event = |kind: &str,
                     id: &PeerId,
                     (remote, local): &(std::net::SocketAddr, Option<std::net::SocketAddr>)| {
            json!({ "type": kind, "peer": alloy_primitives::hex::encode(starling_primitives::node_id(id)), "local": local, "remote": remote })
        };
        let came = now.iter().filter(|(id, _)| !before.contains_key(*id)).map(|(id, at)| event("add", id, at));
        let left = before.iter().filter(|(id, _)| !now.contains_key(*id)).map(|(id, at)| event("drop", id, at));
        let messages: Vec<_> = left.chain(came).collect();
        before = now;
        for message in messages {
            send(&mut sink, to_json(&message).map_err(|error| SubscriptionError::from(error.to_string()))?)?;
        }
    }
}

/// Sends a message, or gives the reader up.
fn send(sink: &mut SubscriptionSink, message: Box<RawValue>) -> Served {
    let closed = sink.is_closed();
    match sink.try_send(message) {
        Err(_) if !closed => Err("subscription ended: its messages were not read fast enough".to_owned().into()),
        _ => Ok(()),
    }
}
