//! Sender recovery by libsecp256k1: five times faster than the pure Rust curve.

use crate::Transaction;
use alloy_consensus::EthereumTxEnvelope;
use alloy_primitives::{Address, B256, Signature, TxHash, U256, keccak256};
use rayon::prelude::*;
use secp256k1::{
    Message, SECP256K1,
    ecdsa::{RecoverableSignature, RecoveryId},
};
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

/// A transaction's signature does not lead to a sender.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("transaction {tx_hash} has an invalid signature: {why}")]
pub struct SenderError {
    /// Which transaction.
    pub tx_hash: TxHash,
    /// What is wrong with it.
    pub why: &'static str,
}

/// The sender of a transaction. `low_s` refuses the upper half of s, as every fork since Homestead does.
pub fn recover_sender(tx: &Transaction, low_s: bool) -> Result<Address, SenderError> {
    let error = |why| SenderError { tx_hash: *tx.tx_hash(), why };
    let signature = tx.signature();
    if low_s && signature.normalize_s().is_some() {
        return Err(error("s is in the upper half"));
    }
    recover_address(signature, signing_hash(tx)).ok_or_else(|| error("no public key fits"))
}

/// The senders of a block's transactions in order, recovered on the current rayon pool.
/// The first bad signature in order is the error.
pub fn recover_senders(transactions: &[Transaction], low_s: bool) -> Result<Vec<Address>, SenderError> {
    Senders::unknown(transactions.len(), SenderRules { low_s, may_be_impersonated: false }).all(transactions)
}

/// Which signatures lead to a sender.
#[derive(Debug, Clone, Copy)]
pub struct SenderRules {
    /// As for [`recover_sender`].
    pub low_s: bool,
    /// Whether an [`impersonation`] stands for its account.
    pub may_be_impersonated: bool,
}

impl SenderRules {
    fn sender(self, tx: &Transaction) -> Result<Address, SenderError> {
        let impersonated = if self.may_be_impersonated { impersonated_sender(tx) } else { None };
        impersonated.map_or_else(|| recover_sender(tx, self.low_s), Ok)
    }
}

/// The senders of a block's transactions, each found once, by whoever comes to it first. Recovering one takes longer
/// than running a transfer, so a block can run while its later senders are still being found: the executor, which
/// needs them in order, and those who work ahead of it take them from one list. Cheap to clone.
///
/// The transactions are the caller's to keep; every call must be given those that the list was made for.
#[derive(Debug, Clone)]
pub struct Senders(Arc<Finding>);

#[derive(Debug)]
struct Finding {
    found: Box<[OnceLock<Result<Address, SenderError>>]>,
    /// The first that nobody has begun with.
    next: AtomicUsize,
    rules: SenderRules,
}

impl Senders {
    /// None is known yet.
    pub fn unknown(count: usize, rules: SenderRules) -> Self {
        let found = std::iter::repeat_with(OnceLock::new).take(count).collect();
        Self(Arc::new(Finding { found, next: AtomicUsize::new(0), rules }))
    }

    /// All are known.
    pub fn known(senders: Vec<Address>) -> Self {
        let next = AtomicUsize::new(senders.len());
        let found = senders.into_iter().map(|sender| OnceLock::from(Ok(sender))).collect();
        Self(Arc::new(Finding { found, next, rules: SenderRules { low_s: true, may_be_impersonated: false } }))
    }

    /// How many transactions the block has.
    pub fn len(&self) -> usize {
        self.0.found.len()
    }

    /// Whether the block has no transactions.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many nobody has begun with.
    pub fn left(&self) -> usize {
        self.len().saturating_sub(self.0.next.load(Ordering::Relaxed))
    }

    /// Finds one more; false if there is none left that nobody has begun with.
    pub fn find_next(&self, transactions: &[Transaction]) -> bool {
        if self.left() == 0 {
            return false;
        }
        let index = self.0.next.fetch_add(1, Ordering::Relaxed);
        let Some((found, tx)) = self.0.found.get(index).zip(transactions.get(index)) else { return false };
        found.get_or_init(|| self.0.rules.sender(tx));
        true
    }

    /// The sender of a transaction.
    ///
    /// # Panics
    /// If there is no transaction `index`.
    pub fn of(&self, index: usize, transactions: &[Transaction]) -> Result<Address, SenderError> {
        let found = &self.0.found[index];
        loop {
            if let Some(sender) = found.get() {
                return sender.clone();
            }
            // Somebody else may be at it: then one further on is found in that time.
            if !self.find_next(transactions) {
                return found.get_or_init(|| self.0.rules.sender(&transactions[index])).clone();
            }
        }
    }

    /// Those that are known by now, in order.
    pub fn found(&self) -> impl Iterator<Item = Address> {
        self.0.found.iter().filter_map(|found| found.get()?.as_ref().ok().copied())
    }

