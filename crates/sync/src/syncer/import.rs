//! Blocks to the importer, heads to the chain.

use super::{Goal, IMPORT_RETRY, ImportResult, SyncAction, Syncer, Target};
use crate::{header::SealedHeader, window::Settled};
use starling_primitives::{B256, BlockRef};
use starling_state::{BlockId, ChainView};

impl Syncer {
    /// Moves headers into the window, with the blocks that the consensus client sent.
    pub(super) fn fill_window(&mut self) {
        let Some(round) = &mut self.round else { return };
        while self.window.has_room()
            && let Some(header) = round.skeleton.next_header()
        {
            let block = self.payloads.get(&header.at.hash).cloned();
            self.window.push(header, block);
        }
    }

    pub(super) fn hand_out_imports(&mut self) {
        if self.import_retry_at.is_some_and(|at| at > self.now) {
            return;
        }
        self.import_retry_at = None;
        loop {
            let blocks = self.window.take_import();
            if blocks.is_empty() {
                return;
            }
            self.actions.push_back(SyncAction::Import { blocks });
        }
    }

    /// A block that cannot be read, once all before it is kept.
    pub(super) fn refuse_broken(&mut self) {
        let Some((header, why)) = self.window.next_broken() else { return };
        let (header, why) = (header.clone(), why.clone());
        self.invalid_block(&header, &why.to_string(), Some(why.into()));
    }

    pub(super) fn imported(&mut self, at: BlockRef, result: ImportResult, view: &ChainView) {
        let Some(Settled::Block(block, is_last)) = self.window.settle(at) else { return };
        if let Some(round) = &mut self.round {
            round.progressed_at = self.now;
        }
        match result {
            ImportResult::Kept if is_last => self.move_head(at, view),
            ImportResult::Kept => {}
            ImportResult::Invalid { why } => {
                if let Some(header) = SealedHeader::of_block(&block) {
                    self.invalid_block(&header, &why, None);
                }
            }

            ImportResult::TooOld => {
                let why = format!("its chain leaves ours below block {at}, further back than states are kept");
                self.cannot_follow(why);
            }
            // The chain went back meanwhile: the way up is to be found anew.
            ImportResult::UnknownParent => self.restart_round(),
            ImportResult::Failed { .. } => {
                self.window.take_back(block);
                self.import_retry_at = Some(self.now + IMPORT_RETRY);
            }
        }
    }

    fn cannot_follow(&mut self, why: String) {
        match self.round.as_ref().map(|round| &round.goal) {
            Some(Goal::Trusted { .. }) => self.refuse_target(why),
            Some(Goal::Heaviest(heaviest)) => {
                let peer = heaviest.peer;
                if let Some(peer) = self.peers.get_mut(&peer) {
                    peer.is_unfollowable = true;
                }
                self.end_round();
            }
            None => {}
        }
    }

    /// Lets the head follow the import, batch by batch: the chain flushes and restarts from there. Before the
    /// merge the chain moves it by itself.
    fn move_head(&mut self, imported: BlockRef, view: &ChainView) {
        let Some(round) = &mut self.round else { return };
        let Goal::Trusted { target, moves_head: true } = &round.goal else { return };
        let known = |hash: B256| if matches!(view.find(BlockId::Hash(hash)), Ok(Some(_))) { hash } else { B256::ZERO };
        if imported.hash == target.head {
            let target = Target { head: target.head, safe: known(target.safe), finalized: known(target.finalized) };
            round.is_head_asked = true;
            self.actions.push_back(SyncAction::SetHead { target });
        } else if imported.number > view.head().number {
            let target = Target { head: imported.hash, safe: B256::ZERO, finalized: known(target.finalized) };
            // A finalized block above this one is not its ancestor.
            let finalized = view.find(BlockId::Hash(target.finalized)).ok().flatten();
            let is_below = finalized.is_some_and(|at| at.number <= imported.number);
            let target = if is_below { target } else { Target { finalized: B256::ZERO, ..target } };
            self.actions.push_back(SyncAction::SetHead { target });
        }
    }

    pub(super) fn head_set(&mut self, head: B256, refused: Option<String>, view: &ChainView) {
        let Some(round) = &self.round else { return };
        let Goal::Trusted { target, .. } = &round.goal else { return };
        match refused {
            Some(why) => self.refuse_target(why),
            None if head == target.head => {
                let head = view.head();
                self.announced = Some(head.hash);
                self.end_round();
                self.payloads.forget_up_to(head.number);
                self.actions.push_back(SyncAction::Synced { head });
            }
            None => {}
        }
    }
}
