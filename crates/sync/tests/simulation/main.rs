//! Whole syncs in virtual time: real chains, real import, peers of every character. A failure prints its seed;
//! the same seed gives the same run.

mod announce;
mod chain;
mod peer;
mod serving;
mod world;

use chain::{Source, hive_sync, rpc_compat};
use peer::Character;
use starling_chain::SetHeadOutcome;
use starling_devp2p::eth::EthVersion;
use starling_primitives::{B256, U256};
use starling_sync::{Fault, SyncConfig, SyncEvent, WaitsFor};
use std::time::Duration;
use world::World;

const HIVE_HEAD: u64 = 3000;
/// The last block of proof of work.
const MERGE: u64 = 35;
const MINUTES: Duration = Duration::from_secs(600);

/// No chain of the fixtures but era's was mined.
fn config() -> SyncConfig {
    SyncConfig { check_seal: false, ..SyncConfig::default() }
}

fn small() -> SyncConfig {
    SyncConfig { headers_max: 600, window_bytes_max: 200_000, check_seal: false }
}

/// Syncs to the source's head from peers of these characters, and checks who was accused.
fn check(source: &'static Source, seed: u64, config: SyncConfig, characters: &[Character]) -> World {
    let mut world = World::new(source, seed, config);
    let head = source.view().head();
    for character in characters {
        world.join(*character, EthVersion::V69);
    }
    world.target(head.hash);
    world.run_until(MINUTES, |world| world.synced.is_some());
    assert_eq!(world.synced, Some(head), "seed {seed}");
    assert_eq!(world.chain.head(), head, "seed {seed}");
    world.check_faults();
    world
}

#[test]
fn one_static_peer() {
    let Some(source) = hive_sync() else { return };
    let world = check(source, 1, config(), &[Character::Honest]);
    println!("{:?} of virtual time, {} headers asked for", world.elapsed(), world.headers_asked);
    assert!(world.faults.is_empty());
    // hive gives a minute
    assert!(world.elapsed() < Duration::from_secs(20));
    assert!(world.headers_asked < HIVE_HEAD + 600, "{}", world.headers_asked);
    assert!(world.bodies_asked <= HIVE_HEAD as usize);
}

#[test]
fn many_honest_peers_share_the_work() {
    let Some(source) = hive_sync() else { return };
    let world = check(source, 2, config(), &[Character::Honest; 8]);
    println!("{:?} of virtual time", world.elapsed());
    assert!(world.faults.is_empty());
    assert!(world.bodies_asked <= HIVE_HEAD as usize);
    assert!(world.elapsed() < Duration::from_secs(10));
}

#[test]
fn with_little_memory_headers_are_asked_for_twice() {
    let Some(source) = hive_sync() else { return };
    let world = check(source, 3, small(), &[Character::Honest; 3]);
    assert!(world.faults.is_empty());
    assert!(world.headers_asked > HIVE_HEAD + 1000, "{}", world.headers_asked);
}

#[test]
fn each_liar_is_found_out_beside_an_honest_peer() {
    let Some(source) = hive_sync() else { return };
    for (seed, liar) in Character::LIARS.into_iter().enumerate() {
        let world = check(source, seed as u64, config(), &[Character::Honest, liar, liar]);
        assert!(world.peers.values().any(|peer| peer.lied), "{liar:?} had no chance");
    }
}

#[test]
fn a_crowd_of_every_character() {
    let Some(source) = rpc_compat() else { return };
    for seed in 0..40 {
        let mut crowd = Character::LIARS.to_vec();
        crowd.extend([Character::Honest, Character::Lossy, Character::Silent, Character::Empty]);
        crowd.extend([Character::Short, Character::Vanishes(1), Character::Vanishes(3)]);
        check(source, seed, config(), &crowd);
    }
    let Some(source) = hive_sync() else { return };
    let mut crowd = Character::LIARS.to_vec();
    crowd.extend([Character::Honest, Character::Lossy, Character::Lossy, Character::Silent, Character::Empty]);
    crowd.extend([Character::Short, Character::Vanishes(2), Character::Vanishes(7), Character::Silent]);
    check(source, 41, config(), &crowd);
    check(source, 42, small(), &crowd);
}

