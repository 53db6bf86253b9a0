//! What answers prove, and what they prove of those who gave them.

use super::{Asked, Goal, Kind, PeerId, Pending, SyncAction, Syncer};
use crate::{
    border::Fault,
    header::{self, SealedHeader},
    heaviest::Progressed,
    job::{PrepareJob, Prepared},
    skeleton::Wanted,
};
use starling_devp2p::eth::Response;
use starling_primitives::{B256, BlockRef, Bytes, ReadError};
use starling_state::{BlockId, ChainView};

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
            if self.refused.contains(&header.at.hash) {
                let why = format!("block {} before it is invalid", header.at);
                self.refuse_target(why);
                return Ok(());
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
                if headers.iter().any(|header| self.refused.contains(&header.at.hash)) {
                    return self.fault(peer, Fault::InvalidBlock);
                }
                round.skeleton.grow_up(headers);
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
                    return self.invalid_block(invalid.at, &invalid.why);
                }
                Err(_) => {}
            }
        }
        self.window.give_back(id);
    }

    /// A block of the chain that we follow breaks a rule: the chain is no good, whoever named it.
    pub(super) fn invalid_block(&mut self, at: BlockRef, why: &str) {
        match self.round.as_ref().map(|round| &round.goal) {
            Some(Goal::Trusted { .. }) => {
                self.refuse(at.hash);
                self.refuse_target(format!("block {at} in it is invalid: {why}"));
            }
            // Not refused for good: what lacks its proof of work may still be vouched for.
            Some(Goal::Heaviest(heaviest)) => self.fault(heaviest.peer, Fault::InvalidBlock),
            None => {}
        }
    }

    /// The trusted head cannot be had.
    pub(super) fn refuse_target(&mut self, why: String) {
        let Some(Goal::Trusted { target, .. }) = self.round.as_ref().map(|round| &round.goal) else { return };
        let head: B256 = target.head;
        self.refuse(head);
        self.actions.push_back(SyncAction::TargetRefused { head, why });
        self.end_round();
    }
}
