//! Transactions with blobs: their two forms, their proofs, and where the blobs are kept.
//!
//! A transaction travels with its blobs and stands in blocks without them. Here it comes apart: what orders and limits
//! it is in memory with all others, its bytes as they travel are a file of the [`BlobStore`].
//!
//! - Proofs are checked last of all, only for a transaction that the pool would take, and outside every lock: the proof
//!   of one blob costs as much as a hundred signatures.
//! - From Osaka on a sidecar carries proofs of cells (EIP-7594), before it carries proofs of blobs. One of the other
//!   kind is taken and given the proofs that blocks of the fork go with.
//!
//! Source: [EIP-4844](https://eips.ethereum.org/EIPS/eip-4844), [EIP-7594](https://eips.ethereum.org/EIPS/eip-7594).

mod cells;
mod store;
#[cfg(test)]
mod tests;

pub use cells::{Stripped, cells_list};
pub(crate) use cells::{sizes_bytes, strip};
pub use store::BlobStore;

use crate::Refusal;
use alloy_consensus::{EthereumTxEnvelope, Signed, Transaction as _, TxEip4844WithSidecar, TxType};
use alloy_eips::{
    eip2718::{Decodable2718, Encodable2718},
    eip4844::{BlobTransactionSidecar, env_settings::EnvKzgSettings},
    eip7594::{BlobTransactionSidecarVariant, CELLS_PER_EXT_BLOB},
};
use alloy_rlp::{Encodable, Header};
use starling_chainspec::Fork;
use starling_primitives::{B256, Bytes, Transaction, TxHash, keccak256};
use std::sync::Arc;

/// A transaction as it travels.
type Travelling = EthereumTxEnvelope<TxEip4844WithSidecar<BlobTransactionSidecarVariant>>;

/// The blobs of a transaction in the pool.
#[derive(Debug, Clone)]
pub struct Blobs {
    store: Arc<BlobStore>,
    hash: TxHash,
    size_bytes: usize,
}

impl Blobs {
    /// Reads them, with their proofs; none if their file is gone or damaged.
    pub fn load(&self) -> Option<Arc<BlobTransactionSidecarVariant>> {
        self.store.sidecar(&self.hash)
    }

    /// The whole transaction as it travels; none if its file is gone.
    pub fn network_bytes(&self) -> Option<Bytes> {
        self.store.read(&self.hash)
    }

    /// Size of that, in bytes.
    pub const fn size_bytes(&self) -> usize {
        self.size_bytes
    }
}

/// Whether an envelope is one of a transaction with blobs.
pub(crate) fn is_blob_type(envelope: &[u8]) -> bool {
    envelope.first() == Some(&(TxType::Eip4844 as u8))
}

/// The hash of a transaction as it travels: blobs do not count. None if it does not look like one.
pub(crate) fn hash(envelope: &[u8]) -> Option<TxHash> {
    let inner = if is_blob_type(envelope) { inner(envelope.get(1..)?) } else { None };
    Some(match inner {
        Some(inner) => keccak256([&[TxType::Eip4844 as u8], inner].concat()),
        None => keccak256(envelope),
    })
}

/// The transaction proper among what travels, list head included; none if there is nothing about it.
fn inner(body: &[u8]) -> Option<&[u8]> {
    let mut buf = body;
    let list = Header::decode_bytes(&mut buf, true).ok()?;
    let mut rest = list;
    let head = Header::decode(&mut rest).ok().filter(|head| head.list)?;
    list.get(..list.len() - rest.len() + head.payload_length)
}

