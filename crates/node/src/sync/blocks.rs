//! The loop that passes blocks on: joins the network and the chain through [`Announcer`], which decides.
//!
//! ```text
//! sync's loop ─ BlockNews ─┐                     ┌─ NewBlock, NewBlockHashes, requests ─► network
//! chain ─ heads ───────────┼─► Loop: Announcer ──┼─ CheckJob ─► import threads ─┐
//! results ─────────────────┘        ▲            ├─ imports ─► importer ─► chain ├─┐
//!                                   │            └─ claims ─► sync's loop        │ │
//!                                   └────────────── results ◄────────────────────┴─┘
//! ```

use super::{importer::import_one, label, offence};
use crate::process::sleep_until;
use starling_chain::{ChainEvent, ChainHandle};
use starling_devp2p::eth::{BlockId, EthMessage, NewBlock, Response};
use starling_network::{Charge, NetworkHandle};
use starling_primitives::{B256, PeerId, U256};
use starling_sync::announce::{AnnounceAction, AnnounceEvent, Announcer, CheckJob, Moment};
use starling_validation::PreparedBlock;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::{broadcast, mpsc};

/// News on their way to the loop. Who finds it full waits: the network's queues are behind it.
const NEWS_MAX: usize = 256;
/// Results on their way to the loop: more than blocks are in work.
const RESULTS_MAX: usize = 256;
/// Blocks on their way to the chain: as many as the announcer has in work.
const IMPORTS_MAX: usize = 128;
/// Claims on their way to the loop that syncs. When full, more are left out: a peer's next block claims more.
const CLAIMS_MAX: usize = 256;
/// A head that did not come by gossip is passed on if it is no older, in seconds: what a sync brings, all others have.
const HEAD_AGE_SECS_MAX: u64 = 30;

/// What the loop that syncs hears and does not need.
#[derive(Debug)]
pub(super) enum BlockNews {
    Joined(PeerId),
    Left(PeerId),
    Hashes(PeerId, Vec<BlockId>, Charge),
    Block(PeerId, NewBlock, Charge),
    Answer(PeerId, u64, Response, Charge),
}

/// What a peer claims to have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    pub(super) peer: PeerId,
    pub(super) head: B256,
    pub(super) total_difficulty: U256,
}

/// What the loop is built of.
pub(super) struct BlockParts {
    pub(super) chain: ChainHandle,
    pub(super) network: NetworkHandle,
    pub(super) threads: Arc<rayon::ThreadPool>,
    pub(super) check_seal: bool,
}

/// Starts the loop, on the runtime; it ends with the senders of its news.
pub(super) fn start(parts: BlockParts) -> (mpsc::Sender<BlockNews>, mpsc::Receiver<Claim>) {
    let (news, news_queue) = mpsc::channel(NEWS_MAX);
    let (claims, claims_queue) = mpsc::channel(CLAIMS_MAX);
    let (results, results_queue) = mpsc::channel(RESULTS_MAX);
    let (imports, imports_queue) = mpsc::channel(IMPORTS_MAX);
    tokio::spawn(import(parts.chain.clone(), imports_queue, results.clone()));
    let heads = parts.chain.events();
    let block_loop = Loop { announcer: Announcer::new(rand::random()), parts, results, imports, claims };
    tokio::spawn(block_loop.run(news_queue, results_queue, heads));
    (news, claims_queue)
}

struct Loop {
    announcer: Announcer,
    parts: BlockParts,
    results: mpsc::Sender<AnnounceEvent>,
    imports: mpsc::Sender<Arc<PreparedBlock>>,
    claims: mpsc::Sender<Claim>,
}

