//! Death in company: sealers and followers of a Clique network are killed under load, one by one and all at once.
//!
//! ```text
//! clients ── transactions ──► any node that lives          killer: SIGKILL at random moments, back after a while
//!                              │
//! witness ◄── every block that any node shows, heads and siblings: over eth, by JSON-RPC, and signed ones on disk
//! ```
//!
//! What must hold: no height is sealed twice by one key; every transaction that an RPC accepted is mined, replaced by
//! its sender, or reported as gone by `txpool_explain`; in the end all agree and the chain goes on.

mod load;
mod witness;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use starling_primitives::NodeKey;

use crate::Outcome;
use crate::authority::{self, TESTNET, sealer_file, write};
use crate::http::Client;
use crate::interop::{peer::Target, wait_for};
use crate::node::{Home, Node};
use load::Load;
use witness::Witness;

/// Deaths of a full run, shared by networks of one, two and three sealers.
pub const KILLS_DEFAULT: u64 = 100;
/// Seconds from one block to the next.
const PERIOD: u64 = 1;
/// Nodes that do not seal.
const FOLLOWERS: usize = 2;
/// Accounts that send.
const ACCOUNTS: usize = 8;
/// Time between two deaths, and time that the dead stay away, at most.
const LIFE_MAX: Duration = Duration::from_millis(2_000);
const AWAY_MAX: Duration = Duration::from_millis(1_500);
/// How long all may take in the end until they agree and nothing waits.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(120);
/// Blocks by which the chain must go on after the last death.
const BLOCKS_AFTER: u64 = 3;
/// Loopback; peers are named, since everybody keeps his port.
const FLAGS: &[&str] = &["--addr", "127.0.0.1", "--nat", "extip:127.0.0.1", "--nodiscover"];

/// Kills nodes of a network with so many sealers; with none named, of networks with one, two and three of them in turn.
/// The seed makes the same choices again; the moments are the machine's.
pub fn run(kills: u64, seed: u64, sealers: Option<u64>) -> Outcome {
    let Some(sealers) = sealers else {
        let most = [kills / 4, kills / 4, kills - kills / 4 * 2];
        return (1..).zip(most).try_for_each(|(sealers, kills)| run(kills, seed, Some(sealers)));
    };
    println!(
        "crash-net: {sealers} sealers, {FOLLOWERS} followers, seed {seed} \
         (again: testkit crash-net --sealers {sealers} --kills {kills} --seed {seed})"
    );
    let mut random = StdRng::seed_from_u64(seed);
    let mut keys = |count| (0..count).map(|_| NodeKey::random(&mut random)).collect::<Vec<_>>();
    let (signers, accounts) = (keys(sealers as usize), keys(ACCOUNTS));
    let mut network = Network::new(&signers, &accounts)?;
    let board = Board::new(network.members.len());
    let (witness, load) = (Witness::default(), Load::new(accounts));
    let outcome = network.watched(&board, &witness, |network| {
        network.start_all(&board)?;
        let (sending, started) = (AtomicBool::new(true), Instant::now());
        thread::scope(|scope| {
            scope.spawn(|| load.send(&board, &sending, seed));
            let tally = kill(network, &board, &witness, kills, &mut random);
            sending.store(false, Relaxed);
            println!("  {} in {:.0} s", tally?, started.elapsed().as_secs_f64());
            Outcome::Ok(())
        })?;
        let nodes = board.living();
        let head = agree(&nodes)?;
        println!("  block {head} at all; {}", load.settle(&nodes, SETTLE_TIMEOUT)?);
        witness.on_disk(network)
    });
    println!("  {witness}");
    outcome?;
    witness.verdict()
}

