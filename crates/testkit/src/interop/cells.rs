//! Blobs that travel as cells (eth/72, EIP-8070) between Starling and geth 1.17.10, both ways, and compared with what
//! was sent. Both have a chain that is merged and under Osaka's rules from its first block on.
//!
//! geth fetches a blob either whole or, if a consensus client has told it which columns to keep and two peers have the
//! blobs, those columns alone: then Starling computes columns that are not the blobs' own bytes.

use std::time::Duration;

use alloy_consensus::{EthereumTxEnvelope, SidecarBuilder, SignableTransaction, SimpleCoder, TxEip4844};
use alloy_eips::eip2718::Encodable2718;
use alloy_eips::eip7594::{BlobTransactionSidecarEip7594, BlobTransactionSidecarVariant};
use alloy_primitives::{Address, B256, Bytes, Signature};
use serde_json::{Value, json};
use starling_devp2p::eth::{COLUMNS, CellMask};
use starling_primitives::NodeKey;

use super::geth::{Geth, Setup};
use super::sync::QUIET;
use super::{Report, peers, wait_for};
use crate::Outcome;
use crate::bench::crowd::{BASE_FEE, CHAIN_ID, genesis_text, keys};
use crate::http::Client;
use crate::node::{Home, Node};

/// The flag under test.
const FLAG: &str = "--eth72";
/// How long a transaction may take from one pool to the other.
const TRAVEL_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of text that one blob holds.
const TEXT_BYTES_PER_BLOB: usize = 31 * 4096 - 32;
/// What a consensus client of a small node keeps: own columns of the blobs and others.
const CUSTODY: [u32; 8] = [3, 17, 40, 63, 64, 90, 111, 127];

/// Runs all of it; prints a line for each step.
pub fn run() -> Outcome {
    let mut report = Report::new();
    report.step("whole blobs, geth and Starling", whole);
    report.step("columns of blobs, geth and two Starlings", columns);
    report.end()
}

/// A transaction with blobs as it travels before eth/72, and what its blobs are.
struct Sent {
    raw: Bytes,
    hash: B256,
    sidecar: BlobTransactionSidecarEip7594,
}

impl Sent {
    /// The first transaction of that account, with so many blobs.
    fn new(account: usize, blobs: usize) -> Outcome<Self> {
        let (key, _): (NodeKey, Address) = keys().nth(account).ok_or("no such account")?;
        let length = (blobs - 1) * TEXT_BYTES_PER_BLOB + 1_000;
        let text: Vec<u8> = (0..length).map(|place| (place * 31 + place / 251 + account) as u8).collect();
        let sidecar = SidecarBuilder::<SimpleCoder>::from_slice(&text).build_4844().map_err(|e| e.to_string())?;
        let sidecar = BlobTransactionSidecarVariant::Eip4844(sidecar).try_into_eip7594().map_err(|e| e.to_string())?;
        let tx = TxEip4844 {
            chain_id: CHAIN_ID,
            gas_limit: 21_000,
            max_fee_per_gas: 4 * BASE_FEE,
            max_priority_fee_per_gas: BASE_FEE,
            max_fee_per_blob_gas: BASE_FEE,
            to: Address::repeat_byte(0x42),
            blob_versioned_hashes: sidecar.versioned_hashes().collect(),
            ..Default::default()
        };
        let [signature @ .., parity] = key.sign_recoverable(&tx.signature_hash());
        let signature = Signature::from_bytes_and_parity(&signature, parity == 1);
        let travelling = BlobTransactionSidecarVariant::Eip7594(sidecar.clone());
        let signed = tx.with_sidecar(travelling).into_signed(signature);
        let hash = *signed.hash();
        let raw = EthereumTxEnvelope::Eip4844(signed).encoded_2718().into();
        Ok(Self { raw, hash, sidecar })
    }

    fn give(&self, client: &Client) -> Outcome {
        client.result("eth_sendRawTransaction", json!([self.raw])).map(drop)
    }

