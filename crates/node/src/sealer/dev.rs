use super::{SealError, Sealer, now};
use starling_builder::Attributes;
use starling_chain::SetHeadOutcome;
use starling_primitives::{Address, B256, BlockRef};
use starling_rpc::DevCommand;
use starling_txpool::PoolNews;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::{
        broadcast::{self, error::RecvError},
        mpsc,
    },
    time::{Instant, sleep_until, timeout},
};

/// How long a failed block waits for its next try.
const RETRY: Duration = Duration::from_secs(1);
/// Heads that are remembered; one more makes the oldest be forgotten.
const SNAPSHOTS_MAX: usize = 4_096;
/// How long a revert waits for the pool to follow the head, and how often it looks.
const POOL_WAIT: Duration = Duration::from_secs(5);
const POOL_POLL: Duration = Duration::from_millis(5);

/// The sealer of a development chain.
pub(super) struct Dev {
    // what it works with
    sealer: Sealer,
    etherbase: Address,
    // when it seals
    automine: bool,
    period: Option<Duration>,
    due: Instant,
    // the chain's clock
    ahead_secs: u64,
    next_timestamp: Option<u64>,
    // where it can go back to
    snapshots: BTreeMap<u64, (BlockRef, u64)>,
    last_snapshot: u64,
}

/// Seals blocks of a development chain until the runtime stops: one a period, or one for whatever is pending, and what
/// test tools ask for.
pub(super) async fn run(
    sealer: Sealer,
    period: Option<Duration>,
    etherbase: Address,
    mut commands: mpsc::Receiver<DevCommand>,
) {
    let mut news = sealer.pool.news();
    let mut dev = Dev {
        sealer,
        etherbase,
        automine: period.is_none(),
        period,
        due: Instant::now() + period.unwrap_or_default(),
        ahead_secs: 0,
        next_timestamp: None,
        snapshots: BTreeMap::new(),
        last_snapshot: 0,
    };
    // What the pool kept over a restart.
    dev.seal_pending().await;
    loop {
        tokio::select! {
            Some(command) = commands.recv() => dev.obey(command).await,
            () = sleep_until(dev.due), if dev.period.is_some() => dev.seal_period().await,
            pending = is_pending(&mut news) => match pending {
                Some(true) => dev.seal_pending().await,
                Some(false) => {}
                None => return,
            },
        }
    }
}

/// Whether the pool's next news may give a block something to do; none once there will be no more.
async fn is_pending(news: &mut broadcast::Receiver<PoolNews>) -> Option<bool> {
    match news.recv().await {
        Ok(PoolNews::Pending(_)) | Err(RecvError::Lagged(_)) => Some(true),
        Ok(PoolNews::Left { .. }) => Some(false),
        Err(RecvError::Closed) => None,
    }
}

