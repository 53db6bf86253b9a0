//! Announced transactions, and whom to ask for them.
//!
//! ```text
//! announced ─► Waiting ─(a moment)─► Ready ─► Asked ─► with a worker ─► settled
//!                                      ▲        │ ▲          │
//!                                      │        │ └──────────┘ came without its blobs: its cells (`cells`)
//!                                      └────────┘ time-out, left out, contradicted: by the next announcer
//! ```
//!
//! Each peer has a list of what is ready to be asked of it. Whoever takes a transaction first has it; entries of other
//! lists that are out of date are passed over when they come up, so that a step costs what it does, not what is stored.

use super::{Fault, GossipAction, GossipConfig, Judgement, cells, job::AnnouncedAs};
use crate::Refusal;
use alloy_primitives::map::HashMap;
use rand::{rngs::StdRng, seq::SliceRandom};
use schnellru::{ByLength, LruMap};
use starling_primitives::{PeerId, TxHash};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

/// How long an announced transaction may still come by itself before it is asked for.
const ARRIVAL_WAIT: Duration = Duration::from_millis(100);
/// How long a peer has for an answer.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a peer that did not answer is left alone, unless the answer comes after all.
const SILENCE_WAIT: Duration = Duration::from_secs(30);
/// Transactions of one request.
const REQUEST_HASHES_MAX: usize = 256;
/// Announced bytes of one request; one transaction may have more.
const REQUEST_BYTES_MAX: usize = 128 << 10;
/// Announcements of one peer that are remembered; what it announces beyond is passed over until some are settled.
const ANNOUNCED_PER_PEER_MAX: usize = 4_096;
/// Announcers of one transaction that are remembered; later ones are passed over.
const ANNOUNCERS_MAX: usize = 16;
/// Refused transactions that are remembered, so that they are not fetched again; beyond, the oldest are forgotten.
const REFUSED_MAX: u32 = 32_768;
/// How long they are: what was too cheap may be welcome later.
const REFUSED_FOR: Duration = Duration::from_secs(5 * 60);
/// The highest transaction type that there is.
const TX_TYPE_MAX: u8 = 4;
/// The type of transactions with blobs.
pub(super) const BLOB_TYPE: u8 = 3;

const _: () = assert!(ANSWER_TIMEOUT.as_millis() < SILENCE_WAIT.as_millis());

pub(super) struct Fetcher {
    config: GossipConfig,
    rng: StdRng,
    pub(super) wanted: HashMap<TxHash, Wanted>,
    /// In the order in which they become ready.
    waiting: VecDeque<(Instant, TxHash)>,
    pub(super) requests: BTreeMap<u64, Request>,
    next_request: u64,
    pub(super) peers: BTreeMap<PeerId, Asked>,
    /// Peers with something to be asked and nothing under way.
    idle: BTreeSet<PeerId>,
    refused: LruMap<TxHash, Instant, ByLength>,
    pub(super) actions: VecDeque<GossipAction>,
}

/// A transaction that was announced and is not here.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) announcers: Vec<(PeerId, AnnouncedAs)>,
    pub(super) stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Waiting,
    Ready,
    /// By the request of that number, until its answer is settled.
    Asked(u64),
}

#[derive(Debug)]
pub(super) struct Request {
    pub(super) peer: PeerId,
    pub(super) hashes: Vec<TxHash>,
    pub(super) what: What,
    /// The answer is due, then, once it is overdue, the time at which the peer is given another chance.
    pub(super) until: Instant,
    pub(super) stage: RequestStage,
}

/// What is asked for.
#[derive(Debug)]
pub(super) enum What {
    /// Transactions, as the peer announced them. Some may come by another way before the answer, which is no fault of
    /// the peer.
    Transactions(BTreeMap<TxHash, AnnouncedAs>),
    /// Blobs of transactions that it sent.
    Cells(cells::Asked),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestStage {
    Open,
    /// Its transactions are asked of others, but an answer would still be welcome.
    Overdue,
    /// Answered; the answer is with a worker.
    Verifying,
}

/// What there is to ask of a peer.
#[derive(Debug, Default)]
pub(super) struct Asked {
    ready: VecDeque<TxHash>,
    announced: usize,
    pub(super) open: Option<u64>,
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (wanted, requests) = (self.wanted.len(), self.requests.len());
        f.debug_struct("Fetcher").field("wanted", &wanted).field("requests", &requests).finish_non_exhaustive()
    }
}

