//! Passing blocks on, on networks where nobody else does: before the merge, and proof of authority.
//!
//! ```text
//!  NewBlock ────────────────────────────┐
//!  NewBlockHashes ─► fetch: header, body ┴─► check ─┬─► NewBlock to ⌈√n⌉ of the peers
//!                    (parents of orphans too)  │    └─► import ─► NewBlockHashes to the others
//!  a head of our own ─► both at once           └─ too early, or an orphan: held
//! ```
//!
//! A block is checked with its header and its seal against its parent on a worker ([`CheckJob`]) before anybody is told
//! of it, and imported through the door that every block takes before its hash is told to the rest. What cannot be
//! followed from here, because it is too far away, is the syncer's: [`AnnounceAction::PeerHas`] tells it.
//!
//! [`Announcer`] decides and does nothing: no sockets, no clock, no lock. On proof of stake it is deaf.
//!
//! # What is bounded
//!
//! What each peer knows, announcements and blocks of each peer, blocks in work, held ones by number and bytes, and how
//! many blocks of one author and height are passed on: who may sign can still sign twice. What is full drops what is
//! new; the syncer finds it again if it matters.
//!
//! Source: [eth](https://github.com/ethereum/devp2p/blob/master/caps/eth.md#block-propagation).

mod border;
mod fetch;
mod held;
mod job;
mod known;
mod siblings;

pub use border::{AnnounceAction, AnnounceEvent};
pub use fetch::is_own_request;
pub use job::{CheckJob, CheckedAnnouncement};

