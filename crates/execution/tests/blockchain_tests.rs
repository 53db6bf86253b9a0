//! The official blockchain tests, as far as executing goes: blocks that must be accepted are, with every header
//! field and the state root; of those that must be refused, some are left to `validation`.
//!
//! A sample by default. `STARLING_BLOCKCHAIN_TESTS=all` takes every case, `=N` every N-th file;
//! `STARLING_BLOCKCHAIN_TESTS_ARCHIVE` narrows to archives whose name contains it.

mod common;

use alloy_primitives::{Address, B256, address};
use common::{
    HashedState,
    json::{bytes, for_each_json, hash, number, pre_state},
};
use serde_json::Value;
use starling_chainspec::{Activation, BlobSchedule, ChainSpec, Fork};
use starling_execution::execute_unchecked;
use starling_primitives::{Header, StateDiff};
use starling_testkit::fixtures;
use starling_validation::PreparedBlock;
use std::collections::{BTreeMap, HashMap};

/// An archive, and every how many files of it are taken by default. Those of Amsterdam pin drafts of its gas
/// prices that are older than the fork itself, so they are not among them.
const ARCHIVES: [(&str, usize); 6] = [
    ("eest-blockchain-stable.tar.zst", 120),
    ("eest-blockchain-allforks.tar.zst", 400),
    ("ethereum-tests-blockchain-valid.tar.zst", 30),
    ("ethereum-tests-transition.tar.zst", 1),
    ("legacy-constantinople-blockchain.tar.zst", 400),
    ("legacy-cancun-blockchain.tar.zst", 300),
];

const DEPOSIT_CONTRACT: Address = address!("0x00000000219ab540356cbb839cbe05303d7705fa");

#[test]
fn blocks_of_every_fork() {
    let narrowed = std::env::var("STARLING_BLOCKCHAIN_TESTS_ARCHIVE").unwrap_or_default();
    let mut failed = 0;
    for (archive, sample) in ARCHIVES.iter().filter(|(name, _)| name.contains(&narrowed)) {
        let every = match std::env::var("STARLING_BLOCKCHAIN_TESTS").as_deref() {
            Ok("all") => 1,
            Ok(every) => every.parse().expect("STARLING_BLOCKCHAIN_TESTS is `all` or a number"),
            Err(_) => *sample,
        };
        let Some(path) = fixtures::find(archive) else { continue };
        let mut tally = Tally::default();
        for_each_json(&path, every, |name, file| {
            for (test, case) in file.as_object().unwrap() {
                run_case(&format!("{name} {test}"), case, &mut tally);
            }
        });
        tally.print(archive);
        failed += tally.failures.len();
    }
    assert_eq!(failed, 0, "cases failed");
}

#[derive(Default)]
struct Tally {
    passed: BTreeMap<String, usize>,
    /// By the name of the exception and our reason.
    refused: BTreeMap<(String, String), usize>,
    left: BTreeMap<String, usize>,
    failures: Vec<String>,
}

impl Tally {
    fn print(&self, archive: &str) {
        eprintln!("{archive}: passed {:?}, failed {}", self.passed, self.failures.len());
        for failure in self.failures.iter().take(80) {
            eprintln!("  {failure}");
        }
        if std::env::var_os("STARLING_BLOCKCHAIN_TESTS").is_some() {
            for ((exception, why), count) in &self.refused {
                eprintln!("  refused {count:5} {exception}: {why}");
            }
            for (exception, count) in &self.left {
                eprintln!("  left to validation {count:5} {exception}");
            }
        }
    }
}

fn run_case(name: &str, case: &Value, tally: &mut Tally) {
    let network = case["network"].as_str().unwrap();
    let Some(spec) = spec_for(network, case) else {
        tally.failures.push(format!("{name}: unknown network {network}"));
        return;
    };
    let genesis = pre_state(&case["pre"]);
    let genesis_hash = hash(&case["genesisBlockHeader"]["hash"]);
    let mut states = HashMap::from([(genesis_hash, genesis)]);
    if let Some(genesis) = states.get_mut(&genesis_hash) {
        genesis.block_hashes.insert(0, genesis_hash);
    }
    for (at, entry) in case["blocks"].as_array().unwrap().iter().enumerate() {
        let exception = exception_of(entry, network);
        match (import(&spec, entry, &mut states), exception) {
            (Ok(()), None) => {}
            (Ok(()), Some(exception)) => *tally.left.entry(exception).or_default() += 1,
            (Err(why), Some(exception)) => {
                let reason = why.split([':', '(', '0']).next().unwrap_or_default().chars().take(60).collect();
                *tally.refused.entry((exception, reason)).or_default() += 1;
            }
            (Err(why), None) => {
                tally.failures.push(format!("{name}: block {at}: {why}"));
                return;
            }
        }
    }
    *tally.passed.entry(network.into()).or_default() += 1;
}

