//! Head, safe and finalized as a consensus client moves them, on the blocks of rpc-compat (merged from block 36 on).

mod common;

use alloy_primitives::{B256, Bytes};
use common::{fixture, open, prepare};
use starling_chain::{ChainCore, ImportOutcome, InvalidReason, RefusedBlock, SetHeadOutcome};
use starling_storage::StorageConfig;
use starling_validation::{HeaderError, PreparedBlock};
use std::sync::Arc;

const MERGE: u64 = 36;

/// The chain with all blocks imported and none adopted after the merge.
fn imported() -> Option<(ChainCore, Vec<Arc<PreparedBlock>>)> {
    let (genesis, blocks) = fixture("rpc-compat")?;
    let mut chain = open(&genesis, StorageConfig::memory());
    let blocks: Vec<_> = blocks.into_iter().map(|rlp| prepare(&chain, rlp)).collect();
    for block in &blocks {
        assert_eq!(chain.import(block.clone()).unwrap(), ImportOutcome::Valid, "{}", block.at());
    }
    Some((chain, blocks))
}

fn hash(blocks: &[Arc<PreparedBlock>], number: u64) -> B256 {
    blocks[number as usize - 1].hash
}

#[test]
fn difficulty_leads_before_the_merge_and_nobody_after() {
    let Some((chain, _)) = imported() else { return };
    assert_eq!(chain.head().number, MERGE - 1);
}

#[test]
fn the_head_goes_where_it_is_told() {
    let Some((mut chain, blocks)) = imported() else { return };
    let at = |number| hash(&blocks, number);
    for (head, safe, finalized) in [(40, 0, 0), (54, 50, 45), (54, 54, 54), (54, 0, 0), (52, 51, 50), (54, 53, 52)] {
        let or_zero = |number| if number == 0 { B256::ZERO } else { at(number) };
        let outcome = chain.set_head(at(head), or_zero(safe), or_zero(finalized)).unwrap();
        assert_eq!(outcome, SetHeadOutcome::Done, "{head} {safe} {finalized}");
        let view = chain.view();
        assert_eq!(view.head().number, head);
        if safe > 0 {
            assert_eq!(view.safe().map(|block| block.number), Some(safe));
            assert_eq!(view.finalized().map(|block| block.number), Some(finalized));
        }
    }
}

#[test]
fn what_does_not_fit_moves_nothing() {
    let Some((mut chain, blocks)) = imported() else { return };
    let at = |number| hash(&blocks, number);
    assert_eq!(chain.set_head(at(50), at(49), at(48)).unwrap(), SetHeadOutcome::Done);
    let unknown = B256::repeat_byte(7);
    assert_eq!(chain.set_head(unknown, B256::ZERO, B256::ZERO).unwrap(), SetHeadOutcome::UnknownHead);
    for (safe, finalized) in [(unknown, at(48)), (at(49), unknown), (at(51), at(48)), (at(49), at(51))] {
        let outcome = chain.set_head(at(50), safe, finalized).unwrap();
        assert!(matches!(outcome, SetHeadOutcome::Inconsistent(_)), "{outcome:?}");
    }
    let view = chain.view();
    assert_eq!((view.head().number, view.safe().unwrap().number, view.finalized().unwrap().number), (50, 49, 48));
}

#[test]
fn rewind_forgets_what_is_above() {
    let Some((mut chain, blocks)) = imported() else { return };
    let at = |number| hash(&blocks, number);
    assert_eq!(chain.set_head(at(54), at(53), at(40)).unwrap(), SetHeadOutcome::Done);
    assert_eq!(chain.rewind(45).unwrap().hash, at(45));
    let view = chain.view();
    assert_eq!((view.head().number, view.safe(), view.finalized().unwrap().number), (45, None, 40));
    assert!(chain.rewind(46).is_err());
    assert_eq!(chain.import(blocks[45].clone()).unwrap(), ImportOutcome::Valid, "block 46 is new again");
}

/// Changes a block's bytes, with the header hash following.
fn altered(chain: &ChainCore, block: &PreparedBlock, change: impl FnOnce(&mut PreparedBlock)) -> Arc<PreparedBlock> {
    let mut altered = block.clone();
    change(&mut altered);
    Arc::new(PreparedBlock::from_rlp(chain.spec(), Bytes::from(alloy_rlp::encode(&altered.block))).unwrap())
}