    /// Waits until a pool has it; its blobs there must be what was sent.
    fn expect_in(&self, who: &str, http: &Client, engine: &Client) -> Outcome<Duration> {
        let took = wait_for(&format!("{} in the pool of {who}", self.hash), TRAVEL_TIMEOUT, || {
            // geth has an error for what it does not know while it makes its index.
            let answer = http.call("eth_getTransactionByHash", json!([self.hash]))?;
            Ok(answer.is_ok_and(|transaction| !transaction.is_null()))
        })?;
        let hashes: Vec<B256> = self.sidecar.versioned_hashes().collect();
        let blobs = engine.result("engine_getBlobsV2", json!([hashes]))?;
        let expect: Vec<Value> = self
            .sidecar
            .blobs
            .iter()
            .zip(self.sidecar.cell_proofs.chunks(128))
            .map(|(blob, proofs)| json!({ "blob": blob, "proofs": proofs }))
            .collect();
        match blobs == Value::from(expect) {
            true => Ok(took),
            false => Err(format!("{who} has other blobs of {} than were sent", self.hash)),
        }
    }
}

/// A Starling that has been told that its genesis is the head.
struct Ours {
    home: Home,
    node: Node,
}

impl Ours {
    fn start(genesis: &str, flags: &[&str]) -> Outcome<Self> {
        let home = Home::new()?;
        let file = home.beside("genesis.json");
        std::fs::write(&file, genesis).map_err(|error| format!("genesis.json: {error}"))?;
        home.run("init", &[&file])?;
        let node = Node::start_among_peers(&home, &[QUIET, flags].concat())?;
        set_head(&node.engine, None)?;
        Ok(Self { home, node })
    }

    /// The versions of eth that its peers speak, by its own word.
    fn versions(&self) -> Outcome<Vec<u64>> {
        let said = self.home.run("attach", &["admin_peers"])?;
        versions(&serde_json::from_str(&said).map_err(|error| format!("admin_peers: {error}: {said}"))?)
    }
}

fn start_geth(genesis: &Home, custody: Option<CellMask>) -> Outcome<Geth> {
    let setup =
        Setup { program: peers::program("geth")?, genesis: genesis.beside("genesis.json"), chain: None, peers: true };
    let geth = Geth::start(&setup)?;
    set_head(&geth.engine, custody)?;
    Ok(geth)
}

/// Says what a consensus client would: the head is the genesis, and which columns it keeps.
fn set_head(engine: &Client, custody: Option<CellMask>) -> Outcome {
    let genesis = engine.result("eth_getBlockByNumber", json!(["0x0", false]))?;
    let state =
        json!({ "headBlockHash": genesis["hash"], "safeBlockHash": B256::ZERO, "finalizedBlockHash": B256::ZERO });
    let answer = match custody {
        None => engine.result("engine_forkchoiceUpdatedV3", json!([state, null]))?,
        Some(mask) => engine.result("engine_forkchoiceUpdatedV4", json!([state, null, format!("0x{mask}")]))?,
    };
    match answer["payloadStatus"]["status"].as_str() {
        Some("VALID") => Ok(()),
        _ => Err(format!("{}: the genesis as head is answered {answer}", engine.url())),
    }
}

fn versions(peers: &Value) -> Outcome<Vec<u64>> {
    let peers = peers.as_array().ok_or_else(|| format!("admin_peers: {peers}"))?;
    Ok(peers.iter().filter_map(|peer| peer["protocols"]["eth"]["version"].as_u64()).collect())
}

/// Waits until each Starling and geth are peers by eth/72 and no other version.
fn expect_cells(geth: &Geth, ours: &[&Ours]) -> Outcome {
    for one in ours {
        geth.http.result("admin_addPeer", json!([one.node.enode()?]))?;
    }
    let mut seen = (Vec::new(), Vec::new());
    wait_for("peers by eth/72", TRAVEL_TIMEOUT, || {
        let theirs = versions(&geth.http.result("admin_peers", json!([]))?)?;
        let own = ours.iter().map(|one| one.versions()).collect::<Outcome<Vec<_>>>()?.concat();
        let is_done = theirs.len() == ours.len() && own.len() == ours.len();
        seen = (theirs, own);
        Ok(is_done)
    })?;
    match seen.0.iter().chain(&seen.1).all(|version| *version == 72) {
        true => Ok(()),
        false => Err(format!("geth says eth/{:?} and we say eth/{:?}", seen.0, seen.1)),
    }
}

