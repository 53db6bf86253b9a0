//! Real chains, in and out: init, import, the published head, export, and the same bytes again.
//!
//! Every file goes through the program's own commands. A head is published when others name it: the forkchoice call
//! beside a chain, or the last header of an era file, whose hash geth's `era` tool prints as well.

mod era;

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

use crate::Outcome;
use crate::fixtures::find;
use crate::node::{Home, Node};

/// A chain as RLP blocks beside its genesis and the call that sets its head.
struct RlpChain {
    folder: &'static str,
    blocks: u64,
}

const RLP_CHAINS: &[RlpChain] = &[
    RlpChain { folder: "rpc-compat", blocks: 54 },
    RlpChain { folder: "devp2p-chain/geth-ethtest", blocks: 600 },
    RlpChain { folder: "devp2p-chain/hive-sync", blocks: 3000 },
];

/// Consecutive era1 files of one network, each with its last block and that block's hash.
struct EraChain {
    genesis: &'static str,
    files: &'static [(&'static str, u64, &'static str)],
}

const ERA_CHAINS: &[EraChain] = &[
    EraChain {
        genesis: "era/mainnet-genesis.json",
        files: &[
            (
                "era/mainnet-00000-5ec1ffb8.era1",
                8191,
                "0xa6860fefa339c963e1bb622526cc8dd4344eedd2a9b969e74de5cccc445fbed4",
            ),
            (
                "era/mainnet-00001-a5364e9a.era1",
                16383,
                "0x05c64fc4842734317f8f1dfe29a7e16f676575ad82a7dae37cef1379cf8500b5",
            ),
        ],
    },
    EraChain {
        genesis: "era/sepolia-genesis.json",
        files: &[(
            "era/sepolia-00000-643a00f7.era1",
            8191,
            "0x8e3e7dc9ef199c05683417b4aa572f0b7a8bcfafca7edb6045baabc01aa4fb0c",
        )],
    },
];

/// The last proof-of-work block of the rpc-compat chain: what an era1 file of it may hold.
const RPC_COMPAT_LAST_PRE_MERGE: u64 = 35;

