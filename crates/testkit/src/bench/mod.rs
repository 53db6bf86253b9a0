//! Measurements beside geth, on chains that geth's own library makes (chainforge).
//!
//! chainforge is not part of this repository: `STARLING_CHAINFORGE` names its folder, or it lies beside the
//! repository. It needs Go, Python 3.11 and, to compare, geth; what is missing is named with the way to get it.

#[cfg(feature = "conformance")]
mod build;
#[cfg(feature = "conformance")]
pub(crate) mod crowd;
mod engine;
#[cfg(feature = "conformance")]
mod p2p;
#[cfg(feature = "conformance")]
mod pool;
mod restart;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

#[cfg(feature = "conformance")]
pub use build::build;
pub use engine::engine;
#[cfg(feature = "conformance")]
pub use p2p::p2p;
#[cfg(feature = "conformance")]
pub use pool::pool;
pub use restart::restart;

use crate::Outcome;
use crate::fixtures::repository;
use crate::node::binary;

/// The clients that are measured: commands to initialise, import and tell the head.
const CLIENTS: &str = "crates/testkit/bench/clients.toml";

/// What geth is given for its caches, in MiB: as in its imports.
const GETH_CACHE: &[&str] = &["--cache", "4096"];

/// Runs `bench-import.py` with geth and starling in turn; further flags go to it (`--help` lists them).
pub fn import(flags: &[String]) -> Outcome {
    for (tool, remedy) in [
        ("python3", "install Python 3.11 or newer"),
        ("go", "install Go 1.26 or newer, from go.dev/dl"),
        ("geth", "go install github.com/ethereum/go-ethereum/cmd/geth@v1.17.10, and put its folder on PATH"),
    ] {
        if find_program(tool).is_none() {
            return Err(format!("{tool} is not on PATH: {remedy}"));
        }
    }
    let mut command = Command::new("python3");
    command.arg(chainforge()?.join("bench-import.py")).arg("--config").arg(repository().join(CLIENTS));
    command.args(["--clients", "geth,starling"]).args(flags).env("PATH", path_with_starling()?);
    succeed(&mut command)
}

/// The folder of chainforge.
fn chainforge() -> Outcome<PathBuf> {
    let folder = match std::env::var_os("STARLING_CHAINFORGE") {
        Some(named) => named.into(),
        None => repository().join("../shared/tools/chainforge"),
    };
    if folder.join("bench-import.py").is_file() {
        Ok(folder)
    } else {
        Err(format!("no chainforge in {}: STARLING_CHAINFORGE names its folder", folder.display()))
    }
}

/// `PATH` with the program under test first.
fn path_with_starling() -> Outcome<OsString> {
    let starling = binary()?;
    let own = starling.parent().map(PathBuf::from).unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&path))).map_err(|error| error.to_string())
}

/// geth: `STARLING_GETH`, or among the built peers, or on `PATH`.
fn geth_program() -> Outcome<PathBuf> {
    let named = std::env::var_os("STARLING_GETH").map(PathBuf::from);
    match named.or_else(|| crate::interop::peers::program("geth").ok()).or_else(|| find_program("geth")) {
        Some(program) => Ok(program),
        None => Err("no geth: testnet/interop/install geth builds it, STARLING_GETH names it, or PATH has it".into()),
    }
}

fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn succeed(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}")) }
}

/// A part of the way through sorted figures: 0.5 is the median.
fn quantile(figures: &[f64], part: f64) -> f64 {
    let mut figures = figures.to_vec();
    figures.sort_by(f64::total_cmp);
    let last = figures.len().saturating_sub(1);
    figures.get((last as f64 * part).round() as usize).copied().unwrap_or(f64::NAN)
}
