//! The `starling` program as a black box: commands that end, and a node that runs.
//!
//! Every data directory is a temporary one, every port is free and on loopback, and what the program says is shown
//! when something fails. Only processes started here are ended, by their own handle.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;
use tempfile::TempDir;

use crate::Outcome;
use crate::fixtures::repository;
use crate::http::Client;

/// How long a node may take from its start until it is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a command may take, a long import in the dev profile included.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(900);

/// How long a clean stop may take (INTERFACE: under two seconds, more on a busy machine).
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// How often a wait looks again.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Namespaces that the tests ask by HTTP.
const HTTP_APIS: &str = "eth,net,web3,debug,testing,txpool";

/// Nobody finds it and it finds nobody.
const ALONE: &[&str] = &["--addr", "127.0.0.1", "--port", "0", "--nat", "none", "--nodiscover"];

/// Lines of a log that a failure shows.
const LOG_TAIL_LINES: usize = 40;

/// The program under test: `STARLING_BIN`, or what this build made.
pub fn binary() -> Outcome<PathBuf> {
    if let Some(named) = std::env::var_os("STARLING_BIN") {
        return Ok(named.into());
    }
    let own = std::env::current_exe().map_err(|error| format!("own path: {error}"))?;
    let folders = own.ancestors().skip(1).take(2).map(Path::to_path_buf);
    let beside = folders.map(|folder| folder.join("starling")).find(|path| path.is_file());
    beside.ok_or_else(|| {
        format!("no `starling` beside {}: run `cargo build` in {} first", own.display(), repository().display())
    })
}

/// A temporary folder with a node's data in `data`, and room for other files beside it.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
}

impl Home {
    /// An empty one.
    pub fn new() -> Outcome<Self> {
        let folder = tempfile::Builder::new().prefix("starling-").tempdir();
        folder.map(|folder| Self { folder }).map_err(|error| format!("a temporary folder: {error}"))
    }

    /// One whose data directory holds a genesis.
    pub fn with_genesis(genesis: &Path) -> Outcome<Self> {
        let home = Self::new()?;
        home.run("init", &[genesis])?;
        Ok(home)
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A path beside the data directory.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `starling COMMAND` on this data directory, ready to take more arguments. `COMMAND` may be two words.
    pub fn command(&self, command: &str) -> Outcome<Command> {
        let mut process = Command::new(binary()?);
        // The folder of built peers to us, and `--peers` to the node.
        process.env_remove("STARLING_PEERS");
        process.args(command.split(' ')).arg("--datadir").arg(self.data()).stdin(Stdio::null());
        Ok(process)
    }

    /// Runs a command to its end; its standard output, or what went wrong.
    pub fn run<A: AsRef<std::ffi::OsStr>>(&self, command: &str, arguments: &[A]) -> Outcome<String> {
        let mut process = self.command(command)?;
        process.args(arguments);
        let ended = finish(&mut process, &self.beside("stderr.log"))?;
        if ended.status.success() {
            Ok(ended.stdout)
        } else {
            Err(format!("`starling {command}` ended with {}:\n{}", ended.status, ended.stderr))
        }
    }

    /// Runs a command that must fail; its standard error.
    pub fn run_failing<A: AsRef<std::ffi::OsStr>>(&self, command: &str, arguments: &[A]) -> Outcome<String> {
        let mut process = self.command(command)?;
        process.args(arguments);
        let ended = finish(&mut process, &self.beside("stderr.log"))?;
        if ended.status.success() {
            Err(format!("`starling {command}` should have failed and said:\n{}", ended.stdout))
        } else {
            Ok(ended.stderr)
        }
    }
}

/// A command that ended.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// All it printed as its result.
    pub stdout: String,
    /// All it said meanwhile.
    pub stderr: String,
}

/// Runs a command to its end within [`COMMAND_TIMEOUT`].
fn finish(process: &mut Command, log: &Path) -> Outcome<Ended> {
    let results = log.with_extension("stdout");
    let open = |path: &Path| File::create(path).map_err(|error| format!("{}: {error}", path.display()));
    process.stdout(open(&results)?).stderr(open(log)?);
    let mut child = process.spawn().map_err(|error| format!("{process:?}: {error}"))?;
    let status = wait(&mut child, COMMAND_TIMEOUT)?;
    let read = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    let Some(status) = status else {
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("{process:?} did not end in {COMMAND_TIMEOUT:?}:\n{}", tail(&read(log))));
    };
    Ok(Ended { status, stdout: read(&results), stderr: read(log) })
}

