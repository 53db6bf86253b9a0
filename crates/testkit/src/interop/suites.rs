//! geth's `devp2p` tool against a running Starling.
//!
//! A version of the tool belongs to its own chain: the numbers and hashes of its suites are constants in it. The
//! fixture chain `geth-ethtest` is the one of 1.17.5; the suites of discovery need no chain.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{Report, peers};
use crate::Outcome;
use crate::fixtures::find;
use crate::http::Client;
use crate::node::{Home, Node};

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

/// One run of the tool.
struct Suite {
    tool: &'static str,
    name: &'static str,
    /// How many tests the tool must report as passed.
    tests: usize,
}

const SUITES: &[Suite] = &[
    Suite { tool: TOOL_OF_CHAIN, name: "discv4", tests: 15 },
    Suite { tool: TOOL_OF_CHAIN, name: "discv5", tests: 7 },
    Suite { tool: TOOL_OF_CHAIN, name: "eth", tests: ETH_TESTS.len() },
    Suite { tool: TOOL_NEWEST, name: "discv4", tests: 15 },
    Suite { tool: TOOL_NEWEST, name: "discv5", tests: 10 },
];

/// All suites, each against a fresh node: the tests leave traces in it.
pub fn run() -> Outcome {
    let mut report = Report::new();
    let Some(chain) = find("devp2p-chain/geth-ethtest/chain.rlp") else { return Ok(()) };
    let folder = chain.parent().unwrap_or(Path::new("."));
    for suite in SUITES {
        report.step(&format!("{} of {}", suite.name, suite.tool), || suite.run(folder));
    }
    report.end()
}

impl Suite {
    fn run(&self, chain: &Path) -> Outcome<String> {
        let tool = peers::program(self.tool)?;
        let home = Home::with_genesis(&chain.join("genesis.json"))?;
        home.run("import", &[chain.join("chain.rlp")])?;
        let node = Node::start_among_peers(&home, &["--addr", "127.0.0.1", "--port", "0", "--nat", "none"])?;
        let mut command = Command::new(tool);
        match self.name {
            "discv4" => command.args(["discv4", "test", "--tap", "--remote", node.enode()?]),
            "discv5" => command.args(["discv5", "test", "--tap", node.enr()?]),
            _ => {
                set_head(&node.engine, chain)?;
                let secret = std::fs::read_to_string(home.data().join("jwt.hex"))
                    .map_err(|error| format!("jwt.hex: {error}"))?;
                command.args(["rlpx", "eth-test", "--tap", "--run", &format!("^({})$", ETH_TESTS.join("|"))]);
                command.arg("--chain").arg(chain).args(["--node", node.enode()?]);
                command.args(["--engineapi", &node.engine.url(), "--jwtsecret", secret.trim()])
            }
        };
        let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let passed = said.lines().filter(|line| line.starts_with("ok ")).count();
        if passed == self.tests && output.status.success() {
            return Ok(format!("{passed}/{} passed", self.tests));
        }
        Err(format!("{passed}/{} passed\n{said}\nthe node said:\n{}", self.tests, node.log_tail()))
    }
}

/// What a consensus client would say of the chain's head.
pub(crate) fn set_head(engine: &Client, chain: &Path) -> Outcome<String> {
    let answer = engine.send(&super::geth::read_json(&chain.join("headfcu.json"))?)?;
    let status = answer["result"]["payloadStatus"]["status"].as_str();
    status.map(str::to_string).ok_or_else(|| format!("the forkchoice call was answered {answer}"))
}