#[test]
fn an_invalid_block_is_refused_with_its_reason_and_so_are_its_children() {
    let Some((mut chain, blocks)) = imported() else { return };
    assert_eq!(chain.rewind(30).unwrap().number, 30);
    let bad = altered(&chain, &blocks[30], |block| block.block.header.state_root = B256::repeat_byte(1));
    let ImportOutcome::Invalid { latest_valid, why } = chain.import(bad.clone()).unwrap() else { panic!("accepted") };
    assert_eq!(latest_valid, Some(B256::ZERO), "the parent is from before the merge");
    assert!(matches!(why, InvalidReason::StateRoot { .. }), "{why}");

    let child = altered(&chain, &blocks[31], |block| block.block.header.parent_hash = bad.hash);
    let outcome = chain.import(child.clone()).unwrap();
    assert!(matches!(&outcome, ImportOutcome::Invalid { why: InvalidReason::StateRoot { .. }, .. }), "{outcome:?}");
    let outcome = chain.set_head(child.hash, B256::ZERO, B256::ZERO).unwrap();
    assert!(matches!(outcome, SetHeadOutcome::Invalid { .. }), "{outcome:?}");

    assert_eq!(chain.bad_blocks().len(), 1, "the child broke no rule itself");
    assert_eq!(chain.bad_blocks()[0].block.hash, bad.hash);
    assert_eq!(chain.head().number, 30);
    assert_eq!(chain.import(blocks[30].clone()).unwrap(), ImportOutcome::Valid, "the true block still fits");
}

#[test]
fn descendants_that_a_sync_found_are_invalid_after_the_last_valid_block() {
    let Some((mut chain, blocks)) = imported() else { return };
    let [middle, head, later] = [1, 2, 3].map(B256::repeat_byte);
    let broken = HeaderError::Number { got: 1, expected: 51 };
    let refused = |why| RefusedBlock {
        hash: B256::repeat_byte(9),
        parent_hash: hash(&blocks, 50),
        why,
        descendants: vec![middle, head, hash(&blocks, 49)],
    };
    assert_eq!(chain.refuse_unseen(refused(None)).unwrap(), None, "nobody has said why");
    assert_eq!(chain.set_head(head, B256::ZERO, B256::ZERO).unwrap(), SetHeadOutcome::UnknownHead);

    let latest_valid = Some(hash(&blocks, 50));
    assert_eq!(chain.refuse_unseen(refused(Some(broken.clone().into()))).unwrap(), latest_valid);
    let expected = SetHeadOutcome::Invalid { latest_valid, why: InvalidReason::Check(broken.clone()) };
    for invalid in [B256::repeat_byte(9), middle, head] {
        assert_eq!(chain.set_head(invalid, B256::ZERO, B256::ZERO).unwrap(), expected);
    }
    let child = altered(&chain, &blocks[51], |block| block.block.header.parent_hash = head);
    assert!(
        matches!(chain.import(child).unwrap(), ImportOutcome::Invalid { latest_valid: it, .. } if it == latest_valid)
    );
    let kept = hash(&blocks, 49);
    assert_eq!(chain.set_head(kept, B256::ZERO, B256::ZERO).unwrap(), SetHeadOutcome::Done, "what is kept stays valid");

    // One whose parent was refused has the verdict of its parent, and one of no known parent none to name.
    let of =
        |parent_hash| RefusedBlock { hash: later, parent_hash, why: Some(broken.clone().into()), descendants: vec![] };
    assert_eq!(chain.refuse_unseen(of(B256::repeat_byte(77))).unwrap(), None);
    let orphan = chain.set_head(later, B256::ZERO, B256::ZERO).unwrap();
    assert!(matches!(orphan, SetHeadOutcome::Invalid { latest_valid: None, .. }), "{orphan:?}");
    let child = RefusedBlock { hash: B256::repeat_byte(4), ..of(head) };
    assert_eq!(chain.refuse_unseen(child).unwrap(), latest_valid);
}

#[test]
fn a_wrong_body_says_nothing_of_the_block_that_its_header_names() {
    let Some((mut chain, blocks)) = imported() else { return };
    assert_eq!(chain.rewind(30).unwrap().number, 30);
    let emptied = altered(&chain, &blocks[30], |block| block.block.body.transactions.clear());
    assert_eq!(emptied.hash, blocks[30].hash);
    assert_ne!(emptied.rlp, blocks[30].rlp, "a block with transactions");
    assert!(matches!(chain.import(emptied).unwrap(), ImportOutcome::Invalid { .. }));
    assert_eq!(chain.bad_blocks().len(), 1);
    assert_eq!(chain.import(blocks[30].clone()).unwrap(), ImportOutcome::Valid);
}

#[test]
fn an_unknown_parent_is_said_to_be_unknown() {
    let Some((genesis, blocks)) = fixture("rpc-compat") else { return };
    let mut chain = open(&genesis, StorageConfig::memory());
    let block = prepare(&chain, blocks[1].clone());
    assert_eq!(chain.import(block).unwrap(), ImportOutcome::UnknownParent);
}