#[test]
fn silent_and_empty_peers_are_reported_but_are_no_liars() {
    let Some(source) = rpc_compat() else { return };
    let mut world = World::new(source, 5, config());
    let silent = world.join(Character::Silent, EthVersion::V69);
    let empty = world.join(Character::Empty, EthVersion::V69);
    world.target(source.view().head().hash);
    world.run_for(MINUTES);
    assert!(world.faults.contains(&(silent, Fault::Timeout)));
    // It cannot be said to have the head, of which nobody knows the number.
    assert!(!world.faults.iter().any(|(id, fault)| *id == empty && fault.is_lie()));
    assert_eq!(world.syncer.progress(&world.chain.view()).waits_for, WaitsFor::Head);
    world.join(Character::Honest, EthVersion::V70);
    world.run_until(MINUTES, |world| world.synced.is_some());
}

#[test]
fn all_peers_vanish_and_others_come() {
    let Some(source) = hive_sync() else { return };
    let mut world = World::new(source, 6, config());
    for _ in 0..3 {
        world.join(Character::Vanishes(4), EthVersion::V69);
    }
    world.target(source.view().head().hash);
    world.run_for(Duration::from_secs(60));
    assert!(world.synced.is_none() && world.peers.is_empty());
    assert_eq!(world.syncer.progress(&world.chain.view()).waits_for, WaitsFor::Peers);
    world.join(Character::Honest, EthVersion::V69);
    world.run_until(MINUTES, |world| world.synced.is_some());
    assert!(world.faults.is_empty());
}

#[test]
fn a_restart_goes_on_from_the_chain() {
    let Some(source) = hive_sync() else { return };
    let mut world = World::new(source, 7, small());
    world.join(Character::Honest, EthVersion::V69);
    world.target(source.view().head().hash);
    world.run_until(MINUTES, |world| world.chain.head().number >= 1000);
    let left = HIVE_HEAD - world.chain.head().number;
    world.restart(config());
    world.join(Character::Honest, EthVersion::V69);
    world.target(source.view().head().hash);
    world.run_until(MINUTES, |world| world.synced.is_some());
    assert!(world.bodies_asked as u64 <= left, "{} for {left}", world.bodies_asked);
    assert!(world.headers_asked <= left + 600, "{} for {left}", world.headers_asked);
}

#[test]
fn heads_move_on_while_it_syncs() {
    let Some(source) = hive_sync() else { return };
    let mut world = World::new(source, 8, config());
    world.join(Character::Honest, EthVersion::V69);
    for number in [1000, 1010, 2000, 2900, 2901, 3000] {
        world.target(source.hash(number));
        world.run_for(Duration::from_millis(700));
    }
    world.run_until(MINUTES, |world| world.chain.head().number == HIVE_HEAD);
    assert!(world.faults.is_empty());
}

#[test]
fn a_head_that_nobody_has_gives_way_to_the_next() {
    let Some(source) = rpc_compat() else { return };
    let mut world = World::new(source, 9, config());
    world.join(Character::Honest, EthVersion::V69);
    world.target(B256::repeat_byte(9));
    world.run_for(MINUTES);
    assert_eq!(world.syncer.progress(&world.chain.view()).waits_for, WaitsFor::Head);
    world.target(source.view().head().hash);
    world.run_until(MINUTES, |world| world.synced.is_some());
    assert!(world.faults.is_empty());
}

