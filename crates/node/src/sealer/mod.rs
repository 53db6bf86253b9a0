//! Blocks of our own: the sealer of a development chain, or one signer of a Clique network.
//!
//! ```text
//! head or time ─► builder::seal says when and what ─► block out of the pool ─► seal ─► record, synced ─► import
//! ```
//!
//! A sealed block goes the door that every block goes; from there on it is the head, and gossip's. Nothing is decided
//! here but the waiting.

mod clique;
mod clock;
mod dev;
mod keys;
mod record;

pub(crate) use keys::{dev_accounts, read_password};

use crate::{cli::SealerArgs, datadir::Datadir, failure::Failure, sync::SyncHandle};
use starling_builder::{
    Attributes, Authorship, BuildOptions, Built, Limits, Nothing, Parent, best_for, build, build_for_seal,
};
use starling_chain::{ChainHandle, ImportOutcome, SetHeadOutcome};
use starling_chainspec::{ChainSpec, Consensus};
use starling_primitives::{BlockRef, Header};
use starling_rpc::{DevOrders, RpcContext};
use starling_txpool::PoolHandle;
use starling_validation::PreparedBlock;
use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// What a sealer works with.
#[derive(Clone)]
pub(super) struct Sealer {
    chain: ChainHandle,
    pool: PoolHandle,
    options: BuildOptions,
}

/// Why a block was not sealed; the next one may be.
#[derive(Debug, thiserror::Error)]
enum SealError {
    #[error("cannot be built: {0}")]
    Build(#[from] starling_builder::BuildError),
    #[error("state cannot be read: {0}")]
    Read(#[from] starling_primitives::ReadError),
    #[error("the chain: {0}")]
    Chain(#[from] starling_chain::ChainError),
    #[error("the chain does not take it: {0:?}")]
    Refused(Box<ImportOutcome>),
    #[error("{0}")]
    Record(#[from] record::RecordError),
    #[error("it does not become the head: {0:?}")]
    NotTheHead(Box<SetHeadOutcome>),
    #[error("block {0} was signed, the chain does not have it, and the record does not hold it: a peer must bring it")]
    Ahead(BlockRef),
    #[error("the record of signed blocks holds none: {0}")]
    Prepare(#[from] starling_validation::PrepareError),
    #[error("this machine's clock was moved; its new time is taken for right from now on")]
    ClockMoved,
    #[error(
        "the blocks of other signers come {by:?} late, again and again: this machine's clock runs ahead of theirs; set it right"
    )]
    ClockAhead { by: Duration },
    #[error(
        "the head is {by:?} ahead of this machine's clock: this clock is behind, or the one of the head's signer is ahead"
    )]
    ClockBehind { by: Duration },
    #[error("the changes of a block may have {} bytes", starling_chainspec::DevRecord::EXTRA_DATA_BYTES_MAX)]
    TooLarge,
    #[error("the head has moved on")]
    HeadMoved,
    #[error("its thread failed")]
    Panicked,
}

/// Starts the sealer that the flags ask for, on the current runtime, and unlocks accounts; without flags nothing. It works with the
/// chain, the pool, the keys and the proposals that JSON-RPC shows. `sync` says when no peer has more of the chain; `orders` are there
/// exactly with `--dev`.
pub(crate) fn start(
    args: &SealerArgs,
    datadir: &Datadir,
    context: &RpcContext,
    sync: Option<SyncHandle>,
    orders: Option<DevOrders>,
) -> Result<(), Failure> {
    let (chain, pool) = (&context.chain, &context.pool);
    let sealer = Sealer { chain: chain.clone(), pool: pool.clone(), options: args.options() };
    let consensus = &chain.spec().consensus;
    if let Some(orders) = orders {
        if *consensus != Consensus::Dev {
            return Err(Failure::usage("--dev needs a development chain, and the datadir holds another one")
                .remedy("take another --datadir, or a genesis with `dev: {}` in its config"));
        }
        let first = keys::unlock_dev(chain, &context.signers);
        let etherbase = args.etherbase.or(first).unwrap_or_default();
        let period = (!args.dev_period.is_zero()).then_some(args.dev_period);
        tokio::spawn(dev::run(sealer.clone(), period, etherbase, orders));
    }
    for address in &args.unlock {
        context.signers.add(keys::load(&address.to_string(), args.password.as_deref(), datadir)?);
    }
    if let Some(named) = &args.sealer {
        if !matches!(consensus, Consensus::Clique { .. }) {
            return Err(Failure::usage("--sealer needs a chain of proof of authority (Clique)")
                .remedy("use --chain testnet, or a genesis with `clique` in its config"));
        }
        let key = keys::load(named, args.password.as_deref(), datadir)?;
        let record = record::Record::open(&datadir.sealed())?;
        let peers = sync.filter(|_| !args.alone);
        let synced = peers.map(|mut sync| async move { sync.synced().await });
        tokio::spawn(clique::run(sealer, key, context.proposals.clone(), record, synced));
    }
    Ok(())
}

impl Sealer {
    /// Builds a block on a head, on a thread that may block.
    async fn build(
        &self,
        head: BlockRef,
        attributes: Attributes,
        authorship: Option<Authorship>,
    ) -> Result<Built, SealError> {
        let sealer = self.clone();
        let build = move || sealer.build_now(head, &attributes, authorship.as_ref());
        tokio::task::spawn_blocking(build).await.map_err(|_| SealError::Panicked)?
    }

