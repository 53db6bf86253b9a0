//! Virtual time, virtual lines, a real chain.

use crate::{chain::Source, peer::Character};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use starling_chain::{ChainCore, ImportOutcome, InvalidReason, SetHeadOutcome};
use starling_devp2p::eth::{BlockRange, EthVersion, Request};
use starling_primitives::{B256, BlockRef, PeerId, U256};
use starling_sync::{
    BrokenRule, Fault, ImportResult, PeerInfo, RefusedBlock, SyncAction, SyncConfig, SyncEvent, Syncer, Target,
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Time the importer takes for a block.
const IMPORT_TIME: Duration = Duration::from_micros(500);
/// Events after which a run that does not end is given up.
const EVENTS_MAX: usize = 200_000;

/// One node that syncs, and its peers.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) source: &'static Source,
    pub(crate) chain: ChainCore,
    pub(crate) syncer: Syncer,
    rng: StdRng,

    start: Instant,
    pub(crate) now: Instant,
    queue: BTreeMap<(Instant, u64), SyncEvent>,
    sequence: u64,

    pub(crate) peers: BTreeMap<PeerId, Peer>,
    pub(crate) faults: Vec<(PeerId, Fault)>,
    pub(crate) refused: Vec<(B256, String)>,
    pub(crate) synced: Option<BlockRef>,
    pub(crate) bodies_asked: usize,
    pub(crate) headers_asked: u64,
    /// When the importer is done with what it has.
    importer_free: Instant,
    /// So many of the next imports fail, as on a full disk.
    pub(crate) imports_failing: usize,
}

pub(crate) struct Peer {
    pub(crate) character: Character,
    version: EthVersion,
    answered: u32,
    /// Whether a lie was delivered.
    pub(crate) lied: bool,
}

impl World {
    pub(crate) fn new(source: &'static Source, seed: u64, config: SyncConfig) -> Self {
        let chain = source.follower();
        let start = Instant::now();
        Self {
            seed,
            source,
            syncer: Syncer::new(chain.spec().clone(), config, start),
            chain,
            rng: StdRng::seed_from_u64(seed),
            start,
            now: start,
            queue: BTreeMap::new(),
            sequence: 0,
            peers: BTreeMap::new(),
            faults: Vec::new(),
            refused: Vec::new(),
            synced: None,
            bodies_asked: 0,
            headers_asked: 0,
            importer_free: start,
            imports_failing: 0,
        }
    }

    /// A program that is started again on the same chain: all but the chain is forgotten.
    pub(crate) fn restart(&mut self, config: SyncConfig) {
        self.syncer = Syncer::new(self.chain.spec().clone(), config, self.now);
        self.queue.clear();
        self.peers.clear();
        (self.bodies_asked, self.headers_asked) = (0, 0);
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// A peer comes, with what an honest one would say of itself.
    pub(crate) fn join(&mut self, character: Character, version: EthVersion) -> PeerId {
        let total = (version == EthVersion::V68).then(|| self.source_total());
        self.join_claiming(character, version, total)
    }

    pub(crate) fn source_total(&self) -> U256 {
        let view = self.source.view();
        let mut number = view.head().number;
        loop {
            let at = BlockRef::new(number, self.source.hash(number));
            if let Some(total) = view.total_difficulty(at).expect("readable") {
                return total;
            }
            number -= 1;
        }
    }

    pub(crate) fn join_claiming(
        &mut self,
        character: Character,
        version: EthVersion,
        total_difficulty: Option<U256>,
    ) -> PeerId {
        let id = PeerId::with_last_byte(self.rng.random_range(1..=255));
        if self.peers.contains_key(&id) {
            return self.join_claiming(character, version, total_difficulty);
        }
        let head = self.source.view().head();
        let range = BlockRange { earliest: 0, latest: head.number, latest_hash: head.hash };
        let range = (version > EthVersion::V68).then_some(range);
        let info = PeerInfo { version, head: head.hash, range, total_difficulty };
        self.peers.insert(id, Peer { character, version, answered: 0, lied: false });
        self.at(Duration::from_millis(1), SyncEvent::PeerJoined { peer: id, info });
        id
    }

    pub(crate) fn leave(&mut self, id: PeerId) {
        self.peers.remove(&id);
        self.at(Duration::ZERO, SyncEvent::PeerLeft { peer: id });
    }

    /// The consensus client names a head.
    pub(crate) fn target(&mut self, head: B256) {
        let target = Target { head, safe: B256::ZERO, finalized: B256::ZERO };
        self.at(Duration::from_millis(2), SyncEvent::Target(target));
    }

    pub(crate) fn at(&mut self, after: Duration, event: SyncEvent) {
        self.sequence += 1;
        self.queue.insert((self.now + after, self.sequence), event);
    }

    /// Runs until something holds, or virtual time is up: then the state is printed and the test fails.
    pub(crate) fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) {
        let end = self.now + limit;
        for _ in 0..EVENTS_MAX {
            self.carry_out();
            if done(self) {
                return;
            }
            if !self.step(end) {
                break;
            }
        }
        panic!(
            "seed {}: not done after {:?} of virtual time; {}; faults {:?}; refused {:?}",
            self.seed,
            self.elapsed(),
            self.syncer.progress(&self.chain.view()),
            self.faults,
            self.refused,
        );
    }

