//! Nodes as processes that outlive the command which starts them.

use super::folder::{Member, Network};
use crate::failure::{Context, Failure};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, test_kill_process, waitpid};
use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// A node is up within this time of its start, on a busy machine too.
const READY_TIME_MAX: Duration = Duration::from_secs(60);
/// And gone within this time of a signal.
const STOP_TIME_MAX: Duration = Duration::from_secs(30);
/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What the nodes serve.
const APIS: &str = "eth,net,web3,txpool,clique,admin,debug";
/// Lines of a log that a failure shows.
const LOG_LINES: usize = 5;

/// Starts a node and waits until it is up. `known` are records of nodes that it is told.
pub(super) fn start(network: &Network, member: &Member, known: &[String]) -> Result<(), Failure> {
    // One that was killed left its file behind: only a fresh one counts.
    let _ = fs::remove_file(member.node_file());
    let log = member.log();
    let output = File::options().create(true).append(true).open(&log);
    let output = output.context(format_args!("cannot write {}", log.display()))?;
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut command = Command::new(program);
    command.arg("node").arg("--datadir").arg(member.data()).arg("--chain").arg(network.genesis());
    let apis = if network.settings.pos { APIS.replace("clique,", "") } else { APIS.into() };
    command.args(["--addr", &network.settings.addr.to_string(), "--http", "--ws", "--http.api", &apis]);
    // Who is asked first is named; the others are found by discv5.
    command.args(["--discovery.dns", "false", "--discovery.v4=false", "--bootnodes", &known.join(",")]);
    if network.settings.addr.is_loopback() {
        command.args(["--nat", &format!("extip:{}", network.settings.addr)]);
    }
    if network.settings.any_ports {
        command.args(["--port", "0", "--http.port", "0", "--authrpc.port", "0"]);
    } else {
        command.args(["--instance", &(member.number - 1).to_string()]);
    }
    if member.seals() {
        command.arg("--sealer").arg(member.sealer_key());
        if network.members.len() == 1 {
            command.arg("--sealer.alone");
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
    // A signal to this command, such as Ctrl-C, is none of the node's.
    command.process_group(0);
    let mut child = command.spawn().context(format_args!("cannot start {}", member.name))?;
    let since = Instant::now();
    while !member.is_running() {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(Failure::new(format_args!("{} ended with {status}: {}", member.name, last_lines(&log)))
                .remedy(format_args!("see {}; if its ports are taken, use --any-ports", log.display())));
        }
        if since.elapsed() > READY_TIME_MAX {
            return Err(Failure::new(format_args!("{} is not up after {READY_TIME_MAX:?}", member.name))
                .remedy(format_args!("see {}", log.display())));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// Asks a process to end.
pub(super) fn terminate(pid: i32) -> Result<(), Failure> {
    let pid = Pid::from_raw(pid).ok_or_else(|| Failure::new(format_args!("{pid} is no process")))?;
    kill_process(pid, Signal::TERM).context("cannot stop a process")
}

/// Whether there is a process of that number.
pub(super) fn is_alive(pid: i32) -> bool {
    Pid::from_raw(pid).is_some_and(|pid| {
        // One that this command has started keeps its number until somebody asks how it ended.
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        test_kill_process(pid).is_ok()
    })
}

/// Waits until a node that was asked to end has ended: it takes its file away before it lets go of its data.
pub(super) fn wait_for_end(member: &Member, pid: i32) -> Result<(), Failure> {
    wait_until_gone(&member.name, &member.log(), || is_alive(pid))
}

/// Waits until something that was asked to end does not live any more.
pub(super) fn wait_until_gone(name: &str, log: &Path, lives: impl Fn() -> bool) -> Result<(), Failure> {
    let since = Instant::now();
    while lives() {
        if since.elapsed() > STOP_TIME_MAX {
            return Err(
                Failure::new(format_args!("{name} does not stop")).remedy(format_args!("see {}", log.display()))
            );
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// The end of a log, in one line.
pub(super) fn last_lines(log: &Path) -> String {
    let log = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join(" | ")
}
