//! Partial tries and witnesses: the root after a diff is the one that the rows arrive at, or the witness is
//! said to be incomplete; never a third thing.

mod common;

use common::{Model, Op, Rng, Touched, key};
use starling_primitives::{Bytes, Header, Nibbles, ReadError, StateDiff, keccak256};
use starling_trie::{
    MemoryTrie, NodeSet, SparseError, SparseTrie, Witness, WitnessError, WitnessState, account_proof, hex_prefix,
    storage_proof, update,
};
use std::collections::{BTreeMap, BTreeSet};

/// A state, a block on it, and which accounts and slots the block touches.
struct Block {
    trie: MemoryTrie,
    diff: StateDiff,
}

fn random_block(seed: u64) -> Block {
    let mut rng = Rng(seed);
    let mut model = Model::default();
    let mut touched = Touched::default();
    for _ in 0..60 {
        model.run(&random_op(&mut rng), &mut touched);
    }
    let trie = model.built_at_once().0;
    let before = model.clone();
    let mut touched = Touched::default();
    for _ in 0..rng.below(30) {
        model.run(&random_op(&mut rng), &mut touched);
    }
    let diff = model.diff(&before, &touched, &trie);
    Block { trie, diff }
}

fn random_op(rng: &mut Rng) -> Op {
    let account = rng.below(12) as u32;
    match rng.below(10) {
        0 => Op::Delete { account },
        1 => Op::Renew { account },
        2..5 => Op::Put { account, nonce: rng.below(4) },
        _ => Op::Write { account, slot: rng.below(12) as u32, value: rng.below(3) },
    }
}

/// The nodes on the way to what the block touches, and to everything else too if `whole`.
fn witness_of(block: &Block, whole: bool) -> Witness {
    let mut state = BTreeSet::new();
    let mut prove = |account, slots: &mut dyn Iterator<Item = _>| {
        state.extend(account_proof(&block.trie, account).unwrap());
        for slot in slots {
            state.extend(storage_proof(&block.trie, account, slot).unwrap());
        }
    };
    for account in &block.diff.accounts {
        prove(&account.key, &mut account.slots.iter().map(|slot| &slot.key));
    }
    if whole {
        for account in block.trie.accounts.keys() {
            prove(account, &mut block.trie.slots.get(account).into_iter().flat_map(|slots| slots.keys()));
        }
    }
    let state_root = starling_trie::state_root(&block.trie).unwrap();
    let parent = Header { state_root, ..Header::default() };
    Witness { state: state.into_iter().collect(), codes: Vec::new(), headers: vec![alloy_rlp::encode(parent).into()] }
}

#[test]
fn the_root_after_a_block_is_that_of_the_rows() {
    let mut incomplete = 0;
    for seed in 0..400 {
        let block = random_block(seed);
        let mut by_rows = block.diff.clone();
        let expected = update(&block.trie, &mut by_rows).unwrap().root;
        for whole in [true, false] {
            let witness = WitnessState::open(witness_of(&block, whole)).unwrap();
            let mut diff = block.diff.clone();
            match witness.root_after(&mut diff) {
                Ok(root) => assert_eq!((root, &diff), (expected, &by_rows), "seed {seed}, whole {whole}"),
                // A branch that loses all children but one asks for that one, which no proof names.
                Err(ReadError::Damaged(_)) if !whole => incomplete += 1,
                Err(error) => panic!("seed {seed}, whole {whole}: {error}"),
            }
        }
    }
    assert!((1..300).contains(&incomplete), "{incomplete} of 400 proofs were not enough");
}

#[test]
fn headers_of_a_witness_are_one_chain() {
    let headers = |change: fn(&mut Vec<Header>)| {
        let mut headers = vec![Header { number: 7, ..Header::default() }];
        for number in 8..10 {
            headers.push(Header { number, parent_hash: headers[headers.len() - 1].hash_slow(), ..Header::default() });
        }
        change(&mut headers);
        let headers = headers.iter().map(|header| alloy_rlp::encode(header).into()).collect();
        WitnessState::open(Witness { headers, ..Witness::default() }).map(|witness| witness.parent.1.number)
    };
    assert_eq!(headers(|_| ()).unwrap(), 9);
    assert_eq!(headers(|headers| headers.clear()).unwrap_err(), WitnessError::NoParent);
    assert_eq!(headers(|headers| headers.swap(0, 1)).unwrap_err(), WitnessError::Gap { index: 1 });
    assert_eq!(headers(|headers| headers[1].gas_used = 1).unwrap_err(), WitnessError::Gap { index: 2 });
    assert_eq!(headers(|headers| headers[2].number = 11).unwrap_err(), WitnessError::Gap { index: 2 });
    let broken = Witness { headers: vec![Bytes::from_static(&[0xc1, 0x80])], ..Witness::default() };
    assert!(matches!(WitnessState::open(broken), Err(WitnessError::Header { index: 0, .. })));
}

