//! Beside real peers: geth's own wire suites, and chains that travel between Starling and geth.
//!
//! The peers are built from their sources by `testnet/interop/install`; what is not there is said, with that command.
//! Everything listens on loopback, every data directory is a temporary one.
//!
//! | module | proves |
//! |---|---|
//! | [`suites`] | geth's `devp2p` tool finds nothing to complain of: discv4, discv5, eth |
//! | [`sync`] | a chain comes from geth and goes to geth, by eth/70 and by eth/68, and from Starling to Starling |
//! | [`others`] | peers that share no code with geth or with us exchange packets with it |
//! | `cells` | blobs go from and to geth by eth/72, whole and in part |
//! | `invalid` | a chain with an invalid block in it, fetched from a peer, is INVALID with its last valid block ever after |
//! | `hostile` | strangers of every bad kind cost neither the node nor its good peers anything |
//! | `mixed` | two Starlings and two geth 1.13.15 seal a chain of proof of authority in turn and agree on every block |
//! | `seen` | twenty nodes see each other's blocks within a second |
//! | [`flock`] | nodes that know one bootnode find one another and agree |

#[cfg(feature = "conformance")]
pub mod cells;
pub mod flock;
pub mod geth;
#[cfg(feature = "conformance")]
pub mod hostile;
#[cfg(feature = "conformance")]
pub mod invalid;
#[cfg(feature = "conformance")]
pub mod mixed;
pub mod others;
#[cfg(feature = "conformance")]
pub mod peer;
pub mod peers;
#[cfg(feature = "conformance")]
pub mod seen;
pub mod suites;
pub mod sync;

use std::time::{Duration, Instant};

use crate::Outcome;

/// How often a wait asks again.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Asks until the answer is yes; the time it took, or what was waited for.
pub(crate) fn wait_for(what: &str, timeout: Duration, mut done: impl FnMut() -> Outcome<bool>) -> Outcome<Duration> {
    let started = Instant::now();
    loop {
        if done()? {
            return Ok(started.elapsed());
        }
        if started.elapsed() > timeout {
            return Err(format!("waited {timeout:?} for {what}"));
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Runs one step after another, prints a line for each, and answers with all that failed.
pub(crate) struct Report {
    failures: Vec<String>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { failures: Vec::new() }
    }

    /// One step: its name, and what it found out.
    pub(crate) fn step(&mut self, name: &str, step: impl FnOnce() -> Outcome<String>) {
        match step() {
            Ok(line) => println!("{name}: {line}"),
            Err(error) => {
                println!("{name}: FAILED");
                self.failures.push(format!("{name}: {error}"));
            }
        }
    }

    pub(crate) fn end(self) -> Outcome {
        if self.failures.is_empty() { Ok(()) } else { Err(self.failures.join("\n")) }
    }
}
