//! A network of proof of authority half of geth 1.13.15 and half of Starling: two sealers of each, in turn, and a geth
//! that knows only Starlings.
//!
//! ```text
//! geth A ── starling A ── starling B ── geth B        all four seal
//!                 └──── geth F ────┘                  follows
//! ```
//!
//! The geths are not told of each other: what one of them has of the other came through a Starling.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use alloy_primitives::Address;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use starling_primitives::NodeKey;

use super::geth::{Geth, Setup};
use super::{peers::program, wait_for};
use crate::Outcome;
use crate::authority::{self, TESTNET_GETH, address, sealer_file, write};
use crate::http::Client;
use crate::node::{Home, Node};

/// Seconds from one block to the next.
const PERIOD: u64 = 1;
/// Blocks of a full run.
pub const BLOCKS_DEFAULT: u64 = 500;
/// How long all may take to have the last block after one has it.
const AGREE_TIMEOUT: Duration = Duration::from_secs(60);
/// Loopback, any port; peers are named.
const FLAGS: &[&str] = &["--addr", "127.0.0.1", "--port", "0", "--nat", "extip:127.0.0.1", "--nodiscover"];
/// The password of geth's key files, which live for one run.
const PASSWORD: &str = "mixed";

/// Runs the network until it has so many blocks; on the way one of each kind is killed and comes back.
pub fn run(blocks: u64, seed: u64) -> Outcome {
    let geth = program("geth-1.13.15")?;
    let folder = tempfile::tempdir().map_err(|error| format!("a temporary folder: {error}"))?;
    let mut random = StdRng::seed_from_u64(seed);
    let keys: Vec<NodeKey> = (0..4).map(|_| NodeKey::random(&mut random)).collect();
    let genesis = folder.path().join("genesis.json");
    write(&genesis, &authority::genesis(TESTNET_GETH, &keys, PERIOD, &[])?.to_string())?;

    let homes = [Home::with_genesis(&genesis)?, Home::with_genesis(&genesis)?];
    let sealer_files: Vec<String> =
        (0..2).map(|index| sealer_file(folder.path(), &keys[index], index)).collect::<Outcome<_>>()?;
    let start = |index: usize, peers: &[String]| {
        let peers = peers.join(",");
        Node::start_among_peers(
            &homes[index],
            &[FLAGS, &["--sealer", &sealer_files[index], "--peers", &peers]].concat(),
        )
    };
    let first = start(0, &[])?;
    let second = start(1, &[first.enode()?.to_string()])?;
    let mut ours = [first, second];
    let setup = Setup { program: geth, genesis: genesis.clone(), chain: None, peers: true };
    let sealing = |index: usize| sealing_geth(&setup, folder.path(), &keys[2 + index], index);
    let mut theirs = vec![sealing(0)?, sealing(1)?];
    theirs.push(Geth::start(&setup)?);
    connect(&theirs[0], &ours[0])?;
    connect(&theirs[1], &ours[1])?;
    ours.iter().try_for_each(|node| connect(&theirs[2], node))?;

    let timeout = Duration::from_secs(60 + 4 * PERIOD * blocks);
    let reach = |node: &Client, number: u64| {
        wait_for(&format!("block {number}"), timeout, || Ok(head(node)? >= number)).map(drop)
    };
    reach(&theirs[2].http, blocks / 3)?;
    // One of ours dies and comes back on another port, which geth does not look for: it dials them.
    let [one, other] = ours;
    one.kill()?;
    std::thread::sleep(Duration::from_secs(5));
    let back = start(0, &[other.enode()?.to_string(), theirs[0].enode()?, theirs[2].enode()?])?;
    ours = [back, other];
    reach(&theirs[2].http, blocks * 2 / 3)?;
    // One of theirs dies for good, and a fresh one with its key takes its place: it syncs from a Starling.
    drop(theirs.remove(1));
    std::thread::sleep(Duration::from_secs(5));
    theirs.insert(1, sealing(1)?);
    connect(&theirs[1], &ours[1])?;
    reach(&theirs[2].http, blocks)?;

    let all: Vec<(&str, &Client)> = vec![
        ("starling A", &ours[0].http),
        ("starling B", &ours[1].http),
        ("geth A", &theirs[0].http),
        ("geth B", &theirs[1].http),
        ("geth F", &theirs[2].http),
    ];
    let last = blocks - 3;
    for (name, client) in &all {
        wait_for(&format!("block {last} at {name}"), AGREE_TIMEOUT, || Ok(head(client)? >= last))?;
    }
    let signers = compare(&all, last)?;
    let named: BTreeMap<_, _> =
        keys.iter().map(address).zip(["starling A", "starling B", "geth A", "geth B"]).collect();
    let sealed: Vec<String> = signers
        .iter()
        .map(|(signer, count)| format!("{} {count}", named.get(signer).copied().unwrap_or("a stranger")))
        .collect();
    println!("mixed network: all five agree on {last} blocks; sealed: {}", sealed.join(", "));
    if signers.len() == keys.len() { Ok(()) } else { Err(format!("only {} of 4 sealers sealed", signers.len())) }
}

