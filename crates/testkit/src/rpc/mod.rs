//! The JSON-RPC conformance runner: one node on the published chain, every request file, a table by method.
//!
//! The node imports the chain, the published `headfcu.json` goes to its Engine port, and then each `.io` file is sent
//! in the order of the folder against the same node. Answers are compared as hive compares them (see [`compare`]).
//! Source: ethereum/execution-apis `tests/`, hive `simulators/ethereum/rpc-compat`.

mod compare;
mod io;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::fixtures::find;
use crate::node::{Home, Node};
use crate::{Outcome, rpc::io::Case};

/// Methods of the published files that the node does not serve yet. Each must answer that it does not exist; a method
/// that begins to be served leaves this list.
const NOT_SERVED: &[&str] =
    &["debug_traceBlockByHash", "debug_traceBlockByNumber", "debug_traceTransaction", "eth_simulateV1"];

/// "Method not found" of JSON-RPC 2.0.
const METHOD_NOT_FOUND: i64 = -32601;

/// How many files of a method passed, failed, or were left out.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    passed: usize,
    failed: usize,
    left_out: usize,
}

/// Runs the cases of a folder (the published ones by default) and prints a table by method.
pub fn run(cases: Option<&Path>) -> Outcome {
    let Some(published) = find("rpc-compat") else { return Ok(()) };
    let folder = cases.unwrap_or(&published);
    // Another folder of cases may bring its own chain; if it does not, it speaks about the published one.
    let chain = if folder.join("chain.rlp").is_file() { folder } else { &published };
    let node = Server::start(chain)?;
    let (tallies, failures) = run_cases(&node.node, &io::cases(folder)?)?;
    print_table(&tallies);
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// A node with the chain imported and its head set.
struct Server {
    node: Node,
    _home: Home,
}

impl Server {
    fn start(chain: &Path) -> Outcome<Self> {
        let home = Home::with_genesis(&chain.join("genesis.json"))?;
        home.run("import", &[chain.join("chain.rlp")])?;
        let node = Node::start(&home, &[])?;
        set_head(&node, &chain.join("headfcu.json"))?;
        Ok(Self { node, _home: home })
    }
}

/// Sends a published forkchoice call to the Engine port.
fn set_head(node: &Node, path: &Path) -> Outcome {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let request: Value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let answer = node.engine.send(&request)?;
    match answer["result"]["payloadStatus"]["status"].as_str() {
        Some("VALID") => Ok(()),
        _ => Err(format!("{} is not VALID: {answer}", path.display())),
    }
}

fn run_cases(node: &Node, cases: &[Case]) -> Outcome<(BTreeMap<String, Tally>, Vec<String>)> {
    if cases.is_empty() {
        return Err("the folder holds no .io file".into());
    }
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let mut failures = Vec::new();
    for case in cases {
        let tally = tallies.entry(case.method.clone()).or_default();
        if NOT_SERVED.contains(&case.method.as_str()) {
            if tally.left_out == 0 {
                failures.extend(check_absent(node, &case.method)?);
            }
            tally.left_out += 1;
            continue;
        }
        let wrong = run_case(node, case)?;
        if wrong.is_empty() {
            tally.passed += 1;
        } else {
            tally.failed += 1;
            failures.push(format!("{}:\n    {}", case.name, wrong.join("\n    ")));
        }
    }
    Ok((tallies, failures))
}

fn run_case(node: &Node, case: &Case) -> Outcome<Vec<String>> {
    let mut wrong = Vec::new();
    for (request, expected) in &case.exchanges {
        let answer = node.http.send(request)?;
        wrong.extend(compare::differences(case, expected, &answer));
    }
    Ok(wrong)
}

/// A method on the list must not exist yet, or the list is wrong.
fn check_absent(node: &Node, method: &str) -> Outcome<Option<String>> {
    Ok(match node.http.call(method, Value::Array(Vec::new()))? {
        Err(error) if error.code == METHOD_NOT_FOUND => None,
        other => Some(format!("{method} is on the list of what is not served, but answers {other:?}")),
    })
}

fn print_table(tallies: &BTreeMap<String, Tally>) {
    println!("| method | passed | failed | not served yet |\n|---|---|---|---|");
    let mut total = Tally::default();
    for (method, tally) in tallies {
        println!("| {method} | {} | {} | {} |", tally.passed, tally.failed, tally.left_out);
        total.passed += tally.passed;
        total.failed += tally.failed;
        total.left_out += tally.left_out;
    }
    println!("| **all** | {} | {} | {} |", total.passed, total.failed, total.left_out);
}