/// Takes a transaction apart that travels with its blobs.
pub(crate) fn split(envelope: &[u8]) -> Result<(Transaction, BlobTransactionSidecarVariant), Refusal> {
    if is_blob_type(envelope) && inner(&envelope[1..]).is_none() {
        return Err(Refusal::Sidecar("missing sidecar in blob transaction".to_owned()));
    }
    match Travelling::decode_2718_exact(envelope) {
        Ok(Travelling::Eip4844(signed)) => {
            let (tx, signature, _) = signed.into_parts();
            let (tx, sidecar) = tx.into_parts();
            Ok((Transaction::Eip4844(Signed::new_unhashed(tx, signature)), sidecar))
        }
        Ok(_) => Err(Refusal::Decode("not a transaction with blobs".to_owned())),
        Err(error) => Err(Refusal::Decode(error.to_string())),
    }
}

/// Puts it together again.
pub(crate) fn join(tx: &Transaction, sidecar: &BlobTransactionSidecarVariant) -> Option<Bytes> {
    let Transaction::Eip4844(signed) = tx else { return None };
    let whole = signed.tx().clone().with_sidecar(sidecar.clone());
    Some(Travelling::Eip4844(Signed::new_unchecked(whole, *signed.signature(), *signed.hash())).encoded_2718().into())
}

/// The cheap half of the checks: as many commitments and proofs as hashes, the hashes of those commitments, and so many
/// blobs: as many as well, or none where it travels without.
pub(crate) fn check_shape(
    tx: &Transaction,
    sidecar: &BlobTransactionSidecarVariant,
    blobs_expected: usize,
) -> Result<(), Refusal> {
    let hashes = tx.blob_versioned_hashes().unwrap_or_default();
    let (proofs, per_blob) = match sidecar {
        BlobTransactionSidecarVariant::Eip4844(sidecar) => (sidecar.proofs.len(), 1),
        BlobTransactionSidecarVariant::Eip7594(sidecar) => (sidecar.cell_proofs.len(), CELLS_PER_EXT_BLOB),
    };
    let object = |what: String| Err(Refusal::Sidecar(what));
    let (blobs, commitments) = (sidecar.blobs().len(), sidecar.commitments().len());
    if blobs != blobs_expected || commitments != hashes.len() || proofs != hashes.len() * per_blob {
        return object(format!(
            "invalid number of blobs: {} hashes, {blobs} blobs, {commitments} commitments, {proofs} proofs",
            hashes.len()
        ));
    }
    match sidecar.versioned_hashes().zip(hashes).position(|(got, expected)| got != *expected) {
        Some(index) => object(format!("blob {index}: computed hash does not match the transaction's")),
        None => Ok(()),
    }
}

/// The dear half: the proofs. Gives the sidecar in the form that the fork wants.
pub(crate) fn check_proofs(
    fork: Fork,
    hashes: &[B256],
    sidecar: BlobTransactionSidecarVariant,
) -> Result<BlobTransactionSidecarVariant, Refusal> {
    let settings = EnvKzgSettings::Default.get();
    let refuse = |error: String| Refusal::Sidecar(format!("KZG verification error: {error}"));
    sidecar.validate(hashes, settings).map_err(|error| refuse(error.to_string()))?;
    with_proofs_of(fork, sidecar).map_err(|error| refuse(error.to_string()))
}

/// The sidecar with proofs of the kind that the fork wants: of cells from Osaka on, of blobs before.
pub(crate) fn with_proofs_of(
    fork: Fork,
    sidecar: BlobTransactionSidecarVariant,
) -> Result<BlobTransactionSidecarVariant, impl std::fmt::Display> {
    match sidecar {
        BlobTransactionSidecarVariant::Eip7594(sidecar) if fork < Fork::Osaka => {
            BlobTransactionSidecar::try_from_blobs_with_settings(sidecar.blobs, EnvKzgSettings::Default.get())
                .map(BlobTransactionSidecarVariant::Eip4844)
        }
        sidecar if fork < Fork::Osaka => Ok(sidecar),
        sidecar => sidecar.try_convert_into_eip7594(),
    }
}

/// An item of the wire from an envelope of some type.
pub(crate) fn wrap(envelope: &Bytes) -> Bytes {
    let mut item = Vec::with_capacity(envelope.len() + 5);
    envelope.as_ref().encode(&mut item);
    item.into()
}
