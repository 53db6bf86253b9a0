use super::{
    SealError, Sealer,
    clock::{Clock, Doubt},
    now,
    record::Record,
};
use starling_builder::seal::{Order, Plan, Proposals, Turn, put_seal, turn};
use starling_chain::{ChainEvent, ImportOutcome};
use starling_chainspec::{Consensus, clique_seal_hash};
use starling_primitives::{Address, BlockRef, NodeKey};
use starling_state::BlockId;
use starling_validation::PreparedBlock;
use std::{
    mem::Discriminant,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::timeout,
};

/// How long a failed block waits for its next try.
const RETRY: Duration = Duration::from_secs(1);

/// How long a signer looks for peers to compare its chain with. With a record of what it signed it then goes on from what
/// it has: a network that was stopped whole comes back by that.
const PEERS_WAIT: Duration = Duration::from_secs(5);

/// Signs blocks of a Clique chain when it is this signer's turn, until the runtime stops. `synced` ends once no peer has a
/// heavier chain; none if nobody is waited for.
pub(super) async fn run(
    sealer: Sealer,
    key: NodeKey,
    proposals: Proposals,
    mut record: Record,
    synced: Option<impl Future<Output = BlockRef>>,
) {
    let signer = signer_of(&key);
    if let Some(synced) = synced {
        catch_up(synced, record.last().is_some(), PEERS_WAIT).await;
    }
    let mut events = sealer.chain.events();
    let mut clock = Clock::new(Instant::now(), now());
    let mut told = Told::default();
    tracing::info!(%signer, last = record.number(), "sealing");
    loop {
        let wait = match step(&sealer, &key, &proposals, &mut record, &mut clock, &mut events).await {
            Ok(wait) => {
                told = Told::default();
                wait
            }
            Err(error) => {
                told.tell(&error);
                Some(RETRY)
            }
        };
        if !head_moved(&mut events, wait).await {
            return;
        }
    }
}

/// Waits until the chain is the heaviest that peers have. A datadir without a record may belong to a key that has signed
/// elsewhere, and only peers can tell which heights: it seals nothing before it has met one.
async fn catch_up(synced: impl Future<Output = BlockRef>, has_record: bool, patience: Duration) {
    let mut synced = std::pin::pin!(synced);
    if timeout(patience, &mut synced).await.is_err() && !has_record {
        tracing::warn!(
            "nothing is sealed before a peer was met: this datadir has no record of what its key has signed; \
             if it never signed, and no peers are to come, start with --sealer.alone"
        );
        synced.await;
    }
}

/// Says a reason for not sealing once, however often it is met.
#[derive(Default)]
struct Told(Option<Discriminant<SealError>>);

impl Told {
    fn tell(&mut self, error: &SealError) {
        let kind = std::mem::discriminant(error);
        if self.0.replace(kind) != Some(kind) {
            tracing::warn!(%error, "no block is sealed");
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
    clock: &mut Clock,
    events: &mut Receiver<ChainEvent>,
) -> Result<Option<Duration>, SealError> {
    bring_back(sealer, record).await?;
    check_clock(sealer, clock, signer_of(key))?;
    let (head, turn) = look(sealer, signer_of(key), proposals.all()).await?;
    let plan = match turn {
        None | Some(Turn::NotASigner | Turn::Wait { .. }) => return Ok(None),
        Some(Turn::ClockBehind { by }) => return Err(SealError::ClockBehind { by }),
        Some(Turn::Make(plan)) => plan,
    };
    if has_new_head(events, plan.not_before).await {
        return Ok(Some(Duration::ZERO));
    }
    seal(sealer, key, record, head, *plan).await
}

/// Whether the clock may be trusted, by the time that passes and by the head, if another signer made it.
fn check_clock(sealer: &Sealer, clock: &mut Clock, signer: Address) -> Result<(), SealError> {
    let view = sealer.chain.view();
    let header = view.head_header();
    let is_others = view.spec().consensus.author(header).is_some_and(|author| author != signer);
    let heard = is_others.then(|| (view.head(), Duration::from_secs(header.timestamp)));
    match clock.check(heard, Instant::now(), now()) {
        Doubt::None => Ok(()),
        Doubt::Moved => Err(SealError::ClockMoved),
        Doubt::Ahead { by } => Err(SealError::ClockAhead { by }),
    }
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
        let mut clock = Clock::new(Instant::now(), now());

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
            step(&sealer, &key, &Proposals::default(), &mut record, &mut clock, &mut events).await.unwrap();
        }
        assert_eq!((record.number(), handle.view().head().number), (2, 2));
    }

    #[tokio::test]
    async fn a_signer_without_a_record_waits_for_a_peer() {
        const PATIENCE: Duration = Duration::from_millis(20);
        let ends = |after: Duration, has_record| async move {
            let synced = async move {
                tokio::time::sleep(after).await;
                BlockRef::new(7, starling_primitives::B256::ZERO)
            };
            timeout(10 * PATIENCE, catch_up(synced, has_record, PATIENCE)).await.is_ok()
        };
        let never = Duration::from_secs(3_600);
        assert!(ends(Duration::ZERO, false).await && ends(Duration::ZERO, true).await);
        assert!(ends(3 * PATIENCE, false).await, "a peer came late");
        assert!(ends(never, true).await, "it knows what it has signed");
        assert!(!ends(never, false).await);
    }
}
