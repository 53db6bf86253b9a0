//! Peers that share no code with geth or with us: `@ethereumjs/devp2p`, `@chainsafe/discv5`, `discv5-cli`.

use std::path::Path;
use std::process::{Command, Stdio};

use super::suites::set_head;
use super::{Report, peers};
use crate::Outcome;
use crate::fixtures::{find, repository};
use crate::node::{Home, Node};

/// Where the JavaScript peers live; `npm ci` there installs what they import.
const SCRIPTS: &str = "testnet/interop/js";

/// What `discv5-cli query` says when it has asked a node.
const QUERIED: &str = "Query";

/// Each of them against one node with 600 blocks.
pub fn run() -> Outcome {
    let Some(chain) = find("devp2p-chain/geth-ethtest/chain.rlp") else { return Ok(()) };
    let folder = chain.parent().unwrap_or(Path::new("."));
    let genesis = folder.join("genesis.json");
    let home = Home::with_genesis(&genesis)?;
    home.run("import", &[&chain])?;
    let node = Node::start(&home, &["--addr", "127.0.0.1", "--port", "0", "--nat", "none"])?;
    set_head(&node.engine, folder)?;

    let mut report = Report::new();
    report.step("@ethereumjs/devp2p", || {
        let url = node.http.url();
        script("eth.mjs", &[node.enode()?, &url, &genesis.display().to_string()])
    });
    report.step("@chainsafe/discv5", || script("discv5.mjs", &[node.enr()?]));
    report.step("discv5-cli", || query(node.enr()?));
    report.end().map_err(|error| format!("{error}\nthe node said:\n{}", node.log_tail()))
}

fn script(name: &str, arguments: &[&str]) -> Outcome<String> {
    let folder = repository().join(SCRIPTS);
    if !folder.join("node_modules").is_dir() {
        return Err(format!("its packages are missing: run `npm ci` in {SCRIPTS} (needs Node.js 20 or newer)"));
    }
    run_to_end(Command::new("node").arg(folder.join(name)).args(arguments))
}

fn query(enr: &str) -> Outcome<String> {
    let mut command = Command::new(peers::program("discv5-cli")?);
    let port = super::geth::free_ports()?[0].to_string();
    command.args(["server", "--listen-address", "127.0.0.1", "--listen-port", &port, "--enr", enr, "query"]);
    let said = run_to_end(&mut command)?;
    if said.contains(QUERIED) { Ok(said) } else { Err(said) }
}

/// Runs a program; all it printed, on one line each, if it was content.
fn run_to_end(command: &mut Command) -> Outcome<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).trim().replace('\n', "\n  ");
    if output.status.success() { Ok(format!("ok\n  {said}")) } else { Err(format!("{}\n  {said}", output.status)) }
}
