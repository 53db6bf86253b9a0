//! A network of hundreds of nodes in virtual time, from one seed.
//!
//! ```text
//!            ┌─────────────── Inhabitant ───────────────┐
//! datagrams ─┤ Discv4 ─► Candidates ─► Peers            │    World: the clock, the links and what is lost on them,
//!     lines ─┤ Pool ◄─► Gossip      Chain ◄─► Announcer ├──► who dies, who is hostile, when the network is parted
//!            └──────────────────────────────────────────┘
//! ```
//!
//! Every node is made of the crates that decide in the real one, joined the same way. Made up are only time, links and
//! sockets: packets take their time and some are lost, TCP sends again what was lost and keeps the order, and a
//! handshake is so many round trips. What nodes say is not packed into frames; discovery's packets are real and signed.
//! The same seed gives the same history.

mod blocks;
mod discovery;
mod discv5;
mod hostile;
mod inhabitant;
mod line;
mod mischief;
mod outbound;
mod partition;
mod spread;
mod talk;
mod world;

use crate::Outcome;
use std::time::Duration;

/// How much is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Seconds: for every run of the tests.
    Small,
    /// What is promised: minutes, in the release profile.
    Full,
}

/// A scenario: how much of it, from which seed.
pub type Scenario = fn(Size, u64) -> Outcome;

/// What can be simulated, by name.
pub const SCENARIOS: [(&str, Scenario); 6] = [
    ("discovery", discovery::run),
    ("discv5", discv5::run),
    ("spread", spread::run),
    ("partition", partition::run),
    ("hostile", hostile::run),
    ("outbound", outbound::run),
];

/// Runs one scenario, or all of them with none named; prints the seed and what was measured.
///
/// # Errors
/// In words, what did not hold, or that there is no such scenario.
pub fn run(name: Option<&str>, size: Size, seed: u64) -> Outcome {
    let chosen: Vec<_> = SCENARIOS.iter().filter(|(known, _)| name.is_none_or(|name| name == *known)).collect();
    if chosen.is_empty() {
        let known: Vec<_> = SCENARIOS.iter().map(|(name, _)| *name).collect();
        return Err(format!("there is no such scenario; there are {}", known.join(", ")));
    }
    let failed: Vec<_> = chosen
        .into_iter()
        .filter_map(|(name, run)| {
            let flag = if size == Size::Small { " --small" } else { "" };
            println!("simulate: {name}, seed {seed} (again: testkit simulate {name}{flag} --seed {seed})");
            run(size, seed).err().map(|error| format!("{name}, seed {seed}: {error}"))
        })
        .collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

/// What so many percent of the values are not above; none of none.
pub(crate) fn percentile<T: Copy + Ord>(values: &mut [T], percent: usize) -> Option<T> {
    values.sort_unstable();
    values.get((values.len() * percent).div_ceil(100).saturating_sub(1)).copied()
}

/// A time in seconds, for people.
fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}
