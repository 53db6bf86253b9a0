use super::{SealError, Sealer, now, record::Record};
use starling_builder::seal::{Order, Plan, Proposals, Turn, put_seal, turn};
use starling_chain::{ChainEvent, ImportOutcome};
use starling_chainspec::{Consensus, clique_seal_hash};
use starling_primitives::{Address, BlockRef, NodeKey};
use starling_state::BlockId;
use starling_validation::PreparedBlock;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// How long a failed block waits for its next try.
const RETRY: Duration = Duration::from_secs(1);

/// How far the machine's clock may move against the time that passes before it is not trusted any more.
const CLOCK_JUMP_MAX: Duration = Duration::from_secs(5);

/// Signs blocks of a Clique chain when it is this signer's turn, until the runtime stops.
pub(super) async fn run(sealer: Sealer, key: NodeKey, proposals: Proposals, mut record: Record) {
    let signer = signer_of(&key);
    let mut events = sealer.chain.events();
    let mut clock = Clock::start();
    tracing::info!(%signer, last = record.number(), "sealing");
    loop {
        let wait = match clock.is_right() {
            false => {
                tracing::error!("the clock was moved: a block is left out, and the new time is taken for right");
                clock = Clock::start();
                Some(RETRY)
            }
            true => match step(&sealer, &key, &proposals, &mut record, &mut events).await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::warn!(%error, "a block is not sealed");
                    Some(RETRY)
                }
            },
        };
        if !head_moved(&mut events, wait).await {
            return;
        }
    }
}

fn signer_of(key: &NodeKey) -> Address {
    Address::from_raw_public_key(key.public().as_slice())
}

/// Makes the block after the head, if it is our turn. Answers with how long to wait for a new head; none: until one comes.
async fn step(
    sealer: &Sealer,
    key: &NodeKey,
    proposals: &Proposals,
    record: &mut Record,
    events: &mut Receiver<ChainEvent>,
) -> Result<Option<Duration>, SealError> {
    bring_back(sealer, record).await?;
    let (head, turn) = look(sealer, signer_of(key), proposals.all()).await?;
    let plan = match turn {
        None | Some(Turn::NotASigner | Turn::Wait { .. }) => return Ok(None),
        Some(Turn::ClockBehind { by }) => {
            tracing::error!(?by, "the head is ahead of this machine's clock: nothing is sealed");
            return Ok(Some(RETRY));
        }
        Some(Turn::Make(plan)) => plan,
    };
    if has_new_head(events, plan.not_before).await {
        return Ok(Some(Duration::ZERO));
    }
    seal(sealer, key, record, head, *plan).await
}

/// Hands the chain the block that was signed last if it has got lost: the death of the process, or a failed import, came
/// between the record and the chain. Its height cannot be signed again, so without it a chain of few signers would stop.
async fn bring_back(sealer: &Sealer, record: &Record) -> Result<(), SealError> {
    let Some(signed) = record.last() else { return Ok(()) };
    let view = sealer.chain.view();
    if view.head().number >= signed.at.number || view.find(BlockId::Hash(signed.at.hash))?.is_some() {
        return Ok(());
    }
    let Some(rlp) = signed.rlp.clone() else { return Err(SealError::Ahead(signed.at)) };
    let block = PreparedBlock::from_rlp(view.spec(), rlp)?;
    tracing::warn!(block = %signed.at, "the block that was sealed last is not in the chain: it is handed in again");
    match sealer.chain.import(Arc::new(block)).await? {
        ImportOutcome::Valid | ImportOutcome::Known => Ok(()),
        // Its parent may be lost as well, and comes from peers.
        other => Err(SealError::Refused(Box::new(other))),
    }
}

/// Whose turn it is after the head; none if the chain has no signers there.
async fn look(
    sealer: &Sealer,
    signer: Address,
    proposals: Vec<(Address, bool)>,
) -> Result<(BlockRef, Option<Turn>), SealError> {
    let (sealer, random) = (sealer.clone(), rand::random());
    let look = move || {
        let view = sealer.chain.view();
        let Some(snapshot) = view.clique_snapshot(view.head())? else { return Ok((view.head(), None)) };
        let order = Order {
            signer,
            proposals: &proposals,
            vanity: &sealer.options.extra_data,
            gas_limit_target: sealer.options.gas_limit_target,
        };
        let turn = turn(view.spec(), &snapshot, view.head_header(), &order, now(), random);
        Ok((view.head(), Some(turn)))
    };
    tokio::task::spawn_blocking(look).await.map_err(|_| SealError::Panicked)?
}

async fn seal(
    sealer: &Sealer,
    key: &NodeKey,
    record: &mut Record,
    head: BlockRef,
    plan: Plan,
) -> Result<Option<Duration>, SealError> {
    let Some(block) = make(sealer, key, head, plan).await? else { return Ok(Some(RETRY)) };
    if sealer.chain.view().head() != head {
        return Ok(Some(Duration::ZERO));
    }
    // Before anybody sees the block: a crash from here on must not lead to a second one of this height.
    record.sign(&block)?;
    sealer.import(block).await?;
    Ok(Some(Duration::ZERO))
}

