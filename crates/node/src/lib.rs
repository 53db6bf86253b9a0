//! Assembly: configuration, commands, tasks, metrics, shutdown.
//!
//! ```text
//! command line ─► config (layers) ─► commands ─┬─► store: datadir, lock, genesis check, database
//!                                              ├─► import: files ─► workers ─► chain
//!                                              └─► node: chain thread, JSON-RPC, metrics, Ready … stop
//! ```
//!
//! Nothing here decides anything about a block. What an operator sees is made here: one line for an error,
//! with what to do next; logs on stderr, results on stdout; exit statuses 0, 1, 2 and 130.

mod cli;
mod commands;
mod config;
mod datadir;
mod failure;
pub mod formats;
mod gossip;
mod import;
mod logging;
mod memory;
mod metrics;
mod node;
mod p2p;
mod pool;
mod process;
mod sealer;
mod shutdown;
mod size;
mod store;
mod sync;
mod testnet;
mod verify;
mod version;

pub use failure::{Exit, Failure};

use std::process::ExitCode;

/// The whole program: reads the command line, runs the command, says what went wrong.
pub fn main() -> ExitCode {
    process::end_at_writer_panic();
    let parsed = match config::parse(std::env::args_os()) {
        Ok(config::Parsed::Run(cli, matches)) => commands::run(*cli, &matches),
        Ok(config::Parsed::Say(message)) => message.exit(),
        Err(failure) => Err(failure),
    };
    match parsed {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(failure.exit() as u8)
        }
    }
}
