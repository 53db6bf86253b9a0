//! What answers prove, and what they prove of those who gave them.

use super::{Asked, Goal, Kind, PeerId, Pending, REFUSED_DESCENDANTS_MAX, RefusedBlock, Round, SyncAction, Syncer};
use crate::{
    border::{BrokenRule, Fault},
    header::{self, SealedHeader},
    heaviest::Progressed,
    job::{NoBlock, PrepareJob, Prepared},
    skeleton::Wanted,
};
use starling_devp2p::eth::Response;
use starling_primitives::{B256, Bytes, ReadError};
use starling_state::{BlockId, ChainView};
use starling_validation::HeaderError;

impl Syncer {
    pub(super) fn answered(&mut self, peer: PeerId, id: u64, response: Response, view: &ChainView) {
        let Some(pending) = self.take_pending(&peer, id) else { return };
        let (items, asked) = match (response, &pending.asked) {
            (Response::BlockBodies(bodies), Asked::Bodies(headers)) => (bodies, headers.len() as u64),
            (Response::BlockHeaders(headers), Asked::Heaviest(limit)) => (headers, *limit),
            (Response::BlockHeaders(headers), Asked::Skeleton(wanted)) => (headers, wanted.limit()),
            _ => {
                self.unanswered(id, pending);
                return self.fault(peer, Fault::BadAnswer);
            }
        };
        if items.len() as u64 > asked {
            self.unanswered(id, pending);
            return self.fault(peer, Fault::BadAnswer);
        }
        self.measure(peer, &pending, items.len());
        if items.is_empty() && !matches!(pending.asked, Asked::Heaviest(_)) {
            return self.unanswered(id, pending);
        }
        let is_current = pending.round == self.rounds;
        match pending.asked {
            Asked::Bodies(headers) => {
                let check_seal = self.checks_seals();
                let job = PrepareJob { id, peer: Some(peer), headers, bodies: items, check_seal };
                self.actions.push_back(SyncAction::Prepare(job));
            }
            Asked::Skeleton(wanted) if is_current => self.skeleton_came(peer, wanted, items),
            Asked::Heaviest(_) if is_current => self.heaviest_came(peer, items, view),
            Asked::Skeleton(_) | Asked::Heaviest(_) => {}
        }
    }

    fn measure(&mut self, peer: PeerId, pending: &Pending, items: usize) {
        let within_range = self.peers.get(&peer).is_some_and(|peer| match &pending.asked {
            Asked::Bodies(headers) => headers.iter().all(|header| peer.claims(Kind::Bodies, header.at.number)),
            Asked::Skeleton(wanted) => wanted.number().is_some_and(|number| peer.claims(Kind::Headers, number)),
            Asked::Heaviest(_) => false,
        });
        let elapsed = self.now.saturating_duration_since(pending.sent);
        let fault = self.peers.answered(&peer, pending.asked.kind(), items, elapsed, within_range, self.now);
        if let Some(fault) = fault {
            self.fault(peer, fault);
        }
    }

    fn skeleton_came(&mut self, peer: PeerId, wanted: Wanted, items: Vec<Bytes>) {
        let Some(round) = &mut self.round else { return };
        let headers = header::descending(items);
        let is_it = headers.as_ref().and_then(|headers| headers.first()).is_some_and(|first| match wanted {
            Wanted::Next { hash, .. } => first.at.hash == hash,
            Wanted::Ahead { number, .. } => first.at.number == number,
            Wanted::Again { top, .. } => first.at == top,
        });
        let Some(headers) = headers.filter(|_| is_it) else {
            round.skeleton.give_up(&wanted);
            return self.fault(peer, Fault::BadHeaders);
        };
        round.progressed_at = self.now;
        match wanted {
            Wanted::Ahead { number, .. } => round.skeleton.keep_ahead(number, peer, headers),
            Wanted::Again { top, .. } => round.skeleton.reload(top, headers),
            Wanted::Next { .. } => {
                round.skeleton.give_up(&wanted);
                round.arrived = headers;
            }
        }
    }

