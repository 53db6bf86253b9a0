//! What peers are given of the pool: transactions, and cells of their blobs.
//!
//! The cells of columns 0 to 63 are the blobs' own bytes. The others are computed for each answer, three milliseconds a
//! blob, and a transaction that goes without its blobs is read with them. So a peer may have only so much of a processor's
//! time: [`Pace`].

use starling_devp2p::eth::{CELLS_HASHES_MAX, CellMask, Cells, EthVersion, GetCells, SOFT_RESPONSE_BYTES};
use starling_primitives::{B256, Bytes};
use starling_txpool::{
    PoolHandle, PooledTx, cells_list,
    gossip::{encode_item, encode_stripped_item},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// An answer ends before the item that would make it longer than this, in bytes; the first always goes.
const POOLED_BYTES_MAX: usize = 2 << 20;
/// Blobs that are read and extended for one answer; the transactions after them are left out. As many as go into an
/// answer with eight columns of each, which is what the least node of the consensus layer keeps.
const EXTENDED_BLOBS_MAX: usize = 128;
/// The share of a processor that a peer's answers may take: one in so many.
const PACE_SHARE: u32 = 4;
/// What a peer may be ahead of that: nobody waits for an answer longer than for its share.
const PACE_AHEAD_MAX: Duration = Duration::from_secs(2);

/// The transactions of the pool that a peer asks for; those that are not here, or not for peers, are left out.
pub(super) fn pooled(pool: &PoolHandle, version: EthVersion, hashes: &[B256]) -> Vec<Bytes> {
    let mut bytes = 0;
    let mut items = Vec::new();
    for tx in hashes.iter().filter_map(|hash| pool.get(hash)).filter(|tx| !tx.is_private()) {
        let item = if version.has_cells() { encode_stripped_item(&tx) } else { encode_item(&tx) };
        let Some(item) = item else { continue };
        bytes += item.len();
        if bytes > POOLED_BYTES_MAX && !items.is_empty() {
            break;
        }
        items.push(item);
    }
    items
}

/// The cells that a peer asks for; transactions that are not here, or not for peers, are left out. We have all columns
/// of what we have.
pub(super) fn cells(pool: &PoolHandle, request: &GetCells) -> Cells {
    let mut answer = Cells { mask: request.mask, ..Cells::default() };
    let extends = !request.mask.is_subset(CellMask::DATA);
    let (mut bytes, mut extended) = (0, 0);
    if request.mask.is_empty() {
        return answer;
    }
    for hash in request.hashes.iter().take(CELLS_HASHES_MAX) {
        if bytes >= SOFT_RESPONSE_BYTES {
            break;
        }
        let is_to_be_had = |tx: &Arc<PooledTx>| !tx.is_private() && tx.stripped_size_bytes().is_some();
        let Some(tx) = pool.get(hash).filter(|tx| is_to_be_had(tx) && !answer.hashes.contains(hash)) else { continue };
        let Some(sidecar) = tx.sidecar() else { continue };
        extended += sidecar.blobs().len() * usize::from(extends);
        if extended > EXTENDED_BLOBS_MAX {
            break;
        }
        let Some(list) = cells_list(sidecar.blobs(), request.mask) else { continue };
        bytes += list.len();
        answer.hashes.push(*hash);
        answer.lists.push(list);
    }
    answer
}

/// How much of a processor's time a peer has had: whoever has had more than its share waits before it is answered again.
#[derive(Debug)]
pub(super) struct Pace {
    /// When what was used is paid for.
    paid_at: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { paid_at: now }
    }

    /// When the next answer may be begun.
    pub(super) fn begin_at(&self) -> Instant {
        self.paid_at.checked_sub(PACE_AHEAD_MAX).unwrap_or(self.paid_at)
    }

    /// An answer took so long.
    pub(super) fn took(&mut self, time: Duration, now: Instant) {
        self.paid_at = self.paid_at.max(now) + time * PACE_SHARE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_more_than_its_share_waits() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let mut pace = Pace::new(start);
        assert!(pace.begin_at() <= start);
        // Half a second of work is paid for in two.
        pace.took(ms(500), start);
        assert!(pace.begin_at() <= start);
        pace.took(ms(100), start);
        assert_eq!(pace.begin_at(), start + ms(400));
        // Time that passed unused is not saved up.
        let later = start + ms(60_000);
        assert!(pace.begin_at() <= later);
        pace.took(ms(500), later);
        pace.took(ms(1), later);
        assert_eq!(pace.begin_at(), later + ms(4));
    }
}