#[test]
fn ancestors_of_a_payload_are_fetched_and_the_head_stays() {
    let Some(source) = rpc_compat() else { return };
    let mut world = World::new(source, 10, config());
    world.join(Character::Honest, EthVersion::V69);
    let payload = source.block(54);
    world.at(Duration::ZERO, SyncEvent::Payload(payload.clone()));
    let at = payload.at();
    let is_kept = |world: &World| world.chain.view().header(starling_state::BlockId::Hash(at.hash)).unwrap().is_some();
    world.run_until(MINUTES, is_kept);
    // Before the merge the chain's own rule moves the head; after it nobody has yet.
    assert_eq!(world.chain.head().number, MERGE);
    world.target(at.hash);
    world.run_until(MINUTES, |world| world.chain.head() == at);
}

#[test]
fn an_invalid_block_ends_the_target_not_the_peers() {
    let Some(source) = rpc_compat() else { return };
    let mut world = World::new(source, 11, config());
    let peer = world.join(Character::Honest, EthVersion::V69);
    let good = source.block(54);
    let mut block = good.block.clone();
    block.header.state_root = B256::repeat_byte(1);
    let bad = starling_validation::PreparedBlock::from_block(world.chain.spec(), &block).unwrap();
    let bad_hash = bad.hash;
    world.at(Duration::ZERO, SyncEvent::Payload(std::sync::Arc::new(bad)));
    world.target(bad_hash);
    world.run_until(MINUTES, |world| !world.refused.is_empty());
    assert_eq!(world.refused[0].0, bad_hash);
    assert!(world.refused[0].1.contains("state root"), "{}", world.refused[0].1);
    world.target(good.hash);
    world.run_until(MINUTES, |world| world.chain.head().hash == good.hash);
    assert!(!world.faults.iter().any(|(id, _)| *id == peer));
}

/// Blocks 50 to 54 of rpc-compat with the first one changed and the others linked to it; handed over as payloads.
fn spoilt(
    world: &mut World,
    source: &'static Source,
    change: impl FnOnce(&mut starling_primitives::Header),
) -> Vec<B256> {
    let mut hashes: Vec<B256> = Vec::new();
    let mut change = Some(change);
    for number in 50..=54 {
        let mut block = source.block(number).block.clone();
        match (hashes.last(), change.take()) {
            (None, Some(change)) => change(&mut block.header),
            (parent, _) => block.header.parent_hash = *parent.expect("not the first"),
        }
        let block = starling_validation::PreparedBlock::from_block(world.chain.spec(), &block).unwrap();
        hashes.push(block.hash);
        world.at(Duration::ZERO, SyncEvent::Payload(std::sync::Arc::new(block)));
    }
    hashes
}

/// What the chain says of heads after a sync to the last of them failed, and of the true head.
fn check_refused(world: &mut World, source: &'static Source, hashes: &[B256]) {
    let latest = source.hash(49);
    for hash in hashes {
        let outcome = world.chain.set_head(*hash, B256::ZERO, B256::ZERO).unwrap();
        assert!(
            matches!(outcome, SetHeadOutcome::Invalid { latest_valid: Some(valid), .. } if valid == latest),
            "{outcome:?}"
        );
    }
    world.target(source.hash(54));
    world.run_until(MINUTES, |world| world.chain.head().hash == source.hash(54));
    assert!(world.faults.is_empty());
}

#[test]
fn all_above_an_invalid_block_is_invalid_after_the_last_valid_one() {
    let Some(source) = rpc_compat() else { return };
    let mut world = World::new(source, 17, config());
    world.join(Character::Honest, EthVersion::V69);
    let hashes = spoilt(&mut world, source, |header| header.state_root = B256::repeat_byte(1));
    // The head is the fourth; the fifth is only a payload that descends from it.
    world.target(hashes[3]);
    world.run_until(MINUTES, |world| !world.refused.is_empty());
    check_refused(&mut world, source, &hashes);
}

