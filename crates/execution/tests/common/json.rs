//! Reading the official test files.
#![allow(dead_code)]

use super::HashedState;
use alloy_primitives::{Address, B256, Bytes, U256};
use serde_json::Value;
use starling_primitives::MemoryState;
use std::io::Read;

/// Every N-th JSON file of an archive.
pub(crate) fn for_each_json(path: &std::path::Path, every: usize, mut each: impl FnMut(&str, &Value)) {
    let decoder = zstd::Decoder::new(std::fs::File::open(path).unwrap()).unwrap();
    let mut count = 0;
    for entry in tar::Archive::new(decoder).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        if !name.ends_with(".json") {
            continue;
        }
        count += 1;
        if !usize::is_multiple_of(count, every) {
            continue;
        }
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        each(&name, &serde_json::from_str(&text).unwrap());
    }
}

pub(crate) fn pre_state(pre: &Value) -> HashedState {
    let mut state = MemoryState::default();
    for (address, account) in pre.as_object().unwrap() {
        let storage = account["storage"].as_object().unwrap();
        let storage = storage.iter().map(|(slot, value)| (word(&slot.as_str().into()), word(value))).collect();
        state.insert(
            address.parse().unwrap(),
            number(&account["nonce"]),
            word(&account["balance"]),
            bytes(&account["code"]),
            storage,
        );
    }
    HashedState::new(&state)
}

pub(crate) fn number(value: &Value) -> u64 {
    word(value).saturating_to()
}

pub(crate) fn word(value: &Value) -> U256 {
    let text = value.as_str().unwrap_or("0x0");
    if text.is_empty() || text == "0x" { U256::ZERO } else { text.parse().unwrap() }
}

pub(crate) fn address(value: &Value) -> Address {
    value.as_str().unwrap().parse().unwrap()
}

pub(crate) fn hash(value: &Value) -> B256 {
    value.as_str().unwrap().parse().unwrap()
}

pub(crate) fn bytes(value: &Value) -> Bytes {
    value.as_str().unwrap().parse().unwrap()
}
