//! Random blocks on random states: after each, the incremental root is the independent builder's, and the
//! rows are those of a trie made from nothing.

mod common;

use common::{Model, Op, Rng, Touched, key, witness_root};
use proptest::prelude::*;
use starling_primitives::BranchRow;
use starling_trie::{MemoryTrie, check_account_rows, check_storage_rows, state_root, storage_root, update};

/// Applies blocks one by one and checks the state after each.
fn check(blocks: &[Vec<Op>]) -> (Model, MemoryTrie) {
    let (mut model, mut trie) = (Model::default(), MemoryTrie::default());
    for block in blocks {
        step(&mut model, &mut trie, block);
        check_state(&model, &trie);
    }
    (model, trie)
}

fn step(model: &mut Model, trie: &mut MemoryTrie, block: &[Op]) {
    let before = model.clone();
    let mut touched = Touched::default();
    for op in block {
        model.run(op, &mut touched);
    }
    let mut diff = model.diff(&before, &touched, trie);
    let found = update(trie, &mut diff).expect("rows in order");
    for BranchRow { path, before, after } in &found.branches.accounts {
        assert!(before.is_none() || trie.account_rows.get(path) == before.as_ref(), "another row before at {path:?}");
        assert_ne!(trie.account_rows.get(path), after.as_ref(), "a row that did not change at {path:?}");
    }
    assert!(found.branches.accounts.is_sorted_by(|a, b| a.path < b.path));
    assert!(found.branches.storages.is_sorted_by(|a, b| a.account < b.account));
    assert!(found.branches.storages.iter().all(|storage| storage.rows.is_sorted_by(|a, b| a.path < b.path)));
    trie.apply(&diff, &found);
    assert_eq!(found.root, state_root(trie).expect("rows in order"));
}

fn check_state(model: &Model, trie: &MemoryTrie) {
    let (scratch, found) = model.built_at_once();
    assert_eq!(witness_root(trie), found.root);
    assert_eq!(*trie, scratch);
    let (root, count) = check_account_rows(trie).expect("rows in order");
    assert_eq!((root, count.rows, count.leaves), (found.root, trie.account_rows.len() as u64, model.0.len() as u64));
    for (key, account) in &trie.accounts {
        let (root, count) = check_storage_rows(trie, key).expect("rows in order");
        assert_eq!(root, account.storage_root);
        assert_eq!(root, storage_root(trie, key).expect("rows in order"));
        assert_eq!(count.leaves as usize, trie.slots.get(key).map_or(0, |slots| slots.len()));
    }
}

fn op(accounts: u32, slots: u32) -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..accounts, 0..4u64).prop_map(|(account, nonce)| Op::Put { account, nonce }),
        3 => (0..accounts).prop_map(|account| Op::Delete { account }),
        1 => (0..accounts).prop_map(|account| Op::Renew { account }),
        8 => (0..accounts, 0..slots, 0..3u64).prop_map(|(account, slot, value)| Op::Write { account, slot, value }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Many accounts, each with little.
    #[test]
    fn accounts(blocks in prop::collection::vec(prop::collection::vec(op(120, 3), 0..40), 1..10)) {
        check(&blocks);
    }

    /// Few accounts, whose storage tries grow and shrink.
    #[test]
    fn storages(blocks in prop::collection::vec(prop::collection::vec(op(2, 64), 0..24), 1..12)) {
        check(&blocks);
    }

    /// Keys that differ in their last nibbles only, so that nodes lie inside nodes.
    #[test]
    fn deep(writes in prop::collection::vec((0..16u32, 0..2u64), 1..60)) {
        let writes: Vec<_> = writes.iter().map(|&(slot, value)| Op::Write { account: 0, slot: 2 * slot + 1, value }).collect();
        check(&writes.chunks(3).map(<[Op]>::to_vec).collect::<Vec<_>>());
    }
}

/// Updates large enough to be spread over threads end in the same rows with one thread and with four.
#[test]
fn threads() {
    let run = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| {
            let mut rng = Rng(seed);
            let (mut model, mut trie) = (Model::default(), MemoryTrie::default());
            for _ in 0..4 {
                let block: Vec<_> = (0..3000).map(|_| random_op(&mut rng)).collect();
                step(&mut model, &mut trie, &block);
            }
            check_state(&model, &trie);
            trie
        })
    };
    for seed in 0..2 {
        assert!(run(1, seed) == run(4, seed), "seed {seed}");
    }
}

fn random_op(rng: &mut Rng) -> Op {
    let account = rng.below(4000) as u32;
    match rng.below(8) {
        0..4 => Op::Put { account, nonce: rng.below(9) },
        4..6 => Op::Delete { account },
        6 => Op::Write { account: account % 3, slot: rng.below(9000) as u32, value: rng.below(3) },
        _ => Op::Write { account: 2 * account + 1, slot: rng.below(40) as u32, value: rng.below(3) },
    }
}

/// A leaf that moves takes its value from the flat state; if that lacks it, the trie is damaged.
#[test]
fn a_moving_leaf_needs_its_value() {
    let put = |account| vec![Op::Put { account, nonce: 1 }];
    let (_, mut trie) = check(&[put(1), put(3)]);
    trie.accounts.remove(&key(1));
    let mut model = Model::default();
    let mut touched = Touched::default();
    model.run(&Op::Put { account: 3, nonce: 0 }, &mut touched);
    let before = model.clone();
    model.run(&Op::Delete { account: 3 }, &mut touched);
    let error = update(&trie, &mut model.diff(&before, &touched, &trie)).expect_err("one leaf has no value");
    assert!(error.to_string().contains("no value for the leaf"), "{error}");
}