    /// Joins what is at hand to the lowest proven header, until nothing fits or it meets our chain.
    pub(super) fn connect(&mut self, view: &ChainView) {
        loop {
            let Some(round) = self.round.as_mut().filter(|round| !round.skeleton.is_linked()) else { return };
            let (hash, _) = round.skeleton.next_below();
            let mut headers = std::mem::take(&mut round.arrived);
            if headers.first().is_none_or(|first| first.at.hash != hash) {
                headers = match self.payloads.get(&hash).and_then(|block| SealedHeader::of_block(block)) {
                    Some(header) => vec![header],
                    None => match round.skeleton.take_ahead() {
                        Some(Ok(headers)) => headers,
                        Some(Err(peer)) => {
                            if let Some(peer) = self.peers.get_mut(&peer) {
                                peer.is_off_chain = true;
                            }
                            continue;
                        }
                        None => return,
                    },
                };
            }
            // A database that cannot be read now can be later: the headers are asked for again.
            if self.grow(headers, view).is_err() {
                return;
            }
        }
    }

    fn grow(&mut self, mut headers: Vec<SealedHeader>, view: &ChainView) -> Result<(), ReadError> {
        let mut link = None;
        for (index, header) in headers.iter().enumerate() {
            match self.is_refused(&header.at.hash) {
                Some(true) => {
                    let at = header.at;
                    self.refuse_branch(header, &headers[..index], None);
                    self.refuse_target(format!("block {at} before it is invalid"));
                    return Ok(());
                }
                Some(false) => {
                    self.refuse_target(format!("block {} before it was refused", header.at));
                    return Ok(());
                }
                None => {}
            }
            if let Some(parent) = view.find(BlockId::Hash(header.parent_hash))? {
                link = Some((index, parent));
                break;
            }
        }
        let Some(round) = &mut self.round else { return Ok(()) };
        let expected = round.skeleton.next_below().1;
        let first = headers.first().map(|first| first.at.number);
        if expected.is_some() && first != expected {
            self.refuse_target(format!("block numbers in it do not follow each other at {}", first.unwrap_or(0)));
            return Ok(());
        }
        round.highest = round.highest.or(first);
        match link {
            Some((index, parent)) => {
                headers.truncate(index + 1);
                let lowest = headers[index].at;
                if lowest.number != parent.number + 1 {
                    let broken = HeaderError::Number { got: lowest.number, expected: parent.number + 1 };
                    self.refuse_branch(&headers[index], &headers[..index], Some(broken.into()));
                    self.refuse_target(format!("block {lowest} is not the one after its parent {parent}"));
                } else if parent.number < view.frontier().number {
                    self.refuse_target(format!(
                        "its chain leaves ours after block {parent}, further back than this node can go by itself; \
                         `starling db rollback` can"
                    ));
                } else {
                    round.skeleton.grow_down(headers);
                    round.skeleton.link();
                }
            }
            None if headers.last().is_some_and(|lowest| lowest.at.number <= 1) => {
                self.refuse_target("its chain does not begin with our genesis block".into());
            }
            None => {
                round.skeleton.grow_down(headers);
                if round.skeleton.is_too_long() {
                    self.refuse_target("its chain is too long".into());
                }
            }
        }
        Ok(())
    }

    fn heaviest_came(&mut self, peer: PeerId, items: Vec<Bytes>, view: &ChainView) {
        let Some(round) = &mut self.round else { return };
        let Goal::Heaviest(heaviest) = &mut round.goal else { return };
        heaviest.is_asking = false;
        let progressed = match heaviest.answered(&self.spec, view, items) {
            Ok(progressed) => progressed,
            // The same is asked again.
            Err(_) => return,
        };
        round.progressed_at = self.now;
        match progressed {
            Progressed::On => {}
            Progressed::Headers(headers) => {
                if headers.iter().any(|header| self.is_refused(&header.at.hash).is_some()) {
                    return self.fault(peer, Fault::InvalidBlock);
                }
                if let Some(round) = &mut self.round {
                    round.skeleton.grow_up(headers);
                }
            }
            Progressed::Fault(fault) => self.fault(peer, fault),
            Progressed::Unfollowable => {
                if let Some(peer) = self.peers.get_mut(&peer) {
                    peer.is_unfollowable = true;
                }
                self.end_round();
            }
        }
    }

