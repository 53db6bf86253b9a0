//! newPayload beside geth: the chains of chainforge, block by block into both, and the time of each answer.
//!
//! Both nodes are given each block in turn, first one and then the other, so that whatever else the machine does
//! meets both. Block after block the head follows, as under a consensus client; only newPayload is timed.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{chainforge, find_program, quantile, succeed};
use crate::Outcome;
use crate::http::Client;
use crate::interop::geth::{Geth, Setup};
use crate::node::{Home, Node};

/// Blocks that warm caches and are not counted.
const WARM_BLOCKS: usize = 10;

const USAGE: &str = "usage: testkit bench-engine [--chains NAME,NAME] [--blocks N] [--gas N] [--accounts N]";

/// What is replayed.
struct Plan {
    /// Workloads of chainforge.
    chains: Vec<String>,
    /// Flags of chainforge.
    blocks: u64,
    gas: u64,
    accounts: u64,
}

impl Default for Plan {
    fn default() -> Self {
        let chains = ["transfer", "fresh", "erc20", "sstore", "compute", "small", "mixed"];
        Self { chains: chains.map(str::to_owned).to_vec(), blocks: 200, gas: 30_000_000, accounts: 200_000 }
    }
}

impl Plan {
    fn read(flags: &[String]) -> Outcome<Self> {
        let mut plan = Self::default();
        for pair in flags.chunks(2) {
            let [flag, value] = pair else { return Err(USAGE.into()) };
            let number = || value.parse().map_err(|_| USAGE.to_owned());
            match flag.as_str() {
                "--chains" => plan.chains = value.split(',').map(str::to_owned).collect(),
                "--blocks" => plan.blocks = number()?,
                "--gas" => plan.gas = number()?,
                "--accounts" => plan.accounts = number()?,
                _ => return Err(USAGE.into()),
            }
        }
        Ok(plan)
    }
}

/// Prints p50 and p99 by chain.
pub fn engine(flags: &[String]) -> Outcome {
    let plan = Plan::read(flags)?;
    let geth = std::env::var_os("STARLING_GETH").map(PathBuf::from).or_else(|| find_program("geth"));
    let geth = geth.ok_or("no geth: STARLING_GETH names it, or PATH has it")?;
    println!("newPayload, ms; {} blocks of {} gas a chain, both nodes in turn", plan.blocks, plan.gas);
    println!(
        "{:<10} {:>9} {:>9} {:>6}   {:>9} {:>9} {:>6}",
        "", "geth p50", "ours p50", "ratio", "geth p99", "ours p99", "ratio"
    );
    for chain in &plan.chains {
        let folder = tempfile::tempdir().map_err(|error| format!("a temporary folder: {error}"))?;
        forge(&plan, chain, folder.path())?;
        let [geths, ours] = replay(&geth, folder.path()).map_err(|error| format!("{chain}: {error}"))?;
        let ms = |times: &[f64], part| quantile(times, part) * 1000.0;
        let (geth_half, half) = (ms(&geths, 0.5), ms(&ours, 0.5));
        let (geth_most, most) = (ms(&geths, 0.99), ms(&ours, 0.99));
        println!(
            "{chain:<10} {geth_half:>9.2} {half:>9.2} {:>6.2}   {geth_most:>9.2} {most:>9.2} {:>6.2}",
            half / geth_half,
            most / geth_most
        );
    }
    Ok(())
}

/// Has chainforge make a chain.
fn forge(plan: &Plan, workload: &str, out: &Path) -> Outcome {
    let mut command = Command::new("go");
    command.current_dir(chainforge()?).args(["run", ".", "-seed", "1", "-workload", workload, "-out"]).arg(out);
    command.args(["-blocks", &plan.blocks.to_string(), "-gas", &plan.gas.to_string()]);
    command.args(["-accounts", &plan.accounts.to_string()]).stdout(std::process::Stdio::null());
    succeed(&mut command)
}

/// The times of newPayload in seconds: geth's, and ours.
fn replay(geth: &Path, folder: &Path) -> Outcome<[Vec<f64>; 2]> {
    let genesis = folder.join("genesis.json");
    let setup = Setup { program: geth.to_path_buf(), genesis: genesis.clone(), chain: None, peers: false };
    let geth = Geth::start(&setup)?;
    let home = Home::with_genesis(&genesis)?;
    let node = Node::start(&home, &[])?;
    let engines = [&geth.engine, &node.engine];
    let mut times = [Vec::new(), Vec::new()];
    let requests = File::open(folder.join("newpayload.jsonl")).map_err(|error| format!("newpayload.jsonl: {error}"))?;
    for (number, line) in BufReader::new(requests).lines().enumerate() {
        let request = line.map_err(|error| format!("newpayload.jsonl: {error}"))?;
        let is_payload = request.contains("engine_newPayload");
        // Who is first changes from block to block.
        let order = if number / 2 % 2 == 0 { [0, 1] } else { [1, 0] };
        for who in order {
            let took = ask(engines[who], &request)?;
            if is_payload && number / 2 >= WARM_BLOCKS {
                times[who].push(took.as_secs_f64());
            }
        }
    }
    node.stop()?;
    Ok(times)
}

/// Sends a request that must be answered VALID; how long it took.
fn ask(engine: &Client, request: &str) -> Outcome<Duration> {
    let started = Instant::now();
    let answer = engine.send_text(request)?;
    let took = started.elapsed();
    let result = &answer["result"];
    let status = if result["payloadStatus"].is_null() { &result["status"] } else { &result["payloadStatus"]["status"] };
    match status {
        Value::String(status) if status == "VALID" => Ok(took),
        _ => Err(format!("{}: {answer}", engine.url())),
    }
}
