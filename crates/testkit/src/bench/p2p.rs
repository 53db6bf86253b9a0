//! What peers cost: headers, bodies and receipts served a CPU-second, and the time of a whole sync, beside geth.
//!
//! Both serve the same chain to the same client, one after the other, round by round; what counts is the CPU time of
//! the serving process, since client and server share the machine. The frame itself is measured in `starling-devp2p`.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use starling_devp2p::eth::{EthVersion, GetBlockHeaders, GetReceipts, HashOrNumber, Request, Response};

use crate::Outcome;
use crate::fixtures::find;
use crate::interop::geth::Geth;
use crate::interop::peer::{Blocks, Peer, Target};
use crate::interop::suites::set_head;
use crate::interop::sync::{QUIET, follow, geth_with};
use crate::memory::cpu;
use crate::node::{Home, Node};

/// Rounds of each measurement; the median is printed.
const ROUNDS: usize = 5;

/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Headers, bodies and receipts asked for at once, as geth asks.
const BATCHES: [usize; 3] = [192, 128, 256];

/// Requests of one round.
const REQUESTS: usize = 100;

/// Who serves.
enum Server {
    Geth(Geth),
    Starling(Box<Node>),
}

impl Server {
    fn pid(&self) -> u32 {
        match self {
            Self::Geth(geth) => geth.pid(),
            Self::Starling(node) => node.pid(),
        }
    }

    fn target(&self) -> Outcome<Target> {
        match self {
            Self::Geth(geth) => Target::parse(&geth.enode()?),
            Self::Starling(node) => Target::parse(node.enode()?),
        }
    }
}

/// Prints the table.
pub fn p2p() -> Outcome {
    let Some(chain) = find("devp2p-chain/hive-sync/chain.rlp") else { return Ok(()) };
    let folder = chain.parent().unwrap_or(Path::new("."));
    serving(folder, &chain)?;
    syncing(folder)
}

fn serving(folder: &Path, chain: &Path) -> Outcome {
    let blocks = Blocks::read(chain)?;
    let geth = geth_with("geth", folder, true)?;
    set_head(&geth.engine, folder)?;
    let home = Home::with_genesis(&folder.join("genesis.json"))?;
    home.run("import", &[chain])?;
    let node = Node::start_among_peers(&home, QUIET)?;
    set_head(&node.engine, folder)?;
    let servers = [("geth", Server::Geth(geth)), ("starling", Server::Starling(Box::new(node)))];

    println!("items served a CPU-second, median of {ROUNDS} rounds in turn");
    println!("{:<10} {:>12} {:>12} {:>8}", "", "geth", "starling", "ratio");
    for (kind, name) in ["headers", "bodies", "receipts"].into_iter().enumerate() {
        let mut rates = [Vec::new(), Vec::new()];
        for round in 0..=ROUNDS {
            for (rates, (who, server)) in rates.iter_mut().zip(&servers) {
                let rate =
                    serve_round(server, &blocks, kind, round).map_err(|error| format!("{who}, {name}: {error}"))?;
                // The first round warms caches.
                if round > 0 {
                    rates.push(rate);
                }
            }
        }
        let [geth, starling] = rates.map(median);
        println!("{name:<10} {geth:>12.0} {starling:>12.0} {:>8.2}", starling / geth);
    }
    Ok(())
}

/// Items served a second of the server's CPU time.
fn serve_round(server: &Server, blocks: &Blocks, kind: usize, round: usize) -> Outcome<f64> {
    let batch = BATCHES[kind];
    let mut peer = Peer::connect(&server.target()?, &[EthVersion::V70], 77 + round as u64, |_| {})?
        .map_err(|closed| format!("not let in: {closed:?}"))?;
    let before = cpu(server.pid()).ok_or("CPU time is known on Linux only")?;
    let mut items = 0;
    for index in 0..REQUESTS {
        let first = index * batch % (blocks.hashes.len() - batch);
        let hashes = || blocks.hashes[first..first + batch].to_vec();
        let request = match kind {
            0 => Request::BlockHeaders(GetBlockHeaders {
                start: HashOrNumber::Number(first as u64 + 1),
                limit: batch as u64,
                skip: 0,
                reverse: false,
            }),
            1 => Request::BlockBodies(hashes()),
            _ => Request::Receipts(GetReceipts { first_block_receipt_index: 0, hashes: hashes() }),
        };
        let response = peer.ask(request, ANSWER_TIMEOUT)?;
        items += match &response {
            Response::BlockHeaders(headers) => headers.len(),
            Response::BlockBodies(bodies) => bodies.len(),
            Response::Receipts(receipts) => receipts.lists.len(),
            Response::PooledTransactions(_) | Response::BlockAccessLists(_) | Response::Cells(_) => 0,
        };
    }
    let spent = cpu(server.pid()).ok_or("CPU time is known on Linux only")?.saturating_sub(before);
    if items == 0 || spent.is_zero() {
        return Err(format!("{items} items in {spent:?}"));
    }
    Ok(items as f64 / spent.as_secs_f64())
}

/// Wall time until an empty node has the 3,000 blocks of a geth: geth from geth, and Starling from geth.
fn syncing(folder: &Path) -> Outcome {
    let server = geth_with("geth", folder, true)?;
    set_head(&server.engine, folder)?;
    let enode = server.enode()?;
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        let geth = geth_with("geth", folder, false)?;
        let started = Instant::now();
        geth.http.result("admin_addPeer", json!([enode]))?;
        follow(&geth.http, &geth.engine, folder)?;
        times[0].push(started.elapsed().as_secs_f64());
        drop(geth);

        let home = Home::with_genesis(&folder.join("genesis.json"))?;
        let node = Node::start_among_peers(&home, &[QUIET, &["--peers", &enode]].concat())?;
        let started = Instant::now();
        follow(&node.http, &node.engine, folder)?;
        times[1].push(started.elapsed().as_secs_f64());
    }
    let [geth, starling] = times.map(median);
    println!("3,000 blocks from geth, s (median of {ROUNDS} in turn)");
    println!("{:<10} {geth:>12.2} {starling:>12.2} {:>8.2}", "sync", starling / geth);
    Ok(())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
