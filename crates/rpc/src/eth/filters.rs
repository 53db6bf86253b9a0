//! Filters that are asked again and again: what is new since the last time.
//!
//! A filter of blocks or logs holds no more than the head that it has seen; what is new is read from the chain. One of
//! pending transactions holds a place in the pool's news, which are bounded.

use super::{
    filter::LogFilter,
    logs::{check_terms, search},
};
use crate::{
    ApiError, RpcContext,
    api::{Answer, Api, to_json},
    args::Args,
    convert::LogJson,
    heads::Change,
    hex::parse_quantity,
};
use alloy_primitives::B256;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use starling_primitives::BlockRef;
use starling_txpool::PoolNews;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

/// A filter that nobody asks for so long is forgotten.
const IDLE_MAX: Duration = Duration::from_secs(5 * 60);
/// Filters of all callers together; one more is refused.
const FILTERS_MAX: usize = 10_000;

pub(super) fn register(api: &mut Api) {
    api.query("eth_newFilter", new_log_filter);
    api.light("eth_newBlockFilter", new_block_filter);
    api.light("eth_newPendingTransactionFilter", new_transaction_filter);
    api.query("eth_getFilterChanges", changes);
    api.query("eth_getFilterLogs", logs);
    api.light("eth_uninstallFilter", uninstall);
}

/// The filters of a node. Cheap to clone; all clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Filters(Arc<Mutex<BTreeMap<String, Filter>>>);

#[derive(Debug)]
struct Filter {
    kind: Kind,
    asked: Instant,
}

#[derive(Debug)]
enum Kind {
    Blocks {
        seen: BlockRef,
    },
    Logs {
        filter: Arc<LogFilter>,
        seen: BlockRef,
    },
    /// None while its news are being read.
    Transactions {
        news: Option<Receiver<PoolNews>>,
    },
}

impl Filters {
    fn add(&self, kind: Kind) -> Answer<String> {
        let mut filters = self.0.lock();
        let now = Instant::now();
        filters.retain(|_, filter| now.duration_since(filter.asked) < IDLE_MAX);
        if filters.len() >= FILTERS_MAX {
            return Err(ApiError::TooManyRequests(format!("{FILTERS_MAX} filters are in use; uninstall one")));
        }
        let id = format!("{:#x}", rand::random::<u128>());
        filters.insert(id.clone(), Filter { kind, asked: now });
        Ok(id)
    }

    /// Looks at a filter that is asked.
    fn ask<T>(&self, id: &str, look: impl FnOnce(&mut Kind) -> T) -> Answer<T> {
        let mut filters = self.0.lock();
        let now = Instant::now();
        filters.retain(|_, filter| now.duration_since(filter.asked) < IDLE_MAX);
        let filter = filters.get_mut(id).ok_or_else(|| ApiError::server("filter not found"))?;
        filter.asked = now;
        Ok(look(&mut filter.kind))
    }
}

/// An id in the form in which it was given out.
fn id(args: &mut Args<'_>) -> Answer<String> {
    let text: String = args.required()?;
    parse_quantity(&text)
        .map(|_| text.to_ascii_lowercase())
        .map_err(|why| ApiError::params(format!("invalid argument 0: {why}")))
}

fn new_log_filter(context: &RpcContext, mut args: Args<'_>) -> Answer<String> {
    let filter: LogFilter = args.required()?;
    args.end()?;
    check_terms(context, &filter)?;
    context.filters.add(Kind::Logs { filter: Arc::new(filter), seen: context.chain.view().head() })
}

fn new_block_filter(context: &RpcContext, args: Args<'_>) -> Answer<String> {
    args.end()?;
    context.filters.add(Kind::Blocks { seen: context.chain.view().head() })
}

fn new_transaction_filter(context: &RpcContext, mut args: Args<'_>) -> Answer<String> {
    let whole: Option<bool> = args.optional()?;
    args.end()?;
    if whole == Some(true) {
        return Err(ApiError::params("a filter gives hashes; whole transactions come by eth_subscribe"));
    }
    context.filters.add(Kind::Transactions { news: Some(context.pool.news()) })
}

/// What a filter is to be asked for.
enum Task {
    Blocks(BlockRef),
    Logs(Arc<LogFilter>, BlockRef),
    Transactions(Receiver<PoolNews>),
    Busy,
}

fn changes(context: &RpcContext, mut args: Args<'_>) -> Answer<Box<RawValue>> {
    let id = id(&mut args)?;
    args.end()?;
    let view = context.chain.view();
    let head = view.head();
    let task = context.filters.ask(&id, |kind| match kind {
        Kind::Blocks { seen } => Task::Blocks(std::mem::replace(seen, head)),
        Kind::Logs { filter, seen } => Task::Logs(filter.clone(), std::mem::replace(seen, head)),
        Kind::Transactions { news } => news.take().map_or(Task::Busy, Task::Transactions),
    })?;
    match task {
        Task::Blocks(seen) => {
            let change = Change::since(seen, &view)?;
            to_json(&change.came.iter().map(|at| at.hash).collect::<Vec<_>>())
        }
        Task::Logs(filter, seen) => to_json(&Change::since(seen, &view)?.logs(context, &view, &filter)?),
        Task::Transactions(mut news) => {
            let hashes = drain(&mut news);
            context.filters.ask(&id, |kind| {
                if let Kind::Transactions { news: place } = kind {
                    *place = Some(news);
                }
            })?;
            to_json(&hashes?)
        }
        Task::Busy => Err(ApiError::server("the filter is being asked by another call")),
    }
}

/// The transactions that became pending. That some were missed is said once, and then it goes on.
fn drain(news: &mut Receiver<PoolNews>) -> Answer<Vec<B256>> {
    let mut hashes = Vec::new();
    loop {
        match news.try_recv() {
            Ok(PoolNews::Pending(tx)) => hashes.push(tx.hash),
            Ok(PoolNews::Left { .. }) => {}
            Err(TryRecvError::Lagged(missed)) => {
                return Err(ApiError::server(format!(
                    "the filter was asked too seldom: {missed} events of the pool were missed"
                )));
            }
            Err(TryRecvError::Empty | TryRecvError::Closed) => return Ok(hashes),
        }
    }
}

fn logs(context: &RpcContext, mut args: Args<'_>) -> Answer<Vec<LogJson>> {
    let id = id(&mut args)?;
    args.end()?;
    let filter = context.filters.ask(&id, |kind| match kind {
        Kind::Logs { filter, .. } => Some(filter.clone()),
        _ => None,
    })?;
    let filter = filter.ok_or_else(|| ApiError::server("filter not found"))?;
    search(context, &filter)
}

fn uninstall(context: &RpcContext, mut args: Args<'_>) -> Answer<bool> {
    let id = id(&mut args)?;
    args.end()?;
    Ok(context.filters.0.lock().remove(&id).is_some())
}
