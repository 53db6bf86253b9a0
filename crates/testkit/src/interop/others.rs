//! Peers that share no code with geth or with us: `@ethereumjs/devp2p`, `@chainsafe/discv5`, `discv5-cli`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::suites::set_head;
use super::{Report, peers, wait_for};
use crate::Outcome;
use crate::fixtures::{find, repository};
use crate::node::{Home, Node};

/// Where the JavaScript peers live; `npm ci` there installs what they import.
const SCRIPTS: &str = "testnet/interop/js";

/// What `discv5-cli query` says when it speaks with a node and was told of one.
const SESSION_AND_NODE: [&str; 2] = ["Sessions historically established, ipv4: 1", "Nodes found: 1"];

/// How long it may take until it says so.
const QUERY_TIMEOUT: Duration = Duration::from_secs(20);

/// Each of them against one node with 600 blocks.
pub fn run() -> Outcome {
    let Some(chain) = find("devp2p-chain/geth-ethtest/chain.rlp") else { return Ok(()) };
    let folder = chain.parent().unwrap_or(Path::new("."));
    let genesis = folder.join("genesis.json");
    let home = Home::with_genesis(&genesis)?;
    home.run("import", &[&chain])?;
    let node = Node::start_among_peers(&home, &["--addr", "127.0.0.1", "--port", "0", "--nat", "none"])?;
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

/// discv5-cli asks until it is ended; what counts is that a session was made and that its search found somebody.
fn query(enr: &str) -> Outcome<String> {
    let log = tempfile::NamedTempFile::new().map_err(|error| format!("a log: {error}"))?;
    let port = super::geth::free_ports()?[0].to_string();
    let mut command = Command::new(peers::program("discv5-cli")?);
    command.args(["server", "--listen-addresses", "127.0.0.1", "--listen-port", &port]);
    command.args(["--enr-addresses", "127.0.0.1", "--enr-v4-port", &port, "--break-time", "1", "--stats", "1"]);
    command.args(["--enr", enr, "query"]).stdin(Stdio::null()).stderr(Stdio::null());
    command.stdout(log.reopen().map_err(|error| format!("a log: {error}"))?);
    let mut child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
    let said = || std::fs::read_to_string(log.path()).unwrap_or_default();
    let found = wait_for("a session and a node found", QUERY_TIMEOUT, || {
        let said = said();
        Ok(SESSION_AND_NODE.iter().all(|words| said.contains(words)))
    });
    let _ = child.kill();
    let _ = child.wait();
    found
        .map(|took| format!("a session and a node found after {:.1} s", took.as_secs_f64()))
        .map_err(|error| format!("{error}\n{}", said()))
}

/// Runs a program; all it printed, on one line each, if it was content.
fn run_to_end(command: &mut Command) -> Outcome<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).trim().replace('\n', "\n  ");
    if output.status.success() { Ok(format!("ok\n  {said}")) } else { Err(format!("{}\n  {said}", output.status)) }
}