#[test]
fn a_block_of_the_wrong_number_is_invalid_with_all_above_it() {
    let Some(source) = rpc_compat() else { return };
    let mut world = World::new(source, 18, config());
    world.join(Character::Honest, EthVersion::V69);
    world.target(source.hash(49));
    world.run_until(MINUTES, |world| world.chain.head().hash == source.hash(49));
    let first = spoilt(&mut world, source, |header| header.number = 77)[0];
    world.target(first);
    world.run_until(MINUTES, |world| !world.refused.is_empty());
    assert!(world.refused[0].1.contains("not the one after its parent"), "{}", world.refused[0].1);
    check_refused(&mut world, source, &[first]);
}

#[test]
fn a_foreign_chain_is_refused() {
    let (Some(source), Some(other)) = (hive_sync(), rpc_compat()) else { return };
    let mut world = World::new(source, 12, config());
    world.chain = other.follower();
    world.restart(config());
    world.join(Character::Honest, EthVersion::V69);
    world.target(source.view().head().hash);
    world.run_until(MINUTES, |world| !world.refused.is_empty());
    assert!(world.refused[0].1.contains("genesis"), "{}", world.refused[0].1);
}

#[test]
fn imports_that_fail_are_tried_again() {
    let Some(source) = hive_sync() else { return };
    let mut world = World::new(source, 13, config());
    world.join(Character::Honest, EthVersion::V69);
    world.target(source.view().head().hash);
    world.run_until(MINUTES, |world| world.chain.head().number >= 500);
    world.imports_failing = 3;
    world.run_for(Duration::from_millis(500));
    assert_eq!(world.syncer.progress(&world.chain.view()).waits_for, WaitsFor::Chain);
    world.run_until(MINUTES, |world| world.synced.is_some());
    assert!(world.bodies_asked <= HIVE_HEAD as usize);
}

#[test]
fn before_the_merge_the_heaviest_chain_is_followed() {
    let Some(source) = rpc_compat() else { return };
    for seed in 0..20 {
        let mut world = World::new(source, seed, config());
        world.join(Character::Honest, EthVersion::V68);
        world.join(Character::Vanishes(2), EthVersion::V68);
        for liar in Character::LIARS {
            world.join(liar, EthVersion::V68);
        }
        world.run_until(MINUTES, |world| world.synced.is_some());
        assert_eq!(world.chain.head().number, MERGE, "seed {seed}");
        assert_eq!(world.chain.head().hash, source.hash(MERGE));
        world.check_faults();
    }
}

#[test]
fn work_that_was_never_done_is_found_out() {
    let Some(source) = rpc_compat() else { return };
    let mut world = World::new(source, 16, SyncConfig::default());
    let peer = world.join(Character::Honest, EthVersion::V68);
    world.run_until(MINUTES, |world| !world.faults.is_empty());
    assert_eq!(world.faults, [(peer, Fault::InvalidBlock)]);
    assert_eq!(world.chain.head().number, 0);
    // Somebody trusted may still name that chain.
    world.join(Character::Honest, EthVersion::V69);
    world.target(source.view().head().hash);
    world.run_until(MINUTES, |world| world.synced.is_some());
}

#[test]
fn a_difficulty_that_is_not_there_is_a_lie() {
    let Some(source) = rpc_compat() else { return };
    let mut world = World::new(source, 15, config());
    let total = world.source_total();
    world.join_claiming(Character::Honest, EthVersion::V69, None);
    world.run_for(Duration::from_secs(30));
    // Nobody named a total difficulty, and none is assumed.
    assert_eq!(world.headers_asked, 0);
    world.join_claiming(Character::Honest, EthVersion::V68, Some(total));
    world.join_claiming(Character::Honest, EthVersion::V68, Some(total + U256::from(1_000_000)));
    world.join_claiming(Character::Silent, EthVersion::V68, Some(total + U256::from(9_000_000)));
    world.run_until(MINUTES, |world| world.chain.head().number == MERGE);
    world.run_for(MINUTES);
    assert!(!world.faults.iter().any(|(_, fault)| fault.is_lie() && *fault != Fault::FalseHead), "{:?}", world.faults);
}
