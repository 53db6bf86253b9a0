//! The official vectors of proof of work: 18,598 difficulties and two seals.

use alloy_primitives::{U256, hex};
use alloy_rlp::Decodable;
use serde_json::Value;
use starling_chainspec::Fork;
use starling_primitives::Header;
use starling_testkit::fixtures;
use starling_validation::{DifficultyInput, SealError, difficulty, verify_seal};
use std::io::Read;

/// The JSON files of a packed archive, by their path in it.
fn json_files(archive: &str) -> Option<Vec<(String, Value)>> {
    let packed = std::fs::File::open(fixtures::find(archive)?).expect("readable");
    let mut tar = tar::Archive::new(zstd::Decoder::new(packed).expect("zstd"));
    let mut files = Vec::new();
    for entry in tar.entries().expect("a tar archive") {
        let mut entry = entry.expect("an entry");
        let path = entry.path().expect("a path").display().to_string();
        if path.ends_with(".json") {
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("text");
            files.push((path, serde_json::from_str(&text).expect("JSON")));
        }
    }
    Some(files)
}

fn number(case: &Value, name: &str) -> U256 {
    let text = case[name].as_str().unwrap_or_else(|| panic!("{name} in {case}"));
    match text.strip_prefix("0x") {
        Some(hex) => U256::from_str_radix(hex, 16),
        None => U256::from_str_radix(text, 10),
    }
    .unwrap_or_else(|error| panic!("{name} {text}: {error}"))
}

fn fork_of(name: &str) -> Fork {
    match name {
        "Frontier" => Fork::Frontier,
        "Homestead" => Fork::Homestead,
        "Byzantium" => Fork::Byzantium,
        "Constantinople" => Fork::Constantinople,
        "EIP2384" | "Berlin" => Fork::MuirGlacier,
        "London" => Fork::London,
        "ArrowGlacier" => Fork::ArrowGlacier,
        "GrayGlacier" => Fork::GrayGlacier,
        other => panic!("unknown fork {other}"),
    }
}

#[test]
fn difficulties() {
    let Some(files) = json_files("ethereum-tests-difficulty.tar.zst") else { return };
    let mut checked = 0;
    for (path, file) in files {
        for (name, suite) in file.as_object().expect("an object") {
            for (fork, cases) in suite.as_object().expect("an object").iter().filter(|(key, _)| *key != "_info") {
                for (case_name, case) in cases.as_object().expect("cases") {
                    let ommers = case["parentUncles"].as_str().expect("parentUncles");
                    let input = DifficultyInput {
                        number: number(case, "currentBlockNumber").to(),
                        timestamp: number(case, "currentTimestamp").to(),
                        parent_timestamp: number(case, "parentTimestamp").to(),
                        parent_difficulty: number(case, "parentDifficulty"),
                        parent_has_ommers: !matches!(
                            ommers,
                            "0x00" | "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"
                        ),
                    };
                    let expected = number(case, "currentDifficulty");
                    assert_eq!(
                        difficulty(fork_of(fork), input),
                        expected,
                        "{path} {name} {fork} {case_name} {input:?}"
                    );
                    checked += 1;
                }
            }
        }
    }
    println!("{checked} difficulties");
    // 18,598 in the whole archive, 202 in the sample.
    assert!(checked >= 202, "only {checked} difficulties");
}

#[test]
fn seals() {
    let Some(files) = json_files("ethereum-tests-pow.tar.zst") else { return };
    for (path, file) in files {
        for (name, case) in file.as_object().expect("an object") {
            let rlp = hex::decode(case["header"].as_str().expect("header")).expect("hex");
            let mut header = Header::decode(&mut rlp.as_slice()).expect("a header");
            // The vectors fix mix hash and value; their work is not always enough for their difficulty.
            let result = U256::from_str_radix(case["result"].as_str().expect("result"), 16).expect("hex");
            match verify_seal(&header) {
                Ok(()) => assert!(result <= U256::MAX / header.difficulty, "{path} {name}"),
                Err(SealError::Work { value, .. }) => assert_eq!(value, result, "{path} {name}"),
                Err(other) => panic!("{path} {name}: {other}"),
            }
            header.extra_data = vec![1].into();
            assert!(matches!(verify_seal(&header), Err(SealError::MixHash { .. })), "{path} {name} altered");
        }
    }
}
