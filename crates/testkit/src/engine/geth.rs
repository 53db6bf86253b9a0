//! geth as the reference for what is left to the proposer: asked now, or recorded before.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::payload::Call;
use super::{FLIPPED_BLOCKS, Recorded, changes, key, send};
use crate::Outcome;
use crate::fixtures::repository;
use crate::interop::geth::{Geth, Setup};

/// Answers of geth 1.17.10, written by `testkit engine --record`.
const RECORDED: &str = "crates/testkit/src/engine/geth-answers.json";

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
    let setup =
        Setup { program: program.to_path_buf(), genesis: folder.join("genesis.json"), chain: None, peers: false };
    let geth = Geth::start(&setup)?;
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
