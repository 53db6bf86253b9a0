use crate::{Blobs, SLOT_BYTES, blobs};
use alloy_consensus::Transaction as _;
use alloy_eips::{eip2718::Encodable2718, eip7594::BlobTransactionSidecarVariant};
use starling_primitives::{Address, Bytes, PeerId, Transaction, TxHash, U256, recover_address};
use std::{sync::Arc, time::Instant};

/// Where a transaction came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Our own RPC. Kept over restarts, evicted last.
    Local,
    /// Our own RPC, and never shown to a peer.
    Private,
    /// A peer.
    Peer(PeerId),
    /// The disk: a peer brought it before the node was started again.
    Restart,
    /// A block that is not on the chain any more.
    Block,
}

impl Origin {
    /// Whether somebody was told by us that it is accepted.
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Local | Self::Private)
    }
}

/// A transaction in the pool.
#[derive(Debug, Clone)]
pub struct PooledTx {
    /// keccak of its envelope.
    pub hash: TxHash,
    /// Who signed it.
    pub sender: Address,
    /// The transaction as it stands in a block.
    pub tx: Transaction,
    /// Its blobs with their proofs, if it has any.
    pub blobs: Option<Blobs>,
    /// Accounts that it would delegate (EIP-7702), as far as their signatures lead to any.
    pub authorities: Vec<Address>,
    /// Its size as it travels, in bytes: with blobs, if it has any.
    pub size_bytes: usize,
    /// Who brought it.
    pub origin: Origin,
    /// Whether it was taken in before: it comes from the disk, or from a block that left the chain. What limits how many
    /// an account may bring does not hold again.
    pub returned: bool,
    /// When it came.
    pub since: Instant,
}

impl PooledTx {
    /// A transaction whose sender was recovered.
    pub fn new(tx: Transaction, sender: Address, blobs: Option<Blobs>, origin: Origin, since: Instant) -> Self {
        let (hash, authorities) = (*tx.tx_hash(), authorities(&tx));
        let size_bytes = blobs.as_ref().map_or_else(|| tx.encode_2718_len(), Blobs::size_bytes);
        Self { hash, sender, tx, blobs, authorities, size_bytes, origin, returned: false, since }
    }

    /// Its blobs are kept from now on.
    pub(crate) fn set_blobs(&mut self, blobs: Option<Blobs>) {
        if let Some(blobs) = &blobs {
            self.size_bytes = blobs.size_bytes();
        }
        self.blobs = blobs;
    }

    /// Whether no peer may see it.
    pub fn is_private(&self) -> bool {
        self.origin == Origin::Private
    }

    /// Its place in the row of its sender.
    pub fn nonce(&self) -> u64 {
        self.tx.nonce()
    }

    /// Most that it pays for a unit of gas, in wei.
    pub fn fee_cap(&self) -> u128 {
        self.tx.max_fee_per_gas()
    }

    /// Most of that which goes to the block's author, in wei per gas.
    pub fn tip_cap(&self) -> u128 {
        self.tx.max_priority_fee_per_gas().unwrap_or_else(|| self.tx.max_fee_per_gas())
    }

    /// What the block's author gets for a unit of gas at a base fee, in wei; none if it cannot pay the base fee.
    pub fn effective_tip(&self, base_fee: u64) -> Option<u128> {
        let left = self.fee_cap().checked_sub(base_fee.into())?;
        Some(left.min(self.tip_cap()))
    }

    /// Most wei that it can take from its sender; none if that is more than there can be.
    pub fn cost(&self) -> Option<U256> {
        let gas = U256::from(self.tx.gas_limit()).checked_mul(U256::from(self.fee_cap()))?;
        let blobs = match (self.tx.blob_gas_used(), self.tx.max_fee_per_blob_gas()) {
            (Some(gas), Some(price)) => U256::from(gas).checked_mul(U256::from(price))?,
            _ => U256::ZERO,
        };
        gas.checked_add(blobs)?.checked_add(self.tx.value())
    }

    /// Most that it pays for a unit of blob gas, in wei; none if it has no blobs.
    pub fn blob_fee_cap(&self) -> Option<u128> {
        self.tx.max_fee_per_blob_gas()
    }

    /// What an account with it is worth to the pool: the least that it pays for anything, in wei.
    pub fn worth(&self) -> u128 {
        self.fee_cap().min(self.blob_fee_cap().unwrap_or(u128::MAX))
    }

    /// Slots that it takes.
    pub fn slots(&self) -> usize {
        self.size_bytes.div_ceil(SLOT_BYTES).max(1)
    }

    /// Its bytes as they stand in a block: an EIP-2718 envelope.
    pub fn envelope(&self) -> Bytes {
        self.tx.encoded_2718().into()
    }

    /// Its bytes as they travel: with its blobs, if it has any. None if these cannot be read.
    pub fn network_bytes(&self) -> Option<Bytes> {
        match &self.blobs {
            Some(blobs) => blobs.network_bytes(),
            None => Some(self.envelope()),
        }
    }

    /// Its size as it travels since eth/72, in bytes: with commitments and proofs, without blobs. None if it does not
    /// travel like that: it has no blobs, or they have other proofs than those of cells.
    pub fn stripped_size_bytes(&self) -> Option<usize> {
        let (stripped, whole) = self.tx.is_eip4844().then(|| blobs::sizes_bytes(&self.tx))?;
        (self.size_bytes == whole).then_some(stripped)
    }

    /// Its blobs with their proofs; none if it has none, or if they cannot be read.
    pub fn sidecar(&self) -> Option<Arc<BlobTransactionSidecarVariant>> {
        self.blobs.as_ref().and_then(Blobs::load)
    }
}

fn authorities(tx: &Transaction) -> Vec<Address> {
    let signed = tx.authorization_list().unwrap_or_default();
    let recover = |signed: &alloy_eips::eip7702::SignedAuthorization| {
        recover_address(&signed.signature().ok()?, signed.signature_hash())
    };
    signed.iter().filter_map(recover).collect()
}
