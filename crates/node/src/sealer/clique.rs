use super::{SealError, Sealer, now, record::Record};
use starling_builder::seal::{Order, Plan, Proposals, Turn, put_seal, turn};
use starling_chain::ChainEvent;
use starling_chainspec::{Consensus, clique_seal_hash};
use starling_primitives::{Address, BlockRef, NodeKey};
use std::time::{Duration, Instant};
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
                tracing::error!("the clock was moved: nothing is sealed until the head passes the last sealed block");
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
    let (head, turn) = look(sealer, signer_of(key), proposals.all()).await?;
    let plan = match turn {
        None | Some(Turn::NotASigner | Turn::Wait { .. }) => return Ok(None),
        Some(Turn::ClockBehind { by }) => {
            tracing::error!(?by, "the head is ahead of this machine's clock: nothing is sealed");
            return Ok(Some(RETRY));
        }
        Some(Turn::Make(plan)) => plan,
    };
    if record.number() > head.number {
        // Ours of that height is out, and a second one would be a fraud.
        return Ok(None);
    }
    if has_new_head(events, plan.not_before).await {
        return Ok(Some(Duration::ZERO));
    }
    seal(sealer, key, record, head, *plan).await
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
    let Plan { attributes, authorship, .. } = plan;
    let mut built = sealer.build(head, attributes, Some(authorship)).await?;
    let waits_for_work = matches!(sealer.chain.spec().consensus, Consensus::Clique { period: 0, .. });
    if waits_for_work && built.block.body.transactions.is_empty() {
        return Ok(Some(RETRY));
    }
    if sealer.chain.view().head() != head {
        return Ok(Some(Duration::ZERO));
    }
    let header = &mut built.block.header;
    let Some(hash) = clique_seal_hash(header) else { return Ok(None) };
    put_seal(header, &key.sign_recoverable(&hash));
    // Before anybody sees the block: a crash from here on must not lead to a second one of this height.
    record.sign(BlockRef::new(header.number, header.hash_slow()))?;
    sealer.import(&built).await?;
    Ok(Some(Duration::ZERO))
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