/// Every chain at hand; prints a line for each, answers with all that failed.
pub fn run() -> Outcome {
    let mut failures = Vec::new();
    let mut note = |name: &str, outcome: Outcome<Option<String>>| match outcome {
        Ok(Some(line)) => println!("{name}: {line}"),
        Ok(None) => println!("{name}: left out, its files are not here"),
        Err(error) => failures.push(format!("{name}: {error}")),
    };
    for chain in RLP_CHAINS {
        note(chain.folder, rlp_chain(chain));
    }
    for chain in ERA_CHAINS {
        note(chain.files[0].0, era_chain(chain));
    }
    note("rpc-compat as era1", round_trip_as_era());
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// One chain of RLP blocks, by its folder among the fixtures.
pub fn run_rlp(folder: &str) -> Outcome {
    let chain = RLP_CHAINS.iter().find(|chain| chain.folder == folder).ok_or(format!("no chain {folder}"))?;
    rlp_chain(chain)?.iter().for_each(|line| println!("{folder}: {line}"));
    Ok(())
}

/// The first era1 file at hand, and the era1 form of the rpc-compat chain.
pub fn run_era() -> Outcome {
    for chain in ERA_CHAINS {
        era_chain(chain)?.iter().for_each(|line| println!("{}: {line}", chain.files[0].0));
    }
    round_trip_as_era()?.iter().for_each(|line| println!("rpc-compat as era1: {line}"));
    Ok(())
}

fn rlp_chain(chain: &RlpChain) -> Outcome<Option<String>> {
    let Some(folder) = find(chain.folder) else { return Ok(None) };
    let file = folder.join("chain.rlp");
    let home = Home::with_genesis(&folder.join("genesis.json"))?;
    let started = Instant::now();
    home.run("import", &[&file])?;
    let import_s = started.elapsed().as_secs_f64();
    expect_head(&home, chain.blocks, &published_head(&folder)?)?;
    // A second import of the same file changes nothing.
    home.run("import", &[&file])?;
    let exported = home.beside("exported.rlp");
    home.run("export", &[&exported])?;
    expect_same_bytes(&file, &exported)?;
    let back = back_and_forth(chain, &folder)?;
    Ok(Some(format!(
        "{} blocks in {import_s:.1} s, head as published, exported byte for byte; back to block {back} and forth",
        chain.blocks
    )))
}

/// Goes back far, mostly below what is flushed (a small journal makes imports flush), and forth to the same head.
fn back_and_forth(chain: &RlpChain, folder: &Path) -> Outcome<u64> {
    let file = folder.join("chain.rlp");
    let back = chain.blocks / 8;
    let home = Home::with_genesis(&folder.join("genesis.json"))?;
    let import = ["--datadir.journalsize".as_ref(), "1MiB".as_ref(), file.as_os_str()];
    let nothing: &[&str] = &[];
    home.run("import", &import)?;
    home.run("rewind", &[back.to_string()])?;
    home.run("db verify", nothing)?;
    home.run("import", &import)?;
    home.run("db verify", nothing)?;
    expect_head(&home, chain.blocks, &published_head(folder)?)?;
    Ok(back)
}

/// The head that the forkchoice call beside a chain names.
fn published_head(folder: &Path) -> Outcome<String> {
    let path = folder.join("headfcu.json");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let call: Value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let head = call["params"][0]["headBlockHash"].as_str();
    head.map(str::to_string).ok_or_else(|| format!("{} names no headBlockHash", path.display()))
}

/// Starts a node on what was imported; its head must be this one, with its state at hand.
fn expect_head(home: &Home, number: u64, hash: &str) -> Outcome {
    let node = Node::start(home, &[])?;
    let head = node.head()?;
    if head != (number, hash.to_string()) {
        return Err(format!("the head is {} {}, should be {number} {hash}", head.0, head.1));
    }
    let state = node.http.result("eth_getBalance", json!([format!("0x{}", "00".repeat(20)), "latest"]))?;
    if !state.is_string() {
        return Err(format!("the state of the head answers {state}"));
    }
    node.stop().map(drop)
}

fn expect_same_bytes(published: &Path, exported: &Path) -> Outcome {
    let read = |path: &Path| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    let (published, exported) = (read(published)?, read(exported)?);
    if published == exported {
        return Ok(());
    }
    let at = published.iter().zip(&exported).take_while(|(one, other)| one == other).count();
    Err(format!("exported {} bytes, published {}; they differ from byte {at}", exported.len(), published.len()))
}

fn era_chain(chain: &EraChain) -> Outcome<Option<String>> {
    let Some(genesis) = find(chain.genesis) else { return Ok(None) };
    let files: Option<Vec<PathBuf>> = chain.files.iter().map(|(file, ..)| find(file)).collect();
    let Some(files) = files else { return Ok(None) };
    let home = Home::with_genesis(&genesis)?;
    let mut lines = Vec::new();
    let mut first = 0;
    for (file, (_, last, hash)) in files.iter().zip(chain.files) {
        let started = Instant::now();
        home.run("import", &[file])?;
        let import_s = started.elapsed().as_secs_f64();
        expect_head(&home, *last, hash)?;
        let exported = home.beside(&file.file_name().unwrap_or_default().to_string_lossy());
        home.run("export", &[exported.as_os_str(), first.to_string().as_ref(), last.to_string().as_ref()])?;
        lines.push(format!("blocks {first}–{last} in {import_s:.1} s, {}", expect_same_records(file, &exported)?));
        first = last + 1;
    }
    Ok(Some(lines.join("; ")))
}

/// The same bytes, or at least the same records under another compression.
fn expect_same_records(published: &Path, exported: &Path) -> Outcome<&'static str> {
    if expect_same_bytes(published, exported).is_ok() {
        return Ok("exported byte for byte");
    }
    let (wanted, given) = (era::read(published)?, era::read(exported)?);
    match wanted.iter().zip(&given).position(|(one, other)| !one.same_content(other)) {
        Some(at) => Err(format!("record {at} differs: {} against {}", given[at], wanted[at])),
        None if wanted.len() != given.len() => Err(format!("{} records, should be {}", given.len(), wanted.len())),
        None => Ok("exported record for record, compressed otherwise"),
    }
}

/// A pre-merge chain with transactions leaves as era1 and comes back to the same head.
fn round_trip_as_era() -> Outcome<Option<String>> {
    let Some(folder) = find("rpc-compat") else { return Ok(None) };
    let home = Home::with_genesis(&folder.join("genesis.json"))?;
    home.run("import", &[folder.join("chain.rlp")])?;
    let exported = home.beside("blocks.era1");
    let last = RPC_COMPAT_LAST_PRE_MERGE.to_string();
    home.run("export", &[exported.as_os_str(), "0".as_ref(), last.as_ref()])?;

    let again = Home::with_genesis(&folder.join("genesis.json"))?;
    again.run("import", &[&exported])?;
    let node = Node::start(&home, &[])?;
    let block = node.http.result("eth_getBlockByNumber", json!([format!("{RPC_COMPAT_LAST_PRE_MERGE:#x}"), false]))?;
    node.stop()?;
    let hash = block["hash"].as_str().ok_or("the imported chain has no block 35")?;
    expect_head(&again, RPC_COMPAT_LAST_PRE_MERGE, hash)?;
    let verdict = era::verify(&exported, "rpccompat")?;
    Ok(Some(format!("blocks 0–{last}, imported again to the same head; geth's `era verify`: {verdict}")))
}
