//! Proofs of what is there and of what is not, held against alloy's verifier.

mod common;

use alloy_trie::proof::verify_proof;
use common::{Model, Op, Rng, Touched, key, witness_root};
use starling_primitives::{B256, Bytes, EMPTY_ROOT_HASH, Nibbles};
use starling_trie::{MemoryTrie, account_proof, storage_proof, storage_proofs};

/// A random state; accounts and slots have the numbers below these bounds, about half of them are there.
fn state(seed: u64, accounts: u32, slots: u32) -> MemoryTrie {
    let mut rng = Rng(seed);
    let mut model = Model::default();
    let mut touched = Touched::default();
    for account in (0..accounts).filter(|_| rng.below(2) == 0).collect::<Vec<_>>() {
        model.run(&Op::Put { account, nonce: rng.below(3) }, &mut touched);
        for slot in (0..slots).filter(|_| rng.below(2) == 0).collect::<Vec<_>>() {
            model.run(&Op::Write { account, slot, value: rng.below(3) }, &mut touched);
        }
    }
    model.built_at_once().0
}

fn check(root: B256, key: B256, value: Option<Vec<u8>>, proof: &[Bytes]) {
    // A node that is named by its hash appears once, and nothing else does.
    assert!(proof.iter().skip(1).all(|node| node.len() >= 32), "{proof:?}");
    let verify = |proof: &[Bytes]| verify_proof(root, Nibbles::unpack(key), value.clone(), proof);
    verify(proof).unwrap_or_else(|error| panic!("{key}: {error} in {proof:?}"));
    for (at, node) in proof.iter().enumerate() {
        let mut broken = proof.to_vec();
        broken[at] = [&node[..node.len() - 1], &[node[node.len() - 1] ^ 1]].concat().into();
        assert!(verify(&broken).is_err(), "{key}: node {at} does not count");
    }
}

#[test]
fn accounts_and_slots() {
    for (seed, accounts, slots) in [(1, 300, 2), (2, 3, 300), (3, 64, 8), (4, 1, 1), (5, 2, 3), (6, 9, 64)] {
        let trie = state(seed, accounts, slots);
        let root = witness_root(&trie);
        for account in (0..accounts + 40).map(key) {
            let value = trie.accounts.get(&account).map(alloy_rlp::encode);
            check(root, account, value, &account_proof(&trie, &account).expect("rows in order"));
        }
        let slots: Vec<_> = (0..slots + 40).map(key).collect();
        for (account, value) in &trie.accounts {
            let proofs = storage_proofs(&trie, account, &slots).expect("rows in order");
            for (slot, proof) in slots.iter().zip(&proofs) {
                let held = trie.slots.get(account).and_then(|slots| slots.get(slot)).map(alloy_rlp::encode);
                check(value.storage_root, *slot, held, proof);
                assert_eq!(*proof, storage_proof(&trie, account, slot).expect("rows in order"));
            }
        }
    }
}

/// Keys next to each other in their last nibble: leaves within a branch within an extension, one node in all.
#[test]
fn nodes_within_nodes() {
    let mut model = Model::default();
    for slot in [1, 3, 5, 9, 11] {
        model.run(&Op::Write { account: 0, slot, value: 1 }, &mut Touched::default());
    }
    let (trie, _) = model.built_at_once();
    let root = trie.accounts[&key(0)].storage_root;
    for slot in (0..40).map(key) {
        let held = trie.slots[&key(0)].get(&slot).map(alloy_rlp::encode);
        let proof = storage_proof(&trie, &key(0), &slot).expect("rows in order");
        check(root, slot, held, &proof);
        assert!(proof.len() <= 3, "{proof:?}");
    }
}

/// As geth answers: no nodes at all.
#[test]
fn an_empty_trie_has_an_empty_proof() {
    let trie = MemoryTrie::default();
    assert_eq!(account_proof(&trie, &key(1)).expect("nothing to be damaged"), Vec::<Bytes>::new());
    assert_eq!(storage_proof(&trie, &key(1), &key(2)).expect("nothing to be damaged"), Vec::<Bytes>::new());
    check(EMPTY_ROOT_HASH, key(1), None, &[]);
}
