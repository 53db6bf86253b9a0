//! geth as the reference for what is left to the proposer: asked now, or recorded before.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::payload::Call;
use super::{FLIPPED_BLOCKS, Recorded, changes, key, send};
use crate::Outcome;
use crate::fixtures::repository;
use crate::http::Client;

/// Answers of geth 1.17.10, written by `testkit engine --record`.
const RECORDED: &str = "crates/testkit/src/engine/geth-answers.json";

/// How long geth may take until its Engine API answers.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// Any 32 bytes: the port is on loopback and lives for one run.
const SECRET: &str = "0x7365637265747365637265747365637265747365637265747365637265747365";

/// geth's answers to the changed payloads, from the program that `STARLING_GETH` names or from the record.
pub(super) fn answers(folder: &Path, calls: &[Call]) -> Outcome<Recorded> {
    match std::env::var_os("STARLING_GETH") {
        Some(program) => ask(&PathBuf::from(program), folder, calls),
        None => {
            let path = repository().join(RECORDED);
            let text = std::fs::read_to_string(&path).map_err(|error| format!("{RECORDED}: {error}"))?;
            serde_json::from_str(&text).map_err(|error| format!("{RECORDED}: {error}"))
        }
    }
}

/// Asks geth, and keeps its answers.
pub(super) fn record(folder: &Path, calls: &[Call]) -> Outcome {
    let program = std::env::var_os("STARLING_GETH").unwrap_or_else(|| "geth".into());
    let answers = ask(&PathBuf::from(program), folder, calls)?;
    let text = serde_json::to_string_pretty(&answers).map_err(|error| error.to_string())?;
    std::fs::write(repository().join(RECORDED), text + "\n").map_err(|error| format!("{RECORDED}: {error}"))?;
    println!("{} answers are in {RECORDED}", answers.len());
    Ok(())
}

fn ask(program: &Path, folder: &Path, calls: &[Call]) -> Outcome<Recorded> {
    let geth = Geth::start(program, &folder.join("genesis.json"))?;
    let mut answers = Recorded::new();
    let last = FLIPPED_BLOCKS.iter().max().copied().unwrap_or_default();
    // The genesis is left out: geth refuses it as a payload, which cannot carry its difficulty.
    for (number, call) in calls.iter().enumerate().take(last + 1).skip(1) {
        if FLIPPED_BLOCKS.contains(&number) {
            for (flip, changed) in changes(call)? {
                let answer = send(&geth.engine, &changed)?;
                answers.insert(key(number, flip), answer.short());
            }
        }
        let answer = send(&geth.engine, call)?;
        if answer.status != "VALID" {
            return Err(format!("geth calls block {number} {answer:?}"));
        }
        // geth keeps the states of 128 blocks above its head: the head has to follow.
        geth.engine.result("engine_forkchoiceUpdatedV3", forkchoice(call.announced()))?;
    }
    Ok(answers)
}

fn forkchoice(hash: &str) -> Value {
    json!([{"headBlockHash": hash, "safeBlockHash": hash, "finalizedBlockHash": hash}, null])
}

/// A geth of its own, on loopback, without peers.
struct Geth {
    child: Child,
    engine: Client,
    _folder: tempfile::TempDir,
}

impl Geth {
    fn start(program: &Path, genesis: &Path) -> Outcome<Self> {
        let folder = tempfile::tempdir().map_err(|error| format!("a temporary folder: {error}"))?;
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(at(name), text).map_err(|error| format!("{name}: {error}"));
        write("jwt", SECRET)?;
        // By flag alone, geth's peer port would listen on every address.
        write("geth.toml", "[Node.P2P]\nListenAddr = \"127.0.0.1:0\"\nNoDiscovery = true\nMaxPeers = 0\n")?;
        let log = File::create(at("log")).map_err(|error| format!("geth's log: {error}"))?;
        let run = |arguments: &mut Command| {
            let log = log.try_clone().map_err(|error| format!("geth's log: {error}"))?;
            arguments.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
            arguments.spawn().map_err(|error| format!("{}: {error}", program.display()))
        };
        let mut init = run(Command::new(program).arg("--datadir").arg(at("data")).arg("init").arg(genesis))?;
        let initialised = init.wait().map_err(|error| format!("geth init: {error}"))?;
        if !initialised.success() {
            return Err(format!("geth init ended with {initialised}"));
        }
        let port = free_port()?;
        let mut command = Command::new(program);
        command.arg("--config").arg(at("geth.toml")).arg("--datadir").arg(at("data"));
        command.args(["--syncmode", "full", "--ipcdisable", "--authrpc.addr", "127.0.0.1", "--authrpc.port"]);
        command.arg(port.to_string()).arg("--authrpc.jwtsecret").arg(at("jwt"));
        let child = run(&mut command)?;
        let engine = Client::with_secret(&format!("http://127.0.0.1:{port}"), SECRET)?;
        let geth = Self { child, engine, _folder: folder };
        geth.wait_until_ready()?;
        Ok(geth)
    }

    fn wait_until_ready(&self) -> Outcome {
        let deadline = Instant::now() + READY_TIMEOUT;
        while self.engine.call("eth_chainId", json!([])).is_err() {
            if Instant::now() > deadline {
                return Err(format!("geth was not ready in {READY_TIMEOUT:?}"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

impl Drop for Geth {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago: geth cannot tell which one it took.
fn free_port() -> Outcome<u16> {
    let socket = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    socket.map(|address| address.port()).map_err(|error| format!("a free port: {error}"))
}
