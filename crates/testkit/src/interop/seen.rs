//! Many nodes on one machine: how soon after its time is each block seen by each of them, and what does that cost?
//!
//! Two seal, the others know one bootnode and find each other by discv5, as in a network that `starling testnet up` made.
//! A block counts as seen when the node's own `newHeads` subscription shows it or a later one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use starling_primitives::NodeKey;

use super::wait_for;
use crate::Outcome;
use crate::authority::{self, TESTNET, sealer_file, write};
use crate::memory::cpu_time;
use crate::node::{Home, Node};
use crate::simulate::percentile;
use crate::ws::Subscription;

/// Nodes of a full run.
pub const NODES_DEFAULT: u64 = 20;
/// Blocks of one.
pub const BLOCKS_DEFAULT: u64 = 60;
/// Of the nodes, those that seal.
const SEALERS: usize = 2;
/// Seconds from one block to the next.
const PERIOD: u64 = 1;
/// Most time after a block's own time in which 99 of 100 times a node has seen it.
const SEEN_TIME_MAX: Duration = Duration::from_secs(1);
/// How long the nodes may take to find each other, and the last block to come.
const TIMEOUT: Duration = Duration::from_secs(120);
/// How often a subscriber looks whether it shall stop.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const FLAGS: &[&str] = &["--addr", "127.0.0.1", "--port", "0", "--nat", "extip:127.0.0.1", "--ws"];
/// The thread that a node has until its setup of blob proofs is loaded.
const SETUP_THREAD: &str = "kzg";
/// A node that finds nobody new looks around less often after half a minute.
const SETTLE_TIME: Duration = Duration::from_secs(35);
/// Kinds of threads that are named in the table of costs.
const THREADS_SHOWN: usize = 6;

/// Number, hash, and its own time or when it came to a node, since 1970.
type Block = (u64, String, Duration);
/// What came to a node.
type Heads = Vec<Block>;

/// Runs such a network for so many blocks and prints how soon they were seen.
pub fn run(nodes: u64, blocks: u64) -> Outcome {
    let count = usize::try_from(nodes).unwrap_or(usize::MAX);
    let mut random = StdRng::seed_from_u64(nodes);
    let signers: Vec<NodeKey> = (0..SEALERS).map(|_| NodeKey::random(&mut random)).collect();
    let (mut homes, mut running): (Vec<Home>, Vec<Node>) = (Vec::new(), Vec::new());
    for index in 0..count.max(SEALERS) {
        let home = Home::new()?;
        let genesis = home.beside("genesis.json");
        write(&genesis, &authority::genesis(TESTNET, &signers, PERIOD, &[])?.to_string())?;
        home.run("init", &[&genesis])?;
        let key = signers.get(index).map(|key| sealer_file(&home.beside(""), key, index)).transpose()?;
        let bootnode = running.first().map(Node::enr).transpose()?.map(String::from);
        let mut flags = FLAGS.to_vec();
        key.iter().for_each(|key| flags.extend(["--sealer", key]));
        bootnode.iter().for_each(|record| flags.extend(["--bootnodes", record]));
        running.push(Node::start_among_peers(&home, &flags)?);
        homes.push(home);
    }
    let peers = |node: &Node| Ok(number(&node.http.result("net_peerCount", json!([]))?).unwrap_or_default());
    let wanted = (running.len() as u64 - 1).min(8);
    let met = wait_for("peers at each node", TIMEOUT, || {
        Ok(running.iter().map(peers).collect::<Outcome<Vec<_>>>()?.into_iter().all(|count| count >= wanted))
    })?;
    println!("{} nodes with {wanted} peers or more each after {:.1} s", running.len(), met.as_secs_f64());
    // Each has loaded the setup of its blob proofs and looked around: what a start costs is none of what a block costs.
    wait_for("the end of the starts", TIMEOUT, || Ok(!costs(&running).contains_key(SETUP_THREAD)))?;
    thread::sleep(SETTLE_TIME);
    measure(&running, blocks)
}

fn measure(nodes: &[Node], blocks: u64) -> Outcome {
    let watching = AtomicBool::new(true);
    let (measured, heads) = thread::scope(|scope| {
        let watchers: Vec<_> = nodes.iter().map(|node| scope.spawn(|| watch(node, &watching))).collect();
        let measured = follow(nodes, blocks);
        watching.store(false, Relaxed);
        let joined =
            watchers.into_iter().map(|watcher| watcher.join().map_err(|_| "a subscriber failed".to_string())?);
        (measured, joined.collect::<Outcome<Vec<Heads>>>())
    });
    let (chain, before, after) = measured?;
    print_costs(nodes.len(), chain.len(), &before, &after);
    verdict(&chain, &heads?)
}

type Costs = BTreeMap<String, Duration>;

/// Waits for so many blocks; which they are, and what was spent until then before and after.
fn follow(nodes: &[Node], blocks: u64) -> Outcome<(Vec<Block>, Costs, Costs)> {
    let begin = nodes[0].head()?.0 + 2;
    wait_for("the first block", TIMEOUT, || Ok(nodes[0].head()?.0 >= begin))?;
    let before = costs(nodes);
    let last = begin + blocks;
    let timeout = TIMEOUT + Duration::from_secs(2 * PERIOD * blocks);
    wait_for("the last block", timeout, || Ok(nodes[0].head()?.0 > last))?;
    let after = costs(nodes);
    // The others may still be on their way to it.
    thread::sleep(Duration::from_secs(3));
    let chain = (begin + 1..=last).map(|number| block(&nodes[0], number)).collect::<Outcome<_>>()?;
    Ok((chain, before, after))
}