fn exception_of(entry: &Value, network: &str) -> Option<String> {
    let named = ["expectException".into(), format!("expectException{network}"), "expectExceptionALL".into()];
    let exception = named.iter().find_map(|name| entry.get(name)).and_then(Value::as_str).map(str::to_owned);
    exception.or_else(|| entry.get("blockHeader").is_none().then(|| "no header".into()))
}

fn import(spec: &ChainSpec, entry: &Value, states: &mut HashMap<B256, HashedState>) -> Result<(), String> {
    let prepared = PreparedBlock::from_rlp(spec, bytes(&entry["rlp"])).map_err(|error| error.to_string())?;
    let header: &Header = &prepared.block.header;
    let parent = states.get(&header.parent_hash).ok_or("unknown parent")?;
    let mut root = |diff: &mut StateDiff| Ok(parent.root_after(diff));
    let computed = execute_unchecked(spec, header, &prepared.block.body, &prepared.senders, parent, &mut root)
        .map_err(|error| error.to_string())?;
    computed.agrees_with(header).map_err(|error| match (&computed.access_list, entry.get("blockAccessList")) {
        (Some(ours), Some(theirs)) => format!("{error}\n    ours {ours}\n    theirs {theirs}"),
        _ => error.to_string(),
    })?;
    let mut state = parent.clone();
    state.apply(&computed.diff);
    if state.root() != header.state_root {
        return Err("state root differs".into());
    }
    state.block_hashes.insert(header.number, prepared.hash);
    states.insert(prepared.hash, state);
    Ok(())
}

fn spec_for(network: &str, case: &Value) -> Option<ChainSpec> {
    let (before, after, activation) = match network.split_once("To") {
        None => (fork_named(network)?, fork_named(network)?, None),
        Some((before, rest)) => {
            let (after, at) = rest.split_once("At")?;
            let activation = match at {
                "5" => Some(Activation::Block(5)),
                "Time15k" => Some(Activation::Time(15_000)),
                _ => None,
            };
            (fork_named(before)?, fork_named(after)?, activation)
        }
    };
    let mut spec = ChainSpec::up_to(after);
    if let Some(activation) = activation {
        // Blob forks without values of their own are not in `up_to`.
        if spec.activation(before).is_none() {
            spec.forks.push((before, Activation::Time(0)));
            spec.forks.sort_by_key(|(fork, _)| *fork);
        }
        // What comes between the two begins with the second.
        for (fork, begins) in &mut spec.forks {
            if *fork > before {
                *begins = activation;
            }
        }
    }
    spec.deposit_contract = Some(DEPOSIT_CONTRACT);
    spec.chain_id = case["config"].get("chainid").map_or(1, number);
    for (name, schedule) in case["config"]["blobSchedule"].as_object().into_iter().flatten() {
        let fork = fork_named(name)?;
        let schedule = BlobSchedule {
            target: number(&schedule["target"]),
            max: number(&schedule["max"]),
            base_fee_update_fraction: number(&schedule["baseFeeUpdateFraction"]),
        };
        spec.blob_schedule.retain(|(known, _)| *known != fork);
        spec.blob_schedule.push((fork, schedule));
    }
    spec.blob_schedule.sort_by_key(|(fork, _)| *fork);
    Some(spec)
}

fn fork_named(network: &str) -> Option<Fork> {
    Some(match network {
        "Frontier" => Fork::Frontier,
        "Homestead" => Fork::Homestead,
        "Dao" => Fork::Dao,
        "EIP150" => Fork::Tangerine,
        "EIP158" => Fork::SpuriousDragon,
        "Byzantium" => Fork::Byzantium,
        "Constantinople" => Fork::Constantinople,
        "ConstantinopleFix" => Fork::Petersburg,
        "Istanbul" => Fork::Istanbul,
        "Berlin" => Fork::Berlin,
        "London" => Fork::London,
        "ArrowGlacier" => Fork::ArrowGlacier,
        "Paris" | "Merge" => Fork::Paris,
        "Shanghai" => Fork::Shanghai,
        "Cancun" => Fork::Cancun,
        "Prague" => Fork::Prague,
        "Osaka" => Fork::Osaka,
        "BPO1" => Fork::Bpo1,
        "BPO2" => Fork::Bpo2,
        "BPO3" => Fork::Bpo3,
        "BPO4" => Fork::Bpo4,
        "Amsterdam" => Fork::Amsterdam,
        _ => return None,
    })
}