fn whole() -> Outcome<String> {
    let ours = Ours::start(&genesis_text(), &[FLAG])?;
    let geth = start_geth(&ours.home, None)?;
    expect_cells(&geth, &[&ours])?;
    let node = &ours.node;
    let log = |error| format!("{error}\nthe node said:\n{}", node.log_tail());
    let mut times = Vec::new();
    for (account, blobs) in [(0, 1), (1, 6)] {
        let sent = Sent::new(account, blobs)?;
        sent.give(&geth.http)?;
        times.push(sent.expect_in("Starling", &node.http, &node.engine).map_err(log)?);
    }
    for (account, blobs) in [(2, 1), (3, 6)] {
        let sent = Sent::new(account, blobs)?;
        sent.give(&node.http)?;
        times.push(sent.expect_in("geth", &geth.http, &geth.engine).map_err(log)?);
    }
    let [from_one, from_six, to_one, to_six] = times[..] else { return Err("four transactions".into()) };
    Ok(format!(
        "eth/72 by both; 1 and 6 blobs from geth after {:.1} s and {:.1} s, to geth after {:.1} s and {:.1} s, all as sent",
        from_one.as_secs_f64(),
        from_six.as_secs_f64(),
        to_one.as_secs_f64(),
        to_six.as_secs_f64()
    ))
}

/// What geth fetches in part follows its dice, 15 in 100 whole; the columns that it was told to keep must be right.
fn columns() -> Outcome<String> {
    const TRANSACTIONS: usize = 8;
    let first = Ours::start(&genesis_text(), &[FLAG])?;
    let second = Ours::start(&genesis_text(), &[FLAG, "--peers", first.node.enode()?])?;
    let custody = CellMask::of(CUSTODY);
    let geth = start_geth(&first.home, Some(custody))?;
    // The two know each other too.
    geth.http.result("admin_addPeer", json!([first.node.enode()?]))?;
    geth.http.result("admin_addPeer", json!([second.node.enode()?]))?;
    wait_for("three that know each other", TRAVEL_TIMEOUT, || {
        Ok(first.versions()? == [72, 72] && second.versions()? == [72, 72])
    })?;
    let mut in_part = 0;
    for account in 10..10 + TRANSACTIONS {
        let sent = Sent::new(account, 2)?;
        sent.give(&first.node.http)?;
        sent.expect_in("the other Starling", &second.node.http, &second.node.engine)?;
        let in_part_here = sent.expect_columns(&geth.engine, custody);
        in_part += usize::from(in_part_here.map_err(|error| format!("{error}\n{}", first.node.log_tail()))?);
    }
    match in_part {
        0 => Err(format!("geth took all blobs of {TRANSACTIONS} transactions whole")),
        _ => Ok(format!("{in_part} of {TRANSACTIONS} transactions taken in part by geth, every cell as computed")),
    }
}

impl Sent {
    /// Waits until geth has cells of it, which must be right: the columns to be kept, or as many as make it whole.
    /// Whether it is the former.
    fn expect_columns(&self, engine: &Client, custody: CellMask) -> Outcome<bool> {
        let hashes: Vec<B256> = self.sidecar.versioned_hashes().collect();
        let mut answer = Value::Null;
        // What geth has in part it cannot show as a transaction.
        wait_for(&format!("cells of {} in the pool of geth", self.hash), TRAVEL_TIMEOUT, || {
            answer = engine.result("engine_getBlobsV4", json!([hashes, format!("0x{}", CellMask::ALL)]))?;
            Ok((0..hashes.len()).all(|blob| answer[blob].is_object()))
        })?;
        let cells = self.sidecar.compute_cells().map_err(|error| error.to_string())?;
        let mut in_part = false;
        for (blob, cells) in cells.chunks(128).enumerate() {
            let theirs = &answer[blob]["blob_cells"];
            let there = CellMask::of((0..COLUMNS).filter(|column| theirs[*column as usize].is_string()));
            if let Some(column) =
                there.columns().find(|column| theirs[*column as usize] != json!(cells[*column as usize]))
            {
                return Err(format!("geth has another cell in column {column} of blob {blob}"));
            }
            let is_whole = there.to_recover().is_some();
            if !is_whole && !custody.is_subset(there) {
                return Err(format!("geth was told to keep {custody} and has {there} of blob {blob}"));
            }
            in_part |= !is_whole;
        }
        Ok(in_part)
    }
}
