//! geth's `devp2p` tool against a running Starling.
//!
//! A version of the tool belongs to its own chain: the numbers and hashes of its suites are constants in it. The
//! fixture chain `geth-ethtest` is the one of 1.17.5; that of 1.17.10, which ends under Amsterdam's rules, lies beside
//! the tool's source. The suites of discovery need no chain.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Report, peers};
use crate::Outcome;
use crate::fixtures::find;
use crate::http::Client;
use crate::node::{Home, Node, wait};

/// The tool of the chain in the fixtures.
const TOOL_OF_CHAIN: &str = "devp2p-1.17.5";

/// The newest tool.
const TOOL_NEWEST: &str = "devp2p";

/// The tests of `eth-test`, in the tool's order.
const ETH_TESTS: &[&str] = &[
    "Status",
    "MaliciousHandshake",
    "BlockRangeUpdateExpired",
    "BlockRangeUpdateFuture",
    "BlockRangeUpdateInvalid",
    "GetBlockHeaders",
    "GetNonexistentBlockHeaders",
    "SimultaneousRequests",
    "SameRequestID",
    "ZeroRequestID",
    "GetBlockBodies",
    "GetReceipts",
    "GetLargeReceipts",
    "LargeTxRequest",
    "Transaction",
    "InvalidTxs",
    "NewPooledTxs",
    "BlobViolations",
    "TestBlobTxWithoutSidecar",
    "TestBlobTxWithMismatchedSidecar",
];

/// What 1.17.10 has beside them: access lists of blocks, and cells, which are skipped where eth/72 is not spoken.
const ETH_TESTS_ADDED: &[&str] = &["GetBlockAccessLists"];
const ETH_TESTS_OF_CELLS: &[&str] = &["BlobTxAvailabilityFailure", "GetCells"];
/// It announces a transaction with the nonce of one that `GetCells` has brought into the pool, at the same price. geth
/// fetches its blobs and refuses it then; we do not fetch blobs of what the pool would not take, and the test waits
/// without end. So it has a node of its own.
const ETH_TESTS_ALONE: &[&str] = &["BlobTxWithInvalidCells"];

/// How long the tool may take for one run.
const TOOL_TIMEOUT: Duration = Duration::from_secs(300);

/// The folder of the chain that 1.17.10's suite of eth belongs to, beside the programs. It ends under Amsterdam's rules.
const CHAIN_NEWEST: &str = "devp2p-chain";

/// One run of the tool.
struct Suite {
    tool: &'static str,
    name: &'static str,
    /// What the node is started with.
    flags: &'static [&'static str],
    /// How many tests the tool must report as passed.
    tests: usize,
    /// How many it may skip: it calls them passed too.
    skipped: usize,
}

impl Suite {
    const fn new(tool: &'static str, name: &'static str, tests: usize) -> Self {
        Self { tool, name, flags: &[], tests, skipped: 0 }
    }
}

const NEWEST_TESTS: usize = ETH_TESTS.len() + ETH_TESTS_ADDED.len();
const CELLS_TESTS: usize = ETH_TESTS_OF_CELLS.len() + ETH_TESTS_ALONE.len();

const SUITES: &[Suite] = &[
    Suite::new(TOOL_OF_CHAIN, "discv4", 15),
    Suite::new(TOOL_OF_CHAIN, "discv5", 7),
    Suite::new(TOOL_OF_CHAIN, "eth", ETH_TESTS.len()),
    Suite::new(TOOL_NEWEST, "discv4", 15),
    Suite::new(TOOL_NEWEST, "discv5", 10),
    Suite { skipped: CELLS_TESTS, ..Suite::new(TOOL_NEWEST, "eth", NEWEST_TESTS) },
    Suite { flags: &["--eth72"], ..Suite::new(TOOL_NEWEST, "eth", NEWEST_TESTS + CELLS_TESTS) },
];

/// All suites, each against a fresh node: the tests leave traces in it.
pub fn run() -> Outcome {
    let mut report = Report::new();
    let Some(chain) = find("devp2p-chain/geth-ethtest/chain.rlp") else { return Ok(()) };
    let folder = chain.parent().unwrap_or(Path::new("."));
    for suite in SUITES {
        let with = suite.flags.iter().map(|flag| format!(" with {flag}")).collect::<String>();
        report.step(&format!("{} of {}{with}", suite.name, suite.tool), || suite.run(folder));
    }
    report.end()
}

/// What became of one test.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    /// With the reason. The tool calls it passed.
    Skipped(String),
}

/// The tests that did not fail by name, out of the tool's TAP: a line for each, then what it said, behind `#`.
fn verdicts(said: &str) -> Vec<(String, Verdict)> {
    let mut verdicts: Vec<(String, Verdict)> = Vec::new();
    for line in said.lines() {
        if let Some((_, name)) = line.strip_prefix("ok ").and_then(|rest| rest.split_once(' ')) {
            verdicts.push((name.to_string(), Verdict::Passed));
        } else if let Some(why) = line.strip_prefix("# skipping: ")
            && let Some((_, verdict)) = verdicts.last_mut()
        {
            *verdict = Verdict::Skipped(why.to_string());
        }
    }
    verdicts
}

