//! The pool as a value: what it takes, in which order, and what leaves.

use crate::{
    AccountFacts, BestParams, Departure, Explanation, HeadFacts, Origin, Pool, PoolConfig, PoolStatus, PooledTx,
    Refusal, SLOT_BYTES, Waiting,
    pool::PoolEvent,
    testing::{CHAIN_ID, Draft, FEE_CAP, address, authorization, sign, transfer},
};
use alloy_consensus::{Transaction as _, TxEip4844, TxEip7702};
use alloy_primitives::{Address, B256, Bytes, TxHash, U256, map::B256Map};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use starling_chainspec::Fork;
use starling_primitives::{IntrinsicGas, PeerId, Transaction};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

const PEER: Origin = Origin::Peer(PeerId::repeat_byte(1));
/// What the accounts of these tests have: 1000 ether.
const RICH: AccountFacts = AccountFacts {
    nonce: 0,
    balance: U256::from_limbs([3_875_820_019_684_212_736, 54, 0, 0]),
    is_contract: false,
    is_delegated: false,
};

/// Enough for these tests: the executor's own rule is tested where it is.
fn intrinsic(_: Fork, tx: &Transaction, _: Address) -> IntrinsicGas {
    IntrinsicGas { cost: 21_000 + 16 * tx.input().len() as u64, floor: 21_000 + 40 * tx.input().len() as u64 }
}

fn head(number: u64, base_fee: u64) -> HeadFacts {
    HeadFacts { number, fork: Fork::Prague, gas_limit: 30_000_000, base_fee, blob_base_fee: Some(1) }
}

struct Round {
    pool: Pool,
    now: Instant,
}

impl Round {
    fn new(config: PoolConfig) -> Self {
        Self { pool: Pool::new(CHAIN_ID, config, intrinsic, head(0, 1_000_000_000)), now: Instant::now() }
    }

    fn add_with(&mut self, tx: Transaction, key: u8, origin: Origin, facts: AccountFacts) -> Result<TxHash, Refusal> {
        self.pool.check(&tx, origin)?;
        self.now += Duration::from_millis(1);
        let tx = PooledTx::new(tx, address(key), None, origin, self.now);
        self.pool.insert(tx, facts, self.now).map(|tx| tx.hash)
    }

    fn add(&mut self, draft: Draft, origin: Origin) -> Result<TxHash, Refusal> {
        let key = draft.key;
        self.add_with(draft.signed(), key, origin, RICH)
    }

    fn give(&mut self, draft: Draft) -> TxHash {
        self.add(draft, PEER).expect("taken in")
    }

    fn counts(&self) -> (usize, usize) {
        let PoolStatus { pending, queued, .. } = self.pool.status();
        (pending, queued)
    }

    fn head(&mut self, number: u64, mined: &[TxHash], facts: &[(u8, AccountFacts)]) {
        let mined: B256Map<u64> = mined.iter().map(|hash| (*hash, number)).collect();
        let facts = facts.iter().map(|(key, facts)| (address(*key), *facts));
        self.pool.head_moved(head(number, 1_000_000_000), &mined, facts, self.now);
    }

    fn told(&mut self) -> Vec<TxHash> {
        let pending = |event| match event {
            PoolEvent::Pending(tx) => Some(tx.hash),
            PoolEvent::Left { .. } => None,
        };
        std::iter::from_fn(|| self.pool.poll()).filter_map(pending).collect()
    }

    fn why(&self, hash: TxHash) -> Departure {
        match self.pool.explain(&hash, self.now) {
            Some(Explanation::Gone { why, .. }) => why,
            other => panic!("{other:?}"),
        }
    }

