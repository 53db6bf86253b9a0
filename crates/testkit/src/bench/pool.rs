//! The pool beside geth's: insertions a CPU-second, signature checks included, and how soon ten thousand transactions
//! know of a new head.
//!
//! Both clients get the same signed transactions by the same batches of `eth_sendRawTransaction`, in turn, then the same
//! block over the Engine API. In process, without JSON and sockets, there is only ours to be measured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::{B256, Bytes};
use serde_json::{Value, json};
use starling_chain::{ChainConfig, ChainCore};
use starling_chainspec::ChainSpec;
use starling_storage::{Database, GenesisRecord, StorageConfig};
use starling_txpool::{Origin, PoolConfig, PoolHandle};

use super::crowd::{Pair, batches, build_request, genesis_text, payload_params, pending, send, transactions};
use super::quantile;
use crate::Outcome;
use crate::http::Client;
use crate::interop::wait_for;
use crate::memory::cpu;

/// Pairs of fresh clients; medians are printed.
const ROUNDS: usize = 5;
/// How long a pool may take until what it was told holds.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The goal: a new head is known everywhere in the pool within this time.
const HEAD_GOAL_MS: f64 = 1000.0;

/// What was measured of one client, a figure a round.
#[derive(Default)]
struct Figures {
    /// Insertions a CPU-second.
    by_cpu: Vec<f64>,
    /// Insertions a second while nobody else was asked.
    by_wall: Vec<f64>,
    head_ms: Vec<f64>,
}

/// Prints the figures.
pub fn pool() -> Outcome {
    let transactions = transactions();
    let requests = batches(&transactions);
    let mut figures = [Figures::default(), Figures::default()];
    for round in 0..ROUNDS {
        let pair = Pair::start()?;
        fill(&pair, &requests, transactions.len(), &mut figures)?;
        move_heads(&pair, round, transactions.len(), &mut figures)?;
        pair.node.stop()?;
    }
    println!("{} transactions of 1,000 accounts, medians of {ROUNDS} rounds in turn", transactions.len());
    println!("{:<20} {:>16} {:>14} {:>14}", "", "a CPU-second", "a second", "new head, ms");
    let medians = ["geth", "starling"].into_iter().zip(&figures).map(|(name, figures)| {
        let [by_cpu, by_wall, head] = [&figures.by_cpu, &figures.by_wall, &figures.head_ms].map(|f| quantile(f, 0.5));
        println!("{name:<20} {by_cpu:>16.0} {by_wall:>14.0} {head:>14.1}");
        (by_cpu, head)
    });
    let medians: Vec<_> = medians.collect();
    let inside: Vec<f64> = (0..ROUNDS).map(|_| in_process(&transactions)).collect::<Outcome<_>>()?;
    println!("{:<20} {:>16.0}", "starling, in process", quantile(&inside, 0.5));
    if let [(geth, _), (ours, head)] = medians[..] {
        println!("insertions a CPU-second {:.2} times geth's", ours / geth);
        if head >= HEAD_GOAL_MS {
            return Err(format!("a new head took {head:.0} ms, more than {HEAD_GOAL_MS:.0}"));
        }
    }
    Ok(())
}

fn fill(pair: &Pair, requests: &[Value], count: usize, figures: &mut [Figures; 2]) -> Outcome {
    let spent = || pair.sides().map(|(_, _, pid)| cpu(pid).unwrap_or_default());
    let before = spent();
    let mut walls = [Duration::ZERO; 2];
    for batch in requests {
        for ((http, ..), wall) in pair.sides().into_iter().zip(&mut walls) {
            let started = Instant::now();
            send(http, batch)?;
            *wall += started.elapsed();
        }
    }
    for (http, ..) in pair.sides() {
        wait_for("all to be pending", TIMEOUT, || Ok(pending(http)? == count))?;
    }
    for (side, after) in spent().into_iter().enumerate() {
        let cpu = after.saturating_sub(before[side]);
        figures[side].by_cpu.push(count as f64 / cpu.as_secs_f64());
        figures[side].by_wall.push(count as f64 / walls[side].as_secs_f64());
    }
    Ok(())
}

/// Gives both the same full block; the time from the head's update until the pool shows it.
fn move_heads(pair: &Pair, round: usize, count: usize, figures: &mut [Figures; 2]) -> Outcome {
    let built = pair.node.http.send_text(&build_request(&pair.node.http)?)?["result"].clone();
    let payload = &built["executionPayload"];
    let included = payload["transactions"].as_array().map(Vec::len).filter(|included| *included > 0);
    let included = included.ok_or_else(|| format!("no block was built: {built}"))?;
    // Who is first changes from round to round.
    let order = if round.is_multiple_of(2) { [0, 1] } else { [1, 0] };
    for side in order {
        let (http, engine, _) = pair.sides()[side];
        expect_valid(engine, "engine_newPayloadV4", payload_params(&built))?;
        let state = json!({ "headBlockHash": payload["blockHash"], "safeBlockHash": B256::ZERO,
            "finalizedBlockHash": B256::ZERO });
        let started = Instant::now();
        expect_valid(engine, "engine_forkchoiceUpdatedV3", json!([state, null]))?;
        while pending(http)? != count - included {
            if started.elapsed() > TIMEOUT {
                return Err(format!("{}: the pool does not see the new head", http.url()));
            }
        }
        figures[side].head_ms.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(())
}

fn expect_valid(engine: &Client, method: &str, params: Value) -> Outcome {
    let answer = engine.result(method, params)?;
    let status = if answer["payloadStatus"].is_null() { &answer["status"] } else { &answer["payloadStatus"]["status"] };
    if status == "VALID" { Ok(()) } else { Err(format!("{}: {method}: {answer}", engine.url())) }
}

/// Insertions a CPU-second of this process into an empty pool over a chain in memory.
fn in_process(transactions: &[Bytes]) -> Outcome<f64> {
    let spec = ChainSpec::from_genesis_json("bench", &genesis_text()).map_err(|error| error.to_string())?;
    let spec = Arc::new(spec);
    let block = starling_state::genesis_record(&spec).map_err(|error| error.to_string())?;
    let record = GenesisRecord { block, config: Bytes::from_static(b"{}") };
    let db = Database::create(StorageConfig::memory(), record).map_err(|error| error.to_string())?;
    let chain = ChainCore::open(spec, db, ChainConfig::default()).map_err(|error| error.to_string())?;
    let config = PoolConfig { pending_slots_max: 2 * transactions.len(), ..PoolConfig::default() };
    let pool = PoolHandle::new(config, starling_execution::intrinsic_gas, &chain.view(), |_| Ok(()));
    let before = cpu(std::process::id()).unwrap_or_default();
    for raw in transactions {
        // A view for each, as JSON-RPC takes one: they expire.
        pool.submit(raw, Origin::Local, &chain.view()).map_err(|error| error.to_string())?;
    }
    let spent = cpu(std::process::id()).unwrap_or_default().saturating_sub(before);
    if pool.status().pending != transactions.len() {
        return Err(format!("{} of {} are pending", pool.status().pending, transactions.len()));
    }
    Ok(transactions.len() as f64 / spent.as_secs_f64())
}
