//! Blobs of transactions that came without them (eth/72): asked for in cells, of whoever sent the transaction.
//!
//! A peer is asked for one thing at a time, so what waits here for its blobs is what came with the last answer of each
//! peer: about [`REQUEST_BYTES_MAX`](super::fetch) of each, without blobs.

use super::{
    Fault, GossipAction,
    fetch::{BLOB_TYPE, Fetcher, RequestStage, Stage, What},
    job::{AnnouncedAs, Delivery},
};
use crate::Stripped;
use starling_devp2p::eth::{
    CELL_BYTES, CELLS_HASHES_MAX, COLUMNS, COLUMNS_TO_RECOVER, CellMask, Cells, SOFT_RESPONSE_BYTES,
};
use starling_primitives::{PeerId, TxHash};
use std::{collections::BTreeMap, time::Instant};

/// Bytes that a transaction without its blobs has for each of them: its proofs, a commitment and a hash. Enough to tell
/// from an announced size how many blobs there are.
const BYTES_PER_BLOB: usize = (COLUMNS as usize + 1) * 49 + 33;
/// Blobs of one request for cells: as many as an answer should have.
const REQUEST_BLOBS_MAX: usize = SOFT_RESPONSE_BYTES / (COLUMNS_TO_RECOVER as usize * CELL_BYTES);

/// Blobs that are asked for.
#[derive(Debug)]
pub(super) struct Asked {
    mask: CellMask,
    stripped: BTreeMap<TxHash, Stripped>,
}

/// The transactions of one request whose blobs are to be asked for together afterwards.
#[derive(Debug, Default)]
pub(super) struct Batch {
    mask: Option<CellMask>,
    transactions: usize,
    blobs: usize,
}

impl Batch {
    /// Whether it has room for what was announced like this; then it takes it. What has its blobs with it always fits.
    pub(super) fn takes(&mut self, announced: &AnnouncedAs) -> bool {
        let Some(mask) = announced.columns_asked() else { return true };
        let blobs = (announced.size_bytes / BYTES_PER_BLOB).max(1);
        let fits = self.mask.is_none_or(|other| other == mask)
            && self.transactions < CELLS_HASHES_MAX
            && (self.blobs == 0 || self.blobs + blobs <= REQUEST_BLOBS_MAX);
        if fits {
            self.mask = Some(mask);
            self.transactions += 1;
            self.blobs += blobs;
        }
        fits
    }
}

impl AnnouncedAs {
    /// The columns to ask for, of a transaction that comes without its blobs.
    fn columns_asked(&self) -> Option<CellMask> {
        self.mask.filter(|_| self.tx_type == BLOB_TYPE).and_then(CellMask::to_recover)
    }

    /// Whether its blobs would have to be recovered.
    pub(super) fn needs_recovery(&self) -> bool {
        self.columns_asked().is_some_and(|mask| mask != CellMask::DATA)
    }

    /// Whether they would have to be although another announcer has them whole: that takes a processor a fifth of a second
    /// for each, and who has a blob and keeps half of it back must not cost us that.
    pub(super) fn is_dearer_than_of(&self, announcers: &[(PeerId, Self)]) -> bool {
        let is_whole = |other: &Self| other.tx_type == self.tx_type && !other.needs_recovery();
        self.needs_recovery() && announcers.iter().any(|(_, other)| is_whole(other))
    }
}

impl Fetcher {
    /// Asks a peer for the blobs of transactions that it has just sent as the answer to that request, which is to be
    /// settled next. Those that do not go into one request are then as if they had not come.
    pub(super) fn ask_cells(
        &mut self,
        peer: &PeerId,
        answered: u64,
        stripped: impl Iterator<Item = Stripped>,
        now: Instant,
    ) {
        let (mut hashes, mut batch, mut asked) = (Vec::new(), Batch::default(), BTreeMap::new());
        for one in stripped {
            let hash = one.hash();
            // Somebody else may have been asked meanwhile, or it came by another way.
            let is_ours = |stage: Stage| matches!(stage, Stage::Asked(id) if id == answered) || stage == Stage::Ready;
            let Some(wanted) = self.wanted.get(&hash).filter(|wanted| is_ours(wanted.stage)) else { continue };
            let Some((_, announced)) = wanted.announcers.iter().find(|(id, _)| id == peer) else { continue };
            if !asked.contains_key(&hash) && batch.takes(announced) {
                hashes.push(hash);
                asked.insert(hash, one);
            }
        }
        let Some(mask) = batch.mask.filter(|_| self.peers.contains_key(peer)) else { return };
        let id = self.open(*peer, hashes.clone(), What::Cells(Asked { mask, stripped: asked }), now);
        for hash in &hashes {
            if let Some(wanted) = self.wanted.get_mut(hash) {
                wanted.stage = Stage::Asked(id);
            }
        }
        if let Some(from) = self.peers.get_mut(peer) {
            from.open = Some(id);
        }
        self.actions.push_back(GossipAction::RequestCells { peer: *peer, request: id, hashes, mask });
    }

    /// Cells have come. What is useless is settled; what must be looked at is not yet.
    pub(super) fn cells_answered(&mut self, peer: &PeerId, id: u64, cells: Cells) -> Result<Delivery, Fault> {
        let request = self.awaited(peer, id).ok_or(Fault::Unasked)?;
        let What::Cells(asked) = &mut request.what else { return Err(Fault::Unasked) };
        request.stage = RequestStage::Verifying;
        let asked = Asked { mask: asked.mask, stripped: std::mem::take(&mut asked.stripped) };
        match asked.matched(cells) {
            Ok((mask, parts)) if !parts.is_empty() => Ok(Delivery::Cells { request: id, mask, parts }),
            other => {
                self.settle(peer, id, &[]);
                Err(other.err().unwrap_or(Fault::UselessAnswer))
            }
        }
    }
}

type Parts = Vec<(Stripped, starling_primitives::Bytes)>;

impl Asked {
    /// The transactions with their cells; those that were left out are missing.
    fn matched(mut self, cells: Cells) -> Result<(CellMask, Parts), Fault> {
        let Cells { hashes, lists, mask } = cells;
        if !mask.is_subset(self.mask) {
            return Err(Fault::Unasked);
        }
        // Half of the columns at least were asked for, and no fewer are of use.
        let is_enough = mask.count() >= COLUMNS_TO_RECOVER;
        let mut parts = Vec::new();
        for (hash, list) in hashes.iter().zip(lists) {
            let stripped = self.stripped.remove(hash).ok_or(Fault::Unasked)?;
            let is_empty = list.len() <= 1;
            if is_enough && !is_empty {
                parts.push((stripped, list));
            }
        }
        Ok((mask, parts))
    }
}
