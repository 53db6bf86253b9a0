//! The loop that syncs: joins the network, the consensus client and the chain through [`Syncer`], which decides.
//!
//! ```text
//! network ─ NetworkEvent ─┐                 ┌─ requests, praise, penalties ─► network
//! engine ─ Wanted ────────┼─► Loop: Syncer ─┼─ jobs ─► import threads ─┐
//! results ────────────────┘        ▲        └─ imports, heads ─► importer task ─► chain
//!                                  └──────────── results ◄──────────┴──────────┘
//! ```
//!
//! One task owns the [`Syncer`]; another one speaks with the chain, so that the first is never kept waiting.

mod blocks;
mod importer;
mod peers;

use crate::{p2p::Told, process::sleep_until};
use blocks::{BlockNews, BlockParts, Claim};
use importer::Errand;
use parking_lot::Mutex;
use peers::Peers;
use starling_chain::ChainHandle;
use starling_devp2p::eth::EthMessage;
use starling_network::{Charge, NetworkEvent, NetworkHandle};
use starling_peers::{Merit, Offence};
use starling_primitives::{B256, BlockRef};
use starling_rpc::Wanted;
use starling_sync::announce::is_own_request;
use starling_sync::{Fault, Progress, SyncAction, SyncConfig, SyncEvent, Syncer, Target};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};
use tokio::sync::{mpsc, watch};

/// What a consensus client named and the loop has not heard yet. When full, more is left out: it names the head anew
/// with each block.
const WANTED_MAX: usize = 64;
/// Results on their way to the loop. Two batches of the importer and the jobs of all peers fit; who finds it full waits.
const RESULTS_MAX: usize = 1024;
/// Imports and heads on their way to the importer: the syncer lets out two batches, each followed by one head.
const ERRANDS_MAX: usize = 64;

/// A running sync. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct SyncHandle {
    wanted: mpsc::Sender<Wanted>,
    progress: Arc<Mutex<Option<Progress>>>,
    synced: watch::Receiver<Option<BlockRef>>,
}

/// What the loop is built of.
pub(crate) struct SyncParts {
    pub(crate) chain: ChainHandle,
    pub(crate) network: NetworkHandle,
    /// All of the network's events but requests.
    pub(crate) events: mpsc::Receiver<NetworkEvent>,
    /// To be set when somebody trusted names a head.
    pub(crate) told: Told,
    /// Threads that decode blocks and recover senders.
    pub(crate) threads: Arc<rayon::ThreadPool>,
    pub(crate) config: SyncConfig,
    /// `--sync.target`
    pub(crate) target: Option<B256>,
}

impl SyncHandle {
    /// Starts the loop; it ends when the network's events do. To be called on the runtime.
    pub(crate) fn start(parts: SyncParts) -> Self {
        let (wanted, wanted_queue) = mpsc::channel(WANTED_MAX);
        let (results, results_queue) = mpsc::channel(RESULTS_MAX);
        let (errands, errands_queue) = mpsc::channel(ERRANDS_MAX);
        let (synced, synced_watch) = watch::channel(None);
        let progress = Arc::new(Mutex::new(None));
        tokio::spawn(importer::run(parts.chain.clone(), errands_queue, results.clone()));
        let check_seal = parts.config.check_seal;
        let (blocks, claims) = blocks::start(BlockParts {
            chain: parts.chain.clone(),
            network: parts.network.clone(),
            threads: parts.threads.clone(),
            check_seal,
        });
        let sync_loop = Loop {
            syncer: Syncer::new(parts.chain.spec().clone(), parts.config, Instant::now()),
            peers: Peers::default(),
            chain: parts.chain,
            network: parts.network,
            told: parts.told,
            threads: parts.threads,
            errands,
            results,
            blocks,
            arriving: None,
            progress: progress.clone(),
            synced,
        };
        tokio::spawn(sync_loop.run(parts.events, wanted_queue, results_queue, claims, parts.target));
        Self { wanted, progress, synced: synced_watch }
    }

    /// Says what the consensus client named. Never waits.
    pub(crate) fn want(&self, wanted: Wanted) {
        let _ = self.wanted.try_send(wanted);
    }