/// All must have the same blocks; who sealed how many.
fn compare(all: &[(&str, &Client)], last: u64) -> Outcome<BTreeMap<Address, usize>> {
    let mut signers = BTreeMap::new();
    for number in 1..=last {
        let mut first: Option<Value> = None;
        for (name, client) in all {
            let block = client.result("eth_getBlockByNumber", json!([format!("{number:#x}"), false]))?;
            let hash = block["hash"].clone();
            match &first {
                Some(expected) if *expected != hash => {
                    return Err(format!("block {number} of {name} is {hash}, should be {expected}"));
                }
                _ => first = Some(hash),
            }
        }
        let (_, geth) = all[all.len() - 1];
        let signer = geth.result("clique_getSigner", json!([first]))?;
        let signer: Address =
            signer.as_str().and_then(|hex| hex.parse().ok()).ok_or("clique_getSigner names nobody")?;
        *signers.entry(signer).or_default() += 1;
    }
    Ok(signers)
}

/// A geth that seals with a key.
fn sealing_geth(setup: &Setup, folder: &Path, key: &NodeKey, index: usize) -> Outcome<Geth> {
    let (raw, password) = (folder.join(format!("geth-key-{index}")), folder.join("password"));
    let keystore = folder.join(format!("keystore-{index}"));
    write(&raw, &key.to_hex())?;
    write(&password, PASSWORD)?;
    if !keystore.exists() {
        let mut import = std::process::Command::new(&setup.program);
        import.args(["account", "import", "--lightkdf", "--keystore"]).arg(&keystore);
        import.arg("--datadir").arg(folder.join("unused")).arg("--password").arg(&password).arg(&raw);
        let output = import.output().map_err(|error| format!("{import:?}: {error}"))?;
        if !output.status.success() {
            return Err(format!("{import:?}: {}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    let (address, keystore, password) =
        (address(key).to_string(), keystore.display().to_string(), password.display().to_string());
    let flags = ["--mine", "--miner.etherbase", &address, "--unlock", &address, "--keystore", &keystore];
    Geth::start_with(setup, &[&flags[..], &["--password", &password, "--allow-insecure-unlock"]].concat())
}

fn connect(geth: &Geth, node: &Node) -> Outcome {
    geth.http.result("admin_addPeer", json!([node.enode()?])).map(drop)
}

fn head(client: &Client) -> Outcome<u64> {
    let number = client.result("eth_blockNumber", json!([]))?;
    let hex = number.as_str().unwrap_or_default().trim_start_matches("0x");
    u64::from_str_radix(hex, 16).map_err(|_| format!("eth_blockNumber answered {number}"))
}
