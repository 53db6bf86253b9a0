//! The formula of proof of work: fork by fork, and along the schedules of old chains.

use super::fields::{self, number, same, word};
use crate::conformance::{
    archive::Member,
    cases::{Cases, Failure},
};
use serde_json::Value;
use starling_chainspec::Fork;
use starling_validation::{DifficultyInput, difficulty};

/// keccak of an empty list of ommers: how older files say that the parent has none.
const NO_OMMERS: &str = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347";

pub(super) fn run(member: &Member, cases: &mut Cases<'_>) -> Result<(), String> {
    for (suite, forks) in fields::cases_of(member)? {
        for (fork, tests) in forks.as_object().into_iter().flatten().filter(|(key, _)| *key != "_info") {
            for (name, test) in tests.as_object().into_iter().flatten() {
                cases.case(&format!("{suite}/{fork}/{name}"), fork, || check(fork_of(fork)?, test));
            }
        }
    }
    Ok(())
}

/// Whether a block's difficulty is the one that a fork's rules demand.
pub(super) fn check(fork: Fork, test: &Value) -> Result<(), Failure> {
    let ommers = fields::text(test, "parentUncles").unwrap_or(NO_OMMERS);
    let input = DifficultyInput {
        number: number(test, "currentBlockNumber")?,
        timestamp: number(test, "currentTimestamp")?,
        parent_timestamp: number(test, "parentTimestamp")?,
        parent_difficulty: word(test, "parentDifficulty")?,
        parent_has_ommers: !matches!(ommers, "0x00" | NO_OMMERS),
    };
    same("difficulty", difficulty(fork, input), word(test, "currentDifficulty")?)
}

fn fork_of(name: &str) -> Result<Fork, String> {
    match name {
        // The suite's Berlin is the formula of Muir Glacier, which Berlin keeps.
        "EIP2384" => Ok(Fork::MuirGlacier),
        name => crate::conformance::network::fork_of(name),
    }
}
