//! `evm_*`, `anvil_*` and `hardhat_*`: what test tools ask of a development chain, and of no other. Blocks are made on
//! request, time is moved, and the chain goes back to where it was.

use crate::{
    ApiError, RpcContext,
    api::{Answer, Api, to_json},
    args::Args,
    hex::Quantity,
};
use alloy_primitives::U64;
use jsonrpsee::types::Params;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use std::{sync::Arc, time::Duration};
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
}

/// A way to the sealer of a development chain. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DevHandle(mpsc::Sender<DevCommand>);

impl DevHandle {
    /// A handle, and where its commands arrive.
    pub fn channel() -> (Self, mpsc::Receiver<DevCommand>) {
        let (sender, receiver) = mpsc::channel(COMMANDS_MAX);
        (Self(sender), receiver)
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> DevCommand) -> Answer<T> {
        let stopped = || ApiError::Internal("the sealer of this development chain has stopped".into());
        let (reply, answer) = oneshot::channel();
        self.0.send(command(reply)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())
    }
}

pub(crate) fn register_evm(api: &mut Api) {
    api.command("evm_mine", |context, params| async move { mine_one(&context, &params).await });
    api.command("evm_snapshot", snapshot);
    api.command("evm_revert", revert);
    api.command("evm_increaseTime", increase_time);
    api.command("evm_setNextBlockTimestamp", next_timestamp);
    api.command("evm_setAutomine", automine);
    api.command("evm_setIntervalMining", |context, params| interval(context, params, Duration::from_millis));
}

pub(crate) fn register_anvil(api: &mut Api) {
    api.command("anvil_mine", mine_many);
    api.command("anvil_snapshot", snapshot);
    api.command("anvil_revert", revert);
    api.command("anvil_increaseTime", increase_time);
    api.command("anvil_setNextBlockTimestamp", next_timestamp);
    api.command("anvil_setAutomine", automine);
    api.command("anvil_setIntervalMining", |context, params| interval(context, params, Duration::from_secs));
}

pub(crate) fn register_hardhat(api: &mut Api) {
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

fn handle(context: &RpcContext) -> Answer<&DevHandle> {
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
