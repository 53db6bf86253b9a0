//! Whom to ask for what, and what becomes of requests that nobody answers.

use super::{Goal, Kind, PeerId, SyncAction, Syncer};
use crate::{
    header::SealedHeader,
    job::{PrepareJob, empty_body},
    rates,
    skeleton::Wanted,
};
use starling_devp2p::eth::{GetBlockHeaders, HashOrNumber, Request};
use starling_state::ChainView;
use std::time::Instant;

/// A request that is not answered yet.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) peer: PeerId,
    pub(super) sent: Instant,
    pub(super) deadline: Instant,
    pub(super) round: u64,
    pub(super) asked: Asked,
}

/// What was asked.
#[derive(Debug)]
pub(super) enum Asked {
    /// Headers under a trusted head.
    Skeleton(Wanted),
    /// Headers of the chain that its peer claims to be the heaviest; at most so many.
    Heaviest(u64),
    /// Bodies of these.
    Bodies(Vec<SealedHeader>),
}

impl Asked {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Skeleton(_) | Self::Heaviest(_) => Kind::Headers,
            Self::Bodies(_) => Kind::Bodies,
        }
    }
}

impl Syncer {
    pub(super) fn ask_headers(&mut self, view: &ChainView) {
        let Some(round) = &self.round else { return };
        match &round.goal {
            Goal::Trusted { .. } => self.ask_skeleton(view.head().number.saturating_add(1)),
            Goal::Heaviest(_) => self.ask_heaviest(),
        }
    }

    fn ask_skeleton(&mut self, floor: u64) {
        for peer_id in self.peers.idle(Kind::Headers, self.now) {
            let Some(round) = &mut self.round else { return };
            let Some(peer) = self.peers.get(&peer_id) else { continue };
            let Some(wanted) = round.skeleton.wanted(floor, !peer.is_off_chain) else { continue };
            let start = match wanted {
                Wanted::Next { hash, .. } => HashOrNumber::Hash(hash),
                Wanted::Ahead { number, .. } => HashOrNumber::Number(number),
                Wanted::Again { top, .. } => HashOrNumber::Hash(top.hash),
            };
            if wanted.number().is_some_and(|number| !peer.may_have(Kind::Headers, number)) {
                continue;
            }
            round.skeleton.asked(&wanted);
            let request = GetBlockHeaders { start, limit: wanted.limit(), skip: 0, reverse: true };
            self.send(peer_id, Request::BlockHeaders(request), Asked::Skeleton(wanted));
        }
    }

    fn ask_heaviest(&mut self) {
        let Some(round) = &mut self.round else { return };
        let Goal::Heaviest(heaviest) = &mut round.goal else { return };
        if heaviest.is_asking
            || !round.skeleton.has_room()
            || !self.peers.is_idle(&heaviest.peer, Kind::Headers, self.now)
        {
            return;
        }
        let Some(request) = heaviest.request() else { return };
        heaviest.is_asking = true;
        let peer = heaviest.peer;
        self.send(peer, Request::BlockHeaders(request), Asked::Heaviest(request.limit));
    }

    pub(super) fn ask_bodies(&mut self) {
        let expected = self.peers.expected_round_trip();
        // Each turn asks every idle peer once, so that the lowest blocks are spread over the quickest peers.
        loop {
            let mut has_asked = false;
            for peer_id in self.peers.idle(Kind::Bodies, self.now) {
                if self.window.lowest_wanted().is_none() {
                    return;
                }
                let id = self.next_id();
                let Some(peer) = self.peers.get(&peer_id) else { continue };
                let count = peer.rates.capacity(Kind::Bodies, expected);
                let headers = self.window.take_wanted(id, count, |number| peer.may_have(Kind::Bodies, number));
                if headers.is_empty() {
                    continue;
                }
                let hashes = headers.iter().map(|header| header.at.hash).collect();
                self.send_as(id, peer_id, Request::BlockBodies(hashes), Asked::Bodies(headers));
                has_asked = true;
            }
            if !has_asked {
                return;
            }
        }
    }

