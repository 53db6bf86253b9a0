use super::{SealError, Sealer, now};
use starling_builder::Attributes;
use starling_chain::SetHeadOutcome;
use starling_primitives::{Address, B256};
use starling_txpool::PoolNews;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// How long a failed block waits for its next try.
const RETRY: Duration = Duration::from_secs(1);

/// Seals blocks of a development chain until the runtime stops: one a period, or one for whatever is pending.
pub(super) async fn run(sealer: Sealer, period: Option<Duration>, etherbase: Address) {
    let mut news = sealer.pool.news();
    loop {
        if let Some(period) = period {
            tokio::time::sleep(period).await;
        }
        match seal(&sealer, etherbase, period.is_some()).await {
            // There may be more than went into one block.
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => {
                tracing::error!(%error, "the next block of the development chain is not sealed");
                tokio::time::sleep(RETRY).await;
                continue;
            }
        }
        if period.is_none() {
            loop {
                match news.recv().await {
                    Ok(PoolNews::Pending(_)) | Err(RecvError::Lagged(_)) => break,
                    Ok(PoolNews::Left { .. }) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        }
    }
}

/// Seals one block and makes it the head; an empty one only if that is wanted. Whether it did.
async fn seal(sealer: &Sealer, etherbase: Address, empty_too: bool) -> Result<bool, SealError> {
    let view = sealer.chain.view();
    let (head, header) = (view.head(), view.head_header());
    let attributes = Attributes {
        // Blocks that come faster than the clock ticks run ahead of it.
        timestamp: now().as_secs().max(header.timestamp.saturating_add(1)),
        fee_recipient: etherbase,
        prev_randao: B256::from(alloy_primitives::keccak256(head.hash)),
        withdrawals: None,
        parent_beacon_block_root: None,
        slot_number: None,
        gas_limit_target: sealer.options.gas_limit_target,
        extra_data: sealer.options.extra_data.clone(),
    };
    drop(view);
    let built = sealer.build(head, attributes, None).await?;
    if built.block.body.transactions.is_empty() && !empty_too {
        return Ok(false);
    }
    let at = sealer.import(&built).await?;
    match sealer.chain.set_head(at.hash, B256::ZERO, B256::ZERO).await? {
        SetHeadOutcome::Done => Ok(true),
        other => {
            tracing::error!(?other, "a sealed block does not become the head");
            Ok(false)
        }
    }
}
