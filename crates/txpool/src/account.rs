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
    /// When it last came closer to a block: a transaction was added, or its nonce moved.
    pub(crate) progress: Instant,
    /// Fee caps with how often they occur: an account is worth its cheapest transaction, the others wait behind it.
    fee_caps: BTreeMap<u128, usize>,
    /// How many of them came by our own RPC.
    ours: usize,
}

impl AccountRow {
    pub(crate) fn new(facts: AccountFacts, now: Instant) -> Self {
        Self { facts, txs: BTreeMap::new(), pending: 0, progress: now, fee_caps: BTreeMap::new(), ours: 0 }
    }

    pub(crate) fn queued(&self) -> usize {
        self.txs.len().saturating_sub(self.pending)
    }

    /// The least that one of its transactions pays at most, in wei per gas.
    pub(crate) fn worth(&self) -> u128 {
        self.fee_caps.keys().next().copied().unwrap_or(u128::MAX)
    }

    pub(crate) fn has_ours(&self) -> bool {
        self.ours > 0
    }

    /// What its transactions before a nonce may take together.
    pub(crate) fn cost_before(&self, nonce: u64) -> U256 {
        self.txs.range(..nonce).filter_map(|(_, tx)| tx.cost()).fold(U256::ZERO, U256::saturating_add)
    }

    /// The transactions that can run, in order.
    pub(crate) fn executable(&self) -> impl Iterator<Item = &Arc<PooledTx>> {
        self.txs.values().take(self.pending)
    }

    /// The nonce after the pending ones.
    pub(crate) fn next_nonce(&self) -> u64 {
        self.facts.nonce.saturating_add(self.pending as u64)
    }

    pub(crate) fn insert(&mut self, tx: Arc<PooledTx>) -> Option<Arc<PooledTx>> {
        *self.fee_caps.entry(tx.fee_cap()).or_default() += 1;
        self.ours += usize::from(tx.origin.is_ours());
        let replaced = self.txs.insert(tx.nonce(), tx);
        if let Some(replaced) = &replaced {
            self.uncount(replaced);
        }
        replaced
    }

    pub(crate) fn remove(&mut self, nonce: u64) -> Option<Arc<PooledTx>> {
        let removed = self.txs.remove(&nonce)?;
        self.uncount(&removed);
        Some(removed)
    }

    /// Takes out all before a nonce.
    pub(crate) fn remove_below(&mut self, nonce: u64) -> Vec<Arc<PooledTx>> {
        let kept = self.txs.split_off(&nonce);
        let removed: Vec<_> = std::mem::replace(&mut self.txs, kept).into_values().collect();
        removed.iter().for_each(|tx| self.uncount(tx));
        removed
    }

    fn uncount(&mut self, tx: &PooledTx) {
        self.ours -= usize::from(tx.origin.is_ours());
        if let Some(count) = self.fee_caps.get_mut(&tx.fee_cap()) {
            *count -= 1;
            if *count == 0 {
                self.fee_caps.remove(&tx.fee_cap());
            }
        }
    }

    /// Counts the pending ones anew: those from the account's nonce on without a gap, while its balance lasts.
    pub(crate) fn settle(&mut self) {
        let mut left = self.facts.balance;
        self.pending = 0;
        for ((nonce, tx), expected) in self.txs.iter().zip(self.facts.nonce..) {
            match tx.cost().and_then(|cost| left.checked_sub(cost)) {
                Some(rest) if *nonce == expected => left = rest,
                _ => break,
            }
            self.pending += 1;
        }
    }
}
