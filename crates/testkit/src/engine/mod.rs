//! The Engine API runner: a whole chain as payloads, and payloads with one thing wrong.
//!
//! A node that knows only the genesis gets the 601 published calls. Each must be VALID with its own hash as the latest
//! valid one, the head must not move, and memory must stay inside the budget. Before some of them the same payload is
//! sent with one field changed; what must be answered is in [`flips`]. Because the true payload follows, a wrong one
//! that spoils anything is found out.
//!
//! For fields that a proposer is free to choose, the answer must be geth's: of the program that `STARLING_GETH` names,
//! or as recorded in `geth-answers.json`.

mod flips;
mod geth;
mod payload;

use std::collections::BTreeMap;

use serde_json::Value;

use self::flips::{Expected, FLIPS, Flip, HASH_KEPT};
use self::payload::Call;
use crate::Outcome;
use crate::fixtures::find;
use crate::http::Client;
use crate::memory::{Watch, mib};
use crate::node::{Home, Node};

const CHAIN: &str = "devp2p-chain/geth-ethtest";

/// Where a changed payload is tried before the true one: Shanghai with logs; Cancun with a blob; the block with a
/// request; one with withdrawals and no transaction; Prague with blobs and logs; and one far from the genesis.
const FLIPPED_BLOCKS: &[usize] = &[5, 9, 13, 17, 23, 39, 400];

/// The budget that the node is given, as its `--memory` flag.
const MEMORY: (&str, u64) = ("512MiB", 512 << 20);

/// An answer, as far as it is compared: its status, and which block it calls the latest valid one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    status: String,
    /// `own`, `parent`, `none`, or another hash.
    latest_valid: String,
    reason: String,
}

/// Answers by `BLOCK FIELD`, as `STATUS LATEST_VALID`.
type Recorded = BTreeMap<String, String>;

/// Runs the whole; prints what was measured, answers with all that is wrong.
pub fn run() -> Outcome {
    let Some(folder) = find(CHAIN) else { return Ok(()) };
    let text = std::fs::read_to_string(folder.join("newpayload.json")).map_err(|error| format!("{CHAIN}: {error}"))?;
    let calls = Call::read_all(&text)?;
    let like_geth = geth::answers(&folder, &calls)?;

    let home = Home::with_genesis(&folder.join("genesis.json"))?;
    let node = Node::start(&home, &["--memory", MEMORY.0])?;
    let genesis = node.head()?;
    let memory = Watch::start(node.pid());
    let mut failures = Vec::new();
    let mut flips = 0;
    for (number, call) in calls.iter().enumerate() {
        if FLIPPED_BLOCKS.contains(&number) {
            flips += check_flips(&node, number, call, &like_geth, &mut failures)?;
        }
        let answer = send(&node.engine, call)?;
        if (answer.status.as_str(), answer.latest_valid.as_str()) != ("VALID", "own") {
            failures.push(format!("block {number} is {answer:?}"));
        }
    }
    if node.head()? != genesis {
        failures.push(format!("the head moved from {genesis:?} to {:?}", node.head()?));
    }
    println!(
        "{} payloads and {flips} changed ones; peak anonymous memory {} of {}",
        calls.len(),
        mib(memory.peak_bytes()),
        MEMORY.0
    );
    if memory.peak_bytes() > MEMORY.1 {
        failures.push(format!("{} of anonymous memory is more than {}", mib(memory.peak_bytes()), MEMORY.0));
    }
    node.stop()?;
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// Sends every change of one payload; how many there were.
fn check_flips(
    node: &Node,
    number: usize,
    call: &Call,
    like_geth: &Recorded,
    failures: &mut Vec<String>,
) -> Outcome<usize> {
    let kept = HASH_KEPT.of(call).map(|changed| (&HASH_KEPT, changed));
    let mut count = 0;
    for (flip, changed) in kept.into_iter().chain(changes(call)?) {
        count += 1;
        let answer = send(&node.engine, &changed)?;
        if let Some(wrong) = judge(&key(number, flip), flip, &answer, like_geth) {
            failures.push(wrong);
        }
    }
    Ok(count)
}

/// Every change that a payload allows, announcing its own new hash.
fn changes(call: &Call) -> Outcome<Vec<(&'static Flip, Call)>> {
    let changed = FLIPS.iter().filter_map(|flip| Some((flip, flip.of(call)?)));
    changed.map(|(flip, call)| Ok((flip, call.with_own_hash()?))).collect()
}

fn key(number: usize, flip: &Flip) -> String {
    format!("{number} {}", flip.name)
}

/// What is wrong with an answer.
fn judge(name: &str, flip: &Flip, answer: &Answer, like_geth: &Recorded) -> Option<String> {
    let right = match flip.expected {
        Expected::Invalid(reason) => answer.status == "INVALID" && answer.reason.to_lowercase().contains(reason),
        Expected::Syncing => answer.status == "SYNCING",
        Expected::LikeGeth => like_geth.get(name).is_some_and(|geths| *geths == answer.short()),
    };
    let wanted = match flip.expected {
        Expected::Invalid(reason) => format!("INVALID with a reason about `{reason}`"),
        Expected::Syncing => "SYNCING".to_string(),
        Expected::LikeGeth => format!("{:?}, as of geth", like_geth.get(name)),
    };
    (!right).then(|| format!("block {name}: {answer:?}, should be {wanted}"))
}

impl Answer {
    fn short(&self) -> String {
        format!("{} {}", self.status, self.latest_valid)
    }
}

/// Sends a payload. An error of the call itself is an answer too, with its code as the status.
fn send(engine: &Client, call: &Call) -> Outcome<Answer> {
    Ok(match engine.call(call.method(), call.params())? {
        Ok(status) => read_status(call, &status),
        Err(error) => Answer { status: error.code.to_string(), latest_valid: "none".into(), reason: error.message },
    })
}

fn read_status(call: &Call, status: &Value) -> Answer {
    let text = |field: &str| status[field].as_str().unwrap_or_default().to_string();
    let latest_valid = match status["latestValidHash"].as_str() {
        None => "none",
        Some(hash) if hash == call.announced() => "own",
        Some(hash) if hash == call.text("parentHash") => "parent",
        Some(hash) => hash,
    };
    Answer { latest_valid: latest_valid.to_string(), status: text("status"), reason: text("validationError") }
}

/// Asks geth for its answers and writes them where the tests look for them.
pub fn record() -> Outcome {
    let folder = find(CHAIN).ok_or("the published payloads are not here")?;
    let text = std::fs::read_to_string(folder.join("newpayload.json")).map_err(|error| format!("{CHAIN}: {error}"))?;
    geth::record(&folder, &Call::read_all(&text)?)
}
