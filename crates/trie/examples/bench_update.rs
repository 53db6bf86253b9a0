//! Prints what an update costs, µs a change: `cargo run --release -p starling-trie --example bench_update`.
//! A number after it says how many rounds a case is run, a word which cases.

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Rng, rich};
use starling_primitives::{Account, AccountDiff, Address, B256, SlotDiff, StateDiff, U256, keccak256};
use starling_trie::{MemoryTrie, update};
use std::time::Instant;

const ROUNDS: u64 = 7;

fn main() {
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        println!("{threads} thread(s)");
        pool.install(cases);
    }
}

fn cases() {
    let mut trie = MemoryTrie::default();
    run(&mut trie, "genesis of 200,000 accounts", |_, _| accounts(0..200_000, 1), 1);
    run(&mut trie, "3,000 of 200,000 accounts changed", |rng, _| changed(rng, 3000), ROUNDS);
    run(&mut trie, "300 of 200,000 accounts changed", |rng, _| changed(rng, 300), ROUNDS);
    run(&mut trie, "30 of 200,000 accounts changed", |rng, _| changed(rng, 30), ROUNDS);
    run(
        &mut trie,
        "3,000 fresh accounts",
        |_, round| accounts(1_000_000 + 3000 * round..1_003_000 + 3000 * round, 1),
        ROUNDS,
    );
    run(&mut trie, "3,000 accounts deleted", |_, round| gone(3000 * round..3000 * (round + 1)), ROUNDS);
    let contract = keccak256("contract");
    run(&mut trie, "a contract of 400,000 slots", |_, _| slots(contract, 0..400_000, true), 1);
    run(
        &mut trie,
        "1,000 of its slots written",
        |rng, _| slots(contract, (0..1000).map(|_| rng.below(400_000)), false),
        ROUNDS,
    );
    run(&mut trie, "20 slots in each of 200 new contracts", |_, round| small_contracts(round), ROUNDS);
    let mut trie = MemoryTrie::default();
    run(&mut trie, "genesis of 1,000,000 accounts", |_, _| accounts(0..1_000_000, 1), 1);
}

/// Applies `rounds` diffs and prints the median cost of a changed key.
fn run(trie: &mut MemoryTrie, name: &str, mut make: impl FnMut(&mut Rng, u64) -> StateDiff, rounds: u64) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let once = rounds == 1;
    if !once && arguments.get(1).is_some_and(|word| !name.contains(word)) {
        return;
    }
    let rounds = arguments.first().and_then(|count| count.parse().ok()).filter(|_| !once).unwrap_or(rounds);
    let mut rng = Rng(1);
    let mut costs = Vec::new();
    let mut rows = 0;
    for round in 0..rounds {
        let mut diff = make(&mut rng, round);
        for account in &mut diff.accounts {
            account.before = trie.accounts.get(&account.key).copied();
        }
        let start = Instant::now();
        let found = update(trie, &mut diff).expect("rows in order");
        costs.push(start.elapsed().as_secs_f64() * 1e6 / diff.changed_keys() as f64);
        rows = found.branches.accounts.len()
            + found.branches.storages.iter().map(|storage| storage.rows.len()).sum::<usize>();
        trie.apply(&diff, &found);
    }
    costs.sort_by(f64::total_cmp);
    println!("{name:40} {:7.2} µs a change, best {:7.2}, {rows} rows", costs[costs.len() / 2], costs[0]);
}

fn diff(mut accounts: Vec<AccountDiff>) -> StateDiff {
    accounts.sort_by_key(|account| account.key);
    accounts.dedup_by_key(|account| account.key);
    StateDiff { accounts, codes: Vec::new() }
}

fn account(number: u64, after: Option<Account>) -> AccountDiff {
    let address = Address::left_padding_from(&number.to_be_bytes());
    AccountDiff { key: keccak256(address), address, before: None, after, wiped: false, slots: Vec::new() }
}

fn accounts(numbers: impl Iterator<Item = u64>, nonce: u64) -> StateDiff {
    diff(numbers.map(|number| account(number, Some(rich(number + nonce)))).collect())
}

fn changed(rng: &mut Rng, count: u64) -> StateDiff {
    let nonce = rng.below(1 << 40);
    accounts((0..count).map(|_| rng.below(200_000)), nonce)
}

fn gone(numbers: std::ops::Range<u64>) -> StateDiff {
    diff(numbers.map(|number| account(number, None)).collect())
}

fn slots(contract: B256, numbers: impl Iterator<Item = u64>, created: bool) -> StateDiff {
    let slot = |number: u64| SlotDiff {
        key: keccak256(U256::from(number).to_be_bytes::<32>()),
        before: U256::ZERO,
        after: U256::from(number * number + u64::from(created)),
    };
    let mut slots: Vec<_> = numbers.map(slot).filter(|slot| !slot.after.is_zero()).collect();
    slots.sort_by_key(|slot| slot.key);
    slots.dedup_by_key(|slot| slot.key);
    diff(vec![AccountDiff { key: contract, slots, ..account(0, Some(rich(1))) }])
}

fn small_contracts(round: u64) -> StateDiff {
    let one = |number: u64| {
        let made = account((1 << 40) + round * 200 + number, Some(rich(1)));
        AccountDiff { slots: slots(B256::ZERO, 1..21, true).accounts.remove(0).slots, ..made }
    };
    diff((0..200).map(one).collect())
}