    /// How far a sync under way is; none when there is none.
    pub(crate) fn progress(&self) -> Option<Progress> {
        *self.progress.lock()
    }

    /// Waits until the chain has reached what it was to reach for the first time.
    pub(crate) async fn synced(&mut self) -> BlockRef {
        let reached = self.synced.wait_for(Option::is_some).await.ok().and_then(|head| *head);
        match reached {
            Some(head) => head,
            // The loop is gone, and will not say it any more.
            None => std::future::pending().await,
        }
    }
}

/// The owner of the syncer.
struct Loop {
    syncer: Syncer,
    peers: Peers,

    chain: ChainHandle,
    network: NetworkHandle,
    told: Told,
    threads: Arc<rayon::ThreadPool>,
    errands: mpsc::Sender<Errand>,
    results: mpsc::Sender<SyncEvent>,
    /// What the loop that passes blocks on is told.
    blocks: mpsc::Sender<BlockNews>,

    /// The request whose answer is being looked at, and the room that its message takes.
    arriving: Option<(u64, Charge)>,
    progress: Arc<Mutex<Option<Progress>>>,
    synced: watch::Sender<Option<BlockRef>>,
}

impl Loop {
    async fn run(
        mut self,
        mut events: mpsc::Receiver<NetworkEvent>,
        mut wanted: mpsc::Receiver<Wanted>,
        mut results: mpsc::Receiver<SyncEvent>,
        mut claims: mpsc::Receiver<Claim>,
        target: Option<B256>,
    ) {
        if let Some(head) = target {
            self.wanted(Wanted::Head { head, safe: B256::ZERO, finalized: B256::ZERO }).await;
        }
        loop {
            let deadline = self.syncer.next_deadline();
            tokio::select! {
                // Results first: they let memory go, answers take it.
                biased;
                Some(result) = results.recv() => self.handle(result).await,
                Some(wanted) = wanted.recv() => self.wanted(wanted).await,
                Some(claim) = claims.recv() => self.claim(&claim).await,
                event = events.recv() => match event {
                    Some(event) => self.network_event(event).await,
                    None => return,
                },
                () = sleep_until(deadline) => self.handle(SyncEvent::Tick).await,
            }
        }
    }

    async fn wanted(&mut self, wanted: Wanted) {
        self.told.set();
        let event = match wanted {
            Wanted::Head { head, safe, finalized } => SyncEvent::Target(Target { head, safe, finalized }),
            Wanted::Ancestors(block) => SyncEvent::Payload(block),
        };
        self.handle(event).await;
    }

    async fn claim(&mut self, claim: &Claim) {
        if let Some(info) = self.peers.claim(claim) {
            self.handle(SyncEvent::PeerUpdated { peer: claim.peer, info }).await;
        }
    }

    /// Blocks that are passed on are another loop's business.
    async fn tell_blocks(&self, news: BlockNews) {
        // It ends with this loop, or before it at the stop of the node.
        let _ = self.blocks.send(news).await;
    }

    async fn network_event(&mut self, event: NetworkEvent) {
        match event {
            NetworkEvent::Ready { peer, connection, version, status } => {
                self.tell_blocks(BlockNews::Joined(peer)).await;
                let info = self.peers.join(peer, connection, version, &status);
                self.handle(SyncEvent::PeerJoined { peer, info }).await;
            }
            NetworkEvent::Gone { peer, .. } => {
                self.tell_blocks(BlockNews::Left(peer)).await;
                self.peers.leave(&peer);
                self.handle(SyncEvent::PeerLeft { peer }).await;
            }
            NetworkEvent::Message { peer, message: EthMessage::NewBlock(block), charge, .. } => {
                self.tell_blocks(BlockNews::Block(peer, block, charge)).await;
            }
            NetworkEvent::Message { peer, message: EthMessage::NewBlockHashes(blocks), charge, .. } => {
                self.tell_blocks(BlockNews::Hashes(peer, blocks, charge)).await;
            }
            NetworkEvent::Message { peer, message: EthMessage::Response { id, response }, charge, .. }
                if is_own_request(id) =>
            {
                self.tell_blocks(BlockNews::Answer(peer, id, response, charge)).await;
            }
            NetworkEvent::Message { peer, message: EthMessage::Response { id, response }, charge, .. } => {
                self.arriving = Some((id, charge));
                self.handle(SyncEvent::Answer { peer, id, response }).await;
                self.arriving = None;
            }
            NetworkEvent::Message { peer, message, .. } => {
                if let Some(info) = self.peers.update(&peer, &message) {
                    self.handle(SyncEvent::PeerUpdated { peer, info }).await;
                }
            }
        }
    }

