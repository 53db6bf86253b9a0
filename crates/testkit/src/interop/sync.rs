//! Chains that travel: from geth to Starling, from Starling to geth, and between two Starlings.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::geth::{Geth, Setup, read_json};
use super::suites::set_head;
use super::{Report, peers, wait_for};
use crate::Outcome;
use crate::fixtures::find;
use crate::http::Client;
use crate::node::{Home, Node};

/// How long the 3,000 blocks may take, on a busy machine and in the dev profile.
const SYNC_TIMEOUT: Duration = Duration::from_secs(180);

/// How long a consensus client waits before it repeats itself.
const REPEAT_INTERVAL: Duration = Duration::from_secs(2);

/// The last proof-of-work block of the rpc-compat chain.
const RPC_COMPAT_LAST_PRE_MERGE: u64 = 35;

/// geth's that sync with us, and what they speak.
const GETHS: &[(&str, &str)] = &[("geth", "eth/70"), ("geth-1.13.15", "eth/68")];

/// Flags of every node here: loopback, no discovery, no mapping.
pub(crate) const QUIET: &[&str] = &["--addr", "127.0.0.1", "--port", "0", "--nat", "none", "--nodiscover"];

/// The rpc-compat chain was made without work: its seals are not to be checked.
pub(crate) const FAKE_SEALS: &str = "--fakepow";

/// Every pair; prints a line for each.
pub fn run() -> Outcome {
    let mut report = Report::new();
    if let Some(chain) = find("devp2p-chain/hive-sync/chain.rlp") {
        let folder = chain.parent().unwrap_or(Path::new("."));
        for (name, speaks) in GETHS {
            report.step(&format!("{name} to Starling by {speaks}"), || from_geth(name, folder));
            report.step(&format!("Starling to {name} by {speaks}"), || to_geth(name, folder));
        }
        report.step("Starling to Starling, 3,000 blocks", || told(folder));
    }
    report.step("Starling to Starling by total difficulty, rpc-compat", pre_merge);
    report.step("Starling to Starling by total difficulty, mainnet era1", era);
    report.end()
}

/// Two Starlings and a consensus client, without the rest.
pub fn run_told() -> Outcome {
    let Some(chain) = find("devp2p-chain/hive-sync/chain.rlp") else { return Ok(()) };
    told(chain.parent().unwrap_or(Path::new("."))).map(|line| println!("{line}"))
}

/// Two Starlings before the merge, without the rest.
pub fn run_pre_merge() -> Outcome {
    pre_merge().map(|line| println!("{line}"))
}

/// A geth that holds the chain.
pub(crate) fn geth_with(name: &str, folder: &Path, chain: bool) -> Outcome<Geth> {
    Geth::start(&Setup {
        program: peers::program(name)?,
        genesis: folder.join("genesis.json"),
        chain: chain.then(|| folder.join("chain.rlp")),
        peers: true,
    })
}

fn from_geth(name: &str, folder: &Path) -> Outcome<String> {
    let server = geth_with(name, folder, true)?;
    set_head(&server.engine, folder)?;
    let home = Home::with_genesis(&folder.join("genesis.json"))?;
    let client = Node::start_among_peers(&home, &[QUIET, &["--peers", &server.enode()?]].concat())?;
    follow(&client.http, &client.engine, folder)
        .map_err(|error| format!("{error}\nthe node said:\n{}", client.log_tail()))
}

fn to_geth(name: &str, folder: &Path) -> Outcome<String> {
    let home = Home::with_genesis(&folder.join("genesis.json"))?;
    home.run("import", &[folder.join("chain.rlp")])?;
    let server = Node::start_among_peers(&home, QUIET)?;
    set_head(&server.engine, folder)?;
    let client = geth_with(name, folder, false)?;
    client.http.result("admin_addPeer", json!([server.enode()?]))?;
    follow(&client.http, &client.engine, folder)
        .map_err(|error| format!("{error}\nthe node said:\n{}", server.log_tail()))
}