use crate::{Fault, ImportResult};
use fetch::{Fetched, Fetcher};
use held::{Held, Waits};
use job::Verdict;
use known::{Hashes, KnownBlocks};
use siblings::Siblings;
use starling_devp2p::eth::{BlockId, NewBlock};
use starling_primitives::{B256, BlockRef, Bytes, PeerId, U256};
use starling_state::{BlockId as At, ChainView};
use starling_validation::PreparedBlock;
use std::{
    collections::{BTreeMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::{Duration, Instant},
};

/// Blocks above the head that are taken; what is further away is a matter of syncing.
const ABOVE_HEAD_MAX: u64 = 32;
/// Blocks below the head that are taken: siblings of late ones.
const BELOW_HEAD_MAX: u64 = 7;
/// Blocks that are being checked or imported. When full, a new one is dropped.
const WORK_MAX: usize = 64;
/// The same of one peer.
const WORK_PER_PEER_MAX: usize = 8;
/// Blocks of which it is remembered that they are not wanted.
const REFUSED_MAX: usize = 512;
/// A block whose time has not come within so many seconds is dropped: its author's clock is wrong.
const EARLY_SECS_MAX: u64 = 30;

/// What the time is.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// By the clock that never goes back.
    pub now: Instant,
    /// Seconds since 1970, with which blocks are compared.
    pub unix_secs: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Announcer {
    seed: u64,
    peers: BTreeMap<PeerId, KnownBlocks>,
    fetcher: Fetcher,
    /// Blocks that are being checked or imported.
    work: BTreeMap<B256, Work>,
    held: Held,
    siblings: Siblings,
    refused: Hashes,
    actions: VecDeque<AnnounceAction>,
}

/// A block in work.
#[derive(Debug)]
struct Work {
    from: PeerId,
    /// What follows from NewBlock about its sender.
    claim: Option<Claim>,
}

/// What a peer has by its word. That is the parent of the block that it sent, which it passes on before it imports it;
/// and perhaps its head stays another one.
#[derive(Debug, Clone, Copy)]
struct Claim {
    head: B256,
    total_difficulty: U256,
}

impl Announcer {
    /// No peers yet. Which peers get a block in full follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            peers: BTreeMap::new(),
            fetcher: Fetcher::default(),
            work: BTreeMap::new(),
            held: Held::default(),
            siblings: Siblings::default(),
            refused: Hashes::new(REFUSED_MAX),
            actions: VecDeque::new(),
        }
    }

    /// Something happened. Call [`Self::poll`] until it has nothing more.
    pub fn handle(&mut self, event: AnnounceEvent, view: &ChainView, moment: Moment) {
        match event {
            AnnounceEvent::Joined { peer } => drop(self.peers.insert(peer, KnownBlocks::default())),
            AnnounceEvent::Left { peer } => {
                self.peers.remove(&peer);
                self.fetcher.left(&peer, moment.now);
            }
            AnnounceEvent::Hashes { peer, blocks } => self.hashes(peer, &blocks, view, moment),
            AnnounceEvent::Block { peer, block } => self.block(peer, block, view),
            AnnounceEvent::Answer { peer, id, response } => {
                match self.fetcher.answered(&peer, id, response, moment.now) {
                    Fetched::Nothing => {}
                    Fetched::Fault(fault) => self.penalise(peer, fault),
                    Fetched::Block { from, rlp } => self.take(from, rlp, None, view),
                }
            }
            AnnounceEvent::RequestFailed { peer, id } => self.fetcher.failed(&peer, id, moment.now),
            AnnounceEvent::Checked(checked) => self.checked(checked, view, moment),
            AnnounceEvent::Imported { block, result } => self.imported(block, &result, moment),
            AnnounceEvent::Head { block, rlp, total_difficulty } => {
                self.head(block, &rlp, total_difficulty, view, moment)
            }
            AnnounceEvent::Tick => {}
        }
        self.advance(view, moment);
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<AnnounceAction> {
        self.actions.pop_front()
    }

    /// When to come back with [`AnnounceEvent::Tick`] if nothing happens before.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.fetcher.next_deadline().into_iter().chain(self.held.next_deadline()).min()
    }

    fn advance(&mut self, view: &ChainView, moment: Moment) {
        for (peer, id, request) in self.fetcher.due(moment.now) {
            self.actions.push_back(AnnounceAction::Request { peer, id, request });
        }
        for (from, block, claim) in self.held.ripe(moment.now) {
            self.check(from, block.rlp.clone(), claim, BlockRef::new(block.block.header.number, block.hash));
        }
        self.siblings.prune(view.head().number.saturating_sub(BELOW_HEAD_MAX));
    }

    fn hashes(&mut self, peer: PeerId, blocks: &[BlockId], view: &ChainView, moment: Moment) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        blocks.iter().for_each(|block| known.insert(block.hash));
        if is_deaf(view) {
            return;
        }
        for block in blocks {
            if is_near(view, block.number) && !self.is_known(view, &block.hash) {
                self.fetcher.announced(peer, *block, moment.now);
            }
        }
    }

    fn block(&mut self, peer: PeerId, new: NewBlock, view: &ChainView) {
        if !self.peers.contains_key(&peer) || is_deaf(view) {
            return;
        }
        self.take(peer, new.block, Some(new.total_difficulty), view);
    }

    /// A whole block of a peer, sent or fetched.
    fn take(&mut self, peer: PeerId, rlp: Bytes, total_difficulty: Option<U256>, view: &ChainView) {
        let Some((at, header)) = job::header_of(&rlp) else { return self.penalise(peer, Fault::BadHeaders) };
        let claim = total_difficulty
            .map(|total| Claim { head: header.parent_hash, total_difficulty: total.saturating_sub(header.difficulty) });
        self.fetcher.forget(&at.hash);
        if let Some(known) = self.peers.get_mut(&peer) {
            known.insert(at.hash);
        }
        if !is_near(view, at.number) {
            return self.peer_has(peer, claim);
        }
        if self.refused.contains(&at.hash) {
            return;
        }
        if self.is_known(view, &at.hash) {
            return self.peer_has(peer, claim);
        }
        self.check(peer, rlp, claim, at);
    }

    fn check(&mut self, from: PeerId, rlp: Bytes, claim: Option<Claim>, at: BlockRef) {
        let of_peer = self.work.values().filter(|work| work.from == from).count();
        if self.work.len() >= WORK_MAX || of_peer >= WORK_PER_PEER_MAX {
            return;
        }
        self.work.insert(at.hash, Work { from, claim });
        self.actions.push_back(AnnounceAction::Check(CheckJob::new(at, rlp)));
    }

    fn checked(&mut self, checked: CheckedAnnouncement, view: &ChainView, moment: Moment) {
        let CheckedAnnouncement { at, verdict } = checked;
        let Some(work) = self.work.remove(&at.hash) else { return };
        match verdict {
            Verdict::Good { block, author, total_difficulty } => {
                let early = block.block.header.timestamp.saturating_sub(moment.unix_secs);
                if early > EARLY_SECS_MAX {
                    self.refused.insert(at.hash);
                } else if early > 0 {
                    let until = moment.now + Duration::from_secs(early);
                    self.held.hold(work.from, block, work.claim, Waits::Until(until));
                } else if self.siblings.admits(at.number, author) {
                    self.pass_on(&block, total_difficulty);
                    self.work.insert(at.hash, work);
                    self.actions.push_back(AnnounceAction::Import(block));
                } else {
                    self.refused.insert(at.hash);
                }
            }
            Verdict::Orphan { block } => self.orphan(work, block, view, moment),
            Verdict::Invalid { why } => {
                self.refused.insert(at.hash);
                self.actions.push_back(AnnounceAction::Refused { block: at, why });
                self.penalise(work.from, Fault::InvalidBlock);
            }
            Verdict::Unreadable => {}
        }
    }

    /// Its parent is asked for where it came from, and the syncer told if that leads nowhere near.
    fn orphan(&mut self, work: Work, block: Arc<PreparedBlock>, view: &ChainView, moment: Moment) {
        let header = &block.block.header;
        let parent = BlockId { hash: header.parent_hash, number: header.number.saturating_sub(1) };
        self.peer_has(work.from, work.claim);
        // One that is being imported right now wakes its children.
        if !self.work.contains_key(&parent.hash) && is_near(view, parent.number) {
            self.fetcher.announced(work.from, parent, moment.now);
        }
        self.held.hold(work.from, block, work.claim, Waits::Parent(parent.hash));
    }

    fn imported(&mut self, at: BlockRef, result: &ImportResult, moment: Moment) {
        if *result == ImportResult::Kept {
            self.held.parent_came(&at.hash, moment.now);
        }
        let Some(work) = self.work.remove(&at.hash) else { return };
        match result {
            ImportResult::Kept => {
                self.tell_rest(at);
                self.peer_has(work.from, work.claim);
            }
            ImportResult::Invalid { .. } => {
                self.refused.insert(at.hash);
                self.penalise(work.from, Fault::InvalidBlock);
            }
            ImportResult::TooOld | ImportResult::UnknownParent | ImportResult::Failed { .. } => {}
        }
    }

    /// A head that did not come by gossip: our own seal, or the end of a sync.
    fn head(&mut self, at: BlockRef, rlp: &Bytes, total_difficulty: U256, view: &ChainView, moment: Moment) {
        self.held.parent_came(&at.hash, moment.now);
        if is_deaf(view) || self.work.contains_key(&at.hash) {
            return;
        }
        self.send(at, rlp, total_difficulty);
        self.tell_rest(at);
    }

    fn pass_on(&mut self, block: &PreparedBlock, total_difficulty: U256) {
        self.send(BlockRef::new(block.block.header.number, block.hash), &block.rlp, total_difficulty);
    }

    /// In full, to ⌈√n⌉ of those who do not know it.
    fn send(&mut self, at: BlockRef, rlp: &Bytes, total_difficulty: U256) {
        let count = (1..).find(|root| root * root >= self.peers.len()).unwrap_or(self.peers.len());
        let mut ranked: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, known)| !known.contains(&at.hash))
            .map(|(peer, _)| (rank(self.seed, &at.hash, peer), *peer))
            .collect();
        ranked.sort_unstable();
        for (_, peer) in ranked.into_iter().take(count) {
            self.mark(&peer, at.hash);
            let block = NewBlock { block: rlp.clone(), total_difficulty };
            self.actions.push_back(AnnounceAction::SendBlock { peer, block });
        }
    }

    /// The hash, to all who do not know it.
    fn tell_rest(&mut self, at: BlockRef) {
        let block = BlockId { hash: at.hash, number: at.number };
        let untold: Vec<_> =
            self.peers.iter().filter(|(_, known)| !known.contains(&at.hash)).map(|(peer, _)| *peer).collect();
        for peer in untold {
            self.mark(&peer, at.hash);
            self.actions.push_back(AnnounceAction::SendHashes { peer, blocks: vec![block] });
        }
    }

    fn mark(&mut self, peer: &PeerId, hash: B256) {
        if let Some(known) = self.peers.get_mut(peer) {
            known.insert(hash);
        }
    }

    fn peer_has(&mut self, peer: PeerId, claim: Option<Claim>) {
        if let Some(Claim { head, total_difficulty }) = claim {
            self.actions.push_back(AnnounceAction::PeerHas { peer, head, total_difficulty });
        }
    }

    fn penalise(&mut self, peer: PeerId, fault: Fault) {
        self.actions.push_back(AnnounceAction::Penalise { peer, fault });
    }

    fn is_known(&self, view: &ChainView, hash: &B256) -> bool {
        self.work.contains_key(hash)
            || self.held.contains(hash)
            || self.refused.contains(hash)
            // What cannot be read is not asked for again.
            || view.find(At::Hash(*hash)).map_or(true, |found| found.is_some())
    }
}

/// After the merge blocks come from the consensus client alone.
fn is_deaf(view: &ChainView) -> bool {
    view.spec().is_proof_of_stake(view.head_header())
}

fn is_near(view: &ChainView, number: u64) -> bool {
    let head = view.head().number;
    (head.saturating_sub(BELOW_HEAD_MAX)..=head.saturating_add(ABOVE_HEAD_MAX)).contains(&number)
}

fn rank(seed: u64, block: &B256, peer: &PeerId) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, block, peer).hash(&mut hasher);
    hasher.finish()
}
