//! Strangers of every bad kind, all at once, against a node that is syncing from one good peer.
//!
//! The node must stay up, reach the head, keep its good peer, answer JSON-RPC, and stay within its memory. What became
//! of each kind of stranger is printed.

mod liars;
mod strangers;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use starling_devp2p::eth::{EthVersion, Status};

use super::peer::{Blocks, Closed, Peer, Target};
use super::sync::{QUIET, follow};
use crate::Outcome;
use crate::fixtures::find;
use crate::memory::{Watch, mib};
use crate::node::{Home, Node};

/// How long they keep trying.
const SIEGE: Duration = Duration::from_secs(30);

/// When those come who take every free connection: the others would not get in beside them.
const CROWD_AFTER: Duration = Duration::from_secs(15);

/// How long before the sync they begin.
const VANTAGE: Duration = Duration::from_secs(3);

/// The node's budget for all its caches and buffers.
const MEMORY: &str = "256M";

/// What anonymous memory may reach: the budget and what the issue allows above it, in bytes.
const MEMORY_BYTES_MAX: u64 = (256 + 64) << 20;

/// The slowest answer of JSON-RPC that still counts as one, on a machine of two cores under siege.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Between two connections of the same kind.
const BREATH: Duration = Duration::from_millis(100);

/// How often JSON-RPC is asked meanwhile.
const ASK_INTERVAL: Duration = Duration::from_millis(100);

/// What a kind of stranger is given.
#[derive(Clone)]
pub(crate) struct Siege {
    target: Target,
    blocks: Arc<Blocks>,
    begun: Instant,
    over: Arc<AtomicBool>,
}

impl Siege {
    /// Waits until those have had their turn who need a connection of their own.
    fn wait_for_the_crowd(&self) {
        while !self.is_over() && self.begun.elapsed() < CROWD_AFTER {
            std::thread::sleep(BREATH);
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// What became of one kind of stranger.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    /// Connections that it opened.
    connections: usize,
    /// How the last few of them ended, each way once, with its count.
    ends: std::collections::BTreeMap<String, usize>,
}

impl Fate {
    fn ended(&mut self, closed: &Closed) {
        let how = match closed {
            Closed::For(cause) => cause.to_string(),
            Closed::Bare => "closed".into(),
        };
        self.note(how);
    }

    fn note(&mut self, how: impl Into<String>) {
        *self.ends.entry(how.into()).or_default() += 1;
    }

    fn line(&self) -> String {
        let ends: Vec<String> = self.ends.iter().map(|(how, count)| format!("{how} ({count})")).collect();
        format!("{} connections; {}", self.connections, ends.join(", "))
    }
}

/// Becomes a peer as far as it is let, with a new key each time, and does what `stay` does; again and again.
fn visit(siege: &Siege, kind: u64, edit: impl Fn(&mut Status), mut stay: impl FnMut(&mut Peer, &mut Fate)) -> Fate {
    let mut fate = Fate::default();
    let mut seed = kind << 32;
    while !siege.is_over() {
        seed += 1;
        match Peer::connect(&siege.target, &EthVersion::ALL, seed, &edit) {
            Ok(Ok(mut peer)) => {
                fate.connections += 1;
                stay(&mut peer, &mut fate);
            }
            Ok(Err(closed)) => {
                fate.connections += 1;
                fate.ended(&closed);
            }
            Err(error) => fate.note(error),
        }
        std::thread::sleep(BREATH);
    }
    fate
}

/// A kind of stranger: what it is called, and what it does until the siege is over.
type Kind = (&'static str, fn(&Siege) -> Fate);

/// Lets them all loose on one node.
pub fn run() -> Outcome {
    let Some(chain) = find("devp2p-chain/hive-sync/chain.rlp") else { return Ok(()) };
    let folder = chain.parent().unwrap_or(Path::new("."));
    let from = Home::with_genesis(&folder.join("genesis.json"))?;
    from.run("import", &[&chain])?;
    let good = Node::start_among_peers(&from, QUIET)?;
    super::suites::set_head(&good.engine, folder)?;

    let home = Home::with_genesis(&folder.join("genesis.json"))?;
    let node = Node::start_among_peers(&home, &[QUIET, &["--peers", good.enode()?, "--memory", MEMORY]].concat())?;
    let memory = Watch::start(node.pid());
    let siege = Siege {
        target: Target::parse(node.enode()?)?,
        blocks: Arc::new(Blocks::read(&chain)?),
        begun: Instant::now(),
        over: Arc::new(AtomicBool::new(false)),
    };
    let kinds: Vec<Kind> = [strangers::KINDS, liars::KINDS].concat();
    let threads: Vec<_> = kinds
        .iter()
        .map(|(name, kind)| {
            let siege = siege.clone();
            let kind = *kind;
            (name, std::thread::spawn(move || kind(&siege)))
        })
        .collect();

    // The liars are to be in their places when the node begins to ask.
    std::thread::sleep(VANTAGE);
    let started = Instant::now();
    let synced = follow(&node.http, &node.engine, folder);
    let slowest = ask_until(&node, started + SIEGE);
    let peers = node.http.result("net_peerCount", json!([]));
    siege.over.store(true, Ordering::Relaxed);
    for (name, thread) in threads {
        let fate = thread.join().map_err(|_| format!("{name}: the stranger itself failed"))?;
        println!("{name}: {}", fate.line());
    }

    let said = || format!("the node said:\n{}", node.log_tail());
    let synced = synced.map_err(|error| format!("{error}\n{}", said()))?;
    let slowest = slowest.map_err(|error| format!("{error}\n{}", said()))?;
    let peers = peers.map_err(|error| format!("{error}\n{}", said()))?;
    let kept = good.http.result("net_peerCount", json!([]))?;
    println!(
        "the node: {synced}; slowest of its answers {} ms; {} of anonymous memory at most (--memory {MEMORY}); \
         {peers} peers, the good one has {kept}",
        slowest.as_millis(),
        mib(memory.peak_bytes()),
    );
    if kept == json!("0x0") || peers == json!("0x0") {
        return Err(format!("the good peer was lost\n{}", said()));
    }
    if slowest > ANSWER_MAX {
        return Err(format!("an answer took {slowest:?}, more than {ANSWER_MAX:?}"));
    }
    if memory.peak_bytes() > MEMORY_BYTES_MAX {
        return Err(format!("{} is more than {} allow", mib(memory.peak_bytes()), mib(MEMORY_BYTES_MAX)));
    }
    Ok(())
}

/// Asks again and again; the slowest answer.
fn ask_until(node: &Node, end: Instant) -> Outcome<Duration> {
    let mut slowest = Duration::ZERO;
    while Instant::now() < end {
        let asked = Instant::now();
        node.http.result("eth_blockNumber", json!([]))?;
        slowest = slowest.max(asked.elapsed());
        std::thread::sleep(ASK_INTERVAL);
    }
    Ok(slowest)
}