/// A sealer dies and comes back on an empty datadir, with its key and nothing else: it signs no height again.
pub fn run_lost_datadir(seed: u64) -> Outcome {
    let key = NodeKey::random(&mut StdRng::seed_from_u64(seed));
    let mut network = Network::new(&[key], &[])?;
    let (board, witness) = (Board::new(network.members.len()), Witness::default());
    network.watched(&board, &witness, |network| {
        network.start_all(&board)?;
        let follower = board.get(FOLLOWERS).ok_or("the followers come last")?.http;
        let reach = |number| wait_for("the next blocks", SETTLE_TIMEOUT, || Ok(head(&follower)?.0 >= number));
        reach(BLOCKS_AFTER)?;
        board.set(0, None);
        network.members[0].kill()?;
        network.members[0] = network.members[0].on_an_empty_datadir()?;
        let (number, hash) = head(&follower)?;
        network.start(0, &board)?;
        reach(number + BLOCKS_AFTER)?;
        let block = follower.result("eth_getBlockByNumber", json!([format!("{number:#x}"), false]))?;
        if block["hash"] == hash { Ok(()) } else { Err(format!("block {number} was {hash} and is {}", block["hash"])) }
    })?;
    println!("a sealer on an empty datadir: {witness}");
    witness.verdict()
}

/// Kills at random moments; what was done.
fn kill(network: &mut Network, board: &Board, witness: &Witness, kills: u64, random: &mut StdRng) -> Outcome<String> {
    let (mut dead, mut of_sealers, mut whole) = (0, 0, 0);
    while dead < kills {
        thread::sleep(LIFE_MAX.mul_f64(random.random_range(0.0..1.0)));
        let count = network.members.len();
        let mut victims: Vec<usize> = (0..count).collect();
        victims.shuffle(random);
        // mostly one; two; the whole network
        victims.truncate(match random.random_range(0..10) {
            0..=6 => 1,
            7..=8 => 2,
            _ => count,
        });
        victims.truncate((kills - dead) as usize);
        whole += usize::from(victims.len() == count);
        for victim in &victims {
            board.set(*victim, None);
            network.members[*victim].kill()?;
            of_sealers += usize::from(network.members[*victim].key.is_some());
        }
        dead += victims.len() as u64;
        // What a sealer has signed counts, shown or not.
        witness.on_disk(network)?;
        thread::sleep(AWAY_MAX.mul_f64(random.random_range(0.0..1.0)));
        victims.shuffle(random);
        for victim in victims {
            network.start(victim, board)?;
        }
    }
    Ok(format!("{dead} SIGKILLs, {of_sealers} of them to sealers, {whole} times to the whole network"))
}

/// Waits until all have one head, some blocks on; the block that all have.
fn agree(nodes: &[Seen]) -> Outcome<u64> {
    let height = |node: &Seen| head(&node.http).map(|(number, _)| number);
    let highest = nodes.iter().map(height).collect::<Outcome<Vec<_>>>()?.into_iter().max().unwrap_or_default();
    let wanted = highest + BLOCKS_AFTER;
    let since = Instant::now();
    for node in nodes {
        while height(node)? < wanted {
            if since.elapsed() > SETTLE_TIMEOUT {
                let heads = nodes.iter().map(|node| head(&node.http)).collect::<Outcome<Vec<_>>>()?;
                return Err(format!("the chain does not come to block {wanted} everywhere; heads: {heads:?}"));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }
    // The last blocks may still have siblings: the highest before them has not.
    let block = |node: &Seen| node.http.result("eth_getBlockByNumber", json!([format!("{highest:#x}"), false]));
    let hashes = nodes.iter().map(|node| Ok(block(node)?["hash"].clone())).collect::<Outcome<Vec<_>>>()?;
    match hashes.iter().all(|hash| *hash == hashes[0]) {
        true => Ok(highest),
        false => Err(format!("block {highest} is not the same everywhere: {hashes:?}")),
    }
}

/// Number and hash of a node's latest block.
fn head(http: &Client) -> Outcome<(u64, String)> {
    let block = http.result("eth_getBlockByNumber", json!(["latest", false]))?;
    let number = block["number"].as_str().and_then(|hex| u64::from_str_radix(hex.trim_start_matches("0x"), 16).ok());
    Some((number, block["hash"].as_str()))
        .and_then(|(number, hash)| Some((number?, hash?.to_string())))
        .ok_or_else(|| format!("the latest block has no number or hash: {block}"))
}

/// Where a living node is reached.
#[derive(Clone)]
struct Seen {
    http: Client,
    target: Target,
}

/// Who lives: the killer writes, clients and witnesses read.
struct Board(Mutex<Vec<Option<Seen>>>);

impl Board {
    fn new(count: usize) -> Self {
        Self(Mutex::new(vec![None; count]))
    }

    fn set(&self, index: usize, seen: Option<Seen>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[index] = seen;
    }

    fn get(&self, index: usize) -> Option<Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[index].clone()
    }

    fn living(&self) -> Vec<Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().flatten().cloned().collect()
    }
}