    /// All in order, recovered on the current rayon pool if they are not known. The first bad signature in order is the
    /// error.
    pub fn all(&self, transactions: &[Transaction]) -> Result<Vec<Address>, SenderError> {
        // Below this many the pool's hand-over costs more than it gains (28 µs a recovery).
        const PARALLEL_MIN: usize = 4;
        if self.left() >= PARALLEL_MIN {
            (0..self.left()).into_par_iter().for_each(|_| {
                self.find_next(transactions);
            });
        }
        (0..self.len()).map(|index| self.of(index, transactions)).collect()
    }
}

/// The s of a transaction that nobody signed: in the lower half, so that no fork refuses it. A signature has it by a
/// chance of 2^-255.
const IMPERSONATED_S: U256 = U256::from_be_bytes(*b"starling: nobody signed this tx.");

/// What stands in place of the signature of an account that is impersonated: its address as r. A development chain alone
/// takes it ([`impersonated_sender`] is asked nowhere else); on any other it leads to nobody's account, or to none.
pub fn impersonation(address: &Address) -> Signature {
    Signature::new(U256::from_be_slice(address.as_slice()), IMPERSONATED_S, false)
}

/// The sender of a transaction with an [`impersonation`] in place of its signature.
pub fn impersonated_sender(tx: &Transaction) -> Option<Address> {
    let signature = tx.signature();
    let address = Address::from_slice(&signature.r().to_be_bytes::<32>()[12..]);
    (*signature == impersonation(&address)).then_some(address)
}

fn signing_hash(tx: &Transaction) -> B256 {
    match tx {
        EthereumTxEnvelope::Legacy(tx) => tx.signature_hash(),
        EthereumTxEnvelope::Eip2930(tx) => tx.signature_hash(),
        EthereumTxEnvelope::Eip1559(tx) => tx.signature_hash(),
        EthereumTxEnvelope::Eip4844(tx) => tx.signature_hash(),
        EthereumTxEnvelope::Eip7702(tx) => tx.signature_hash(),
    }
}

/// The address whose key signed `hash`, none if no key fits.
pub fn recover_address(signature: &Signature, hash: B256) -> Option<Address> {
    let id = RecoveryId::from_u8_masked(u8::from(signature.v()));
    let mut compact = [0u8; 64];
    compact[..32].copy_from_slice(&signature.r().to_be_bytes::<32>());
    compact[32..].copy_from_slice(&signature.s().to_be_bytes::<32>());
    let signature = RecoverableSignature::from_compact(&compact, id).ok()?;
    let key = SECP256K1.recover_ecdsa(Message::from_digest(hash.0), &signature).ok()?;
    Some(Address::from_slice(&keccak256(&key.serialize_uncompressed()[1..])[12..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{SignableTransaction, TxLegacy};

    const RULES: SenderRules = SenderRules { low_s: true, may_be_impersonated: true };

    fn signed(signature: Signature) -> Transaction {
        TxLegacy::default().into_signed(signature).into()
    }

    /// Transactions of the accounts 1, 2, 3 and so on; nobody's in the `bad` places.
    fn transactions(count: usize, bad: &[usize]) -> (Vec<Transaction>, Vec<Option<Address>>) {
        let sender = |index| (!bad.contains(&index)).then(|| Address::left_padding_from(&(index + 1).to_be_bytes()));
        let senders: Vec<_> = (0..count).map(sender).collect();
        let signature = |sender: &Option<Address>| match sender {
            Some(sender) => impersonation(sender),
            None => Signature::new(U256::ZERO, U256::ONE, false),
        };
        (senders.iter().map(|sender| signed(signature(sender))).collect(), senders)
    }

    #[test]
    fn found_by_many_at_once() {
        let (transactions, expect) = transactions(1_000, &[7, 999]);
        for finders in 0..4 {
            let senders = Senders::unknown(transactions.len(), RULES);
            std::thread::scope(|scope| {
                for _ in 0..finders {
                    scope.spawn(|| while senders.find_next(&transactions) {});
                }
                for (index, expect) in expect.iter().enumerate() {
                    assert_eq!(senders.of(index, &transactions).ok(), *expect, "{index}");
                }
            });
            assert_eq!(senders.found().count(), 998);
            assert_eq!(senders.left(), 0);
            assert_eq!(senders.all(&transactions).unwrap_err().tx_hash, *transactions[7].tx_hash());
        }
    }

    #[test]
    fn in_any_order() {
        let (transactions, expect) = transactions(10, &[]);
        let senders = Senders::unknown(transactions.len(), RULES);
        assert!(senders.find_next(&transactions));
        for index in [9, 0, 4, 9] {
            assert_eq!(senders.of(index, &transactions).ok(), expect[index]);
        }
        let all: Vec<_> = expect.into_iter().flatten().collect();
        assert_eq!(senders.all(&transactions), Ok(all.clone()));
        assert_eq!(Senders::known(all.clone()).all(&transactions), Ok(all));
    }

    #[test]
    fn of_no_transactions() {
        for senders in [Senders::unknown(0, RULES), Senders::known(Vec::new())] {
            assert!(senders.is_empty() && !senders.find_next(&[]));
            assert_eq!(senders.all(&[]), Ok(Vec::new()));
        }
    }
}