/// Waits for an end; none if it does not come in time.
pub fn wait(child: &mut Child, timeout: Duration) -> Outcome<Option<ExitStatus>> {
    let deadline = Instant::now() + timeout;
    loop {
        match child.try_wait().map_err(|error| format!("waiting for a process: {error}"))? {
            Some(status) => return Ok(Some(status)),
            None if Instant::now() > deadline => return Ok(None),
            None => std::thread::sleep(POLL_INTERVAL),
        }
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}

/// What a ready node writes into its data directory.
#[derive(Debug, Deserialize)]
struct NodeFile {
    http: Option<String>,
    engine: Option<String>,
    jwt: Option<PathBuf>,
    enode: Option<String>,
    enr: Option<String>,
}

/// A running node. It is killed when dropped; its log is shown if that happens in a panic.
#[derive(Debug)]
pub struct Node {
    child: Child,
    log: PathBuf,
    /// Its JSON-RPC over HTTP.
    pub http: Client,
    /// Its Engine API, with the secret.
    pub engine: Client,
    /// From the start of the process until it was ready.
    pub ready_after: Duration,
    enode: Option<String>,
    enr: Option<String>,
}

/// What a ready node announces.
struct Announced {
    http: Client,
    engine: Client,
    enode: Option<String>,
    enr: Option<String>,
}

impl Node {
    /// Starts a node that has no peers on a data directory, and waits until it is ready.
    pub fn start(home: &Home, flags: &[&str]) -> Outcome<Self> {
        Self::start_among_peers(home, &[ALONE, flags].concat())
    }

    /// Starts a node on a data directory and waits until it is ready. `flags` say where it listens for peers.
    pub fn start_among_peers(home: &Home, flags: &[&str]) -> Outcome<Self> {
        let announced = home.data().join("node.json");
        // A killed node leaves its file behind; only a fresh one counts.
        let _ = std::fs::remove_file(&announced);
        let log = home.beside("node.log");
        let output = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let started = Instant::now();
        let mut command = home.command("node")?;
        command
            .args(["--http", "--http.port", "0", "--authrpc.port", "0", "--http.api", HTTP_APIS])
            .args(flags)
            .stdout(Stdio::null())
            .stderr(output);
        let mut child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        match wait_until_ready(&mut child, &announced, started) {
            Ok(Announced { http, engine, enode, enr }) => {
                Ok(Self { child, log, http, engine, ready_after: started.elapsed(), enode, enr })
            }
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                Err(format!("{error}; it said:\n{}", tail(&said)))
            }
        }
    }

    /// The process id, for looking at its memory.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where peers reach it, as an enode URL.
    pub fn enode(&self) -> Outcome<&str> {
        self.enode.as_deref().ok_or_else(|| "node.json names no `enode`".into())
    }

    /// Its own node record.
    pub fn enr(&self) -> Outcome<&str> {
        self.enr.as_deref().ok_or_else(|| "node.json names no `enr`".into())
    }

    /// Number and hash of the latest block.
    pub fn head(&self) -> Outcome<(u64, String)> {
        let block = self.http.result("eth_getBlockByNumber", json!(["latest", false]))?;
        let number =
            block["number"].as_str().and_then(|hex| u64::from_str_radix(hex.trim_start_matches("0x"), 16).ok());
        match (number, block["hash"].as_str()) {
            (Some(number), Some(hash)) => Ok((number, hash.to_string())),
            _ => Err(format!("the latest block has no number or hash: {block}")),
        }
    }

    /// SIGKILL, at once.
    pub fn kill(mut self) -> Outcome {
        self.child.kill().map_err(|error| format!("SIGKILL: {error}"))?;
        self.child.wait().map(drop).map_err(|error| format!("waiting for a killed node: {error}"))
    }

    /// SIGTERM, and a clean end; how long it took.
    pub fn stop(mut self) -> Outcome<Duration> {
        let asked = Instant::now();
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM)
            .map_err(|error| format!("SIGTERM: {error}"))?;
        match wait(&mut self.child, STOP_TIMEOUT)? {
            Some(status) if status.success() => Ok(asked.elapsed()),
            Some(status) => Err(format!("the node stopped with {status}; it said:\n{}", self.log_tail())),
            None => Err(format!("the node did not stop in {STOP_TIMEOUT:?}; it said:\n{}", self.log_tail())),
        }
    }

    /// The last lines of what it logged.
    pub fn log_tail(&self) -> String {
        tail(&std::fs::read_to_string(&self.log).unwrap_or_default())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the node said:\n{}", self.log_tail());
        }
    }
}

fn wait_until_ready(child: &mut Child, announced: &Path, started: Instant) -> Outcome<Announced> {
    loop {
        if let Some(clients) = read_node_file(announced) {
            return clients;
        }
        if let Some(status) = child.try_wait().map_err(|error| format!("waiting for a node: {error}"))? {
            return Err(format!("the node ended with {status} before it was ready"));
        }
        if started.elapsed() > READY_TIMEOUT {
            return Err(format!("the node was not ready in {READY_TIMEOUT:?}"));
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// None while the file is absent or half written.
fn read_node_file(path: &Path) -> Option<Outcome<Announced>> {
    let file: NodeFile = serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()?;
    Some(connect(file))
}

fn connect(file: NodeFile) -> Outcome<Announced> {
    let http = file.http.ok_or("node.json names no `http`")?;
    let engine = file.engine.ok_or("node.json names no `engine`")?;
    let jwt = file.jwt.ok_or("node.json names no `jwt`")?;
    let secret = std::fs::read_to_string(&jwt).map_err(|error| format!("{}: {error}", jwt.display()))?;
    let engine = Client::with_secret(&engine, &secret)?;
    Ok(Announced { http: Client::new(&http), engine, enode: file.enode, enr: file.enr })
}
