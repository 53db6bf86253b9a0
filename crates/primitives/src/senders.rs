//! Sender recovery by libsecp256k1: five times faster than the pure Rust curve.

use crate::Transaction;
use alloy_consensus::EthereumTxEnvelope;
use alloy_primitives::{Address, B256, Signature, TxHash, U256, keccak256};
use rayon::prelude::*;
use secp256k1::{
    Message, SECP256K1,
    ecdsa::{RecoverableSignature, RecoveryId},
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
    // Below this many the pool's hand-over costs more than it gains (28 µs a recovery).
    const PARALLEL_MIN: usize = 4;
    if transactions.len() < PARALLEL_MIN {
        return transactions.iter().map(|tx| recover_sender(tx, low_s)).collect();
    }
    transactions.par_iter().map(|tx| recover_sender(tx, low_s)).collect()
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
