use super::{SealError, Sealer, now};
use starling_builder::Attributes;
use starling_chain::SetHeadOutcome;
use starling_chainspec::{DevChange, DevRecord};
use starling_primitives::{Address, B256, BlockRef};
use starling_rpc::{DevClock, DevCommand, DevOrders, DevSetting};
use starling_txpool::PoolNews;
use starling_validation::{GAS_LIMIT_MAX, GAS_LIMIT_MIN};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::broadcast::{self, error::RecvError},
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
    spacing_secs: Option<u64>,
    shown: Arc<DevClock>,
    // what the next block says
    next: DevRecord,
    next_prev_randao: Option<B256>,
    // where it can go back to
    snapshots: BTreeMap<u64, (BlockRef, u64)>,
    last_snapshot: u64,
}

/// Seals blocks of a development chain until the runtime stops: one a period, or one for whatever is pending, and what
/// test tools ask for.
pub(super) async fn run(sealer: Sealer, period: Option<Duration>, etherbase: Address, mut orders: DevOrders) {
    let mut news = sealer.pool.news();
    let mut dev = Dev {
        sealer,
        etherbase,
        automine: period.is_none(),
        period,
        due: Instant::now() + period.unwrap_or_default(),
        ahead_secs: 0,
        next_timestamp: None,
        spacing_secs: None,
        shown: orders.clock,
        next: DevRecord::default(),
        next_prev_randao: None,
        snapshots: BTreeMap::new(),
        last_snapshot: 0,
    };
    // What the pool kept over a restart.
    dev.seal_pending().await;
    loop {
        tokio::select! {
            Some(command) = orders.commands.recv() => dev.obey(command).await,
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
        let spaced = self.spacing_secs.map(|secs| header.timestamp.saturating_add(secs));
        // Blocks that come faster than the clock ticks run ahead of it.
        let timestamp = timestamp.or(self.next_timestamp).or(spaced).unwrap_or(clock);
        let timestamp = timestamp.max(header.timestamp.saturating_add(1));
        let mut attributes = self.attributes(head.hash, timestamp, &self.next);
        attributes.prev_randao = self.next_prev_randao.unwrap_or(attributes.prev_randao);
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
        (self.next, self.next_prev_randao) = (DevRecord::default(), None);
        self.show_clock();
        Ok(true)
    }

    fn attributes(&self, head: B256, timestamp: u64, record: &DevRecord) -> Attributes {
        let options = &self.sealer.options;
        Attributes {
            timestamp,
            fee_recipient: self.etherbase,
            prev_randao: alloy_primitives::keccak256(head),
            withdrawals: None,
            parent_beacon_block_root: None,
            slot_number: None,
            gas_limit_target: options.gas_limit_target,
            extra_data: if record.is_empty() { options.extra_data.clone() } else { record.to_extra_data() },
        }
    }

    /// Changes the state in a block of its own, in which time stands still: what was set for the next block stays.
    async fn change(&mut self, changes: Vec<DevChange>) -> Result<(), SealError> {
        let record = DevRecord { changes, ..DevRecord::default() };
        let view = self.sealer.chain.view();
        let attributes = self.attributes(view.head().hash, view.head_header().timestamp, &record);
        if attributes.extra_data.len() > DevRecord::EXTRA_DATA_BYTES_MAX {
            return Err(SealError::TooLarge);
        }
        let built = self.sealer.build_empty(view.head(), attributes).await?;
        drop(view);
        let at = self.sealer.import(Arc::new(built.prepare())).await?;
        self.set_head(at.hash).await
    }

    fn show_clock(&self) {
        self.shown.set(self.ahead_secs, self.next_timestamp);
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
                self.show_clock();
                let _ = reply.send(self.ahead_secs);
            }
            DevCommand::NextTimestamp { timestamp, reply } => {
                let _ = reply.send(self.set_next_timestamp(timestamp));
            }
            DevCommand::Change(changes, reply) => {
                let _ = reply.send(self.change(changes).await.map_err(|error| error.to_string()));
            }
            DevCommand::Set(setting, reply) => {
                let _ = reply.send(self.set(setting));
            }
            DevCommand::Reset(reply) => {
                let _ = reply.send(self.reset().await.map_err(|error| error.to_string()));
            }
            DevCommand::IsAutomine(reply) => {
                let _ = reply.send(self.automine);
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
        self.show_clock();
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
        self.start_from(head, ahead_secs).await;
        Ok(true)
    }

    async fn reset(&mut self) -> Result<(), SealError> {
        let genesis = self.sealer.chain.rewind(0).await?;
        self.snapshots.clear();
        self.start_from(genesis, 0).await;
        Ok(())
    }

    /// Nothing that was set for the block after another head holds any more.
    async fn start_from(&mut self, head: BlockRef, ahead_secs: u64) {
        (self.ahead_secs, self.next_timestamp) = (ahead_secs, None);
        (self.next, self.next_prev_randao) = (DevRecord::default(), None);
        self.show_clock();
        self.empty_pool(head).await;
    }

    fn set(&mut self, setting: DevSetting) -> Result<(), String> {
        match setting {
            DevSetting::Coinbase(address) => self.etherbase = address,
            DevSetting::NextBaseFee(wei) => {
                if self.sealer.chain.view().head_header().base_fee_per_gas.is_none() {
                    return Err("there is no base fee before London".into());
                }
                self.next.base_fee = Some(wei);
            }
            DevSetting::GasLimit(gas) => {
                if !(GAS_LIMIT_MIN..=GAS_LIMIT_MAX).contains(&gas) {
                    return Err(format!("a gas limit of {gas}: it must be from {GAS_LIMIT_MIN} to {GAS_LIMIT_MAX}"));
                }
                self.next.gas_limit = Some(gas);
                self.sealer.options.gas_limit_target = gas;
            }
            DevSetting::NextPrevRandao(value) => self.next_prev_randao = Some(value),
            DevSetting::Spacing(secs) => self.spacing_secs = secs,
        }
        Ok(())
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
