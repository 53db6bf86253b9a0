//! Official vectors. Their values are plain bytes, so they go through a trie of bytes and not of accounts.

use super::*;
use alloy_primitives::map::HashMap;
use alloy_rlp::BufMut;
use alloy_rlp::Encodable;
use serde_json::Value;
use starling_primitives::ReadError;
use starling_testkit::fixtures;

/// What a leaf holds, as it is.
#[derive(Clone)]
struct Plain(Vec<u8>);

impl Encodable for Plain {
    fn encode(&self, out: &mut dyn BufMut) {
        out.put_slice(&self.0);
    }
}

#[derive(Default)]
struct PlainTrie {
    rows: HashMap<Nibbles, Bytes>,
    values: HashMap<B256, Plain>,
}

impl Trie for PlainTrie {
    type Value = Plain;

    fn row(&self, path: &Nibbles) -> Result<Option<Bytes>, ReadError> {
        Ok(self.rows.get(path).cloned())
    }

    fn value(&self, key: &B256) -> Result<Option<Plain>, ReadError> {
        Ok(self.values.get(key).cloned())
    }

    fn name(&self) -> String {
        "trie of bytes".into()
    }
}

impl PlainTrie {
    /// Puts or deletes keys, each once, and returns the root.
    fn apply(&mut self, mut changes: Vec<(B256, Option<Plain>)>) -> B256 {
        changes.sort_by_key(|(key, _)| *key);
        let borrowed: Vec<_> = changes.iter().map(|(key, value)| Change { key, value: value.as_ref() }).collect();
        let (found, rows) = merge(self, false, &borrowed).expect("rows in order");
        for BranchRow { path, before, after } in rows {
            assert!(before.is_none() || self.rows.get(&path) == before.as_ref(), "another row before");
            match after {
                Some(row) => self.rows.insert(path, row),
                None => self.rows.remove(&path),
            };
        }
        for (key, value) in changes {
            match value {
                Some(value) => self.values.insert(key, value),
                None => self.values.remove(&key),
            };
        }
        assert_eq!(root(self).expect("rows in order"), found);
        found
    }
}

/// `in` of a vector: a list of pairs, or an object.
fn pairs(input: &Value) -> Vec<(Vec<u8>, Option<Plain>)> {
    let pair = |key: &str, value: &Value| (bytes(key), value.as_str().map(|value| Plain(bytes(value))));
    match input {
        Value::Object(pairs) => pairs.iter().map(|(key, value)| pair(key, value)).collect(),
        _ => {
            let list = input.as_array().expect("pairs");
            list.iter().map(|entry| pair(entry[0].as_str().expect("a key"), &entry[1])).collect()
        }
    }
}

/// Text that begins with 0x is hex, other text itself.
fn bytes(text: &str) -> Vec<u8> {
    match text.strip_prefix("0x") {
        Some(hex) => alloy_primitives::hex::decode(hex).expect("hex"),
        None => text.as_bytes().to_vec(),
    }
}

/// One by one in order, and the last value of each key at once: the same root and rows.
fn check(name: &str, case: &Value, key: impl Fn(&[u8]) -> B256) {
    let expect: B256 = case["root"].as_str().and_then(|root| root.parse().ok()).expect("a root");
    let changes: Vec<_> = pairs(&case["in"]).into_iter().map(|(text, value)| (key(&text), value)).collect();
    let mut one_by_one = PlainTrie::default();
    let mut last = EMPTY_ROOT_HASH;
    for change in &changes {
        last = one_by_one.apply(vec![change.clone()]);
    }
    assert_eq!(last, expect, "{name}, one by one");
    let mut at_once = PlainTrie::default();
    let newest: HashMap<_, _> = changes.into_iter().collect();
    assert_eq!(at_once.apply(newest.into_iter().collect()), expect, "{name}, at once");
    assert_eq!(one_by_one.rows, at_once.rows, "{name}");
}

/// All files whose keys are hashed, and of the others the case whose keys are 32 bytes long (`jeff`).
#[test]
fn official_vectors() {
    let Some(archive) = fixtures::read_bytes("ethereum-tests-trie.tar.zst") else { return };
    let unpacked = zstd::decode_all(&archive[..]).expect("zstd");
    let mut cases = 0;
    for entry in tar::Archive::new(&unpacked[..]).entries().expect("tar") {
        let entry = entry.expect("tar");
        let file = entry.path().expect("a path").display().to_string();
        let secure = file.to_lowercase().contains("securetrie");
        if !secure && !file.ends_with("/trietest.json") {
            continue;
        }
        let vectors: Value = serde_json::from_reader(entry).expect("JSON");
        for (name, case) in vectors.as_object().expect("cases") {
            if secure {
                check(name, case, |key| keccak256(key));
            } else if pairs(&case["in"]).iter().all(|(key, _)| key.len() == 32) {
                check(name, case, B256::from_slice);
            } else {
                continue;
            }
            cases += 1;
        }
    }
    assert_eq!(cases, 14);
}
