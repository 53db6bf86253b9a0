//! geth as a peer and as a reference: a process of its own, on loopback, in a temporary folder.

use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::wait_for;
use crate::Outcome;
use crate::http::Client;

/// How long geth may take until it answers.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// Any 32 bytes: the port is on loopback and lives for one run.
const SECRET: &str = "0x7365637265747365637265747365637265747365637265747365637265747365";

/// What geth 1.13 wants to read in the genesis of a chain that has merged; the genesis hash does not change by it.
const MERGED: &str = "terminalTotalDifficultyPassed";

/// How a geth is to be started.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The program.
    pub program: PathBuf,
    /// Its genesis, in its own format.
    pub genesis: PathBuf,
    /// Blocks to import before it runs.
    pub chain: Option<PathBuf>,
    /// Whether it speaks with peers at all.
    pub peers: bool,
}

/// A running geth; killed when dropped.
#[derive(Debug)]
pub struct Geth {
    child: Child,
    /// Its JSON-RPC, `admin` included.
    pub http: Client,
    /// Its Engine API.
    pub engine: Client,
    _folder: TempDir,
}

impl Geth {
    /// Writes the genesis, imports the chain, starts and waits until it answers.
    pub fn start(setup: &Setup) -> Outcome<Self> {
        Self::start_with(setup, &[])
    }

    /// As [`Self::start`], with further flags.
    pub fn start_with(setup: &Setup, flags: &[&str]) -> Outcome<Self> {
        let folder = tempfile::tempdir().map_err(|error| format!("a temporary folder: {error}"))?;
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(at(name), text).map_err(|error| format!("{name}: {error}"));
        let [peer_port, engine_port, http_port] = free_ports()?;
        write("jwt", SECRET)?;
        write("genesis.json", &genesis(&setup.genesis)?)?;
        // By flag alone, geth's peer port would listen on every address.
        let most = if setup.peers { 50 } else { 0 };
        write(
            "geth.toml",
            &format!("[Node.P2P]\nListenAddr = \"127.0.0.1:{peer_port}\"\nNoDiscovery = true\nMaxPeers = {most}\n"),
        )?;
        let log = at("log");
        run_to_end(&setup.program, &log, |command| {
            command.arg("--datadir").arg(at("data")).arg("init").arg(at("genesis.json"))
        })?;
        if let Some(chain) = &setup.chain {
            run_to_end(&setup.program, &log, |command| {
                command.arg("--datadir").arg(at("data")).arg("import").arg(chain)
            })?;
        }
        let mut command = Command::new(&setup.program);
        command.arg("--config").arg(at("geth.toml")).arg("--datadir").arg(at("data"));
        command.args(["--networkid", &chain_id(&setup.genesis)?.to_string(), "--syncmode", "full", "--ipcdisable"]);
        command.args(["--nodiscover", "--nat", "extip:127.0.0.1", "--netrestrict", "127.0.0.0/8", "--cache", "128"]);
        command.args(["--http", "--http.addr", "127.0.0.1", "--http.port", &http_port.to_string()]);
        command.args(["--http.api", "eth,net,web3,admin,clique,testing,txpool", "--authrpc.addr", "127.0.0.1"]);
        command.args(["--authrpc.port", &engine_port.to_string(), "--authrpc.jwtsecret"]).arg(at("jwt"));
        command.args(flags);
        let child = spawn(&mut command, &log)?;
        let http = Client::new(&format!("http://127.0.0.1:{http_port}"));
        let engine = Client::with_secret(&format!("http://127.0.0.1:{engine_port}"), SECRET)?;
        let geth = Self { child, http, engine, _folder: folder };
        wait_for("geth's first answer", READY_TIMEOUT, || Ok(geth.engine.call("eth_chainId", json!([])).is_ok()))
            .map_err(|error| format!("{error}; it said:\n{}", std::fs::read_to_string(&log).unwrap_or_default()))?;
        Ok(geth)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it can be reached by peers.
    pub fn enode(&self) -> Outcome<String> {
        let info = self.http.result("admin_nodeInfo", json!([]))?;
        let enode = info["enode"].as_str().ok_or_else(|| format!("geth names no enode: {info}"))?;
        Ok(enode.replace("?discport=0", ""))
    }
}

impl Drop for Geth {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The genesis with the member that geth 1.13 asks for.
fn genesis(path: &Path) -> Outcome<String> {
    let mut genesis = read_json(path)?;
    if !genesis["config"]["terminalTotalDifficulty"].is_null() {
        genesis["config"][MERGED] = json!(true);
    }
    Ok(genesis.to_string())
}

fn chain_id(genesis: &Path) -> Outcome<u64> {
    let value = &read_json(genesis)?["config"]["chainId"];
    value.as_u64().ok_or_else(|| format!("{}: no chain id", genesis.display()))
}

/// A file of JSON.
pub(crate) fn read_json(path: &Path) -> Outcome<Value> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn spawn(command: &mut Command, log: &Path) -> Outcome<Child> {
    let log = File::options().create(true).append(true).open(log).map_err(|error| format!("geth's log: {error}"))?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().map_err(|error| format!("{command:?}: {error}"))
}

fn run_to_end(program: &Path, log: &Path, arguments: impl FnOnce(&mut Command) -> &mut Command) -> Outcome {
    let mut command = Command::new(program);
    let status = spawn(arguments(&mut command), log)?.wait().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("{command:?} ended with {status}:\n{}", std::fs::read_to_string(log).unwrap_or_default()))
}

/// Ports that were free for TCP and UDP a moment ago: geth cannot tell which ones it took.
pub(crate) fn free_ports() -> Outcome<[u16; 3]> {
    let pair = || {
        let tcp = TcpListener::bind("127.0.0.1:0")?;
        let udp = UdpSocket::bind(tcp.local_addr()?)?;
        std::io::Result::Ok((tcp, udp))
    };
    let free = || pair().or_else(|_| pair()).map_err(|error| format!("a free port: {error}"));
    let held = [free()?, free()?, free()?];
    let mut ports = [0; 3];
    for (port, (tcp, _)) in ports.iter_mut().zip(&held) {
        *port = tcp.local_addr().map_err(|error| format!("a free port: {error}"))?.port();
    }
    Ok(ports)
}