    /// A job is done: good blocks wait for the importer, the rest is wanted again.
    pub(super) fn prepared(&mut self, prepared: Prepared) {
        let Prepared { id, peer, blocks, missing: _, has_false_body } = prepared;
        if let Some(peer) = peer.filter(|_| has_false_body) {
            self.fault(peer, Fault::BadBodies);
        }
        let good = blocks.iter().filter(|block| block.is_ok()).count();
        if let Some(peer) = peer.filter(|_| good > 0 && !has_false_body) {
            self.actions.push_back(SyncAction::Praise { peer, blocks: u32::try_from(good).unwrap_or(u32::MAX) });
        }
        for block in blocks {
            match block {
                Ok(block) => {
                    self.window.ready(id, block);
                    if let Some(round) = &mut self.round {
                        round.progressed_at = self.now;
                    }
                }
                Err(invalid) if self.window.is_busy_with(id, invalid.at) => {
                    match (self.round.as_ref().map(|round| &round.goal), invalid.why) {
                        (Some(Goal::Heaviest(heaviest)), _) => {
                            let peer = heaviest.peer;
                            return self.fault(peer, Fault::InvalidBlock);
                        }
                        (_, NoBlock::Prepare(why)) => self.window.broken(id, invalid.at, why),
                        (_, NoBlock::Seal(_)) => {}
                    }
                }
                Err(_) => {}
            }
        }
        self.window.give_back(id);
    }

    /// A block of the chain that we follow, the parent of which is kept, breaks a rule: the chain is no good, whoever
    /// named it. `broken` is the rule if the chain does not know of it.
    pub(super) fn invalid_block(&mut self, header: &SealedHeader, why: &str, broken: Option<BrokenRule>) {
        match self.round.as_ref().map(|round| &round.goal) {
            Some(Goal::Trusted { .. }) => {
                self.refuse_branch(header, &[], broken);
                self.refuse_target(format!("block {} in it is invalid: {why}", header.at));
            }
            // Not refused for good: what lacks its proof of work may still be vouched for.
            Some(Goal::Heaviest(heaviest)) => self.fault(heaviest.peer, Fault::InvalidBlock),
            None => {}
        }
    }

    /// Has the chain remember a block that breaks a rule, and all above it: `above`, what is in work, and payloads.
    fn refuse_branch(&mut self, header: &SealedHeader, above: &[SealedHeader], why: Option<BrokenRule>) {
        let Some(Round { goal: Goal::Trusted { target, .. }, skeleton, .. }) = &self.round else { return };
        let head = target.head;
        let from_head = skeleton.hashes_from_head().chain(self.window.hashes().rev());
        let from_head = from_head.chain(above.iter().map(|header| header.at.hash));
        let mut branch = vec![header.at.hash];
        branch.extend(from_head.filter(|hash| *hash != header.at.hash).take(REFUSED_DESCENDANTS_MAX));
        self.payloads.add_descendants(&mut branch);
        let mut descendants = branch.split_off(1);
        descendants.truncate(REFUSED_DESCENDANTS_MAX);
        self.refuse(header.at.hash, true);
        if head != header.at.hash {
            self.refuse(head, true);
        }
        self.actions.push_back(SyncAction::Refuse(RefusedBlock {
            block: header.at,
            parent_hash: header.parent_hash,
            why,
            descendants,
        }));
    }

    /// The trusted head cannot be had.
    pub(super) fn refuse_target(&mut self, why: String) {
        let Some(Goal::Trusted { target, .. }) = self.round.as_ref().map(|round| &round.goal) else { return };
        let head: B256 = target.head;
        if self.is_refused(&head).is_none() {
            self.refuse(head, false);
        }
        self.actions.push_back(SyncAction::TargetRefused { head, why });
        self.end_round();
    }
}