impl Dev {
    /// Seals blocks until nothing is pending any more.
    async fn seal_pending(&mut self) {
        while self.automine {
            match self.seal(None, false).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::error!(%error, "the next block of the development chain is not sealed");
                    tokio::time::sleep(RETRY).await;
                    return;
                }
            }
        }
    }

    async fn seal_period(&mut self) {
        self.due = Instant::now() + self.period.unwrap_or(RETRY);
        if let Err(error) = self.seal(None, true).await {
            tracing::error!(%error, "the next block of the development chain is not sealed");
        }
    }

    /// Seals one block and makes it the head; an empty one only if that is wanted. Whether it did.
    async fn seal(&mut self, timestamp: Option<u64>, empty_too: bool) -> Result<bool, SealError> {
        let view = self.sealer.chain.view();
        let (head, header) = (view.head(), view.head_header());
        let clock = now().as_secs().saturating_add(self.ahead_secs);
        // Blocks that come faster than the clock ticks run ahead of it.
        let timestamp = timestamp.or(self.next_timestamp).unwrap_or(clock).max(header.timestamp.saturating_add(1));
        let attributes = Attributes {
            timestamp,
            fee_recipient: self.etherbase,
            prev_randao: alloy_primitives::keccak256(head.hash),
            withdrawals: None,
            parent_beacon_block_root: None,
            slot_number: None,
            gas_limit_target: self.sealer.options.gas_limit_target,
            extra_data: self.sealer.options.extra_data.clone(),
        };
        drop(view);
        let built = self.sealer.build(head, attributes, None).await?;
        if built.block.body.transactions.is_empty() && !empty_too {
            return Ok(false);
        }
        let at = self.sealer.import(Arc::new(built.prepare())).await?;
        self.set_head(at.hash).await?;
        if self.next_timestamp.take().is_some() {
            self.ahead_secs = timestamp.saturating_sub(now().as_secs());
        }
        Ok(true)
    }

    async fn set_head(&self, hash: B256) -> Result<(), SealError> {
        match self.sealer.chain.set_head(hash, B256::ZERO, B256::ZERO).await? {
            SetHeadOutcome::Done => Ok(()),
            other => Err(SealError::NotTheHead(Box::new(other))),
        }
    }

    /// Does what it is told, and says so. An asker that has gone away does not matter.
    async fn obey(&mut self, command: DevCommand) {
        match command {
            DevCommand::Mine { blocks, timestamp, interval_secs, reply } => {
                let mined = self.mine(blocks, timestamp, interval_secs).await;
                let _ = reply.send(mined.map_err(|error| error.to_string()));
            }
            DevCommand::Snapshot(reply) => {
                let _ = reply.send(self.snapshot());
            }
            DevCommand::Revert { id, reply } => {
                let _ = reply.send(self.revert(id).await.map_err(|error| error.to_string()));
            }
            DevCommand::IncreaseTime { secs, reply } => {
                self.ahead_secs = self.ahead_secs.saturating_add(secs);
                let _ = reply.send(self.ahead_secs);
            }
            DevCommand::NextTimestamp { timestamp, reply } => {
                let _ = reply.send(self.set_next_timestamp(timestamp));
            }
            DevCommand::Automine(on, reply) => {
                self.automine = on;
                let _ = reply.send(());
                self.seal_pending().await;
            }
            DevCommand::Interval(period, reply) => {
                self.period = (!period.is_zero()).then_some(period);
                self.due = Instant::now() + period;
                let _ = reply.send(());
            }
        }
    }

    async fn mine(&mut self, blocks: u64, timestamp: Option<u64>, interval_secs: Option<u64>) -> Result<(), SealError> {
        for index in 0..blocks {
            let spaced =
                || interval_secs.map(|secs| self.sealer.chain.view().head_header().timestamp.saturating_add(secs));
            let timestamp = if index == 0 { timestamp } else { spaced() };
            self.seal(timestamp, true).await?;
        }
        Ok(())
    }

    fn set_next_timestamp(&mut self, timestamp: u64) -> Result<(), String> {
        let head = self.sealer.chain.view().head_header().timestamp;
        if timestamp <= head {
            return Err(format!("timestamp {timestamp} is not after the head's {head}"));
        }
        self.next_timestamp = Some(timestamp);
        Ok(())
    }

    fn snapshot(&mut self) -> u64 {
        self.last_snapshot += 1;
        self.snapshots.insert(self.last_snapshot, (self.sealer.chain.view().head(), self.ahead_secs));
        if self.snapshots.len() > SNAPSHOTS_MAX {
            self.snapshots.pop_first();
        }
        self.last_snapshot
    }

    async fn revert(&mut self, id: u64) -> Result<bool, SealError> {
        let Some((head, ahead_secs)) = self.snapshots.get(&id).copied() else { return Ok(false) };
        self.set_head(head.hash).await?;
        self.snapshots.split_off(&id);
        (self.ahead_secs, self.next_timestamp) = (ahead_secs, None);
        self.empty_pool(head).await;
        Ok(true)
    }

    /// Drops all transactions, also those that come back from the blocks that were left.
    async fn empty_pool(&self, head: BlockRef) {
        let pool = &self.sealer.pool;
        let follows = async {
            while pool.head_block() != head {
                tokio::time::sleep(POOL_POLL).await;
            }
        };
        if timeout(POOL_WAIT, follows).await.is_err() {
            tracing::warn!("the pool does not follow the head that was gone back to");
        }
        let content = pool.content();
        for row in content.pending.into_values().chain(content.queued.into_values()) {
            for tx in row.into_values() {
                pool.remove(&tx.hash);
            }
        }
    }
}
