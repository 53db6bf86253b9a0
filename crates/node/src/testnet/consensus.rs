//! The consensus client of a network under proof of stake.
//!
//! It is a small one, made of Lodestar's state transition and Engine client, and runs on Node.js. Its files are part of this
//! program (`testnet/pos` in the repository) and are written beside the network each time it is started:
//!
//! ```text
//! DIR/consensus/driver/       its files and packages
//!               tip.json      where it stands; it goes on from there
//!               pid           its process
//!               driver.log    a line a slot
//! ```

use super::{
    folder::Network,
    process::{is_alive, last_lines, terminate, wait_until_gone},
};
use crate::{
    commands::say,
    failure::{Context, Failure},
};
use serde_json::Value;
use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, Stdio},
};

/// The files of the driver. `setup` fetches the packages that the others import.
const FILES: &[(&str, &str)] = &[
    ("setup", include_str!("../../../../testnet/pos/setup")),
    ("package.json", include_str!("../../../../testnet/pos/package.json")),
    ("package-lock.json", include_str!("../../../../testnet/pos/package-lock.json")),
    ("preset.mjs", include_str!("../../../../testnet/pos/preset.mjs")),
    ("beacon.mjs", include_str!("../../../../testnet/pos/beacon.mjs")),
    ("engine.mjs", include_str!("../../../../testnet/pos/engine.mjs")),
    (MAIN, include_str!("../../../../testnet/pos/local.mjs")),
];
const MAIN: &str = "local.mjs";
/// What it needs of the machine.
const NODE_VERSION_MIN: u32 = 20;

/// Says what is missing on this machine, before anything is made.
pub(super) fn check() -> Result<(), Failure> {
    for program in ["node", "npm"] {
        let answer = Command::new(program).arg("--version").stdin(Stdio::null()).output();
        let Ok(answer) = answer else { return Err(missing(format_args!("{program} is not installed"))) };
        let version = String::from_utf8_lossy(&answer.stdout).trim().to_string();
        let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
        if program == "node" && major.is_none_or(|major| major < NODE_VERSION_MIN) {
            return Err(missing(format_args!("node is version {version}")));
        }
    }
    Ok(())
}

fn missing(what: std::fmt::Arguments<'_>) -> Failure {
    Failure::new(format_args!("{what}, and the consensus client of --pos needs it from version {NODE_VERSION_MIN} on"))
        .remedy("install Node.js with npm (https://nodejs.org), or leave out --pos for a network of sealers")
}

/// Starts it, if it does not run.
pub(super) fn start(network: &Network) -> Result<(), Failure> {
    if pid(network).is_some() {
        return Ok(());
    }
    check()?;
    let folder = folder(network).join("driver");
    fs::create_dir_all(&folder).context(format_args!("cannot make {}", folder.display()))?;
    for (name, text) in FILES {
        let path = folder.join(name);
        fs::write(&path, text).context(format_args!("cannot write {}", path.display()))?;
    }
    let fetched = Command::new("sh").arg(folder.join("setup")).stdin(Stdio::null()).stdout(Stdio::null()).output();
    let fetched = fetched.context("cannot run sh")?;
    if !fetched.status.success() {
        let why = String::from_utf8_lossy(&fetched.stderr).trim().replace('\n', " | ");
        return Err(Failure::new(format_args!("the packages of the consensus client are not there: {why}"))
            .remedy("npm must reach its registry the first time; run this again"));
    }
    let log = log(network);
    let open = || File::options().create(true).append(true).open(&log);
    let output = open().context(format_args!("cannot write {}", log.display()))?;
    let errors = open().context(format_args!("cannot write {}", log.display()))?;
    let mut command = Command::new("node");
    command.arg(folder.join(MAIN)).arg(&network.dir);
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    // A signal to this command, such as Ctrl-C, is none of its.
    command.process_group(0);
    let child = command.spawn().context("cannot start node")?;
    let path = pid_file(network);
    fs::write(&path, child.id().to_string()).context(format_args!("cannot write {}", path.display()))
}

/// Stops it, if it runs.
pub(super) fn stop(network: &Network) -> Result<(), Failure> {
    let Some(running) = pid(network) else { return Ok(()) };
    terminate(running)?;
    wait_until_gone("the consensus client", &log(network), || pid(network).is_some())
}

/// It in one line.
pub(super) fn show(network: &Network) -> Result<(), Failure> {
    let Some(pid) = pid(network) else {
        let why = last_lines(&log(network));
        return say(&format!("consensus does not run; its log is {}: {why}", log(network).display()));
    };
    let tip = fs::read_to_string(folder(network).join("tip.json")).ok();
    let slot = tip.and_then(|text| serde_json::from_str::<Value>(&text).ok()?["slot"].as_u64());
    say(&format!("consensus {pid:<8} slot {}", slot.map_or("?".into(), |slot| slot.to_string())))
}

fn folder(network: &Network) -> PathBuf {
    network.dir.join("consensus")
}

/// What it says.
pub(super) fn log(network: &Network) -> PathBuf {
    folder(network).join("driver.log")
}

fn pid_file(network: &Network) -> PathBuf {
    folder(network).join("pid")
}

/// Its process, if that lives and is not somebody else's who got the number.
fn pid(network: &Network) -> Option<i32> {
    let pid: i32 = fs::read_to_string(pid_file(network)).ok()?.trim().parse().ok()?;
    if !is_alive(pid) {
        return None;
    }
    match fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(words) => words.windows(MAIN.len()).any(|part| part == MAIN.as_bytes()).then_some(pid),
        Err(_) => Some(pid),
    }
}