/// Builds and signs the block after a head; none if there is nothing to put into it, and an empty one is not wanted.
async fn make(
    sealer: &Sealer,
    key: &NodeKey,
    head: BlockRef,
    plan: Plan,
) -> Result<Option<Arc<PreparedBlock>>, SealError> {
    let Plan { attributes, authorship, .. } = plan;
    let mut built = sealer.build(head, attributes, Some(authorship)).await?;
    let waits_for_work = matches!(sealer.chain.spec().consensus, Consensus::Clique { period: 0, .. });
    if waits_for_work && built.block.body.transactions.is_empty() {
        return Ok(None);
    }
    let header = &mut built.block.header;
    let Some(hash) = clique_seal_hash(header) else { return Ok(None) };
    put_seal(header, &key.sign_recoverable(&hash));
    Ok(Some(Arc::new(built.prepare())))
}

/// Waits until that moment, since 1970; true if the head moves before.
async fn has_new_head(events: &mut Receiver<ChainEvent>, until: Duration) -> bool {
    let left = until.saturating_sub(now());
    tokio::time::timeout(left, events.recv()).await.is_ok()
}

/// Waits for a new head, at most so long; false once the chain is closed.
async fn head_moved(events: &mut Receiver<ChainEvent>, wait: Option<Duration>) -> bool {
    let heard = match wait {
        None => events.recv().await,
        Some(wait) => match tokio::time::timeout(wait, events.recv()).await {
            Ok(heard) => heard,
            Err(_) => return true,
        },
    };
    !matches!(heard, Err(RecvError::Closed))
}

/// The machine's clock against the time that passes.
struct Clock {
    started: Instant,
    at: Duration,
}

impl Clock {
    fn start() -> Self {
        Self { started: Instant::now(), at: now() }
    }

    fn is_right(&self) -> bool {
        now().abs_diff(self.at + self.started.elapsed()) <= CLOCK_JUMP_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealer::dev_accounts;
    use starling_builder::BuildOptions;
    use starling_chain::{ChainConfig, ChainCore};
    use starling_chainspec::ChainSpec;
    use starling_primitives::Bytes;
    use starling_storage::{Database, GenesisRecord, StorageConfig};
    use starling_txpool::{PoolConfig, PoolHandle};
    use std::path::Path;

    /// A chain with this one signer, who may sign as soon as a second has passed.
    fn chain_of(signer: Address) -> ChainCore {
        let (vanity, seal) = ("00".repeat(32), "00".repeat(65));
        let mut genesis: serde_json::Value =
            serde_json::from_str(include_str!("../../../../genesis/testnet.json")).unwrap();
        genesis["extraData"] = format!("0x{vanity}{}{seal}", alloy_primitives::hex::encode(signer)).into();
        genesis["config"]["clique"]["period"] = 1.into();
        let spec = Arc::new(ChainSpec::from_genesis_json("one signer", &genesis.to_string()).unwrap());
        let block = starling_state::genesis_record(&spec).unwrap();
        let record = GenesisRecord { block, config: Bytes::from_static(b"{}") };
        let database = Database::create(StorageConfig::memory(), record).unwrap();
        ChainCore::open(spec, database, ChainConfig::default()).unwrap()
    }

    fn record(folder: &Path) -> Record {
        Record::open(&folder.join("sealed")).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_block_that_was_signed_and_lost_comes_back_and_the_chain_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let (signer, key) = dev_accounts().next().unwrap();
        let (_chain, handle) = starling_chain::spawn(chain_of(signer)).unwrap();
        let pool =
            PoolHandle::new(PoolConfig::default(), starling_execution::intrinsic_gas, &handle.view(), |_| Ok(()));
        let sealer = Sealer { chain: handle.clone(), pool, options: BuildOptions::default() };
        let mut events = handle.events();

        // dies between the record and the import
        let (head, turn) = look(&sealer, signer, Vec::new()).await.unwrap();
        let Some(Turn::Make(plan)) = turn else { panic!("{turn:?}") };
        let lost = make(&sealer, &key, head, *plan).await.unwrap().unwrap();
        record(folder.path()).sign(&lost).unwrap();
        assert_eq!(handle.view().head(), head);

        // comes back
        let mut record = record(folder.path());
        bring_back(&sealer, &record).await.unwrap();
        assert_eq!(handle.view().head(), lost.at());
        bring_back(&sealer, &record).await.unwrap();
        while handle.view().head().number < 2 {
            step(&sealer, &key, &Proposals::default(), &mut record, &mut events).await.unwrap();
        }
        assert_eq!((record.number(), handle.view().head().number), (2, 2));
    }
}
