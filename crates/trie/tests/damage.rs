//! Rows and flat state that contradict each other are errors and found by the full check, never panics.

mod common;

use common::{Model, Op, Rng, Touched, key, rich, witness_root};
use starling_primitives::{Account, B256, Bytes, Nibbles, U256};
use starling_trie::{
    FlatRoot, MemoryTrie, VerifyError, account_proof, check_account_rows, check_storage_rows, storage_proof, update,
};

/// A state of 60 accounts, and what the next block does to it.
fn state() -> (MemoryTrie, Model, Model, Touched) {
    let mut rng = Rng(7);
    let mut block = |model: &mut Model, touched: &mut Touched, ops: u64| {
        for _ in 0..ops {
            let account = rng.below(60) as u32;
            let op = match rng.below(4) {
                0 => Op::Delete { account },
                1 => Op::Put { account, nonce: rng.below(9) },
                _ => Op::Write { account: account % 2, slot: rng.below(60) as u32, value: rng.below(3) },
            };
            model.run(&op, touched);
        }
    };
    let mut before = Model::default();
    block(&mut before, &mut Touched::default(), 400);
    let (mut after, mut touched) = (before.clone(), Touched::default());
    block(&mut after, &mut touched, 60);
    (before.built_at_once().0, before, after, touched)
}

/// Everything that reads rows, on a damaged trie; the full check must not end as if all were well.
fn check(trie: &MemoryTrie, whole: &MemoryTrie, what: &str) {
    let (_, before, after, touched) = state();
    let _ = update(trie, &mut after.diff(&before, &touched, whole));
    for n in 0..60 {
        let _ = account_proof(trie, &key(n));
        let _ = storage_proof(trie, &key(n % 2), &key(n));
    }
    let full = |trie: &MemoryTrie| {
        let storages = [key(0), key(1)].map(|account| check_storage_rows(trie, &account).ok());
        (check_account_rows(trie).ok(), storages)
    };
    assert_ne!(full(trie), full(whole), "{what} goes unseen");
}

#[test]
fn flipped_bits() {
    let (whole, ..) = state();
    let mut rng = Rng(1);
    let flip = |row: &mut Bytes, rng: &mut Rng| {
        let mut bytes = row.to_vec();
        let bit = rng.below(bytes.len() as u64 * 8) as usize;
        bytes[bit / 8] ^= 1 << (bit % 8);
        *row = bytes.into();
    };
    for path in whole.account_rows.keys() {
        for _ in 0..20 {
            let mut trie = whole.clone();
            flip(trie.account_rows.get_mut(path).expect("this row"), &mut rng);
            check(&trie, &whole, &format!("a flipped bit at {path:?}"));
        }
    }
    for (account, rows) in &whole.storage_rows {
        for path in rows.keys() {
            let mut trie = whole.clone();
            flip(trie.storage_rows.get_mut(account).and_then(|rows| rows.get_mut(path)).expect("this row"), &mut rng);
            check(&trie, &whole, &format!("a flipped bit at {path:?} of {account}"));
        }
    }
}

#[test]
fn missing_rows_and_leaves() {
    let (whole, ..) = state();
    for path in whole.account_rows.keys() {
        let mut trie = whole.clone();
        trie.account_rows.remove(path);
        check(&trie, &whole, &format!("a missing row at {path:?}"));
    }
    for account in whole.accounts.keys() {
        let mut trie = whole.clone();
        trie.accounts.remove(account);
        check(&trie, &whole, &format!("the missing account {account}"));
        trie.accounts.insert(*account, rich(1 << 40));
        check(&trie, &whole, &format!("the changed account {account}"));
    }
    let mut trie = whole.clone();
    trie.slots.remove(&key(0));
    check(&trie, &whole, "missing slots");
}

#[test]
fn an_unsorted_diff_is_refused() {
    let (whole, before, after, touched) = state();
    let mut diff = after.diff(&before, &touched, &whole);
    diff.accounts.swap(0, 1);
    assert!(update(&whole, &mut diff).expect_err("out of order").to_string().contains("not sorted"));
}

#[test]
fn flat_state_is_checked() {
    type Flat<'a> = (B256, Account, &'a [(B256, u64)]);
    let add = |accounts: &[Flat<'_>]| {
        let mut flat = FlatRoot::default();
        accounts.iter().try_for_each(|(key, account, slots)| {
            flat.add(key, account, slots.iter().map(|(slot, value)| Ok((*slot, U256::from(*value)))))
        })
    };
    let [low, high] = [B256::repeat_byte(1), B256::repeat_byte(2)];
    assert!(add(&[(low, rich(1), &[]), (high, rich(2), &[])]).is_ok());
    let order = add(&[(high, rich(1), &[]), (low, rich(2), &[])]);
    assert!(matches!(order, Err(VerifyError::Order { key }) if key == low));
    let twice = add(&[(low, rich(1), &[]), (low, rich(1), &[])]);
    assert!(matches!(twice, Err(VerifyError::Order { key }) if key == low));
    let zero = add(&[(low, rich(1), &[(high, 0)])]);
    assert!(matches!(zero, Err(VerifyError::ZeroSlot { account, slot }) if account == low && slot == high));
    let storage = add(&[(low, rich(1), &[(high, 1)])]);
    assert!(matches!(storage, Err(VerifyError::StorageRoot { account, .. }) if account == low));
}

/// The state that the others damage is not damaged.
#[test]
fn the_whole_state_is_whole() {
    let (whole, before, after, touched) = state();
    assert!(check_account_rows(&whole).is_ok_and(|(root, _)| root == witness_root(&whole)));
    assert!(update(&whole, &mut after.diff(&before, &touched, &whole)).is_ok());
    assert!(whole.account_rows.contains_key(&Nibbles::new()) && whole.storage_rows.len() > 1);
}
