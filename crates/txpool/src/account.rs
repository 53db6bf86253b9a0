//! One account's transactions in a row by nonce.

use crate::{PooledTx, pool::AccountFacts};
use alloy_primitives::U256;
use std::{collections::BTreeMap, sync::Arc, time::Instant};

/// The transactions of one account, and what the chain says of it.
#[derive(Debug)]
pub(crate) struct AccountRow {
    pub(crate) facts: AccountFacts,
    pub(crate) txs: BTreeMap<u64, Arc<PooledTx>>,
    /// How many of them, from the first, can run one after the other; set by [`Self::settle`].
    pub(crate) pending: usize,
    /// What these may take together, in wei.
    pending_cost: U256,
    /// When it last came closer to a block: a transaction was added, or its nonce moved.
    pub(crate) progress: Instant,
    /// What its transactions are worth, with how often that occurs: an account is worth its cheapest transaction, the others wait behind it.
    worths: BTreeMap<u128, usize>,
    /// How many of them came by our own RPC.
    ours: usize,
}

impl AccountRow {
    pub(crate) fn new(facts: AccountFacts, now: Instant) -> Self {
        Self {
            facts,
            txs: BTreeMap::new(),
            pending: 0,
            pending_cost: U256::ZERO,
            progress: now,
            worths: BTreeMap::new(),
            ours: 0,
        }
    }

    pub(crate) fn queued(&self) -> usize {
        self.txs.len().saturating_sub(self.pending)
    }

    /// What its cheapest transaction is worth.
    pub(crate) fn worth(&self) -> u128 {
        self.worths.keys().next().copied().unwrap_or(u128::MAX)
    }

    /// Whether these are transactions with blobs: a row has such ones only, or none.
    pub(crate) fn has_blobs(&self) -> bool {
        self.txs.values().next().is_some_and(|tx| tx.tx.is_eip4844())
    }

    pub(crate) fn has_ours(&self) -> bool {
        self.ours > 0
    }

    /// What its transactions before a nonce may take together.
    pub(crate) fn cost_before(&self, nonce: u64) -> U256 {
        let (known, from) = match self.next_nonce() {
            next if next <= nonce => (self.pending_cost, next),
            _ => (U256::ZERO, 0),
        };
        self.txs.range(from..nonce).filter_map(|(_, tx)| tx.cost()).fold(known, U256::saturating_add)
    }

    /// The transactions that can run, in order.
    pub(crate) fn executable(&self) -> impl Iterator<Item = &Arc<PooledTx>> {
        self.txs.values().take(self.pending)
    }

    /// The nonce after the pending ones.
    pub(crate) fn next_nonce(&self) -> u64 {
        self.facts.nonce.saturating_add(self.pending as u64)
    }

    /// The nonce after all of them.
    pub(crate) fn nonce_after(&self) -> u64 {
        self.txs.keys().next_back().map_or(self.facts.nonce, |last| last.saturating_add(1))
    }

    /// Puts one in, in place of another of its nonce.
    pub(crate) fn insert(&mut self, tx: Arc<PooledTx>) {
        let nonce = tx.nonce();
        *self.worths.entry(tx.worth()).or_default() += 1;
        self.ours += usize::from(tx.origin.is_ours());
        let replaced = self.txs.insert(tx.nonce(), tx);
        if let Some(replaced) = &replaced {
            self.uncount(replaced);
        }
        if nonce < self.next_nonce() { self.settle() } else { self.extend() }
    }

    pub(crate) fn remove(&mut self, nonce: u64) -> Option<Arc<PooledTx>> {
        let removed = self.txs.remove(&nonce)?;
        self.uncount(&removed);
        let next = self.next_nonce();
        if nonce.checked_add(1) == Some(next) {
            // The last pending one, as eviction takes them.
            self.pending -= 1;
            self.pending_cost -= removed.cost().unwrap_or_default();
        } else if nonce < next {
            self.settle();
        }
        Some(removed)
    }

    /// The chain says something new of the account; gives the transactions that are past by it.
    pub(crate) fn renew(&mut self, facts: AccountFacts, now: Instant) -> Vec<Arc<PooledTx>> {
        if self.facts.nonce != facts.nonce {
            self.progress = now;
        }
        self.facts = facts;
        let kept = self.txs.split_off(&facts.nonce);
        let removed: Vec<_> = std::mem::replace(&mut self.txs, kept).into_values().collect();
        removed.iter().for_each(|tx| self.uncount(tx));
        self.settle();
        removed
    }

    fn uncount(&mut self, tx: &PooledTx) {
        self.ours -= usize::from(tx.origin.is_ours());
        if let Some(count) = self.worths.get_mut(&tx.worth()) {
            *count -= 1;
            if *count == 0 {
                self.worths.remove(&tx.worth());
            }
        }
    }

    /// Counts the pending ones anew: those from the account's nonce on without a gap, while its balance lasts.
    pub(crate) fn settle(&mut self) {
        (self.pending, self.pending_cost) = (0, U256::ZERO);
        self.extend();
    }

    /// Counts on from the last pending one: enough after a change behind it.
    fn extend(&mut self) {
        let first = self.next_nonce();
        for ((nonce, tx), expected) in self.txs.range(first..).zip(first..) {
            let cost = tx.cost().and_then(|cost| self.pending_cost.checked_add(cost));
            match cost.filter(|cost| *nonce == expected && *cost <= self.facts.balance) {
                Some(cost) => self.pending_cost = cost,
                None => break,
            }
            self.pending += 1;
        }
    }
}