/// A place in the network, alive or not.
struct Member {
    home: Home,
    /// The signer's key and its file.
    key: Option<(NodeKey, String)>,
    /// Kept over its deaths, so that others find it again.
    enode: Option<String>,
    node: Option<Node>,
}

impl Member {
    fn new(genesis: &str, key: Option<&NodeKey>) -> Outcome<Self> {
        let home = Home::new()?;
        let path = home.beside("genesis.json");
        write(&path, genesis)?;
        home.run("init", &[&path])?;
        let sealer = |key: &NodeKey| Outcome::Ok((key.clone(), sealer_file(&home.beside(""), key, 0)?));
        let key = key.map(sealer).transpose()?;
        Ok(Self { home, key, enode: None, node: None })
    }

    /// The same signer, and nothing of what it kept.
    fn on_an_empty_datadir(&self) -> Outcome<Self> {
        let genesis = self.home.beside("genesis.json");
        let genesis = std::fs::read_to_string(&genesis).map_err(|error| format!("{}: {error}", genesis.display()))?;
        Self::new(&genesis, self.key.as_ref().map(|(key, _)| key))
    }

    fn kill(&mut self) -> Outcome {
        self.node.take().map_or(Ok(()), Node::kill)
    }
}

struct Network {
    members: Vec<Member>,
}

impl Network {
    fn new(signers: &[NodeKey], accounts: &[NodeKey]) -> Outcome<Self> {
        let genesis = authority::genesis(TESTNET, signers, PERIOD, accounts)?.to_string();
        let mut members = Vec::new();
        for index in 0..signers.len() + FOLLOWERS {
            members.push(Member::new(&genesis, signers.get(index))?);
        }
        Ok(Self { members })
    }

    /// Does something while everybody is watched; what the nodes said is shown if it fails.
    fn watched(&mut self, board: &Board, witness: &Witness, body: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        let watching = AtomicBool::new(true);
        let outcome = thread::scope(|scope| {
            for index in 0..self.members.len() {
                let watching = &watching;
                scope.spawn(move || witness.listen(board, index, watching));
                scope.spawn(move || witness.poll(board, index, watching));
            }
            let outcome = body(self);
            watching.store(false, Relaxed);
            outcome
        });
        let logs = || self.members.iter().filter_map(|member| member.node.as_ref()).map(Node::log_tail);
        outcome.map_err(|error| format!("{error}\n{}", logs().collect::<Vec<_>>().join("\n---\n")))
    }

    fn start_all(&mut self, board: &Board) -> Outcome {
        (0..self.members.len()).try_for_each(|index| self.start(index, board))
    }

    /// Starts a node where it was; it is told all the others that were ever there.
    fn start(&mut self, index: usize, board: &Board) -> Outcome {
        let enodes = self.members.iter().enumerate().filter(|(other, _)| *other != index);
        let peers = enodes.filter_map(|(_, member)| member.enode.clone()).collect::<Vec<_>>().join(",");
        let member = &mut self.members[index];
        let port = match &member.enode {
            Some(enode) => Target::parse(enode)?.address.port().to_string(),
            None => "0".into(),
        };
        let mut flags = [FLAGS, &["--port", &port, "--peers", &peers]].concat();
        if let Some((_, file)) = &member.key {
            flags.extend(["--sealer", file]);
        }
        let node = Node::start_among_peers(&member.home, &flags)?;
        let enode = node.enode()?.to_string();
        board.set(index, Some(Seen { http: node.http.clone(), target: Target::parse(&enode)? }));
        member.enode = Some(enode);
        member.node = Some(node);
        Ok(())
    }
}
