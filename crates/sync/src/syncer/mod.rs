//! The deciding core: events in, actions out.

mod answers;
mod ask;
mod import;
mod round;

use crate::{
    border::{Fault, ImportResult, RefusedBlock, SyncAction, SyncEvent, Target},
    payloads::Payloads,
    peers::Peers,
    progress::{Meter, Progress, WaitsFor},
    rates::Kind,
    window::Window,
};
use ask::{Asked, Pending};
use round::{Goal, Round};
use starling_chainspec::{ChainSpec, Consensus};
use starling_primitives::{B256, PeerId, U256};
use starling_state::ChainView;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

/// Heads and blocks that were refused, remembered so that they are not fetched again. The oldest is forgotten.
const REFUSED_MAX: usize = 64;
/// Descendants that are named with a block that breaks a rule. Of more, those nearest the head that was named are, which
/// a consensus client builds on; who names one of the others finds out by a sync of its own.
const REFUSED_DESCENDANTS_MAX: usize = 1024;
/// After a failed import (disk full), the next try.
const IMPORT_RETRY: Duration = Duration::from_secs(5);
/// Rounds that one event may begin and end; more wait for the next.
const ROUNDS_AT_ONCE_MAX: usize = 4;
/// A round without progress for this long gives way to a newer head.
const STUCK: Duration = Duration::from_secs(30);

/// What an operator may set, and shares of `--memory`.
#[derive(Debug, Clone, Copy)]
pub struct SyncConfig {
    /// Headers held at a time, about 900 bytes each.
    pub headers_max: usize,
    /// Memory of blocks that are asked for, ready, or with the importer, in bytes. One answer a peer may come
    /// on top of it.
    pub window_bytes_max: u64,
    /// Check the proof of work of chains that nobody vouches for. Without it anyone makes the heaviest chain for
    /// free; only chains of tests, whose work was never done, are followed so.
    pub check_seal: bool,
}

impl Default for SyncConfig {
    fn default() -> Self {
        Self { headers_max: 32_768, window_bytes_max: 96 << 20, check_seal: true }
    }
}

/// Whether what was refused breaks a rule, or only cannot be had.
type IsInvalid = bool;

/// Decides what to ask whom, and what to import.
#[derive(Debug)]
pub struct Syncer {
    spec: Arc<ChainSpec>,
    config: SyncConfig,

    peers: Peers,
    requests: BTreeMap<u64, Pending>,
    /// Of requests and jobs.
    next_id: u64,
    actions: VecDeque<SyncAction>,

    round: Option<Round>,
    /// Rounds so far: what belongs to an older one is ignored.
    rounds: u64,
    /// What the next round is to reach, and whether it may move the head there.
    next_target: Option<(Target, bool)>,
    refused: VecDeque<(B256, IsInvalid)>,
    payloads: Payloads,
    window: Window,

    import_retry_at: Option<Instant>,
    /// The last head of [`SyncAction::Synced`].
    announced: Option<B256>,
    meter: Meter,
    now: Instant,
}

impl Syncer {
    /// Nothing is asked before a peer and a head are known.
    pub fn new(spec: Arc<ChainSpec>, config: SyncConfig, now: Instant) -> Self {
        Self {
            spec,
            window: Window::new(config.window_bytes_max),
            config,
            peers: Peers::default(),
            requests: BTreeMap::new(),
            next_id: 0,
            actions: VecDeque::new(),
            round: None,
            rounds: 0,
            next_target: None,
            refused: VecDeque::new(),
            payloads: Payloads::default(),
            import_retry_at: None,
            announced: None,
            meter: Meter::default(),
            now,
        }
    }

    /// Something happened. `view` is the chain as it stands now.
    pub fn handle(&mut self, event: SyncEvent, view: &ChainView, now: Instant) {
        self.now = now;
        match event {
            SyncEvent::PeerJoined { peer, info } => self.peers.join(peer, info),
            SyncEvent::PeerUpdated { peer, info } => self.peers.update(&peer, info),
            SyncEvent::PeerLeft { peer } => self.peer_left(&peer),
            SyncEvent::Answer { peer, id, response } => self.answered(peer, id, response, view),
            SyncEvent::RequestFailed { peer, id } => self.request_failed(&peer, id),
            SyncEvent::Target(target) => self.target(target, true),
            SyncEvent::Payload(block) => self.payload(block),
            SyncEvent::Prepared(prepared) => self.prepared(prepared),
            SyncEvent::Imported { block, result } => self.imported(block, result, view),
            SyncEvent::HeadSet { head, refused } => self.head_set(head, refused, view),
            SyncEvent::Tick => {}
        }
        self.expire();
        self.advance(view);
    }

    /// What is to be done next, in order; none when all is.
    pub fn poll(&mut self) -> Option<SyncAction> {
        self.actions.pop_front()
    }