impl Suite {
    fn is_eth_of_newest(&self) -> bool {
        self.tool == TOOL_NEWEST && self.name == "eth"
    }

    fn run(&self, fixture: &Path) -> Outcome<String> {
        let newest = peers::folder().join(CHAIN_NEWEST);
        if self.is_eth_of_newest() && !newest.is_dir() {
            return Err(format!("no {CHAIN_NEWEST}: get it with `testnet/interop/install {CHAIN_NEWEST}` (needs Go)"));
        }
        let chain = if self.is_eth_of_newest() { &newest } else { fixture };
        let mut verdicts = self.run_some(chain, &[ETH_TESTS, ETH_TESTS_ADDED, ETH_TESTS_OF_CELLS].concat())?;
        if self.is_eth_of_newest() {
            verdicts.extend(self.run_some(chain, ETH_TESTS_ALONE)?);
        }
        let count = |of: fn(&Verdict) -> bool| verdicts.iter().filter(|(_, verdict)| of(verdict)).count();
        let passed = count(|verdict| *verdict == Verdict::Passed);
        let skipped = count(|verdict| matches!(verdict, Verdict::Skipped(_)));
        let mut summary = format!("{passed}/{} passed", self.tests);
        if skipped > 0 {
            summary += &format!(", {skipped} skipped");
        }
        if self.is_eth_of_newest() {
            for (name, verdict) in &verdicts {
                summary += &match verdict {
                    Verdict::Passed => format!("\n  {name}: passed"),
                    Verdict::Skipped(why) => format!("\n  {name}: skipped, {why}"),
                };
            }
        }
        if (passed, skipped) == (self.tests, self.skipped) { Ok(summary) } else { Err(summary) }
    }

    /// Runs the suite on a fresh node, of the eth suites these tests alone. An error with all that was said if one fails.
    fn run_some(&self, chain: &Path, tests: &[&str]) -> Outcome<Vec<(String, Verdict)>> {
        let home = Home::with_genesis(&chain.join("genesis.json"))?;
        home.run("import", &[chain.join("chain.rlp")])?;
        let quiet = ["--addr", "127.0.0.1", "--port", "0", "--nat", "none"];
        let node = Node::start_among_peers(&home, &[&quiet, self.flags].concat())?;
        let mut command = Command::new(peers::program(self.tool)?);
        match self.name {
            "discv4" => command.args(["discv4", "test", "--tap", "--remote", node.enode()?]),
            "discv5" => command.args(["discv5", "test", "--tap", node.enr()?]),
            _ => {
                set_head(&node.engine, chain)?;
                let secret = std::fs::read_to_string(home.data().join("jwt.hex"))
                    .map_err(|error| format!("jwt.hex: {error}"))?;
                command.args(["rlpx", "eth-test", "--tap", "--run", &format!("^({})$", tests.join("|"))]);
                command.arg("--chain").arg(chain).args(["--node", node.enode()?]);
                command.args(["--engineapi", &node.engine.url(), "--jwtsecret", secret.trim()])
            }
        };
        let file = home.beside("tool.out");
        let output = File::create(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let child = command.stdin(Stdio::null()).stdout(output).stderr(Stdio::null()).spawn();
        let mut child = child.map_err(|error| format!("{command:?}: {error}"))?;
        let status = wait(&mut child, TOOL_TIMEOUT)?;
        if status.is_none() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let said = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let how = match status {
            Some(status) if status.success() => return Ok(verdicts(&said)),
            Some(status) => format!("the tool ended with {status}"),
            None => format!("the tool did not end in {TOOL_TIMEOUT:?}"),
        };
        Err(format!("{how}\n{said}\nthe node said:\n{}", node.log_tail()))
    }
}

/// What a consensus client would say of the chain's head.
pub(crate) fn set_head(engine: &Client, chain: &Path) -> Outcome<String> {
    let answer = engine.send(&super::geth::read_json(&chain.join("headfcu.json"))?)?;
    let status = answer["result"]["payloadStatus"]["status"].as_str();
    status.map(str::to_string).ok_or_else(|| format!("the forkchoice call was answered {answer}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_skipped_is_not_called_passed() {
        let said = "1..4\nok 1 Status\nnot ok 2 GetBlockHeaders\n# what went wrong\nok 3 GetCells\n# This test checks\n\
                    # skipping: node negotiated eth/71, eth/72 required\nok 4 NewPooledTxs\n";
        let expect = [
            ("Status", Verdict::Passed),
            ("GetCells", Verdict::Skipped("node negotiated eth/71, eth/72 required".into())),
            ("NewPooledTxs", Verdict::Passed),
        ];
        assert_eq!(verdicts(said), expect.map(|(name, verdict)| (name.to_string(), verdict)));
    }
}