impl Fetcher {
    pub(super) fn new(config: GossipConfig, rng: StdRng) -> Self {
        Self {
            config,
            rng,
            wanted: HashMap::default(),
            waiting: VecDeque::new(),
            requests: BTreeMap::new(),
            next_request: 0,
            peers: BTreeMap::new(),
            idle: BTreeSet::new(),
            refused: LruMap::new(ByLength::new(REFUSED_MAX)),
            actions: VecDeque::new(),
        }
    }

    pub(super) fn take_actions(&mut self) -> impl Iterator<Item = GossipAction> + '_ {
        self.actions.drain(..)
    }

    pub(super) fn joined(&mut self, peer: PeerId) {
        self.peers.insert(peer, Asked::default());
    }

    pub(super) fn left(&mut self, peer: &PeerId) {
        if self.peers.remove(peer).is_none() {
            return;
        }
        self.idle.remove(peer);
        let open: Vec<u64> = self.requests.iter().filter(|(_, one)| one.peer == *peer).map(|(id, _)| *id).collect();
        let asked: Vec<TxHash> =
            open.iter().filter_map(|id| self.requests.remove(id)).flat_map(|one| one.hashes).collect();
        // Its announcements must go everywhere, or those it alone made would never be settled.
        let mut passed_over = Vec::new();
        self.wanted.retain(|hash, wanted| {
            let Some(at) = wanted.announcers.iter().position(|(announcer, _)| announcer == peer) else { return true };
            let (_, announced) = wanted.announcers.remove(at);
            if announced.tx_type == BLOB_TYPE && wanted.stage == Stage::Ready {
                passed_over.push(*hash);
            }
            !wanted.announcers.is_empty()
        });
        // Those who were passed over for it are not any more.
        passed_over.iter().for_each(|hash| self.put_ready(hash, AnnouncedAs::needs_recovery));
        asked.iter().for_each(|hash| self.ready_again(hash, &open));
    }

    /// A peer says that it has a transaction which the pool does not have.
    pub(super) fn announced(&mut self, peer: PeerId, hash: TxHash, announced: AnnouncedAs, now: Instant) {
        let AnnouncedAs { tx_type, size_bytes, mask } = announced;
        let fits = match tx_type {
            BLOB_TYPE => self.config.fetch_blobs && mask.is_none_or(|mask| mask.to_recover().is_some()),
            other => other <= TX_TYPE_MAX,
        };
        // Whether a size is too large for its type is found out on delivery, like every other lie.
        let fits = fits && size_bytes <= self.config.tx_bytes_max.max(self.config.blob_tx_bytes_max);
        if !fits || self.is_refused(&hash, now) {
            return;
        }
        let Some(from) = self.peers.get_mut(&peer) else { return };
        if from.announced >= ANNOUNCED_PER_PEER_MAX {
            return;
        }
        let wanted = self.wanted.entry(hash).or_insert_with(|| {
            // Those with blobs are never broadcast, so there is nothing to wait for; but one queue keeps one order.
            self.waiting.push_back((now + ARRIVAL_WAIT, hash));
            Wanted { announcers: Vec::new(), stage: Stage::Waiting }
        });
        if wanted.announcers.len() >= ANNOUNCERS_MAX || wanted.announcers.iter().any(|(id, _)| *id == peer) {
            return;
        }
        wanted.announcers.push((peer, announced));
        from.announced += 1;
        if wanted.stage == Stage::Ready {
            from.ready.push_back(hash);
            if from.open.is_none() {
                self.idle.insert(peer);
            }
        }
    }

    /// The pool has it by another way.
    pub(super) fn forget(&mut self, hash: &TxHash) {
        let Some(wanted) = self.wanted.remove(hash) else { return };
        for (peer, _) in wanted.announcers {
            self.release(&peer);
        }
    }

    /// An answer has come: what was asked, if it was. The peer is asked for more when it is judged.
    pub(super) fn answered(&mut self, peer: &PeerId, id: u64, items: usize) -> Option<BTreeMap<TxHash, AnnouncedAs>> {
        let request = self.awaited(peer, id)?;
        let What::Transactions(asked) = &request.what else { return None };
        let asked = asked.clone();
        request.stage = RequestStage::Verifying;
        if items == 0 {
            self.settle(peer, id, &[]);
        }
        Some(asked)
    }

    /// A request whose answer would still be welcome.
    pub(super) fn awaited(&mut self, peer: &PeerId, id: u64) -> Option<&mut Request> {
        self.requests.get_mut(&id).filter(|one| one.peer == *peer && one.stage != RequestStage::Verifying)
    }

    /// Whether a peer announced a transaction as something else.
    pub(super) fn contradicts(&self, peer: &PeerId, hash: &TxHash, is: &AnnouncedAs) -> bool {
        let wanted = self.wanted.get(hash);
        wanted.is_some_and(|wanted| wanted.announcers.iter().any(|(id, said)| id == peer && !said.fits(is)))
    }

    /// A request will not be answered.
    pub(super) fn failed(&mut self, peer: &PeerId, id: u64) {
        if self.awaited(peer, id).is_some() {
            self.settle(peer, id, &[]);
        }
    }

    /// A request is over. What was left out before the last item that came, the peer does not have; what comes after
    /// did not fit into the answer and may be asked for again.
    pub(super) fn settle(&mut self, peer: &PeerId, id: u64, delivered: &[TxHash]) {
        let Some(request) = self.requests.remove(&id) else { return };
        self.set_idle(peer, id);
        let last = request.hashes.iter().rposition(|hash| delivered.contains(hash));
        for (index, hash) in request.hashes.iter().enumerate() {
            if last.is_none_or(|last| index < last) && !delivered.contains(hash) {
                self.remove_announcer(hash, peer);
            }
            self.ready_again(hash, &[id]);
        }
    }

    /// A transaction was judged.
    pub(super) fn judged(&mut self, peer: &PeerId, judgement: &Judgement, now: Instant) {
        match judgement {
            Judgement::Kept(hash) => self.forget(hash),
            // Nothing is wrong with these; another announcement may bring them again.
            Judgement::Refused(hash, Refusal::Read(_) | Refusal::Journal(_) | Refusal::BlobStore(_)) => {
                self.forget(hash)
            }
            // The hash does not speak of the blobs: another peer may have the right ones.
            Judgement::Refused(hash, Refusal::Sidecar(_)) => self.remove_announcer(hash, peer),
            Judgement::Refused(hash, _) => {
                self.refused.insert(*hash, now + REFUSED_FOR);
                self.forget(hash);
            }
            Judgement::Contradicts(hash) | Judgement::BadCells(hash) => self.remove_announcer(hash, peer),
            Judgement::Stripped(_) | Judgement::Unasked(..) | Judgement::Garbage => {}
        }
    }

    /// Does what is due: time-outs, what has waited long enough, requests. `budget` says how many transactions a peer
    /// may still cost.
    pub(super) fn advance(&mut self, now: Instant, mut budget: impl FnMut(&PeerId) -> usize) {
        self.time_out(now);
        while let Some((_, hash)) = self.waiting.pop_front_if(|(at, _)| *at <= now) {
            if self.wanted.get(&hash).is_some_and(|wanted| wanted.stage == Stage::Waiting) {
                self.make_ready(&hash);
            }
        }
        // In random order, so that nobody gets everything by its name.
        let mut idle: Vec<PeerId> = std::mem::take(&mut self.idle).into_iter().collect();
        idle.shuffle(&mut self.rng);
        for peer in idle {
            match budget(&peer) {
                0 => drop(self.idle.insert(peer)),
                left => self.ask(peer, left, now),
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let open = self.requests.values().filter(|one| one.stage != RequestStage::Verifying).map(|one| one.until).min();
        open.into_iter().chain(self.waiting.front().map(|(at, _)| *at)).min()
    }

    fn time_out(&mut self, now: Instant) {
        let due = |one: &Request| one.until <= now && one.stage != RequestStage::Verifying;
        let due: Vec<u64> = self.requests.iter().filter(|(_, one)| due(one)).map(|(id, _)| *id).collect();
        for id in due {
            let Some(request) = self.requests.get_mut(&id) else { continue };
            let peer = request.peer;
            if request.stage == RequestStage::Overdue {
                self.requests.remove(&id);
                self.set_idle(&peer, id);
                continue;
            }
            (request.stage, request.until) = (RequestStage::Overdue, now + SILENCE_WAIT);
            let hashes = request.hashes.clone();
            self.actions.push_back(GossipAction::Penalise { peer, fault: Fault::NoAnswer });
            for hash in &hashes {
                // The last announcer stays, or an answer that comes late could not be compared.
                if self.wanted.get(hash).is_some_and(|wanted| wanted.announcers.len() > 1) {
                    self.remove_announcer(hash, &peer);
                }
                self.ready_again(hash, &[id]);
            }
        }
    }

    fn ask(&mut self, peer: PeerId, budget: usize, now: Instant) {
        let Some(from) = self.peers.get_mut(&peer).filter(|from| from.open.is_none()) else { return };
        let id = self.next_request;
        let (mut hashes, mut asked, mut bytes) = (Vec::new(), BTreeMap::new(), 0);
        let mut blobs = cells::Batch::default();
        while hashes.len() < REQUEST_HASHES_MAX.min(budget) {
            let Some(hash) = from.ready.pop_front() else { break };
            let Some(wanted) = self.wanted.get_mut(&hash).filter(|wanted| wanted.stage == Stage::Ready) else {
                continue;
            };
            let Some((_, announced)) = wanted.announcers.iter().find(|(id, _)| *id == peer) else { continue };
            if announced.is_dearer_than_of(&wanted.announcers) {
                continue;
            }
            let is_full = bytes + announced.size_bytes > REQUEST_BYTES_MAX || !blobs.takes(announced);
            if !hashes.is_empty() && is_full {
                from.ready.push_front(hash);
                break;
            }
            bytes += announced.size_bytes;
            wanted.stage = Stage::Asked(id);
            asked.insert(hash, *announced);
            hashes.push(hash);
        }
        if hashes.is_empty() {
            return;
        }
        from.open = Some(id);
        self.open(peer, hashes.clone(), What::Transactions(asked), now);
        self.actions.push_back(GossipAction::Request { peer, request: id, hashes });
    }

    /// Notes a request with the next number, which is never used again.
    pub(super) fn open(&mut self, peer: PeerId, hashes: Vec<TxHash>, what: What, now: Instant) -> u64 {
        let id = self.next_request;
        self.next_request += 1;
        let (until, stage) = (now + ANSWER_TIMEOUT, RequestStage::Open);
        self.requests.insert(id, Request { peer, hashes, what, until, stage });
        id
    }

    /// The peer's answer is settled, or will not come: it may be asked for more.
    fn set_idle(&mut self, peer: &PeerId, id: u64) {
        let Some(from) = self.peers.get_mut(peer).filter(|from| from.open == Some(id)) else { return };
        from.open = None;
        if !from.ready.is_empty() {
            self.idle.insert(*peer);
        }
    }

    /// A transaction of a request that is over goes back to the others who have it.
    fn ready_again(&mut self, hash: &TxHash, requests: &[u64]) {
        let Some(wanted) = self.wanted.get(hash) else { return };
        if matches!(wanted.stage, Stage::Asked(id) if requests.contains(&id)) {
            self.make_ready(hash);
        }
    }

    fn make_ready(&mut self, hash: &TxHash) {
        let Some(wanted) = self.wanted.get_mut(hash) else { return };
        wanted.stage = Stage::Ready;
        self.put_ready(hash, |_| true);
    }

    /// Puts a transaction that is ready into the lists of those who announced it like that.
    fn put_ready(&mut self, hash: &TxHash, announced_so: impl Fn(&AnnouncedAs) -> bool) {
        let Some(wanted) = self.wanted.get(hash) else { return };
        for (peer, _) in wanted.announcers.iter().filter(|(_, announced)| announced_so(announced)) {
            let Some(from) = self.peers.get_mut(peer) else { continue };
            from.ready.push_back(*hash);
            if from.open.is_none() {
                self.idle.insert(*peer);
            }
        }
    }

    fn remove_announcer(&mut self, hash: &TxHash, peer: &PeerId) {
        let Some(wanted) = self.wanted.get_mut(hash) else { return };
        let before = wanted.announcers.len();
        wanted.announcers.retain(|(announcer, _)| announcer != peer);
        let (removed, is_empty) = (wanted.announcers.len() < before, wanted.announcers.is_empty());
        if is_empty {
            self.wanted.remove(hash);
        }
        if removed {
            self.release(peer);
        }
    }

    fn release(&mut self, peer: &PeerId) {
        if let Some(from) = self.peers.get_mut(peer) {
            from.announced = from.announced.saturating_sub(1);
        }
    }

    fn is_refused(&self, hash: &TxHash, now: Instant) -> bool {
        self.refused.peek(hash).is_some_and(|until| *until > now)
    }
}

#[cfg(test)]
impl Fetcher {
    pub(super) fn wanted_count(&self) -> usize {
        self.wanted.len()
    }
}