    /// When [`SyncEvent::Tick`] is due if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Instant> {
        let requests = self.requests.values().map(|pending| pending.deadline).min();
        let round = self.round.as_ref();
        let stuck = round.filter(|_| self.next_target.is_some()).map(|round| round.progressed_at + STUCK);
        let resume = self.peers.next_resume(self.now);
        let progress = round.and_then(|_| self.meter.next());
        [requests, stuck, resume, self.import_retry_at, progress].into_iter().flatten().min()
    }

    /// Whether it is on the way to a head.
    pub fn is_syncing(&self) -> bool {
        self.round.is_some()
    }

    /// Where it stands.
    pub fn progress(&self, view: &ChainView) -> Progress {
        let current = view.head().number;
        let highest = self.round.as_ref().and_then(Round::highest).unwrap_or(current).max(current);
        Progress {
            starting: if self.round.is_some() { self.meter.starting } else { current },
            current,
            highest,
            blocks_per_second: self.meter.blocks_per_second(),
            peers: self.peers.honest().count(),
            time_left: self.meter.time_left(highest - current),
            waits_for: self.waits_for(view),
        }
    }

    /// Everything that can be done now. Where a round ends, the next one begins at once.
    fn advance(&mut self, view: &ChainView) {
        for _ in 0..ROUNDS_AT_ONCE_MAX {
            let before = self.rounds;
            self.advance_round(view);
            if self.rounds == before {
                break;
            }
        }
        if self.round.is_some() && self.meter.measure(view.head().number, self.now) {
            let progress = self.progress(view);
            self.actions.push_back(SyncAction::Progress(progress));
        }
    }

    fn advance_round(&mut self, view: &ChainView) {
        self.start_round(view);
        self.connect(view);
        self.ask_headers(view);
        self.fill_window();
        self.prepare_empty();
        self.ask_bodies();
        self.hand_out_imports();
        self.refuse_broken();
        self.finish_round(view);
        self.announce_heaviest(view);
    }

    fn waits_for(&self, view: &ChainView) -> WaitsFor {
        let has_peers = self.peers.honest().next().is_some();
        let Some(round) = &self.round else {
            return match self.our_difficulty(view) {
                Some(_) if !has_peers => WaitsFor::Peers,
                None if self.announced.is_none() => WaitsFor::Target,
                _ => WaitsFor::Nothing,
            };
        };
        match () {
            () if self.import_retry_at.is_some() => WaitsFor::Chain,
            () if self.window.is_importing() => WaitsFor::Import,
            () if !has_peers => WaitsFor::Peers,
            () if !round.skeleton.is_begun() && !round.skeleton.is_linked() => WaitsFor::Head,
            () if !round.skeleton.is_linked() || self.window.is_empty() => WaitsFor::Headers,
            () => WaitsFor::Bodies,
        }
    }

    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Our total difficulty, where it is what decides.
    fn our_difficulty(&self, view: &ChainView) -> Option<U256> {
        if self.spec.consensus == Consensus::Dev {
            return None;
        }
        let total = view.total_difficulty(view.head()).ok().flatten()?;
        match self.spec.consensus.terminal_total_difficulty() {
            Some(terminal) if total >= terminal => None,
            _ => Some(total),
        }
    }

    fn peer_left(&mut self, peer: &PeerId) {
        self.drop_requests_of(peer);
        self.peers.leave(peer);
        if self.round.as_ref().is_some_and(|round| round.follows(peer)) {
            self.end_round();
        }
    }

    /// A peer did something wrong.
    fn fault(&mut self, peer: PeerId, fault: Fault) {
        if fault.is_lie() {
            if !self.peers.mark_liar(&peer) {
                return;
            }
            self.drop_requests_of(&peer);
        }
        self.actions.push_back(SyncAction::Penalise { peer, fault });
        if self.round.as_ref().is_some_and(|round| round.follows(&peer)) {
            self.end_round();
        }
    }

    fn target(&mut self, target: Target, moves_head: bool) {
        match self.is_refused(&target.head) {
            Some(false) => return,
            // The chain answers for what is invalid. It has forgotten: so do we.
            Some(true) => self.refused.retain(|(_, is_invalid)| !is_invalid),
            None => {}
        }
        if let Some(round) = &mut self.round
            && let Goal::Trusted { target: reaching, moves_head: moves } = &mut round.goal
            && reaching.head == target.head
        {
            if moves_head {
                *reaching = target;
                *moves = true;
            }
            return;
        }
        if moves_head || self.next_target.is_none_or(|(_, moves)| !moves) {
            self.next_target = Some((target, moves_head));
        }
    }

    fn payload(&mut self, block: Arc<starling_validation::PreparedBlock>) {
        let head = block.hash;
        self.payloads.insert(block);
        self.target(Target { head, safe: B256::ZERO, finalized: B256::ZERO }, false);
    }

    fn refuse(&mut self, hash: B256, is_invalid: IsInvalid) {
        if self.refused.len() >= REFUSED_MAX {
            self.refused.pop_front();
        }
        self.refused.push_back((hash, is_invalid));
    }

    fn is_refused(&self, hash: &B256) -> Option<IsInvalid> {
        self.refused.iter().find(|(refused, _)| refused == hash).map(|(_, is_invalid)| *is_invalid)
    }
}