    /// Runs for a while.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..EVENTS_MAX {
            self.carry_out();
            if !self.step(end) {
                self.now = end;
                return;
            }
        }
        panic!("seed {}: busy without end", self.seed);
    }

    /// The next event, if there is one before the end.
    fn step(&mut self, end: Instant) -> bool {
        let queued = self.queue.first_key_value().map(|((at, _), _)| *at);
        let deadline = self.syncer.next_deadline();
        let (at, event) = match (queued, deadline) {
            (Some(queued), deadline) if deadline.is_none_or(|deadline| queued <= deadline) => {
                let ((at, _), event) = self.queue.pop_first().expect("it is there");
                (at, event)
            }
            (_, Some(deadline)) => (deadline, SyncEvent::Tick),
            (_, None) => return false,
        };
        if at > end {
            if !matches!(event, SyncEvent::Tick) {
                self.sequence += 1;
                self.queue.insert((at, self.sequence), event);
            }
            return false;
        }
        self.now = self.now.max(at);
        let view = self.chain.view();
        self.syncer.handle(event, &view, self.now);
        true
    }

    fn carry_out(&mut self) {
        while let Some(action) = self.syncer.poll() {
            match action {
                SyncAction::Request { peer, id, request } => self.request(peer, id, &request),
                SyncAction::Prepare(job) => {
                    let prepared = job.run(self.chain.spec());
                    self.at(Duration::from_millis(2), SyncEvent::Prepared(prepared));
                }
                SyncAction::Import { blocks } => self.import(&blocks),
                SyncAction::SetHead { target } => self.set_head(target),
                SyncAction::Penalise { peer, fault } => {
                    self.faults.push((peer, fault));
                    if fault.is_lie() {
                        self.at(Duration::ZERO, SyncEvent::PeerLeft { peer });
                    }
                }
                SyncAction::Praise { peer, blocks } => {
                    assert!(blocks > 0 && self.peers.get(&peer).is_none_or(|peer| peer.character != Character::Empty));
                }
                SyncAction::Refuse(refused) => {
                    let RefusedBlock { block, parent_hash, why, descendants } = refused;
                    let why = why.map(|why| match why {
                        BrokenRule::Header(rule) => InvalidReason::Check(rule),
                        BrokenRule::Prepare(rule) => InvalidReason::Prepare(rule),
                    });
                    let refused = starling_chain::RefusedBlock { hash: block.hash, parent_hash, why, descendants };
                    self.chain.refuse_unseen(refused).expect("readable");
                }
                SyncAction::TargetRefused { head, why } => self.refused.push((head, why)),
                SyncAction::Synced { head } => self.synced = Some(head),
                SyncAction::Progress(progress) => {
                    assert!(progress.current <= progress.highest, "{progress}");
                }
            }
        }
    }

    fn request(&mut self, id: PeerId, request_id: u64, request: &Request) {
        match request {
            Request::BlockBodies(hashes) => self.bodies_asked += hashes.len(),
            Request::BlockHeaders(request) => self.headers_asked += request.limit,
            _ => panic!("a request that full sync has no use for"),
        }
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.answered += 1;
        if matches!(peer.character, Character::Vanishes(after) if peer.answered > after) {
            return self.leave(id);
        }
        let Some((response, is_lie)) = peer.character.answer(self.source, peer.version, request, &mut self.rng) else {
            return;
        };
        peer.lied |= is_lie;
        let latency = peer.character.latency(&mut self.rng);
        self.at(latency, SyncEvent::Answer { peer: id, id: request_id, response });
    }

    fn import(&mut self, blocks: &[std::sync::Arc<starling_validation::PreparedBlock>]) {
        let mut has_failed = false;
        self.importer_free = self.importer_free.max(self.now);
        for block in blocks {
            let result = if has_failed {
                ImportResult::UnknownParent
            } else if self.imports_failing > 0 {
                self.imports_failing -= 1;
                ImportResult::Failed { why: "the disk is full".into() }
            } else {
                match self.chain.import(block.clone()).expect("no failure of the chain itself") {
                    ImportOutcome::Valid | ImportOutcome::Known => ImportResult::Kept,
                    ImportOutcome::Accepted => ImportResult::TooOld,
                    ImportOutcome::UnknownParent => ImportResult::UnknownParent,
                    ImportOutcome::Invalid { why, .. } => ImportResult::Invalid { why: why.to_string() },
                }
            };
            has_failed |= result != ImportResult::Kept;
            self.importer_free += IMPORT_TIME;
            self.at(self.importer_free - self.now, SyncEvent::Imported { block: block.at(), result });
        }
    }

    fn set_head(&mut self, target: Target) {
        let outcome = self.chain.set_head(target.head, target.safe, target.finalized).expect("readable");
        let refused = (outcome != SetHeadOutcome::Done).then(|| format!("{outcome:?}"));
        self.at(self.importer_free.max(self.now) - self.now, SyncEvent::HeadSet { head: target.head, refused });
    }

    /// Who lied was found out, and nobody else was accused.
    pub(crate) fn check_faults(&self) {
        let accused: Vec<_> = self.faults.iter().filter(|(_, fault)| fault.is_lie()).map(|(id, _)| *id).collect();
        for (id, peer) in &self.peers {
            let is_accused = accused.contains(id);
            assert_eq!(is_accused, peer.lied, "seed {}: a peer that {:?}", self.seed, peer.character);
        }
    }
}
