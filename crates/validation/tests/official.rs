//! The official blockchain tests, as far as no EVM is needed: blocks that must be accepted pass every check,
//! and blocks that break a rule of header, body or shape are refused, for that rule.
//!
//! A sample by default; `STARLING_BLOCKCHAIN_TESTS=all` takes every file, `=N` every N-th.

mod common;

use alloy_primitives::{B256, Bytes, U256};
use common::official::{exception, for_each_json, number, spec_of, word};
use serde_json::Value;
use starling_chainspec::ChainSpec;
use starling_primitives::Header;
use starling_testkit::fixtures;
use starling_validation::{Ancestry, CheckOptions, PrepareError, PreparedBlock, check};
use std::{collections::HashMap, sync::Arc};

/// An archive, and every how many files of it are taken by default.
const ARCHIVES: [(&str, usize); 8] = [
    ("ethereum-tests-blockchain-invalid.tar.zst", 1),
    ("ethereum-tests-transition.tar.zst", 1),
    ("ethereum-tests-blockchain-valid.tar.zst", 20),
    ("legacy-constantinople-blockchain.tar.zst", 80),
    ("legacy-cancun-blockchain.tar.zst", 150),
    ("eest-blockchain-stable.tar.zst", 60),
    ("eest-blockchain-allforks.tar.zst", 200),
    ("eest-amsterdam.tar.zst", 120),
];

/// Generations that a block with ommers looks back on.
const GENERATIONS: usize = 7;

/// Blocks of all branches by their hash.
struct Tree {
    spec: ChainSpec,
    seal: bool,
    blocks: HashMap<B256, (Header, U256, Vec<B256>)>,
}

#[test]
fn official_blocks() {
    let (mut accepted, mut refused, mut failures) = (0, 0, Vec::new());
    for (archive, sample) in ARCHIVES {
        let every = match std::env::var("STARLING_BLOCKCHAIN_TESTS").as_deref() {
            Ok("all") => 1,
            Ok(every) => every.parse().expect("STARLING_BLOCKCHAIN_TESTS is `all` or a number"),
            Err(_) => sample,
        };
        let Some(path) = fixtures::find(archive) else { continue };
        for_each_json(&path, every, |file, cases| {
            for (name, case) in cases.as_object().expect("cases") {
                match run_case(case) {
                    Ok((valid, invalid)) => (accepted, refused) = (accepted + valid, refused + invalid),
                    Err(why) => failures.push(format!("{archive} {file} {name}: {why}")),
                }
            }
        });
    }
    eprintln!("{accepted} blocks accepted, {refused} refused");
    assert!(failures.is_empty(), "{} cases failed:\n{}", failures.len(), failures.join("\n"));
}

/// How many blocks of a case were accepted and refused, all as the case says.
fn run_case(case: &Value) -> Result<(usize, usize), String> {
    let spec = spec_of(case)?;
    // cases without a genesis block in RLP have one whose blocks do not decode either
    let Some(genesis) = case["genesisRLP"].as_str() else { return Ok((0, 0)) };
    let genesis: Bytes = genesis.parse().map_err(|error| format!("genesisRLP: {error}"))?;
    let genesis = PreparedBlock::from_rlp(&spec, genesis).map_err(|error| format!("genesis: {error}"))?;
    let header = genesis.block.header.clone();
    let blocks = HashMap::from([(genesis.hash, (header.clone(), header.difficulty, Vec::new()))]);
    let mut tree = Tree { spec, seal: case["sealEngine"] == "Ethash", blocks };
    let (mut accepted, mut refused) = (0, 0);
    for (index, block) in case["blocks"].as_array().ok_or("no blocks")?.iter().enumerate() {
        let expected = block.as_object().into_iter().flatten();
        let expected =
            expected.filter(|(key, _)| key.starts_with("expectException")).find_map(|(_, name)| name.as_str());
        let verdict = tree.offer(block["rlp"].as_str().unwrap_or_default(), expected.is_none());
        match (verdict, expected, block.get("blockHeader")) {
            (Ok(()), None, Some(_)) => accepted += 1,
            (Err(error), None, Some(_)) => return Err(format!("block {index} is valid, and was refused: {error}")),
            (Ok(()), expected, _) => {
                if expected.is_some_and(|names| names.split('|').all(exception::needs_no_evm)) {
                    return Err(format!("block {index} was accepted in spite of {expected:?}"));
                }
            }
            (Err(refusal), expected, _) => {
                let fits = |names: &str| names.split('|').any(|name| refusal.is(name));
                if expected.is_some_and(|names| !fits(names)) {
                    return Err(format!("block {index} was refused for {refusal}, not for {expected:?}"));
                }
                refused += 1;
            }
        }
    }
    Ok((accepted, refused))
}

impl Tree {
    /// Checks a block on whatever parent it names, and keeps it if it passes and `keep` says that running
    /// it would too.
    fn offer(&mut self, rlp: &str, keep: bool) -> Result<(), exception::Refusal> {
        let rlp: Bytes = rlp.parse().map_err(|_| exception::Refusal::NoBytes)?;
        let block = Arc::new(PreparedBlock::from_rlp(&self.spec, rlp)?);
        let header = block.block.header.clone();
        let ancestry = self.ancestry(header.parent_hash).ok_or(exception::Refusal::UnknownParent)?;
        let total = ancestry.parent_total_difficulty.unwrap_or_default() + header.difficulty;
        check(&self.spec, block.clone(), &ancestry, CheckOptions { seal: self.seal })?;
        let ommers = block.block.body.ommers.iter().map(Header::hash_slow).collect();
        if keep {
            self.blocks.insert(block.hash, (header, total, ommers));
        }
        Ok(())
    }

    fn ancestry(&self, parent: B256) -> Option<Ancestry> {
        let (header, total, _) = self.blocks.get(&parent)?;
        let (mut generations, mut next) = (Vec::new(), parent);
        while let Some((header, _, ommers)) = self.blocks.get(&next).filter(|_| generations.len() < GENERATIONS) {
            generations.push((next, header.clone(), ommers.clone()));
            next = header.parent_hash;
        }
        Some(Ancestry { parent: (parent, header.clone()), parent_total_difficulty: Some(*total), generations })
    }
}

#[test]
fn schedules_of_cases() {
    let case = serde_json::json!({"network": "BPO1ToBPO2AtTime15k", "config": {"chainid": "0x01"}});
    let spec = spec_of(&case).expect("a network");
    assert_eq!(spec.time_forks().last().map(|(_, time)| time), Some(15_000));
    assert_eq!((number(&case["config"]["chainid"]), word(&Value::Null)), (1, U256::ZERO));
    assert!(matches!(PreparedBlock::from_rlp(&spec, Bytes::new()), Err(PrepareError::Decode { .. })));
}
