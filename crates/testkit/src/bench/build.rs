//! Building a block of 60 million gas out of ten thousand pending transactions, beside geth.
//!
//! Both pools get the same transfers, a row of ten from each of a thousand accounts with tips of all sizes, and both
//! are asked for a block out of their pool (`testing_buildBlockV1`), in turn.

use std::time::{Duration, Instant};

use super::crowd::{GAS_LIMIT, Pair, batches, build_request, pending, send, transactions};
use super::quantile;
use crate::Outcome;
use crate::http::Client;
use crate::interop::wait_for;
use crate::memory::cpu;

/// Blocks that are built and counted, after a few that are not.
const ROUNDS: usize = 30;
const WARM_ROUNDS: usize = 5;
/// How long a pool may take until all it took is pending.
const FILL_TIMEOUT: Duration = Duration::from_secs(60);

/// What one client's blocks took.
#[derive(Default)]
struct Times {
    wall_ms: Vec<f64>,
    cpu: Duration,
    transactions: usize,
}

/// Prints the times.
pub fn build() -> Outcome {
    let pair = Pair::start()?;
    let transactions = transactions();
    for batch in batches(&transactions) {
        for (http, ..) in pair.sides() {
            send(http, &batch)?;
        }
    }
    for (http, ..) in pair.sides() {
        wait_for("all to be pending", FILL_TIMEOUT, || Ok(pending(http)? == transactions.len()))?;
    }
    let mut times = [Times::default(), Times::default()];
    for round in 0..ROUNDS + WARM_ROUNDS {
        for ((http, _, pid), times) in pair.sides().into_iter().zip(&mut times) {
            let before = cpu(pid).unwrap_or_default();
            let (took, transactions) = build_once(http)?;
            times.transactions = transactions;
            if round >= WARM_ROUNDS {
                times.wall_ms.push(took.as_secs_f64() * 1000.0);
                times.cpu += cpu(pid).unwrap_or_default().saturating_sub(before);
            }
        }
    }
    println!("a block of {GAS_LIMIT} gas out of {} pending transactions, {ROUNDS} in turn", transactions.len());
    println!("{:<10} {:>8} {:>8} {:>8} {:>14}", "", "p50 ms", "p99 ms", "CPU ms", "transactions");
    let halves = ["geth", "starling"].into_iter().zip(&times).map(|(name, times)| {
        let (half, most) = (quantile(&times.wall_ms, 0.5), quantile(&times.wall_ms, 0.99));
        let cpu = times.cpu.as_secs_f64() * 1000.0 / ROUNDS as f64;
        println!("{name:<10} {half:>8.1} {most:>8.1} {cpu:>8.1} {:>14}", times.transactions);
        (half, cpu)
    });
    if let [(geth, geth_cpu), (ours, our_cpu)] = halves.collect::<Vec<_>>()[..] {
        println!("ratio {:.2}, by CPU {:.2}", ours / geth, our_cpu / geth_cpu);
    }
    pair.node.stop().map(drop)
}

/// Has one block built; the time that it took, and its transactions.
fn build_once(client: &Client) -> Outcome<(Duration, usize)> {
    let request = build_request(client)?;
    let started = Instant::now();
    let answer = client.send_text(&request)?;
    let took = started.elapsed();
    let transactions = answer["result"]["executionPayload"]["transactions"].as_array();
    let transactions = transactions.ok_or_else(|| format!("{} builds nothing: {}", client.url(), answer["error"]))?;
    Ok((took, transactions.len()))
}