    /// Blocks whose body is empty are made of their headers.
    pub(super) fn prepare_empty(&mut self) {
        loop {
            let id = self.next_id();
            let headers = self.window.take_empty(id);
            if headers.is_empty() {
                return;
            }
            let bodies = headers.iter().map(|header| empty_body(&header.roots)).collect();
            self.actions.push_back(SyncAction::Prepare(PrepareJob {
                id,
                peer: None,
                headers,
                bodies,
                check_seal: self.checks_seals(),
            }));
        }
    }

    fn send(&mut self, peer: PeerId, request: Request, asked: Asked) {
        let id = self.next_id();
        self.send_as(id, peer, request, asked);
    }

    fn send_as(&mut self, id: u64, peer: PeerId, request: Request, asked: Asked) {
        let timeout = rates::timeout(self.peers.expected_round_trip());
        self.peers.asked(&peer, asked.kind());
        let pending = Pending { peer, sent: self.now, deadline: self.now + timeout, round: self.rounds, asked };
        self.requests.insert(id, pending);
        self.actions.push_back(SyncAction::Request { peer, id, request });
    }

    /// Gives up what was not answered in time.
    pub(super) fn expire(&mut self) {
        let late: Vec<u64> =
            self.requests.iter().filter(|(_, pending)| pending.deadline <= self.now).map(|(id, _)| *id).collect();
        for id in late {
            let Some(pending) = self.requests.remove(&id) else { continue };
            let kind = pending.asked.kind();
            self.peers.settled(&pending.peer, kind);
            let fault = self.peers.timed_out(&pending.peer, kind, self.now);
            let peer = pending.peer;
            self.unanswered(id, pending);
            if let Some(fault) = fault {
                self.fault(peer, fault);
            }
        }
    }

    pub(super) fn request_failed(&mut self, peer: &PeerId, id: u64) {
        if let Some(pending) = self.take_pending(peer, id) {
            let kind = pending.asked.kind();
            self.peers.timed_out(peer, kind, self.now);
            self.unanswered(id, pending);
        }
    }

    pub(super) fn take_pending(&mut self, peer: &PeerId, id: u64) -> Option<Pending> {
        if self.requests.get(&id)?.peer != *peer {
            return None;
        }
        let pending = self.requests.remove(&id)?;
        self.peers.settled(peer, pending.asked.kind());
        Some(pending)
    }

    /// What a request did not bring is wanted again.
    pub(super) fn unanswered(&mut self, id: u64, pending: Pending) {
        match pending.asked {
            Asked::Bodies(_) => self.window.give_back(id),
            Asked::Skeleton(wanted) => {
                if let Some(round) = self.round.as_mut().filter(|_| pending.round == self.rounds) {
                    round.skeleton.give_up(&wanted);
                }
            }
            Asked::Heaviest(_) => {
                if let Some(round) = self.round.as_mut().filter(|_| pending.round == self.rounds)
                    && let Goal::Heaviest(heaviest) = &mut round.goal
                {
                    heaviest.is_asking = false;
                }
            }
        }
    }

    /// Whether nothing but proof of work vouches for the round's blocks.
    pub(super) fn checks_seals(&self) -> bool {
        let goal = self.round.as_ref().map(|round| &round.goal);
        self.config.check_seal && matches!(goal, Some(Goal::Heaviest(_)))
    }

    pub(super) fn drop_requests_of(&mut self, peer: &PeerId) {
        let ids: Vec<u64> =
            self.requests.iter().filter(|(_, pending)| pending.peer == *peer).map(|(id, _)| *id).collect();
        for id in ids {
            if let Some(pending) = self.take_pending(peer, id) {
                self.unanswered(id, pending);
            }
        }
    }
}
