//! `evm_*`, `anvil_*` and `hardhat_*`: what test tools ask of a development chain, and of no other. Blocks are made on
//! request, time is moved, and the chain goes back to where it was.

mod change;

use crate::{
    ApiError, RpcContext,
    api::{Answer, Api, to_json},
    args::Args,
    hex::Quantity,
};
use alloy_primitives::{Address, B256, U64};
use jsonrpsee::types::Params;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use starling_chainspec::DevChange;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// Commands that wait for the sealer; one more waits with its caller.
const COMMANDS_MAX: usize = 64;
/// Most blocks of one request.
const BLOCKS_MAX: u64 = 10_000;

/// What the sealer of a development chain can be told. Every command is answered once it is done.
#[derive(Debug)]
pub enum DevCommand {
    /// Seals blocks, empty ones too.
    Mine {
        /// How many.
        blocks: u64,
        /// The first one's timestamp; none: the clock's.
        timestamp: Option<u64>,
        /// Seconds between them; none: as few as may be.
        interval_secs: Option<u64>,
        /// Why not.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// Remembers the head; its number.
    Snapshot(oneshot::Sender<u64>),
    /// Goes back to a remembered head, and forgets it with those after it; whether there was one. The pool is emptied.
    Revert {
        /// Which.
        id: u64,
        /// Whether it was there.
        reply: oneshot::Sender<Result<bool, String>>,
    },
    /// Moves the clock of the chain on; by how many seconds it is then ahead of the machine's.
    IncreaseTime {
        /// By so much.
        secs: u64,
        /// The sum.
        reply: oneshot::Sender<u64>,
    },
    /// The next block's timestamp; later ones go on from it.
    NextTimestamp {
        /// Unix seconds.
        timestamp: u64,
        /// Why not.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// Whether blocks are sealed as soon as there is a transaction.
    Automine(bool, oneshot::Sender<()>),
    /// Seals a block every so often; zero: no more.
    Interval(Duration, oneshot::Sender<()>),
    /// Changes the state, in a block of its own.
    Change(Vec<DevChange>, oneshot::Sender<Result<(), String>>),
    /// Changes what the next blocks are.
    Set(DevSetting, oneshot::Sender<Result<(), String>>),
    /// Goes back to the genesis block, and forgets everything after it. The pool is emptied.
    Reset(oneshot::Sender<Result<(), String>>),
    /// Whether blocks are sealed as soon as there is a transaction.
    IsAutomine(oneshot::Sender<bool>),
}

/// What the next blocks are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DevSetting {
    /// Who gets the fees from now on.
    Coinbase(Address),
    /// The next block's base fee, in wei per gas; later ones follow from it.
    NextBaseFee(u64),
    /// The gas limit from now on.
    GasLimit(u64),
    /// What PREVRANDAO says in the next block.
    NextPrevRandao(B256),
    /// Seconds between blocks from now on, whatever the clock says; none: by the clock.
    Spacing(Option<u64>),
}

/// The clock of a development chain, as its sealer sets it and the pending block shows it.
#[derive(Debug, Default)]
pub struct DevClock {
    ahead_secs: AtomicU64,
    /// Zero: none.
    next_timestamp: AtomicU64,
}

impl DevClock {
    /// Says by how many seconds it is ahead of the machine's, and the next block's timestamp if one was given.
    pub fn set(&self, ahead_secs: u64, next_timestamp: Option<u64>) {
        self.ahead_secs.store(ahead_secs, Ordering::Relaxed);
        self.next_timestamp.store(next_timestamp.unwrap_or_default(), Ordering::Relaxed);
    }

    /// The next block's timestamp, if the machine's clock says this.
    pub(crate) fn next(&self, clock_secs: u64) -> u64 {
        match self.next_timestamp.load(Ordering::Relaxed) {
            0 => clock_secs.saturating_add(self.ahead_secs.load(Ordering::Relaxed)),
            next => next,
        }
    }
}

/// A way to the sealer of a development chain. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DevHandle {
    commands: mpsc::Sender<DevCommand>,
    clock: Arc<DevClock>,
}

/// Where the sealer finds what it is told, and what it shows.
#[derive(Debug)]
pub struct DevOrders {
    /// Commands in order.
    pub commands: mpsc::Receiver<DevCommand>,
    /// To be set whenever the chain's clock changes.
    pub clock: Arc<DevClock>,
}

impl DevHandle {
    /// A handle, and where its commands arrive.
    pub fn channel() -> (Self, DevOrders) {
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        let clock = Arc::<DevClock>::default();
        (Self { commands: sender, clock: clock.clone() }, DevOrders { commands, clock })
    }

    /// The next block's timestamp, if the machine's clock says this.
    pub(crate) fn next_timestamp(&self, clock_secs: u64) -> u64 {
        self.clock.next(clock_secs)
    }

    pub(crate) async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> DevCommand) -> Answer<T> {
        let stopped = || ApiError::Internal("the sealer of this development chain has stopped".into());
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())
    }
}

pub(crate) fn register_evm(api: &mut Api) {
    change::register_evm(api);
    api.command("evm_mine", |context, params| async move { mine_one(&context, &params).await });
    api.command("evm_snapshot", snapshot);
    api.command("evm_revert", revert);
    api.command("evm_increaseTime", increase_time);
    api.command("evm_setNextBlockTimestamp", next_timestamp);
    api.command("evm_setAutomine", automine);
    api.command("evm_setIntervalMining", |context, params| interval(context, params, Duration::from_millis));
}