/// Two Starlings; the one that syncs is told its head by a consensus client.
fn told(folder: &Path) -> Outcome<String> {
    let from = Home::with_genesis(&folder.join("genesis.json"))?;
    from.run("import", &[folder.join("chain.rlp")])?;
    let server = Node::start_among_peers(&from, QUIET)?;
    set_head(&server.engine, folder)?;
    let to = Home::with_genesis(&folder.join("genesis.json"))?;
    let client = Node::start_among_peers(&to, &[QUIET, &["--peers", server.enode()?]].concat())?;
    follow(&client.http, &client.engine, folder)
        .map_err(|error| format!("{error}\nthe node said:\n{}", client.log_tail()))
}

/// Says what a consensus client says, again and again, until the head is reached.
pub(crate) fn follow(http: &Client, engine: &Client, folder: &Path) -> Outcome<String> {
    let call = read_json(&folder.join("headfcu.json"))?;
    let head = call["params"][0]["headBlockHash"].as_str().ok_or("headfcu.json names no head")?.to_string();
    let payload = folder.join("headnewpayload.json");
    let mut said = None;
    let took = wait_for("the head of the chain", SYNC_TIMEOUT, || {
        if said.is_none_or(|at: std::time::Instant| at.elapsed() > REPEAT_INTERVAL) {
            if payload.is_file() {
                engine.send(&read_json(&payload)?)?;
            }
            set_head(engine, folder)?;
            said = Some(std::time::Instant::now());
        }
        Ok(head_hash(http)? == head)
    })?;
    Ok(format!("the head after {:.1} s", took.as_secs_f64()))
}

pub(crate) fn head_hash(http: &Client) -> Outcome<String> {
    let block = http.result("eth_getBlockByNumber", json!(["latest", false]))?;
    block["hash"].as_str().map(str::to_string).ok_or_else(|| format!("a block without a hash: {block}"))
}

/// The proof-of-work part of rpc-compat: nobody says which head is right, the heaviest is.
fn pre_merge() -> Outcome<String> {
    let (Some(genesis), Some(chain)) = (find("rpc-compat/genesis.json"), find("rpc-compat/chain.rlp")) else {
        return Ok("left out, its files are not here".into());
    };
    let home = Home::with_genesis(&genesis)?;
    let part = proof_of_work_part(&genesis, &chain, &home)?;
    by_total_difficulty(&home, &part, &genesis, &[FAKE_SEALS])
}

/// The blocks of rpc-compat before the merge, in a file beside `home`.
pub(crate) fn proof_of_work_part(genesis: &Path, chain: &Path, home: &Home) -> Outcome<PathBuf> {
    let whole = Home::with_genesis(genesis)?;
    whole.run("import", &[chain])?;
    let part = home.beside("pre-merge.rlp");
    let (file, last) = (part.display().to_string(), RPC_COMPAT_LAST_PRE_MERGE.to_string());
    whole.run("export", &[&file, "1", &last])?;
    Ok(part)
}

fn era() -> Outcome<String> {
    let (Some(genesis), Some(file)) = (find("era/mainnet-genesis.json"), find("era/mainnet-00000-5ec1ffb8.era1"))
    else {
        return Ok("left out, its files are not here".into());
    };
    let home = Home::with_genesis(&genesis)?;
    by_total_difficulty(&home, &file, &genesis, &[])
}

/// One Starling has the blocks of a file, the other follows whoever is heaviest.
fn by_total_difficulty(from: &Home, file: &Path, genesis: &Path, flags: &[&str]) -> Outcome<String> {
    from.run("import", &[file])?;
    let server = Node::start_among_peers(from, &[QUIET, flags].concat())?;
    let (number, hash) = server.head()?;
    let to = Home::with_genesis(genesis)?;
    let client = Node::start_among_peers(&to, &[QUIET, flags, &["--peers", server.enode()?]].concat())?;
    let took = wait_for("the heaviest head", SYNC_TIMEOUT, || Ok(client.head()?.1 == hash))
        .map_err(|error| format!("{error}\nthe node said:\n{}", client.log_tail()))?;
    Ok(format!("{number} blocks, the head after {:.1} s", took.as_secs_f64()))
}
