//! The programs of real peers, where `testnet/interop/install` puts them.

use std::path::PathBuf;

use crate::Outcome;
use crate::fixtures::repository;

/// The folder of built peers: `STARLING_PEERS`, else `target/peers`.
pub fn folder() -> PathBuf {
    std::env::var_os("STARLING_PEERS").map_or_else(|| repository().join("target/peers"), PathBuf::from)
}

/// A peer's program by its name, such as `geth-1.13.15`.
pub fn program(name: &str) -> Outcome<PathBuf> {
    let path = folder().join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(format!("no {name} in {}: build it with `testnet/interop/install {name}` (needs Go)", folder().display()))
}