    fn waits(&self, hash: TxHash) -> Waiting {
        match self.pool.explain(&hash, self.now) {
            Some(Explanation::Here { waiting, .. }) => waiting,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn refusals() {
    let check = |change: &dyn Fn(&mut Draft), facts: AccountFacts, expect: &str| {
        let mut round = Round::new(PoolConfig::default());
        round.give(transfer(1, 1));
        let mut draft = transfer(1, 0);
        change(&mut draft);
        let got = round.add_with(draft.clone().signed(), draft.key, PEER, facts);
        let got = got.map_or_else(|refusal| refusal.to_string(), |_| "taken".to_owned());
        assert!(got.starts_with(expect), "{got}, not {expect}");
    };
    check(&|_| {}, RICH, "taken");
    check(&|draft| draft.tx.nonce = 1, RICH, "already known");
    check(&|draft| draft.tx.chain_id = 1, RICH, "invalid chain id");
    check(&|draft| draft.tx.gas_limit = 20_999, RICH, "intrinsic gas too low");
    check(&|draft| draft.tx.input = vec![1; 10].into(), RICH, "intrinsic gas too low");
    let data = |draft: &mut Draft| (draft.tx.input, draft.tx.gas_limit) = (vec![1; 10].into(), 21_200);
    check(&data, RICH, "insufficient gas for floor data gas cost");
    check(&|draft| draft.tx.gas_limit = 30_000_001, RICH, "exceeds block gas limit");
    check(&|draft| draft.tx.max_priority_fee_per_gas = 0, RICH, "transaction underpriced");
    let upside_down = |draft: &mut Draft| draft.tx.max_priority_fee_per_gas = FEE_CAP + 1;
    check(&upside_down, RICH, "max priority fee per gas higher than max fee per gas");
    check(&|draft| draft.tx.value = U256::MAX, RICH, "insufficient funds for gas * price + value");
    check(&|draft| draft.tx.nonce = u64::MAX, RICH, "nonce has max value");
    // Accounts that are not here yet are as the chain says.
    let other = |draft: &mut Draft| draft.key = 2;
    check(&other, AccountFacts { nonce: 1, ..RICH }, "nonce too low: next nonce 1, tx nonce 0");
    check(&other, AccountFacts { is_contract: true, ..RICH }, "sender not an eoa");
    check(&other, AccountFacts::default(), "insufficient funds");
}

#[test]
fn a_gap_is_queued_until_it_is_filled() {
    let mut round = Round::new(PoolConfig::default());
    let third = round.give(transfer(1, 2));
    assert_eq!((round.counts(), round.told()), ((0, 1), vec![]));
    assert_eq!(round.waits(third), Waiting::Nonce { missing: 0 });
    let first = round.give(transfer(1, 0));
    assert_eq!((round.counts(), round.told()), ((1, 1), vec![first]));
    assert_eq!(round.waits(third), Waiting::Nonce { missing: 1 });
    let second = round.give(transfer(1, 1));
    assert_eq!((round.counts(), round.told()), ((3, 0), vec![second, third]));
    assert_eq!(round.pool.next_nonce(&address(1)), Some(3));
    assert_eq!(round.waits(third), Waiting::Block { before: 0 });
}

#[test]
fn a_replacement_pays_a_tenth_more_in_tip_and_in_all() {
    let check = |percent: u128, tip_percent: u128, taken: bool| {
        let mut round = Round::new(PoolConfig::default());
        let old = round.give(transfer(1, 0));
        let mut new = transfer(1, 0);
        new.tx.max_fee_per_gas = FEE_CAP * percent / 100;
        new.tx.max_priority_fee_per_gas = new.tx.max_priority_fee_per_gas * tip_percent / 100;
        match round.add(new, PEER) {
            Ok(new) => {
                assert_eq!(round.why(old), Departure::Replaced { by: new });
                assert_eq!(round.told(), [old, new]);
            }
            Err(refusal) => assert_eq!(refusal, Refusal::Replacement),
        }
        assert_eq!(round.pool.get(&old).is_none(), taken, "{percent} {tip_percent}");
        assert_eq!(round.counts(), (1, 0));
    };
    check(110, 110, true);
    check(200, 200, true);
    check(109, 110, false);
    check(110, 109, false);
    check(200, 100, false);
}

#[test]
fn the_head_takes_what_is_mined_and_brings_back_what_is_not() {
    let mut round = Round::new(PoolConfig::default());
    let hashes: Vec<_> = (0..4).map(|nonce| round.give(transfer(1, nonce))).collect();
    round.told();
    round.head(1, &hashes[..1], &[(1, AccountFacts { nonce: 2, ..RICH })]);
    assert_eq!(round.counts(), (2, 0));
    assert_eq!(round.why(hashes[0]), Departure::Mined { block: 1 });
    assert_eq!(round.why(hashes[1]), Departure::NonceUsed { block: 1 });
    assert!(round.told().is_empty(), "what was pending is not told again");
    // The block leaves the chain, and what stood in it comes back.
    round.head(1, &[], &[(1, RICH)]);
    assert_eq!(round.counts(), (0, 2));
    round.add(transfer(1, 0), Origin::Block).expect("taken back");
    round.add(transfer(1, 1), Origin::Block).expect("taken back");
    assert_eq!((round.counts(), round.told()), ((4, 0), hashes));
}

#[test]
fn a_balance_that_falls_makes_the_last_ones_wait() {
    let mut round = Round::new(PoolConfig::default());
    let hashes: Vec<_> = (0..3).map(|nonce| round.give(transfer(1, nonce))).collect();
    let one = U256::from(21_000 * FEE_CAP + 1);
    round.head(1, &[], &[(1, AccountFacts { balance: one * U256::from(2), ..RICH })]);
    assert_eq!(round.counts(), (2, 1));
    assert_eq!(round.waits(hashes[2]), Waiting::Funds);
    let refusal = round.add(transfer(1, 3), PEER).expect_err("not paid for");
    assert!(matches!(refusal, Refusal::Funds { .. }), "{refusal}");
    round.head(2, &[], &[(1, RICH)]);
    assert_eq!(round.counts(), (3, 0));
}

#[test]
fn two_thousand_of_one_account_fit() {
    let mut round = Round::new(PoolConfig::default());
    for nonce in 0..2000 {
        round.give(transfer(1, nonce));
    }
    assert_eq!(round.counts(), (2000, 0));
    let best: Vec<u64> = round.pool.best(BestParams::default()).map(|tx| tx.nonce()).collect();
    assert_eq!(best, (0..2000).collect::<Vec<_>>());
}

#[test]
fn those_that_wait_are_limited_by_account() {
    let mut round = Round::new(PoolConfig::default());
    for nonce in 1..=64 {
        round.give(transfer(1, nonce));
    }
    let refusal = round.add(transfer(1, 65), PEER).expect_err("one too many");
    assert!(matches!(refusal, Refusal::AccountQueue { .. }), "{refusal}");
    round.add(transfer(1, 65), Origin::Local).expect("our own are not limited so");
    assert_eq!(round.counts(), (0, 65));
}

#[test]
fn a_full_pool_keeps_what_pays_most() {
    let config = PoolConfig { pending_slots_max: 8, queued_max: 2, account_slots: 2, ..Default::default() };
    let mut round = Round::new(config);
    let cheap: Vec<_> = (0..2).map(|nonce| round.give(transfer(1, nonce))).collect();
    for key in 2..=9 {
        round.give(transfer(key, 0).paying(200));
    }
    assert_eq!(round.counts(), (10, 0));
    assert_eq!(round.add(transfer(10, 0).paying(50), PEER), Err(Refusal::Full));
    round.give(transfer(11, 0).paying(150));
    assert_eq!(round.why(cheap[1]), Departure::Evicted);
    // Whoever has more than the share of an account goes first, however much it pays.
    let greedy: Vec<_> = (1..3).map(|nonce| round.add(transfer(2, nonce).paying(900), PEER)).collect();
    assert!(greedy[0].is_ok() && greedy[1] == Err(Refusal::Full), "{greedy:?}");
    // What has a gap before it never drives out what could run.
    assert_eq!(round.add(transfer(12, 5).paying(900), PEER), Err(Refusal::Full));
    // Our own go last.
    round.add(transfer(13, 0).paying(10), Origin::Local).expect("our own");
    assert_eq!(round.pool.status().pending, 10);
    assert_eq!(round.why(cheap[0]), Departure::Evicted);
}

#[test]
fn large_ones_take_more_slots() {
    let config = PoolConfig { pending_slots_max: 4, queued_max: 0, ..Default::default() };
    let mut round = Round::new(config);
    let large = |key, slots: usize| {
        let mut draft = transfer(key, 0);
        draft.tx.input = Bytes::from(vec![0; (slots - 1) * SLOT_BYTES]);
        draft.tx.gas_limit = 5_000_000;
        draft
    };
    round.give(large(1, 3));
    round.give(large(2, 1));
    assert_eq!(round.add(large(3, 2).paying(50), PEER), Err(Refusal::Full));
    round.give(large(3, 2).paying(200));
    assert_eq!(round.counts(), (2, 0));
}

#[test]
fn best_goes_by_tip_and_by_nonce() {
    let mut round = Round::new(PoolConfig::default());
    for (key, nonce, percent) in [(1, 0, 100), (1, 1, 900), (2, 0, 300), (2, 1, 50), (3, 0, 200), (4, 0, 5)] {
        round.give(transfer(key, nonce).paying(percent));
    }
    let order = |base_fee, skip: &[u8]| {
        let mut best = round.pool.best(BestParams { base_fee, ..Default::default() });
        let mut order = Vec::new();
        while let Some(tx) = best.next() {
            let key = (1..9).find(|key| address(*key) == tx.sender).expect("a known key");
            order.push((key, tx.nonce()));
            if skip.contains(&key) {
                best.skip_sender();
            }
        }
        order
    };
    assert_eq!(order(0, &[]), [(2, 0), (3, 0), (1, 0), (1, 1), (2, 1), (4, 0)]);
    assert_eq!(order(0, &[2, 1]), [(2, 0), (3, 0), (1, 0), (4, 0)]);
    // At this base fee the halved price of (2, 1) does not do.
    assert_eq!(order(6_000_000_000, &[]), [(2, 0), (3, 0), (1, 0), (1, 1)]);
}

#[test]
fn what_waits_too_long_expires_unless_it_is_ours() {
    let mut round = Round::new(PoolConfig::default());
    let late = round.give(transfer(1, 1));
    round.add(transfer(2, 1), Origin::Local).expect("taken in");
    round.give(transfer(3, 0));
    round.now += PoolConfig::default().lifetime + Duration::from_secs(1);
    round.pool.expire(round.now);
    assert_eq!(round.counts(), (1, 1));
    assert_eq!(round.why(late), Departure::Expired);
}

#[test]
fn delegated_accounts_have_one_in_flight() {
    let delegated = AccountFacts { is_delegated: true, ..RICH };
    let mut round = Round::new(PoolConfig::default());
    let add = |round: &mut Round, draft: Draft| {
        let key = draft.key;
        round.add_with(draft.signed(), key, PEER, delegated).map(drop)
    };
    assert_eq!(add(&mut round, transfer(1, 1)), Err(Refusal::DelegatedGap(address(1))));
    assert_eq!(add(&mut round, transfer(1, 0)), Ok(()));
    assert_eq!(add(&mut round, transfer(1, 1)), Err(Refusal::Delegated(address(1))));
    assert_eq!(add(&mut round, transfer(1, 0).paying(110)), Ok(()));

    // A pending authorization counts like a delegation.
    let set_code = |key: u8, nonce: u64, authority: u8| {
        let tx = TxEip7702 {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit: 100_000,
            max_fee_per_gas: FEE_CAP,
            max_priority_fee_per_gas: 1_000_000_000,
            to: Address::repeat_byte(0x11),
            authorization_list: vec![authorization(authority)],
            ..Default::default()
        };
        sign(tx, key)
    };
    let mut round = Round::new(PoolConfig::default());
    let hash = round.add_with(set_code(2, 0, 3), 2, PEER, RICH).expect("taken in");
    round.give(transfer(3, 0));
    assert_eq!(round.add(transfer(3, 1), PEER), Err(Refusal::Delegated(address(3))));
    assert_eq!(round.add_with(set_code(4, 0, 3), 4, PEER, RICH).map(drop), Ok(()), "one in flight is allowed");
    assert!(round.pool.remove(&hash));
    // An account with more in flight cannot be delegated.
    round.give(transfer(5, 0));
    round.give(transfer(5, 1));
    assert_eq!(round.add_with(set_code(6, 0, 5), 6, PEER, RICH), Err(Refusal::Authority(address(5))));
}

#[test]
fn a_fork_or_a_lower_gas_limit_makes_void() {
    let mut round = Round::new(PoolConfig::default());
    let mut large = transfer(1, 0);
    large.tx.gas_limit = 20_000_000;
    let hash = round.give(large);
    round.pool.head_moved(HeadFacts { gas_limit: 15_000_000, ..head(1, 0) }, &B256Map::default(), [], round.now);
    assert!(matches!(round.why(hash), Departure::Void { .. }));
}

/// A transaction with a blob, paying so many percent for everything.
fn with_blob(key: u8, nonce: u64, percent: u128) -> Transaction {
    let tx = TxEip4844 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: FEE_CAP * percent / 100,
        max_priority_fee_per_gas: 10_000_000 * percent,
        max_fee_per_blob_gas: 10_000_000 * percent,
        to: Address::repeat_byte(0x11),
        blob_versioned_hashes: vec![B256::repeat_byte(1)],
        ..Default::default()
    };
    sign(tx, key)
}

#[test]
fn blobs_have_rules_of_their_own() {
    let config = PoolConfig { blobs: true, blob_bytes_max: 10_000, ..Default::default() };
    let mut round = Round::new(config);
    let add = |round: &mut Round, key, nonce, percent| round.add_with(with_blob(key, nonce, percent), key, PEER, RICH);
    assert_eq!(add(&mut round, 1, 1, 100), Err(Refusal::NonceGap { nonce: 1, expected: 0 }));
    for nonce in 0..16 {
        add(&mut round, 1, nonce, 100).expect("taken in");
    }
    assert_eq!(add(&mut round, 1, 16, 100), Err(Refusal::AccountBlobs { limit: 16 }));
    assert_eq!(add(&mut round, 1, 15, 199), Err(Refusal::Replacement));
    assert!(add(&mut round, 1, 15, 200).is_ok());
    // One kind in one row.
    assert_eq!(round.add(transfer(1, 16), PEER), Err(Refusal::Reserved(address(1))));
    round.give(transfer(2, 0));
    assert_eq!(add(&mut round, 2, 1, 100), Err(Refusal::Reserved(address(2))));
    // The cheapest account makes room.
    let each = round.pool.status().blob_bytes / 16;
    for key in 3..=10 {
        for nonce in 0..10 {
            if add(&mut round, key, nonce, 300).is_err() {
                break;
            }
        }
    }
    let status = round.pool.status();
    assert!(status.blob_bytes <= 10_000 && status.blob_bytes + each > 10_000, "{status:?}");
    assert!(round.pool.content_of(&address(1)).0.is_empty());
    assert_eq!(round.pool.content_of(&address(2)).0.len(), 1);
    // A block without room for blobs gets none of them, one with a blob base fee those that pay it.
    let count = |blob_base_fee| {
        round.pool.best(BestParams { blob_base_fee, ..Default::default() }).filter(|tx| tx.tx.is_eip4844()).count()
    };
    assert_eq!((count(None), count(Some(3_000_000_001))), (0, 0));
    assert!(count(Some(3_000_000_000)) > 0);
}

/// Whatever happens, the pool's counts are those of its rows, limits hold, pending nonces have no gap, and whatever was
/// taken in is here or has left for a reason.
#[test]
fn random_operations_keep_the_invariants() {
    for seed in 0..40 {
        let result = std::panic::catch_unwind(|| random_round(seed));
        assert!(result.is_ok(), "fails with seed {seed}");
    }
}

fn random_round(seed: u64) {
    const KEYS: u8 = 6;
    let mut rng = StdRng::seed_from_u64(seed);
    let config = PoolConfig {
        pending_slots_max: 20,
        queued_max: 8,
        account_slots: 4,
        account_queued_max: 5,
        no_locals: seed.is_multiple_of(5),
        ..Default::default()
    };
    let limits = config.clone();
    let mut round = Round::new(config);
    let mut facts: BTreeMap<u8, AccountFacts> = (1..=KEYS).map(|key| (key, RICH)).collect();
    let mut taken: BTreeSet<TxHash> = BTreeSet::new();
    for step in 0..400u64 {
        match rng.random_range(0..20) {
            0..14 => {
                let key = rng.random_range(1..=KEYS);
                let nonce = facts[&key].nonce + rng.random_range(0..8);
                let draft = transfer(key, nonce).paying(rng.random_range(50..300));
                let origin = match rng.random_range(0..6) {
                    0 => Origin::Local,
                    1 => Origin::Private,
                    2 => Origin::Block,
                    _ => PEER,
                };
                if let Ok(hash) = round.add_with(draft.signed(), key, origin, facts[&key]) {
                    taken.insert(hash);
                }
            }
            14..18 => {
                let mut mined = Vec::new();
                for (key, facts) in &mut facts {
                    let pending = round.pool.content_of(&address(*key)).0;
                    let count = rng.random_range(0..=pending.len());
                    mined.extend(pending.values().take(count).map(|tx| tx.hash));
                    facts.nonce += count as u64;
                    if rng.random_ratio(1, 8) {
                        facts.nonce = facts.nonce.saturating_sub(rng.random_range(0..3));
                    }
                    let ether = U256::from(10u64).pow(U256::from(18));
                    facts.balance = if rng.random_ratio(1, 3) { ether / U256::from(1000) } else { RICH.balance };
                }
                let facts: Vec<_> = facts.iter().map(|(key, facts)| (*key, *facts)).collect();
                round.head(step, &mined, &facts);
            }
            18 => {
                round.now += Duration::from_secs(4000);
                round.pool.expire(round.now);
            }
            _ => {
                let any = taken.iter().nth(rng.random_range(0..=taken.len().saturating_sub(1)));
                if let Some(hash) = any.copied() {
                    round.pool.remove(&hash);
                }
            }
        }
        check_invariants(&round, &limits, &taken, &facts);
    }
}

fn check_invariants(round: &Round, limits: &PoolConfig, taken: &BTreeSet<TxHash>, facts: &BTreeMap<u8, AccountFacts>) {
    let status = round.pool.status();
    let content = round.pool.content();
    let all: Vec<&Arc<PooledTx>> =
        content.pending.values().chain(content.queued.values()).flat_map(BTreeMap::values).collect();
    let pending: usize = content.pending.values().map(BTreeMap::len).sum();
    assert_eq!((status.pending, status.queued), (pending, all.len() - pending));
    assert_eq!(status.size_bytes, all.iter().map(|tx| tx.size_bytes).sum::<usize>());
    assert!(all.len() <= limits.pending_slots_max + limits.queued_max);
    assert!(all.iter().all(|tx| round.pool.get(&tx.hash).is_some() && taken.contains(&tx.hash)));
    for (key, facts) in facts {
        let (pending, queued) = round.pool.content_of(&address(*key));
        let nonces: Vec<u64> = pending.keys().copied().collect();
        assert_eq!(nonces, (facts.nonce..facts.nonce + pending.len() as u64).collect::<Vec<_>>());
        let cost = pending.values().filter_map(|tx| tx.cost()).fold(U256::ZERO, |sum, cost| sum + cost);
        assert!(cost <= facts.balance || pending.is_empty());
        assert!(queued.keys().all(|nonce| *nonce >= facts.nonce + pending.len() as u64));
    }
    let best: BTreeSet<TxHash> = round.pool.best(BestParams::default()).map(|tx| tx.hash).collect();
    assert_eq!(best.len(), pending);
    let lost = taken.iter().find(|hash| round.pool.explain(hash, round.now).is_none());
    assert_eq!(lost, None, "every transaction is here or has a reason");
}

/// Figures for `make bench-pool`, and a bound that a slow machine keeps too.
#[test]
fn a_head_with_ten_thousand_is_quick() {
    let config = PoolConfig { pending_slots_max: 20_000, ..Default::default() };
    let mut round = Round::new(config);
    let txs: Vec<PooledTx> = (0..10_000)
        .map(|index: u64| {
            let mut draft = transfer(1, index / 100);
            draft.tx.value = U256::from(index);
            let sender = Address::with_last_byte((index % 100) as u8);
            PooledTx::new(draft.signed(), sender, None, PEER, round.now)
        })
        .collect();
    let start = Instant::now();
    for tx in txs {
        round.pool.insert(tx, RICH, round.now).expect("taken in");
    }
    let inserted = start.elapsed();
    assert_eq!(round.counts(), (10_000, 0));
    let start = Instant::now();
    let facts = (0..100).map(|one| (Address::with_last_byte(one), AccountFacts { nonce: 3, ..RICH }));
    round.pool.head_moved(head(1, 2_000_000_000), &B256Map::default(), facts, round.now);
    let moved = start.elapsed();
    assert_eq!(round.counts(), (9_700, 0));
    let start = Instant::now();
    assert_eq!(round.pool.best(BestParams::default()).count(), 9_700);
    eprintln!("10,000 inserted in {inserted:?}, head moved in {moved:?}, best in {:?}", start.elapsed());
    assert!(moved < Duration::from_secs(1));
}