    fn build_now(
        &self,
        head: BlockRef,
        attributes: &Attributes,
        authorship: Option<&Authorship>,
    ) -> Result<Built, SealError> {
        let view = self.chain.view();
        if view.head() != head {
            return Err(SealError::HeadMoved);
        }
        let (state, header) = (view.head_state(), view.head_header());
        let parent = Parent { header, state: &state };
        let next = Header {
            base_fee_per_gas: base_fee(view.spec(), header, attributes),
            number: header.number + 1,
            timestamp: attributes.timestamp,
            excess_blob_gas: header.excess_blob_gas,
            ..Header::default()
        };
        let mut candidates = best_for(&self.pool, view.spec(), &next, &self.options);
        Ok(match authorship {
            Some(authorship) => {
                // No blobs on Clique: nobody would keep them.
                let limits = Limits { blobs_max: Some(0), ..Limits::default() };
                build_for_seal(view.spec(), parent, attributes, authorship, &mut candidates, &limits)?
            }
            None => {
                let limits = Limits { blobs_max: self.options.blobs_max, ..Limits::default() };
                build(view.spec(), parent, attributes, &mut candidates, &limits)?
            }
        })
    }

    /// Builds a block without transactions on a head, on a thread that may block.
    async fn build_empty(&self, head: BlockRef, attributes: Attributes) -> Result<Built, SealError> {
        let chain = self.chain.clone();
        let build = move || {
            let view = chain.view();
            if view.head() != head {
                return Err(SealError::HeadMoved);
            }
            let parent = Parent { header: view.head_header(), state: &view.head_state() };
            Ok(build(view.spec(), parent, &attributes, &mut Nothing, &Limits::default())?)
        };
        tokio::task::spawn_blocking(build).await.map_err(|_| SealError::Panicked)?
    }

    /// Hands a sealed block to the chain.
    async fn import(&self, block: Arc<PreparedBlock>) -> Result<BlockRef, SealError> {
        let at = block.at();
        match self.chain.import(block.clone()).await? {
            ImportOutcome::Valid | ImportOutcome::Known => {}
            other => return Err(SealError::Refused(Box::new(other))),
        }
        let transactions = block.senders.len();
        tracing::info!(number = at.number, hash = %at.hash, transactions, gas = block.block.header.gas_used, "sealed");
        metrics::counter!("sealer_blocks_sealed_total").increment(1);
        Ok(at)
    }
}

/// The base fee of a block with these attributes, as far as it decides which transactions are tried.
fn base_fee(spec: &ChainSpec, parent: &Header, attributes: &Attributes) -> Option<u64> {
    let given = spec.dev_record(&attributes.extra_data).ok().flatten().and_then(|record| record.base_fee);
    parent.base_fee_per_gas.map(|_| given.unwrap_or_else(|| starling_validation::next_base_fee(parent)))
}

/// Since 1970, by the machine's clock.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