/// All that a node's subscription shows until it is time to stop.
fn watch(node: &Node, watching: &AtomicBool) -> Outcome<Heads> {
    let mut subscription = Subscription::open(&node.http.url(), &json!(["newHeads"]))?;
    let mut heads = Vec::new();
    while watching.load(Relaxed) {
        let Some(header) = subscription.next(LOOK_EVERY)? else { continue };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if let (Some(number), Some(hash)) = (number(&header["number"]), header["hash"].as_str()) {
            heads.push((number, hash.to_string(), now));
        }
    }
    Ok(heads)
}

/// Prints how soon the blocks of the chain were seen; fails where that is too late.
fn verdict(chain: &[Block], heads: &[Heads]) -> Outcome {
    let (mut after_time, mut after_first, mut unseen) = (Vec::new(), Vec::new(), 0);
    for (number, hash, timestamp) in chain {
        let seen = |heads: &Heads| {
            let it = heads.iter().find(|(_, seen, _)| seen == hash);
            it.or_else(|| heads.iter().find(|(seen, ..)| seen > number)).map(|(.., at)| *at)
        };
        let times: Vec<Duration> = heads.iter().filter_map(seen).collect();
        unseen += heads.len() - times.len();
        let first = times.iter().min().copied().unwrap_or_default();
        after_time.extend(times.iter().map(|at| at.saturating_sub(*timestamp)));
        after_first.extend(times.iter().map(|at| at.saturating_sub(first)));
    }
    for (what, times) in [("its time", &mut after_time), ("it was seen first", &mut after_first)] {
        let of = |times: &mut Vec<Duration>, percent| percentile(times, percent).unwrap_or_default().as_millis();
        println!(
            "{} blocks at {} nodes, ms after {what}: p50 {}, p99 {}, most {}",
            chain.len(),
            heads.len(),
            of(times, 50),
            of(times, 99),
            of(times, 100)
        );
    }
    let p99 = percentile(&mut after_time, 99).ok_or("no block was seen")?;
    match (unseen, p99 <= SEEN_TIME_MAX) {
        (0, true) => Ok(()),
        (0, false) => Err(format!("p99 is {p99:?}, should be at most {SEEN_TIME_MAX:?}")),
        (unseen, _) => Err(format!("{unseen} times a node did not see a block")),
    }
}

/// Number, hash and time of a block.
fn block(node: &Node, height: u64) -> Outcome<Block> {
    let block = node.http.result("eth_getBlockByNumber", json!([format!("{height:#x}"), false]))?;
    match (block["hash"].as_str(), number(&block["timestamp"])) {
        (Some(hash), Some(timestamp)) => Ok((height, hash.to_string(), Duration::from_secs(timestamp))),
        _ => Err(format!("no block {height}: {block}")),
    }
}

fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

/// CPU time of all nodes' threads so far, by the name of the thread without its number.
fn costs(nodes: &[Node]) -> Costs {
    let mut costs = BTreeMap::new();
    for node in nodes {
        let threads = std::fs::read_dir(format!("/proc/{}/task", node.pid())).into_iter().flatten().flatten();
        for stat in threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok()) {
            if let (Some(name), Some(time)) = (kind(&stat), cpu_time(&stat)) {
                *costs.entry(name).or_default() += time;
            }
        }
    }
    costs
}

/// The name of a thread without its number, out of `NUMBER (NAME) STATE …`.
fn kind(stat: &str) -> Option<String> {
    let (name, _) = stat.split_once('(')?.1.rsplit_once(')')?;
    Some(name.trim_end_matches(|end: char| end.is_ascii_digit() || end == '-').to_string())
}

fn print_costs(nodes: usize, blocks: usize, before: &Costs, after: &Costs) {
    let each = |time: Duration| time.as_secs_f64() * 1_000.0 / (nodes * blocks.max(1)) as f64;
    let spent = |(name, time): (&String, &Duration)| {
        (each(time.saturating_sub(before.get(name).copied().unwrap_or_default())), name.clone())
    };
    let mut threads: Vec<_> = after.iter().map(spent).collect();
    threads.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let total: f64 = threads.iter().map(|(time, _)| time).sum();
    let shown: Vec<_> = threads.iter().take(THREADS_SHOWN).map(|(time, name)| format!("{name} {time:.2}")).collect();
    println!("CPU of a node for each block, ms: {total:.2}; by threads: {}", shown.join(", "));
}

#[test]
fn the_cost_of_a_thread_is_read() {
    let stat = "71 (tokio-rt-12) S 1 71 71 0 -1 4194304 1 0 0 0 25 17 0 0 20 0 9 0 1 1 1";
    assert_eq!((kind(stat), cpu_time(stat)), (Some("tokio-rt".into()), Some(Duration::from_millis(420))));
}