impl Loop {
    async fn run(
        mut self,
        mut news: mpsc::Receiver<BlockNews>,
        mut results: mpsc::Receiver<AnnounceEvent>,
        mut heads: broadcast::Receiver<ChainEvent>,
    ) {
        loop {
            let deadline = self.announcer.next_deadline();
            tokio::select! {
                biased;
                Some(result) = results.recv() => self.handle(result),
                head = heads.recv() => match head {
                    // Who lags looks at the newest head only.
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => self.head_moved(),
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                news = news.recv() => match news {
                    Some(news) => self.news(news),
                    None => return,
                },
                () = sleep_until(deadline) => self.handle(AnnounceEvent::Tick),
            }
        }
    }

    fn news(&mut self, news: BlockNews) {
        // Each message gives its room back when it has been looked at: what is kept of it is bounded by the announcer.
        match news {
            BlockNews::Joined(peer) => self.handle(AnnounceEvent::Joined { peer }),
            BlockNews::Left(peer) => self.handle(AnnounceEvent::Left { peer }),
            BlockNews::Hashes(peer, blocks, _charge) => self.handle(AnnounceEvent::Hashes { peer, blocks }),
            BlockNews::Block(peer, block, _charge) => self.handle(AnnounceEvent::Block { peer, block }),
            BlockNews::Answer(peer, id, response, _charge) => {
                self.handle(AnnounceEvent::Answer { peer, id, response });
            }
        }
    }

    fn head_moved(&mut self) {
        let view = self.parts.chain.view();
        let block = view.head();
        if view.head_header().timestamp.saturating_add(HEAD_AGE_SECS_MAX) < unix_secs() {
            return;
        }
        // A head that cannot be read is the chain's trouble, and told there.
        if let (Ok(Some(rlp)), Ok(Some(total_difficulty))) = (view.block_rlp(block), view.total_difficulty(block)) {
            self.handle(AnnounceEvent::Head { block, rlp, total_difficulty });
        }
    }

    fn handle(&mut self, event: AnnounceEvent) {
        let moment = Moment { now: Instant::now(), unix_secs: unix_secs() };
        self.announcer.handle(event, &self.parts.chain.view(), moment);
        while let Some(action) = self.announcer.poll() {
            self.carry_out(action);
        }
    }

    fn carry_out(&mut self, action: AnnounceAction) {
        match action {
            AnnounceAction::Request { peer, id, request } => {
                if self.parts.network.send(&peer, &EthMessage::Request { id, request }).is_err() {
                    let _ = self.results.try_send(AnnounceEvent::RequestFailed { peer, id });
                }
            }
            AnnounceAction::Check(job) => self.check(job),
            // Bounded by the announcer's work, for which there is room.
            AnnounceAction::Import(block) => drop(self.imports.try_send(block)),
            // A peer that does not read is dropped by the network.
            AnnounceAction::SendBlock { peer, block } => {
                let _ = self.parts.network.send(&peer, &EthMessage::NewBlock(block));
            }
            AnnounceAction::SendHashes { peer, blocks } => {
                let _ = self.parts.network.send(&peer, &EthMessage::NewBlockHashes(blocks));
            }
            AnnounceAction::PeerHas { peer, head, total_difficulty } => {
                let _ = self.claims.try_send(Claim { peer, head, total_difficulty });
            }
            AnnounceAction::Penalise { peer, fault } => {
                tracing::debug!(%peer, %fault, "a peer is at fault");
                metrics::counter!("sync_faults_total", "fault" => label(fault)).increment(1);
                self.parts.network.penalise(peer, offence(fault));
            }
            AnnounceAction::Refused { block, why } => tracing::warn!(%block, %why, "a new block is not passed on"),
        }
    }

    fn check(&self, job: CheckJob) {
        let (results, view) = (self.results.clone(), self.parts.chain.view());
        let check_seal = self.parts.check_seal;
        self.parts.threads.spawn(move || {
            let without = job.without_result();
            // The hook has logged the panic.
            let checked = catch_unwind(AssertUnwindSafe(|| job.run(&view, check_seal))).unwrap_or(without);
            let _ = results.blocking_send(AnnounceEvent::Checked(checked));
        });
    }
}

/// Imports one block after the other until the loop is gone.
async fn import(
    chain: ChainHandle,
    mut blocks: mpsc::Receiver<Arc<PreparedBlock>>,
    results: mpsc::Sender<AnnounceEvent>,
) {
    while let Some(block) = blocks.recv().await {
        let at = block.at();
        let result = import_one(&chain, block).await;
        let _ = results.send(AnnounceEvent::Imported { block: at, result }).await;
    }
}

fn unix_secs() -> u64 {
    // A clock before 1970 is as good as one at 1970: both are wrong.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
