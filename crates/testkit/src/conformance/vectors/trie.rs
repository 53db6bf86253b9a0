//! Roots of tries, and the neighbours of keys.
//!
//! All go through the partial trie that witnesses use, which takes keys of any length. Where the values are
//! accounts under hashed keys, the rows of the state trie must arrive at the same root.

use super::fields::{self, hash, same};
use crate::conformance::{
    archive::Member,
    cases::{Cases, Failure},
    json,
};
use alloy_primitives::{Address, B256, Bytes, keccak256};
use serde_json::Value;
use starling_primitives::{Account, AccountDiff, EMPTY_ROOT_HASH, StateDiff};
use starling_trie::{MemoryTrie, NodeSet, SparseTrie, update};

type Entry = (Bytes, Option<Bytes>);

pub(super) fn run(member: &Member, cases: &mut Cases<'_>) -> Result<(), String> {
    let secure = member.path.to_ascii_lowercase().contains("secure");
    for (name, case) in fields::cases_of(member)? {
        cases.case(&name, "", || match case.get("tests") {
            Some(tests) => check_neighbours(&case["in"], tests),
            None => check_root(&case, secure),
        });
    }
    Ok(())
}

fn check_root(case: &Value, secure: bool) -> Result<(), Failure> {
    let expected = hash(case, "root")?;
    let entries = entries(&case["in"])?;
    same("root", root_of(entries.iter(), secure)?, expected)?;
    if case["in"].is_object() {
        same("root, the other way round", root_of(entries.iter().rev(), secure)?, expected)?;
    }
    match accounts(&entries) {
        Some(accounts) if secure => same("root by rows", root_of_accounts(accounts)?, expected),
        _ => Ok(()),
    }
}

fn root_of<'a>(entries: impl Iterator<Item = &'a Entry>, secure: bool) -> Result<B256, String> {
    let nodes = NodeSet::default();
    let mut trie = SparseTrie::new(&nodes, EMPTY_ROOT_HASH);
    for (key, value) in entries {
        let hashed = keccak256(key);
        let key = if secure { hashed.as_slice() } else { key };
        match value {
            Some(value) => trie.put(key, value.clone()),
            None => trie.remove(key),
        }
        .map_err(|error| error.to_string())?;
    }
    Ok(trie.root())
}

/// The entries as accounts, if that is what they all are.
fn accounts(entries: &[Entry]) -> Option<Vec<(Address, Account)>> {
    let account = |(key, value): &Entry| {
        let account = alloy_rlp::decode_exact(value.as_ref()?).ok()?;
        Some((Address::try_from(&key[..]).ok()?, account))
    };
    entries.iter().map(account).collect()
}

fn root_of_accounts(accounts: Vec<(Address, Account)>) -> Result<B256, String> {
    // They stand there as if they were there before, so that the storage roots that they name are kept.
    let diff = |(address, account): (Address, Account)| AccountDiff {
        key: keccak256(address),
        address,
        before: Some(Account::default()),
        after: Some(account),
        wiped: false,
        slots: Vec::new(),
    };
    let mut diff = StateDiff { accounts: accounts.into_iter().map(diff).collect(), codes: Vec::new() };
    diff.accounts.sort_by_key(|account| account.key);
    update(&MemoryTrie::default(), &mut diff).map(|update| update.root).map_err(|error| error.to_string())
}

fn check_neighbours(keys: &Value, tests: &Value) -> Result<(), Failure> {
    let nodes = NodeSet::default();
    let mut trie = SparseTrie::new(&nodes, EMPTY_ROOT_HASH);
    for key in texts(keys)? {
        trie.put(key.as_bytes(), Bytes::from_static(b"x")).map_err(|error| error.to_string())?;
    }
    let sorted = trie.entries().map_err(|error| error.to_string())?;
    let sorted: Vec<Vec<u8>> = sorted.into_iter().map(|(key, _)| key.pack().to_vec()).collect();
    for test in tests.as_array().into_iter().flatten() {
        let [key, before, after] = texts(test)?[..] else { return Err("a test is not three texts".to_string().into()) };
        let key = key.as_bytes();
        let found = |found: Option<&Vec<u8>>| String::from_utf8_lossy(found.map_or(&[][..], |key| key)).into_owned();
        let below = sorted.partition_point(|other| other.as_slice() < key);
        let above = sorted.partition_point(|other| other.as_slice() <= key);
        same("the key before", found(below.checked_sub(1).and_then(|at| sorted.get(at))), before.into())?;
        same("the key after", found(sorted.get(above)), after.into())?;
    }
    Ok(())
}

fn texts(list: &Value) -> Result<Vec<&str>, String> {
    let list = list.as_array().ok_or("not a list")?;
    list.iter().map(|item| item.as_str().ok_or_else(|| "not a text".to_string())).collect()
}

/// The entries in order; a null deletes.
fn entries(list: &Value) -> Result<Vec<Entry>, String> {
    let entry = |key: &str, value: &Value| Ok((bytes_of(key)?, value.as_str().map(bytes_of).transpose()?));
    match list {
        Value::Object(map) => map.iter().map(|(key, value)| entry(key, value)).collect(),
        Value::Array(list) => list
            .iter()
            .map(|pair| entry(pair[0].as_str().ok_or_else(|| format!("no key in {pair}"))?, &pair[1]))
            .collect(),
        other => Err(format!("neither list nor object: {other}")),
    }
}

/// Text that begins with 0x is hex, other text stands for itself.
fn bytes_of(text: &str) -> Result<Bytes, String> {
    match text.starts_with("0x") {
        true => json::bytes(text).ok_or_else(|| format!("no hex: {text}")),
        false => Ok(Bytes::copy_from_slice(text.as_bytes())),
    }
}
