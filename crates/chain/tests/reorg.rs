//! Rival branches before and after the merge, on chains made to order.

mod common;

use alloy_primitives::{Address, B256};
use common::forge::{child, open_at, total_difficulty};
use starling_chain::{ChainConfig, ChainCore, ChainEvent, ImportOutcome, SetHeadOutcome};
use starling_chainspec::Fork;
use starling_primitives::{BlockRef, StateReader};
use starling_storage::StorageConfig;

const LEFT: Address = Address::repeat_byte(0x1e);
const RIGHT: Address = Address::repeat_byte(0x2f);

/// Imports `count` empty blocks on `parent`; the branch's blocks in order.
fn grow(chain: &mut ChainCore, parent: BlockRef, to: Address, count: usize, seconds: u64) -> Vec<BlockRef> {
    let mut branch = vec![parent];
    for _ in 0..count {
        let block = child(chain, branch[branch.len() - 1], to, seconds);
        branch.push(block.at());
        assert_eq!(chain.import(block).unwrap(), ImportOutcome::Valid);
    }
    branch.split_off(1)
}

#[test]
fn the_heavier_branch_leads_and_the_first_of_equals_stays() {
    let mut chain = open_at(Fork::London, StorageConfig::memory());
    let genesis = chain.head();
    let left = grow(&mut chain, genesis, LEFT, 3, 13);
    assert_eq!(chain.head(), left[2]);
    let right = grow(&mut chain, genesis, RIGHT, 3, 13);
    assert_eq!(total_difficulty(&chain, left[2]), total_difficulty(&chain, right[2]));
    assert_eq!(chain.head(), left[2], "the first seen of two equals stays");
    let more = grow(&mut chain, right[2], RIGHT, 1, 13);
    assert_eq!(chain.head(), more[0]);

    let view = chain.view();
    assert_eq!(view.find(starling_state::BlockId::Number(2)).unwrap(), Some(right[1]));
    assert!(!view.is_canonical(left[1]).unwrap());
    // Rewards of the leading branch only: four blocks of two ether.
    let state = view.head_state();
    assert_eq!(state.account(&LEFT).unwrap(), None);
    assert_eq!(state.account(&RIGHT).unwrap().unwrap().balance.to::<u128>(), 8 * 10u128.pow(18));
    // The other branch is still there to be asked.
    let beside = view.state_at(left[1]).unwrap();
    assert_eq!(beside.account(&LEFT).unwrap().unwrap().balance.to::<u128>(), 4 * 10u128.pow(18));
    assert_eq!(beside.account(&RIGHT).unwrap(), None);
}

#[test]
fn after_the_merge_a_longer_branch_leads_only_when_told() {
    let mut chain = open_at(Fork::Shanghai, StorageConfig::memory());
    let genesis = chain.head();
    let left = grow(&mut chain, genesis, LEFT, 2, 12);
    let right = grow(&mut chain, genesis, RIGHT, 5, 12);
    assert_eq!(chain.head(), genesis);
    let zero = B256::ZERO;
    assert_eq!(chain.set_head(left[1].hash, zero, zero).unwrap(), SetHeadOutcome::Done);
    assert_eq!(chain.head(), left[1]);
    assert_eq!(chain.set_head(right[4].hash, right[1].hash, right[0].hash).unwrap(), SetHeadOutcome::Done);
    assert_eq!(chain.view().safe(), Some(right[1]));
    let outcome = chain.set_head(left[1].hash, zero, right[0].hash).unwrap();
    assert!(matches!(outcome, SetHeadOutcome::Inconsistent(_)), "{outcome:?}");
}

#[test]
fn a_reorg_deeper_than_the_bound_is_refused() {
    let mut chain = open_at(Fork::Shanghai, StorageConfig::memory());
    let genesis = chain.head();
    let left = grow(&mut chain, genesis, LEFT, 6, 12);
    let right = grow(&mut chain, genesis, RIGHT, 1, 12);
    let spec = chain.spec().clone();
    let db = chain.database().clone();
    let config = ChainConfig { reorg_depth_max: 5, ..ChainConfig::default() };
    let mut chain = ChainCore::open(spec, db, config).unwrap();
    let zero = B256::ZERO;
    assert_eq!(chain.set_head(left[5].hash, zero, zero).unwrap(), SetHeadOutcome::Done);
    let outcome = chain.set_head(right[0].hash, zero, zero).unwrap();
    assert_eq!(outcome, SetHeadOutcome::TooDeep { depth: 6, limit: 5 });
    assert_eq!(chain.head(), left[5]);
    assert_eq!(chain.set_head(left[0].hash, zero, zero).unwrap(), SetHeadOutcome::Done);
}

#[tokio::test]
async fn the_actor_answers_and_tells_of_the_head() {
    let core = open_at(Fork::Shanghai, StorageConfig::memory());
    let genesis = core.head();
    let block = child(&core, genesis, LEFT, 12);
    let (chain, handle) = starling_chain::spawn(core).unwrap();
    let mut events = handle.events();
    assert_eq!(handle.import(block.clone()).await.unwrap(), ImportOutcome::Valid);
    assert_eq!(handle.view().head(), genesis);
    let outcome = handle.set_head(block.hash, B256::ZERO, B256::ZERO).await.unwrap();
    assert_eq!(outcome, SetHeadOutcome::Done);
    assert_eq!(handle.view().head(), block.at());
    let ChainEvent::HeadMoved { head, common } = events.recv().await.unwrap();
    assert_eq!((head, common), (block.at(), genesis));
    let core = tokio::task::spawn_blocking(|| chain.stop()).await.unwrap().expect("a living thread");
    assert_eq!(core.head(), block.at());
    assert!(handle.import(block).await.is_err(), "the chain is closed");
}