pub(crate) fn register_anvil(api: &mut Api) {
    change::register_anvil(api);
    api.command("anvil_mine", mine_many);
    api.command("anvil_snapshot", snapshot);
    api.command("anvil_revert", revert);
    api.command("anvil_increaseTime", increase_time);
    api.command("anvil_setNextBlockTimestamp", next_timestamp);
    api.command("anvil_setAutomine", automine);
    api.command("anvil_setIntervalMining", |context, params| interval(context, params, Duration::from_secs));
}

pub(crate) fn register_hardhat(api: &mut Api) {
    change::register_hardhat(api);
    api.command("hardhat_mine", mine_many);
}

/// A number as test tools write it: a quantity, plain, or in decimal digits.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Loose {
    Quantity(Quantity),
    Number(u64),
    Text(String),
}

impl Loose {
    fn get(&self) -> Answer<u64> {
        match self {
            Self::Quantity(Quantity(number)) | Self::Number(number) => Ok(*number),
            Self::Text(text) => text.parse().map_err(|_| ApiError::params(format!("{text:?} is not a number"))),
        }
    }
}

pub(super) fn handle(context: &RpcContext) -> Answer<&DevHandle> {
    context.dev.as_ref().ok_or_else(|| ApiError::server("only a development chain (--dev) does that"))
}

/// `evm_mine`: one block, at that time if one is given.
async fn mine_one(context: &RpcContext, params: &Params<'static>) -> Answer<Box<RawValue>> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum When {
        At(Loose),
        Options { timestamp: Option<Loose>, blocks: Option<Loose> },
    }
    let mut args = Args::new(params)?;
    let when: Option<When> = args.optional()?;
    args.end()?;
    let (timestamp, blocks) = match when {
        None => (None, None),
        Some(When::At(timestamp)) => (Some(timestamp), None),
        Some(When::Options { timestamp, blocks }) => (timestamp, blocks),
    };
    let timestamp = timestamp.map(|timestamp| timestamp.get()).transpose()?;
    let blocks = blocks.map_or(Ok(1), |blocks| blocks.get())?;
    mine(context, blocks, timestamp, None).await?;
    to_json(&"0x0")
}

/// `anvil_mine`, `hardhat_mine`: so many blocks, so many seconds apart.
async fn mine_many(context: Arc<RpcContext>, params: Params<'static>) -> Answer<Box<RawValue>> {
    let mut args = Args::new(&params)?;
    let (blocks, interval): (Option<Loose>, Option<Loose>) = (args.optional()?, args.optional()?);
    args.end()?;
    let blocks = blocks.map_or(Ok(1), |blocks| blocks.get())?;
    let interval_secs = interval.map(|interval| interval.get()).transpose()?;
    mine(&context, blocks, None, interval_secs).await?;
    to_json(&true)
}

async fn mine(context: &RpcContext, blocks: u64, timestamp: Option<u64>, interval_secs: Option<u64>) -> Answer<()> {
    if blocks > BLOCKS_MAX {
        return Err(ApiError::TooLarge(format!("{blocks} blocks, at most {BLOCKS_MAX} at a time")));
    }
    let mined = handle(context)?.ask(|reply| DevCommand::Mine { blocks, timestamp, interval_secs, reply }).await?;
    mined.map_err(ApiError::Server)
}

async fn snapshot(context: Arc<RpcContext>, params: Params<'static>) -> Answer<Box<RawValue>> {
    Args::new(&params)?.end()?;
    to_json(&U64::from(handle(&context)?.ask(DevCommand::Snapshot).await?))
}

async fn revert(context: Arc<RpcContext>, params: Params<'static>) -> Answer<Box<RawValue>> {
    let mut args = Args::new(&params)?;
    let id: Loose = args.required()?;
    args.end()?;
    let id = id.get()?;
    let reverted = handle(&context)?.ask(|reply| DevCommand::Revert { id, reply }).await?;
    to_json(&reverted.map_err(ApiError::Server)?)
}

/// Answers as hardhat does, with a decimal number in a string.
async fn increase_time(context: Arc<RpcContext>, params: Params<'static>) -> Answer<Box<RawValue>> {
    let mut args = Args::new(&params)?;
    let secs: Loose = args.required()?;
    args.end()?;
    let secs = secs.get()?;
    let ahead = handle(&context)?.ask(|reply| DevCommand::IncreaseTime { secs, reply }).await?;
    to_json(&ahead.to_string())
}

async fn next_timestamp(context: Arc<RpcContext>, params: Params<'static>) -> Answer<Box<RawValue>> {
    let mut args = Args::new(&params)?;
    let timestamp: Loose = args.required()?;
    args.end()?;
    let timestamp = timestamp.get()?;
    let set = handle(&context)?.ask(|reply| DevCommand::NextTimestamp { timestamp, reply }).await?;
    set.map_err(ApiError::Server)?;
    to_json(&timestamp.to_string())
}

async fn automine(context: Arc<RpcContext>, params: Params<'static>) -> Answer<Box<RawValue>> {
    let mut args = Args::new(&params)?;
    let on: bool = args.required()?;
    args.end()?;
    handle(&context)?.ask(|reply| DevCommand::Automine(on, reply)).await?;
    to_json(&true)
}

async fn interval(
    context: Arc<RpcContext>,
    params: Params<'static>,
    unit: fn(u64) -> Duration,
) -> Answer<Box<RawValue>> {
    let mut args = Args::new(&params)?;
    let period: Loose = args.required()?;
    args.end()?;
    let period = unit(period.get()?);
    handle(&context)?.ask(|reply| DevCommand::Interval(period, reply)).await?;
    to_json(&Value::Bool(true))
}
