//! A restart after SIGKILL with the journal at its bound, and memory during the import before it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{chainforge, succeed};
use crate::Outcome;
use crate::fixtures::repository;
use crate::memory::{Watch, mib};
use crate::node::{Home, Node};

/// Accounts in the genesis, and blocks of transfers: more changes than the journal may hold at once.
const ACCOUNTS: &str = "200000";
const BLOCKS: &str = "500";

/// Where the chain is kept for the next time; making it takes minutes.
const CHAIN: &str = "target/bench/restart";

/// What the node is given for all its caches and buffers.
const MEMORY: (&str, u64) = ("1GiB", 1 << 30);

/// The goal: the first answer after a kill comes within this time.
const ANSWER_GOAL: Duration = Duration::from_secs(1);

/// How often the journal's size is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// How near the journal must be to the most it ever held, in percent, when the kill comes.
const NEARNESS_PERCENT: u64 = 95;

/// Prints the time to the first answer after a kill at the journal's bound, and the peak of anonymous memory.
pub fn restart() -> Outcome {
    let work = repository().join(CHAIN);
    make_chain(&work)?;
    let (genesis, chain) = (work.join("genesis.json"), work.join("chain.rlp"));

    let whole = import(&genesis, &chain, None)?;
    println!(
        "import of {BLOCKS} blocks: peak anonymous memory {} of {}, journal up to {}",
        mib(whole.memory_bytes),
        MEMORY.0,
        mib(whole.journal_bytes)
    );
    let killed = import(&genesis, &chain, Some(whole.journal_bytes * NEARNESS_PERCENT / 100))?;
    let started = Instant::now();
    let node = Node::start(&killed.home, &["--memory", MEMORY.0])?;
    let (number, hash) = node.head()?;
    let answered = started.elapsed();
    let memory = Watch::start(node.pid());
    node.http.result("eth_getBlockByNumber", json!(["latest", true]))?;
    println!(
        "killed with a journal of {}: first answer after {} ms (block {number} {hash}), anonymous memory {}",
        mib(killed.journal_bytes),
        answered.as_millis(),
        mib(memory.peak_bytes())
    );
    drop(memory);
    node.stop()?;
    killed.home.run("db verify", &[] as &[&str])?;

    let mut missed = Vec::new();
    if answered > ANSWER_GOAL {
        missed.push(format!("the first answer took {answered:?}, the goal is {ANSWER_GOAL:?}"));
    }
    if whole.memory_bytes > MEMORY.1 {
        missed.push(format!(
            "the import took {} of anonymous memory, the budget is {}",
            mib(whole.memory_bytes),
            MEMORY.0
        ));
    }
    if missed.is_empty() { Ok(()) } else { Err(missed.join("\n")) }
}

fn make_chain(folder: &Path) -> Outcome {
    // chainforge writes the summary last.
    if folder.join("summary.json").is_file() {
        return Ok(());
    }
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let program = folder.join("chainforge");
    succeed(Command::new("go").args(["build", "-o"]).arg(&program).arg(".").current_dir(chainforge()?))?;
    let mut command = Command::new(&program);
    command.arg("-out").arg(folder).args(["-workload", "transfer", "-blocks", BLOCKS, "-accounts", ACCOUNTS]);
    succeed(command.args(["-slots", "1000", "-seed", "1"]))
}

/// An import that ended or was killed.
struct Imported {
    home: Home,
    memory_bytes: u64,
    /// The most that the journal held.
    journal_bytes: u64,
}

/// Imports a chain; kills the import once the journal holds `kill_at_bytes`.
fn import(genesis: &Path, chain: &Path, kill_at_bytes: Option<u64>) -> Outcome<Imported> {
    let home = Home::with_genesis(genesis)?;
    let mut command = home.command("import")?;
    command.args(["--memory", MEMORY.0]).arg(chain).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
    let memory = Watch::start(child.id());
    let mut journal_bytes = 0;
    loop {
        journal_bytes = journal_size(&home.data()).max(journal_bytes);
        if let Some(status) = child.try_wait().map_err(|error| format!("waiting for an import: {error}"))? {
            if !status.success() {
                return Err(format!("{command:?} ended with {status}"));
            }
            break;
        }
        if kill_at_bytes.is_some_and(|bound| journal_bytes >= bound) {
            child.kill().map_err(|error| format!("SIGKILL: {error}"))?;
            child.wait().map_err(|error| format!("waiting for a killed import: {error}"))?;
            break;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    let memory_bytes = memory.peak_bytes();
    Ok(Imported { home, memory_bytes, journal_bytes })
}

/// Bytes of the journal's files, wherever storage keeps them. Files that vanish meanwhile count nothing.
fn journal_size(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| {
            let path = entry.path();
            let ours = path.components().any(|part| part.as_os_str().to_string_lossy().contains("journal"));
            match entry.metadata() {
                Ok(facts) if facts.is_dir() => journal_size(&path),
                Ok(facts) if ours => facts.len(),
                _ => 0,
            }
        })
        .sum()
}
