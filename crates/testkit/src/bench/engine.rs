//! newPayload beside geth: the chains of chainforge, block by block into both, and the time of each answer.
//!
//! Both nodes are given each block in turn, first one and then the other, so that whatever else the machine does
//! meets both. Block after block the head follows, as under a consensus client; only newPayload is timed. On a network
//! there are seconds between two blocks, so no call is made before both nodes are idle: what one does behind its answers
//! must not slow down the other's next. CPU time is that of the whole replay after the first blocks and counts all of it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{GETH_CACHE, chainforge, geth_program, quantile, succeed};
use crate::Outcome;
use crate::http::Kept;
use crate::interop::geth::{Geth, Setup};
use crate::memory::cpu;
use crate::node::{Home, Node};

/// Blocks that warm caches and are not counted.
const WARM_BLOCKS: usize = 10;

/// A node is idle when it has used no CPU time for this long, by the system's clock of ten milliseconds.
const IDLE_FOR: Duration = Duration::from_millis(40);
/// No longer than this is waited for it: far more than either does behind an answer.
const IDLE_WAIT_MAX: Duration = Duration::from_secs(2);

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
        let chains = ["transfer", "fresh", "erc20", "sstore", "sload", "deploy", "amm", "compute", "small", "mixed"];
        Self { chains: chains.map(str::to_owned).to_vec(), blocks: 60, gas: 30_000_000, accounts: 200_000 }
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
    let geth = geth_program()?;
    println!("newPayload, ms; {} blocks of {} gas a chain, both nodes in turn", plan.blocks, plan.gas);
    println!(
        "{:<10} {:>9} {:>9} {:>6}   {:>9} {:>9} {:>6}   {:>9} {:>9} {:>6}",
        "", "geth p50", "ours p50", "ratio", "geth p99", "ours p99", "ratio", "geth CPU", "our CPU", "ratio"
    );
    for chain in &plan.chains {
        let folder = tempfile::tempdir().map_err(|error| format!("a temporary folder: {error}"))?;
        forge(&plan, chain, folder.path())?;
        let [geths, ours] = replay(&geth, folder.path()).map_err(|error| format!("{chain}: {error}"))?;
        let columns = [Figures::half, Figures::most, Figures::cpu_a_block].map(|figure| {
            let (geths, ours) = (figure(&geths) * 1000.0, figure(&ours) * 1000.0);
            format!("{geths:>9.2} {ours:>9.2} {:>6.2}", ours / geths)
        });
        println!("{chain:<10} {}", columns.join("   "));
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

/// What one node took, in seconds.
#[derive(Default)]
struct Figures {
    payloads: Vec<f64>,
    cpu: Duration,
}

impl Figures {
    fn half(&self) -> f64 {
        quantile(&self.payloads, 0.5)
    }

    fn most(&self) -> f64 {
        quantile(&self.payloads, 0.99)
    }

    fn cpu_a_block(&self) -> f64 {
        self.cpu.as_secs_f64() / self.payloads.len() as f64
    }
}

/// What geth took, and we.
fn replay(geth: &Path, folder: &Path) -> Outcome<[Figures; 2]> {
    let genesis = folder.join("genesis.json");
    let setup = Setup { program: geth.to_path_buf(), genesis: genesis.clone(), chain: None, peers: false };
    let geth = Geth::start_with(&setup, GETH_CACHE)?;
    let home = Home::with_genesis(&genesis)?;
    let node = Node::start(&home, &[])?;
    let mut engines = [geth.engine.keep()?, node.engine.keep()?];
    let spent = || [geth.pid(), node.pid()].map(|pid| cpu(pid).unwrap_or_default());
    let (mut figures, mut before) = ([Figures::default(), Figures::default()], spent());
    let requests = File::open(folder.join("newpayload.jsonl")).map_err(|error| format!("newpayload.jsonl: {error}"))?;
    for (number, line) in BufReader::new(requests).lines().enumerate() {
        let request = line.map_err(|error| format!("newpayload.jsonl: {error}"))?;
        let is_payload = request.contains("engine_newPayload");
        if number == 2 * WARM_BLOCKS {
            before = spent();
        }
        // Who is first changes from block to block.
        let order = if number / 2 % 2 == 0 { [0, 1] } else { [1, 0] };
        for who in order {
            wait_until_idle(spent);
            let took = ask(&mut engines[who], &request)?;
            if is_payload && number / 2 >= WARM_BLOCKS {
                figures[who].payloads.push(took.as_secs_f64());
            }
        }
    }
    for ((figures, after), before) in figures.iter_mut().zip(spent()).zip(before) {
        figures.cpu = after.saturating_sub(before);
    }
    node.stop()?;
    Ok(figures)
}

/// Waits until both nodes have nothing to do.
fn wait_until_idle(spent: impl Fn() -> [Duration; 2]) {
    let (started, mut last, mut since) = (Instant::now(), spent(), Instant::now());
    while since.elapsed() < IDLE_FOR && started.elapsed() < IDLE_WAIT_MAX {
        std::thread::sleep(IDLE_FOR / 8);
        let now = spent();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
}

/// Sends a request that must be answered VALID; how long it took.
fn ask(engine: &mut Kept, request: &str) -> Outcome<Duration> {
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