/// Keys of any length, one the beginning of another: the trie depends on what it holds, not on how it came to.
#[test]
fn keys_of_any_length() {
    let nodes = NodeSet::default();
    for seed in 0..200 {
        let mut rng = Rng(seed);
        let mut model = BTreeMap::new();
        let mut trie = SparseTrie::new(&nodes, starling_primitives::EMPTY_ROOT_HASH);
        for _ in 0..60 {
            let length = rng.below(4) as usize;
            let key: Vec<u8> = (0..length).map(|_| [0x00, 0x01, 0x10, 0x11][rng.below(4) as usize]).collect();
            if rng.below(3) == 0 {
                trie.remove(&key).unwrap();
                model.remove(&key);
            } else {
                let value = Bytes::from(vec![rng.below(255) as u8 + 1; 1 + rng.below(40) as usize]);
                trie.put(&key, value.clone()).unwrap();
                model.insert(key, value);
            }
        }
        let mut anew = SparseTrie::new(&nodes, starling_primitives::EMPTY_ROOT_HASH);
        for (key, value) in model.iter().rev() {
            anew.put(key, value.clone()).unwrap();
            assert_eq!(trie.get(key).unwrap().as_ref(), Some(value), "seed {seed}");
        }
        assert_eq!(trie.root(), anew.root(), "seed {seed}");
        let entries = trie.entries().unwrap().into_iter().map(|(key, value)| (key.pack().to_vec(), value));
        assert!(entries.eq(model), "seed {seed}");
    }
}

/// Bytes from strangers are an error at most.
#[test]
fn damaged_nodes() {
    let block = random_block(1);
    let nodes = witness_of(&block, true).state;
    let mut rng = Rng(2);
    for node in &nodes {
        for _ in 0..40 {
            let mut node = node.to_vec();
            let at = rng.below(node.len() as u64) as usize;
            node[at] ^= 1 << rng.below(8);
            if rng.below(4) == 0 {
                node.truncate(at);
            }
            let root = keccak256(&node);
            let nodes = NodeSet::new([Bytes::from(node)]);
            let mut trie = SparseTrie::new(&nodes, root);
            let target = key(rng.below(24) as u32);
            let _ =
                (trie.get(target.as_slice()), trie.entries(), trie.put(target.as_slice(), Bytes::from_static(b"x")));
            let _ = SparseTrie::new(&nodes, root).remove(target.as_slice());
        }
    }
    assert_eq!(SparseTrie::new(&NodeSet::default(), root_of(1)).get(&[1]), Err(SparseError::Missing(root_of(1))));
    assert_eq!(SparseTrie::new(&NodeSet::default(), root_of(1)).get(&[1; 33]), Err(SparseError::Key(33)));
}

fn root_of(byte: u8) -> starling_primitives::B256 {
    starling_primitives::B256::repeat_byte(byte)
}

#[test]
fn paths_with_their_flags() {
    let check = |path: &[u8], leaf, expected: &[u8]| {
        assert_eq!(hex_prefix(&Nibbles::from_nibbles(path), leaf), expected);
    };
    check(&[1, 2, 3, 4, 5], false, &[0x11, 0x23, 0x45]);
    check(&[0, 1, 2, 3, 4, 5], false, &[0x00, 0x01, 0x23, 0x45]);
    check(&[0, 15, 1, 12, 11, 8], true, &[0x20, 0x0f, 0x1c, 0xb8]);
    check(&[15, 1, 12, 11, 8], true, &[0x3f, 0x1c, 0xb8]);
    check(&[], true, &[0x20]);
}