    async fn handle(&mut self, event: SyncEvent) {
        self.syncer.handle(event, &self.chain.view(), Instant::now());
        while let Some(action) = self.syncer.poll() {
            self.carry_out(action).await;
        }
        let progress = self.syncer.is_syncing().then(|| self.syncer.progress(&self.chain.view()));
        *self.progress.lock() = progress;
    }

    async fn carry_out(&mut self, action: SyncAction) {
        match action {
            SyncAction::Request { peer, id, request } => {
                if self.network.send(&peer, &EthMessage::Request { id, request }).is_err() {
                    // The result queue's bound is far above the requests of one event.
                    let _ = self.results.try_send(SyncEvent::RequestFailed { peer, id });
                }
            }
            SyncAction::Prepare(job) => self.prepare(job),
            SyncAction::Import { blocks } => self.send(Errand::Import(blocks)).await,
            SyncAction::SetHead { target } => self.send(Errand::SetHead(target)).await,
            SyncAction::Refuse(refused) => self.send(Errand::Refuse(refused)).await,
            SyncAction::Praise { peer, blocks } => {
                if let Some(connection) = self.peers.connection(&peer) {
                    self.network.praise(connection, Merit::ChainData, blocks);
                }
            }
            SyncAction::Penalise { peer, fault } => {
                tracing::debug!(%peer, %fault, "a peer is at fault");
                metrics::counter!("sync_faults_total", "fault" => label(fault)).increment(1);
                self.network.penalise(peer, offence(fault));
            }
            SyncAction::TargetRefused { head, why } => {
                tracing::error!(%head, %why, "cannot sync to this head; a consensus client may name another");
            }
            SyncAction::Synced { head } => {
                tracing::info!(%head, "synced");
                self.synced.send_replace(Some(head));
            }
            SyncAction::Progress(progress) => tracing::info!("syncing: {progress}"),
        }
    }

    async fn send(&self, errand: Errand) {
        // The importer ends with the loop, or before it at the stop of the node.
        let _ = self.errands.send(errand).await;
    }

    fn prepare(&mut self, job: starling_sync::PrepareJob) {
        let charge = self.arriving.take_if(|(id, _)| *id == job.id());
        let (results, spec) = (self.results.clone(), self.chain.spec().clone());
        self.threads.spawn(move || {
            let without = job.without_result();
            // The hook has logged the panic; the bodies are asked for again.
            let prepared = catch_unwind(AssertUnwindSafe(|| job.run(&spec))).unwrap_or(without);
            drop(charge);
            let _ = results.blocking_send(SyncEvent::Prepared(prepared));
        });
    }
}

fn offence(fault: Fault) -> Offence {
    match fault {
        Fault::Timeout => Offence::Timeout,
        Fault::Useless => Offence::UselessAnswer,
        Fault::BadHeaders
        | Fault::InvalidHeader
        | Fault::BadBodies
        | Fault::BadAnswer
        | Fault::InvalidBlock
        | Fault::FalseHead => Offence::BadData,
    }
}

fn label(fault: Fault) -> &'static str {
    match fault {
        Fault::BadHeaders => "bad_headers",
        Fault::InvalidHeader => "invalid_header",
        Fault::BadBodies => "bad_bodies",
        Fault::BadAnswer => "bad_answer",
        Fault::InvalidBlock => "invalid_block",
        Fault::FalseHead => "false_head",
        Fault::Useless => "useless",
        Fault::Timeout => "timeout",
    }
}
