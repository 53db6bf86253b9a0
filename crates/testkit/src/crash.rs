//! Death at any moment: an import is killed again and again, and every time nothing that was shown is lost.
//!
//! Each kill is followed by a start, whose head must be a block of the chain and not below any head seen before, a
//! clean `db verify`, and the rest of the import. In the end the head is the published one, and so is its state, since
//! every block's root is checked on the way. SIGKILL comes at a random moment; the program also ends itself at named
//! points that a signal rarely hits: between a journal write and its sync, and inside a flush (`STARLING_FAILPOINT`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use crate::Outcome;
use crate::fixtures::find;
use crate::node::{Home, Node, wait};

/// Deaths in the default tests.
pub const KILLS_DEFAULT: usize = 20;

/// Chains to import, the longest at hand.
const CHAINS: &[&str] = &["devp2p-chain/hive-sync", "devp2p-chain/geth-ethtest"];

/// Points at which the program ends itself, and how often an import of a chain here passes them at most.
const FAILPOINTS: &[(&str, u32)] =
    &[("journal-write", 600), ("flush-write", 8), ("flush-commit", 4), ("flush-delete", 4)];

/// Bound of the journal: the chains here are too short to reach the default one, and flushes are what is to be hit.
const JOURNAL_SIZE: &str = "1MiB";

/// An import that is not killed ends within this time.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(600);

/// How an import is brought to its end.
#[derive(Clone, Copy, Debug)]
enum Death {
    /// SIGKILL after this time.
    Signal(Duration),
    /// The program aborts at the n-th pass of a point.
    Point(&'static str, u32),
}

impl Death {
    fn name(&self) -> &'static str {
        match self {
            Self::Signal(_) => "SIGKILL",
            Self::Point(name, _) => name,
        }
    }
}

/// What the chain is, as a node that was never killed knows it.
struct Reference {
    folder: PathBuf,
    node: Node,
    _home: Home,
    head: (u64, String),
    import_time: Duration,
}

/// Kills imports until `kills` of them died; prints the seed, which makes the same choices again.
pub fn run(kills: usize, seed: u64) -> Outcome {
    let Some(folder) = CHAINS.iter().find_map(|chain| find(chain)) else { return Ok(()) };
    println!("crash: seed {seed} (again: testkit crash --kills {kills} --seed {seed})");
    let reference = Reference::new(folder)?;
    let mut random = StdRng::seed_from_u64(seed);
    let mut tally = Vec::new();
    while tally.len() < kills {
        import_once(&reference, &mut random, kills, &mut tally)
            .map_err(|error| format!("after {} deaths, the last {:?}: {error}", tally.len(), tally.last()))?;
    }
    let mut deaths: BTreeMap<&str, usize> = BTreeMap::new();
    for death in &tally {
        *deaths.entry(death.name()).or_default() += 1;
    }
    println!("crash: {} deaths, nothing lost: {deaths:?}", tally.len());
    Ok(())
}

impl Reference {
    fn new(folder: PathBuf) -> Outcome<Self> {
        let home = Home::with_genesis(&folder.join("genesis.json"))?;
        let started = Instant::now();
        home.run("import", &[folder.join("chain.rlp")])?;
        let import_time = started.elapsed();
        let node = Node::start(&home, &[])?;
        Ok(Self { folder, head: node.head()?, node, _home: home, import_time })
    }

    /// Fails unless a block is the chain's.
    fn expect_block(&self, (number, hash): &(u64, String)) -> Outcome {
        let block = self.node.http.result("eth_getBlockByNumber", json!([format!("{number:#x}"), false]))?;
        match block["hash"].as_str() {
            Some(expected) if expected == hash => Ok(()),
            other => Err(format!("block {number} is {hash}, should be {other:?}")),
        }
    }
}

/// One chain from the genesis to its head, through as many deaths as come.
fn import_once(reference: &Reference, random: &mut StdRng, kills: usize, tally: &mut Vec<Death>) -> Outcome {
    let home = Home::with_genesis(&reference.folder.join("genesis.json"))?;
    let mut seen = (0, String::new());
    loop {
        let death = (tally.len() < kills).then(|| choose(random, reference.import_time, tally.len()));
        let died = import(&home, reference, death)?;
        if died {
            tally.extend(death);
        }
        let head = head_after_start(&home)?;
        reference.expect_block(&head)?;
        if head.0 < seen.0 {
            return Err(format!("the head fell from block {} to block {}", seen.0, head.0));
        }
        home.run("db verify", &[] as &[&str])?;
        seen = head;
        if !died {
            break;
        }
    }
    if seen == reference.head { Ok(()) } else { Err(format!("ended at {seen:?}, should be {:?}", reference.head)) }
}

/// Every second death comes at a named point.
fn choose(random: &mut StdRng, import_time: Duration, deaths: usize) -> Death {
    if deaths.is_multiple_of(2) {
        Death::Signal(import_time.mul_f64(random.random_range(0.0..1.0)))
    } else {
        let (point, passes_max) = FAILPOINTS[random.random_range(0..FAILPOINTS.len())];
        Death::Point(point, random.random_range(1..=passes_max))
    }
}

/// Imports the chain; whether it died on the way.
fn import(home: &Home, reference: &Reference, death: Option<Death>) -> Outcome<bool> {
    let log = home.beside("import.log");
    let output = std::fs::File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let mut command = home.command("import")?;
    command.args(["--datadir.journalsize", JOURNAL_SIZE]).arg(reference.folder.join("chain.rlp"));
    command.stdout(std::process::Stdio::null()).stderr(output);
    if let Some(Death::Point(name, passes)) = death {
        command.env("STARLING_FAILPOINT", format!("{name}:{passes}"));
    }
    let mut child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
    let patience = match death {
        Some(Death::Signal(after)) => after,
        _ => IMPORT_TIMEOUT,
    };
    let Some(status) = wait(&mut child, patience)? else {
        child.kill().map_err(|error| format!("SIGKILL: {error}"))?;
        child.wait().map_err(|error| format!("waiting for a killed import: {error}"))?;
        return match death {
            Some(Death::Signal(_)) => Ok(true),
            _ => Err(format!("the import did not end in {IMPORT_TIMEOUT:?}")),
        };
    };
    match (status.success(), death) {
        (true, _) => Ok(false),
        // Ended by the signal of an abort, not by an exit of its own.
        (false, Some(Death::Point(..))) if status.code().is_none() => Ok(true),
        _ => {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            Err(format!("the import ended with {status}:\n{said}"))
        }
    }
}

fn head_after_start(home: &Home) -> Outcome<(u64, String)> {
    let node = Node::start(home, &[])?;
    let head = node.head()?;
    node.stop()?;
    Ok(head)
}
