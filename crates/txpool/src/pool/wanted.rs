//! What can be said against a transaction.

use super::{AccountFacts, Pool};
use crate::{Origin, PooledTx, Refusal, check};
use alloy_primitives::U256;
use starling_primitives::{Address, Transaction};

impl Pool {
    /// What can be said against a transaction before its sender is known.
    pub fn check(&self, tx: &Transaction, origin: Origin) -> Result<(), Refusal> {
        if self.by_hash.contains_key(tx.tx_hash()) {
            return Err(Refusal::Known(*tx.tx_hash()));
        }
        check::check(tx, self.chain_id, &self.head, &self.config, self.intrinsic, origin)
    }

    /// What can be said against a transaction once its sender is known: whether [`Self::insert`] would take it, if there
    /// is room.
    pub fn check_wanted(&self, tx: &PooledTx, facts: AccountFacts) -> Result<(), Refusal> {
        let row = self.rows.get(&tx.sender);
        let facts = row.map_or(facts, |row| row.facts);
        self.check_account(tx, &facts)?;
        self.check_delegation(tx, &facts)?;
        self.check_kind(tx, &facts)?;
        match row.and_then(|row| row.txs.get(&tx.nonce())) {
            Some(old) => self.check_replacement(tx, old),
            None => Ok(()),
        }
    }

    fn check_account(&self, tx: &PooledTx, facts: &AccountFacts) -> Result<(), Refusal> {
        let (nonce, sender) = (tx.nonce(), tx.sender);
        if facts.is_contract {
            return Err(Refusal::SenderNotEoa(sender));
        }
        if nonce < facts.nonce {
            return Err(Refusal::NonceTooLow { state: facts.nonce, nonce });
        }
        if nonce == u64::MAX {
            return Err(Refusal::NonceMax { sender, nonce });
        }
        let queued = self.rows.get(&sender).map_or(U256::ZERO, |row| row.cost_before(nonce));
        let cost = tx.cost().unwrap_or(U256::MAX);
        if queued.saturating_add(cost) > facts.balance {
            return Err(Refusal::Funds { balance: facts.balance, queued, cost });
        }
        Ok(())
    }

    /// EIP-7702: the code of a delegated account may spend what its later transactions were to pay with, so only few
    /// of them are kept.
    fn check_delegation(&self, tx: &PooledTx, facts: &AccountFacts) -> Result<(), Refusal> {
        let others = |address: &Address| self.rows.get(address).map_or(0, |row| row.txs.len());
        if facts.is_delegated || self.authorities.contains_key(&tx.sender) {
            let replaces = self.rows.get(&tx.sender).is_some_and(|row| row.txs.contains_key(&tx.nonce()));
            if !replaces && others(&tx.sender) >= self.config.delegated_in_flight_max {
                return Err(Refusal::Delegated(tx.sender));
            }
            if tx.nonce() > facts.nonce {
                return Err(Refusal::DelegatedGap(tx.sender));
            }
        }
        match tx.authorities.iter().find(|authority| others(authority) > self.config.delegated_in_flight_max) {
            Some(authority) => Err(Refusal::Authority(*authority)),
            None => Ok(()),
        }
    }

    /// Transactions with blobs and those without are not in one row; those with blobs are few, and leave no gap.
    fn check_kind(&self, tx: &PooledTx, facts: &AccountFacts) -> Result<(), Refusal> {
        let row = self.rows.get(&tx.sender);
        let has_blobs = tx.tx.is_eip4844();
        if row.is_some_and(|row| row.has_blobs() != has_blobs) {
            return Err(Refusal::Reserved(tx.sender));
        }
        if !has_blobs {
            return Ok(());
        }
        let (count, expected) = row.map_or((0, facts.nonce), |row| (row.txs.len(), row.nonce_after()));
        let limit = self.config.account_blob_txs_max;
        if tx.nonce() > expected {
            return Err(Refusal::NonceGap { nonce: tx.nonce(), expected });
        }
        let full = tx.nonce() == expected && count >= limit && !tx.returned;
        if full { Err(Refusal::AccountBlobs { limit }) } else { Ok(()) }
    }

    fn check_replacement(&self, tx: &PooledTx, old: &PooledTx) -> Result<(), Refusal> {
        let percent = if tx.tx.is_eip4844() { self.config.blob_bump_percent } else { self.config.bump_percent };
        let enough = |new: u128, old: u128| {
            let needed = old.saturating_add(old.saturating_mul(percent) / 100);
            new >= needed && new > old
        };
        let blobs = match (tx.blob_fee_cap(), old.blob_fee_cap()) {
            (Some(new), Some(old)) => enough(new, old),
            _ => true,
        };
        match blobs && enough(tx.fee_cap(), old.fee_cap()) && enough(tx.tip_cap(), old.tip_cap()) {
            true => Ok(()),
            false => Err(Refusal::Replacement),
        }
    }
}
