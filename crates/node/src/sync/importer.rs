//! What the loop asks of the chain, one after the other.

use starling_chain::{ChainHandle, ImportOutcome, InvalidReason, SetHeadOutcome};
use starling_sync::{BrokenRule, ImportResult, RefusedBlock, SyncEvent, Target};
use starling_validation::PreparedBlock;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Something for the chain.
#[derive(Debug)]
pub(super) enum Errand {
    /// Ascending blocks.
    Import(Vec<Arc<PreparedBlock>>),
    /// A new head.
    SetHead(Target),
    /// To be remembered as invalid.
    Refuse(RefusedBlock),
}

/// Runs errands until the loop is gone.
pub(super) async fn run(chain: ChainHandle, mut errands: mpsc::Receiver<Errand>, results: mpsc::Sender<SyncEvent>) {
    while let Some(errand) = errands.recv().await {
        match errand {
            Errand::Import(blocks) => import(&chain, blocks, &results).await,
            Errand::SetHead(target) => {
                let refused = set_head(&chain, target).await;
                let _ = results.send(SyncEvent::HeadSet { head: target.head, refused }).await;
            }
            Errand::Refuse(refused) => refuse(&chain, refused).await,
        }
    }
}

async fn import(chain: &ChainHandle, blocks: Vec<Arc<PreparedBlock>>, results: &mpsc::Sender<SyncEvent>) {
    let mut goes_on = true;
    for block in blocks {
        let at = block.at();
        let result = if goes_on { import_one(chain, block).await } else { ImportResult::UnknownParent };
        goes_on &= result == ImportResult::Kept;
        let _ = results.send(SyncEvent::Imported { block: at, result }).await;
    }
}

pub(super) async fn import_one(chain: &ChainHandle, block: Arc<PreparedBlock>) -> ImportResult {
    match chain.import(block).await {
        Ok(ImportOutcome::Valid | ImportOutcome::Known) => ImportResult::Kept,
        Ok(ImportOutcome::Accepted) => ImportResult::TooOld,
        Ok(ImportOutcome::UnknownParent) => ImportResult::UnknownParent,
        Ok(ImportOutcome::Invalid { why, .. }) => ImportResult::Invalid { why: why.to_string() },
        Err(error) => {
            tracing::warn!(%error, "cannot import; trying again");
            ImportResult::Failed { why: error.to_string() }
        }
    }
}

async fn refuse(chain: &ChainHandle, refused: RefusedBlock) {
    let RefusedBlock { block, parent_hash, why, descendants } = refused;
    let why = why.map(|why| match why {
        BrokenRule::Header(rule) => InvalidReason::Check(rule),
        BrokenRule::Prepare(rule) => InvalidReason::Prepare(rule),
    });
    let refused = starling_chain::RefusedBlock { hash: block.hash, parent_hash, why, descendants };
    // Who names one of them again finds out by another sync.
    if let Err(error) = chain.refuse_unseen(refused).await {
        tracing::warn!(%block, %error, "an invalid block is not remembered");
    }
}

/// Why the head is not as wanted; none if it is.
async fn set_head(chain: &ChainHandle, target: Target) -> Option<String> {
    match chain.set_head(target.head, target.safe, target.finalized).await {
        Ok(SetHeadOutcome::Done) => None,
        Ok(SetHeadOutcome::UnknownHead) => Some("the chain was rewound meanwhile".into()),
        Ok(SetHeadOutcome::Invalid { why, .. }) => Some(why.to_string()),
        Ok(SetHeadOutcome::Inconsistent(why)) => Some(why),
        Ok(SetHeadOutcome::TooDeep { depth, limit }) => {
            Some(format!("reorg depth {depth} exceeds limit {limit} (--engine.maxreorgdepth)"))
        }
        Err(error) => Some(error.to_string()),
    }
}
