//! Clique's signers and votes: the scenarios of EIP-225.

use alloy_primitives::{B64, Bytes, keccak256};
use serde_json::Value;
use starling_chainspec::{CLIQUE_SEAL_BYTES, ChainSpec, Consensus, Fork};
use starling_primitives::{Address, B256, BlockRef, Header, NodeKey, U256};
use starling_testkit::fixtures;
use starling_validation::{CliqueRule, CliqueSnapshot, HeaderError, clique};
use std::collections::BTreeSet;

/// EIP-225's default.
const EPOCH_BLOCKS: u64 = 30_000;

fn key(letter: &str) -> NodeKey {
    NodeKey::from_bytes(&keccak256(format!("signer {letter}"))).unwrap()
}

fn address(letter: &str) -> Address {
    Address::from_raw_public_key(key(letter).public().as_slice())
}

fn letters(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|letter| letter.as_str().unwrap()).collect()
}

fn extra_data(signers: &BTreeSet<Address>) -> Vec<u8> {
    let list = signers.iter().flat_map(|signer| signer.to_vec());
    [0; clique::CLIQUE_VANITY_BYTES].into_iter().chain(list).chain([0; CLIQUE_SEAL_BYTES]).collect()
}

/// The next header, sealed.
fn header(snapshot: &CliqueSnapshot, block: &Value) -> Header {
    let signer = block["signer"].as_str().unwrap();
    let number = snapshot.at.number + 1;
    let in_turn = snapshot.is_in_turn(&address(signer), number);
    let listed = match &block["checkpoint"] {
        Value::Null => BTreeSet::new(),
        list => letters(list).into_iter().map(address).collect(),
    };
    let mut extra = extra_data(&listed);
    let vanity = extra.len() - CLIQUE_SEAL_BYTES;
    let mut header = Header {
        parent_hash: snapshot.at.hash,
        number,
        timestamp: number,
        difficulty: U256::from(if in_turn { 2 } else { 1 }),
        beneficiary: block["vote"].as_str().map(address).unwrap_or_default(),
        nonce: if block["authorize"] == true { B64::repeat_byte(0xff) } else { B64::ZERO },
        extra_data: Bytes::copy_from_slice(&extra[..vanity]),
        ..Header::default()
    };
    let seal = key(signer).sign_recoverable(&keccak256(alloy_rlp::encode(&header)));
    extra[vanity..].copy_from_slice(&seal);
    let parity = extra.last_mut().unwrap();
    *parity = if *parity >= 27 { *parity - 27 } else { *parity };
    header.extra_data = extra.into();
    header
}

fn run(scenario: &Value) -> Result<BTreeSet<Address>, HeaderError> {
    let mut spec = ChainSpec::up_to(Fork::London);
    let epoch = scenario["epoch"].as_u64().unwrap_or(EPOCH_BLOCKS);
    spec.consensus = Consensus::Clique { period: 1, epoch, terminal_total_difficulty: None };
    let signers: BTreeSet<_> = letters(&scenario["signers"]).into_iter().map(address).collect();
    let genesis = Header { extra_data: extra_data(&signers).into(), ..Header::default() };
    let mut snapshot = CliqueSnapshot::at_checkpoint(BlockRef::new(0, B256::repeat_byte(1)), &genesis).unwrap();
    for block in scenario["blocks"].as_array().unwrap() {
        let header = header(&snapshot, block);
        let signer = snapshot.check(&spec, &header)?;
        assert_eq!(signer, address(block["signer"].as_str().unwrap()));
        snapshot = snapshot.apply(&spec, BlockRef::new(header.number, header.hash_slow()), &header, signer);
    }
    Ok(snapshot.signers)
}

#[test]
fn scenarios_of_eip_225() {
    let Some(vectors) = fixtures::read("vectors/clique-eip225.json") else { return };
    let vectors: Value = serde_json::from_str(&vectors).unwrap();
    let scenarios = vectors["scenarios"].as_array().unwrap();
    assert!(scenarios.len() >= 20, "{} scenarios", scenarios.len());
    for scenario in scenarios {
        let name = scenario["name"].as_str().unwrap();
        match (run(scenario), scenario["failure"].as_str()) {
            (Ok(signers), None) => {
                let expected: BTreeSet<_> = letters(&scenario["results"]).into_iter().map(address).collect();
                assert_eq!(signers, expected, "{name}");
            }
            (Err(HeaderError::Clique(CliqueRule::NotASigner { .. })), Some("unauthorized signer")) => {}
            (Err(HeaderError::Clique(CliqueRule::SignedRecently { .. })), Some("recently signed")) => {}
            (Err(HeaderError::Clique(CliqueRule::CheckpointSigners)), Some("mismatching checkpoint signers")) => {}
            (outcome, failure) => panic!("{name}: {outcome:?}, expected {failure:?}"),
        }
    }
}
