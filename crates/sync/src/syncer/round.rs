//! A round: from the head that we have to one that was named.

use super::{PeerId, STUCK, SyncAction, Syncer, Target};
use crate::{border::Fault, header::SealedHeader, heaviest::Heaviest, rates::Kind, skeleton::Skeleton};
use starling_state::{BlockId, ChainView};
use std::time::Instant;

/// What a round is to reach.
#[derive(Debug)]
pub(super) enum Goal {
    /// A head that somebody trusted named. Without `moves_head` it is only to be imported: a payload.
    Trusted { target: Target, moves_head: bool },
    /// The head of the peer with the greatest total difficulty.
    Heaviest(Heaviest),
}

/// The way to one head.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) goal: Goal,
    pub(super) skeleton: Skeleton,
    /// Proven headers that are not joined to the skeleton yet, descending.
    pub(super) arrived: Vec<SealedHeader>,
    /// The number of a trusted head, once its header is there.
    pub(super) highest: Option<u64>,
    pub(super) progressed_at: Instant,
    /// Whether the chain was asked to make the target its head.
    pub(super) is_head_asked: bool,
}

impl Round {
    pub(super) fn follows(&self, peer: &PeerId) -> bool {
        matches!(&self.goal, Goal::Heaviest(heaviest) if heaviest.peer == *peer)
    }

    /// The number of the head that it leads to, as far as known.
    pub(super) fn highest(&self) -> Option<u64> {
        match &self.goal {
            Goal::Heaviest(heaviest) => heaviest.head_number,
            Goal::Trusted { .. } => self.highest,
        }
    }
}

impl Syncer {
    /// Begins a round if there is something to reach and none, or a stuck one, is under way.
    pub(super) fn start_round(&mut self, view: &ChainView) {
        if let Some(round) = &self.round {
            let is_replaceable = match round.goal {
                Goal::Heaviest(_) => true,
                Goal::Trusted { moves_head, .. } => {
                    let is_stuck = self.now.saturating_duration_since(round.progressed_at) >= STUCK;
                    is_stuck || !moves_head && !round.skeleton.is_linked() || !round.skeleton.is_begun()
                }
            };
            if self.next_target.is_none() || !is_replaceable || round.is_head_asked {
                return;
            }
            self.end_round();
        }
        match self.next_target.take() {
            Some((target, moves_head)) => self.start_trusted(target, moves_head, view),
            None => self.start_heaviest(view),
        }
    }

    fn start_trusted(&mut self, target: Target, moves_head: bool, view: &ChainView) {
        let is_kept = matches!(view.find(BlockId::Hash(target.head)), Ok(Some(_)));
        if is_kept && (!moves_head || target.head == view.head().hash) {
            return;
        }
        let skeleton = match is_kept {
            true => Skeleton::up_from_known(target.head, self.config.headers_max),
            false => Skeleton::down_from(target.head, self.config.headers_max),
        };
        self.begin(Goal::Trusted { target, moves_head }, skeleton, view);
        if is_kept && let Some(round) = &mut self.round {
            round.is_head_asked = true;
            self.actions.push_back(SyncAction::SetHead { target });
        }
    }

    fn start_heaviest(&mut self, view: &ChainView) {
        let Some(ours) = self.our_difficulty(view) else { return };
        let Some((peer, claim)) = self.peers.heaviest(ours) else { return };
        if !self.peers.is_idle(&peer, Kind::Headers, self.now) {
            return;
        }
        let Some(head) = self.peers.get(&peer).map(|peer| peer.info.head) else { return };
        let skeleton = Skeleton::up_from_known(head, self.config.headers_max);
        self.begin(Goal::Heaviest(Heaviest::new(peer, head, claim)), skeleton, view);
    }

    fn begin(&mut self, goal: Goal, skeleton: Skeleton, view: &ChainView) {
        self.rounds += 1;
        self.meter.start(view.head().number, self.now);
        self.round = Some(Round {
            goal,
            skeleton,
            arrived: Vec::new(),
            highest: None,
            progressed_at: self.now,
            is_head_asked: false,
        });
    }

    /// Drops what belongs to the round; requests under way are answered to nobody.
    pub(super) fn end_round(&mut self) {
        self.round = None;
        self.rounds += 1;
        self.window.clear();
        self.import_retry_at = None;
    }

    /// The same again, from the chain as it is now.
    pub(super) fn restart_round(&mut self) {
        if let Some(Round { goal: Goal::Trusted { target, moves_head }, .. }) = &self.round
            && self.next_target.is_none()
        {
            self.next_target = Some((*target, *moves_head));
        }
        self.end_round();
    }

    /// Ends a round whose blocks are all imported.
    pub(super) fn finish_round(&mut self, view: &ChainView) {
        let Some(round) = &self.round else { return };
        if !round.skeleton.is_used_up() || !self.window.is_empty() {
            return;
        }
        match &round.goal {
            // Ends when the head is set.
            Goal::Trusted { moves_head: true, .. } => {}
            Goal::Trusted { moves_head: false, target } => {
                if let Ok(Some(at)) = view.find(BlockId::Hash(target.head)) {
                    self.payloads.forget_up_to(at.number);
                    self.end_round();
                }
            }
            Goal::Heaviest(heaviest) if heaviest.is_done() => {
                let peer = heaviest.peer;
                if heaviest.is_false_claim() {
                    return self.fault(peer, Fault::FalseHead);
                }
                let is_still_heavier = self.our_difficulty(view).is_some_and(|ours| {
                    self.peers.get(&peer).and_then(|peer| peer.info.total_difficulty).is_some_and(|claim| claim > ours)
                });
                // Its head has moved on, or stands after the merge: what it named is not to be had this way.
                if is_still_heavier && let Some(peer) = self.peers.get_mut(&peer) {
                    peer.is_unfollowable = true;
                }
                self.end_round();
            }
            Goal::Heaviest(_) => {}
        }
    }

    /// Before the merge: says so when no peer's chain is heavier.
    pub(super) fn announce_heaviest(&mut self, view: &ChainView) {
        if self.round.is_some() || self.announced == Some(view.head().hash) {
            return;
        }
        let has_claims = self.peers.honest().any(|(_, peer)| peer.info.total_difficulty.is_some());
        let head = view.head();
        let Ok(Some(ours)) = view.total_difficulty(head) else { return };
        // A chain that begins with proof of stake is led by somebody else from the start.
        let is_led = head.number == 0 && self.our_difficulty(view).is_none();
        if has_claims && !is_led && self.peers.heaviest(ours).is_none() {
            self.announced = Some(head.hash);
            self.actions.push_back(SyncAction::Synced { head });
        }
    }
}
