//! What can be asked of the pool.

use super::{Content, Pool, PoolStatus, Row};
use crate::{Best, BestParams, Departure, Explanation, PooledTx, Waiting, account::AccountRow};
use starling_primitives::{Address, TxHash};
use std::{sync::Arc, time::Instant};

impl Pool {
    /// Whether a transaction is here, or was of late.
    pub fn is_known(&self, hash: &TxHash) -> bool {
        self.by_hash.contains_key(hash) || self.departed.get(hash).is_some()
    }

    /// A transaction in the pool.
    pub fn get(&self, hash: &TxHash) -> Option<&Arc<PooledTx>> {
        self.by_hash.get(hash)
    }

    /// Whether a transaction is pending.
    pub fn is_pending(&self, tx: &PooledTx) -> bool {
        self.rows.get(&tx.sender).is_some_and(|row| tx.nonce() < row.next_nonce())
    }

    /// How many there are.
    pub fn status(&self) -> PoolStatus {
        PoolStatus {
            pending: self.pending,
            queued: self.queued,
            size_bytes: self.size_bytes,
            blob_bytes: self.blob_bytes,
        }
    }

    /// The nonce after an account's pending transactions; none if it has none here.
    pub fn next_nonce(&self, address: &Address) -> Option<u64> {
        self.rows.get(address).map(AccountRow::next_nonce)
    }

    /// The pending ones, each account's in order of nonce.
    pub fn pending(&self) -> Vec<Arc<PooledTx>> {
        self.rows.values().flat_map(AccountRow::executable).cloned().collect()
    }

    /// Everything.
    pub fn content(&self) -> Content {
        let mut content = Content::default();
        for address in self.rows.keys() {
            let (pending, queued) = self.content_of(address);
            if !pending.is_empty() {
                content.pending.insert(*address, pending);
            }
            if !queued.is_empty() {
                content.queued.insert(*address, queued);
            }
        }
        content
    }

    /// An account's transactions: pending and queued.
    pub fn content_of(&self, address: &Address) -> (Row, Row) {
        let Some(row) = self.rows.get(address) else { return Default::default() };
        let split = row.txs.iter().map(|(nonce, tx)| (*nonce, tx.clone()));
        (split.clone().take(row.pending).collect(), split.skip(row.pending).collect())
    }

    /// The pending ones, best first.
    pub fn best(&self, params: BestParams) -> Best {
        let rows = self.rows.values().filter(|row| row.pending > 0);
        Best::new(rows.map(|row| row.executable().cloned().collect()), params)
    }

    /// Those of our own RPC, with whether no peer may see them, in an order in which they can come back.
    pub fn ours(&self) -> Vec<Arc<PooledTx>> {
        let mut ours: Vec<_> = self.by_hash.values().filter(|tx| tx.origin.is_ours()).cloned().collect();
        ours.sort_by_key(|tx| (tx.sender, tx.nonce()));
        ours
    }

    /// What of ours left lately, oldest first.
    pub fn ours_departed(&self) -> Vec<(TxHash, Departure)> {
        self.departed.ours()
    }

    /// Whether a transaction that is not here was ours.
    pub fn was_ours(&self, hash: &TxHash) -> bool {
        self.departed.is_ours(hash)
    }

    /// Where a transaction is; none if it was never seen, or forgotten.
    pub fn explain(&self, hash: &TxHash, now: Instant) -> Option<Explanation> {
        let Some(tx) = self.by_hash.get(hash) else {
            let (why, at) = self.departed.get(hash)?.clone();
            return Some(Explanation::Gone { why, ago: at.map(|at| now.saturating_duration_since(at)) });
        };
        Some(Explanation::Here {
            origin: tx.origin,
            age: now.saturating_duration_since(tx.since),
            waiting: self.waits_for(tx),
            told: self.told.get(hash).cloned().unwrap_or_default(),
        })
    }

    fn waits_for(&self, tx: &PooledTx) -> Waiting {
        let base_fee = self.head.base_fee;
        match self.rows.get(&tx.sender) {
            Some(row) if tx.nonce() >= row.next_nonce() => {
                let missing = (row.facts.nonce..tx.nonce()).find(|nonce| !row.txs.contains_key(nonce));
                missing.map_or(Waiting::Funds, |missing| Waiting::Nonce { missing })
            }
            _ => match tx.effective_tip(base_fee) {
                None => Waiting::BaseFee { fee_cap: tx.fee_cap(), base_fee },
                Some(tip) => {
                    let pays_more = |other: &&Arc<PooledTx>| other.effective_tip(base_fee).is_some_and(|t| t > tip);
                    let before = self.rows.values().flat_map(AccountRow::executable).filter(pays_more).count();
                    Waiting::Block { before }
                }
            },
        }
    }

    /// Transactions with blobs.
    pub(crate) fn with_blobs(&self) -> Vec<Arc<PooledTx>> {
        self.by_hash.values().filter(|tx| tx.blobs.is_some()).cloned().collect()
    }
}
