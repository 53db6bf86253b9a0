use starling_chainspec::Fork;
use starling_primitives::{Address, IntrinsicGas, Transaction};
use std::time::Duration;

/// Bytes of a slot: what limits in slots count. A transaction takes as many as it needs, at least one.
pub const SLOT_BYTES: usize = 32 << 10;

/// `execution`'s rule of what a transaction costs before it runs, handed in because the executor stands on the same
/// floor.
pub type IntrinsicGasRule = fn(Fork, &Transaction, Address) -> IntrinsicGas;

/// Limits of the pool. Defaults are geth's (`--txpool.*`).
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// Least tip, in wei per gas, of what comes from peers (`pricelimit`).
    pub tip_min: u128,
    /// How much more a replacement must pay, in percent (`pricebump`).
    pub bump_percent: u128,
    /// Slots that an account keeps however full the pool is (`accountslots`).
    pub account_slots: usize,
    /// Slots of pending transactions of all accounts together (`globalslots`).
    pub pending_slots_max: usize,
    /// Queued transactions of one account (`accountqueue`); one more is refused.
    pub account_queued_max: usize,
    /// Queued transactions of all accounts together (`globalqueue`).
    pub queued_max: usize,
    /// Bytes of all transactions together.
    pub size_bytes_max: usize,
    /// Bytes of one transaction, without blobs.
    pub tx_bytes_max: usize,
    /// Whether transactions with blobs are taken: if there is a [`crate::BlobStore`].
    pub blobs: bool,
    /// Bytes of all transactions with blobs together, on disk (`blobpool.datacap`).
    pub blob_bytes_max: usize,
    /// Bytes of one transaction with its blobs.
    pub blob_tx_bytes_max: usize,
    /// Blobs of one transaction.
    pub tx_blobs_max: usize,
    /// Transactions with blobs of one account.
    pub account_blob_txs_max: usize,
    /// How much more a replacement with blobs must pay, in percent (`blobpool.pricebump`).
    pub blob_bump_percent: u128,
    /// How long an account's queued transactions wait without any progress (`lifetime`).
    pub lifetime: Duration,
    /// Treat what comes by RPC like anything else (`nolocals`).
    pub no_locals: bool,
    /// Always local, whoever sent it (`locals`).
    pub locals: Vec<Address>,
    /// Most transactions in flight of an account that has delegated its code, or is about to (EIP-7702).
    pub delegated_in_flight_max: usize,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            tip_min: 1,
            bump_percent: 10,
            account_slots: 16,
            pending_slots_max: 5_120,
            account_queued_max: 64,
            queued_max: 1_024,
            size_bytes_max: 128 << 20,
            tx_bytes_max: 128 << 10,
            blobs: false,
            blob_bytes_max: 2_560 << 20,
            blob_tx_bytes_max: 1 << 20,
            tx_blobs_max: 6,
            account_blob_txs_max: 16,
            blob_bump_percent: 100,
            lifetime: Duration::from_secs(3 * 60 * 60),
            no_locals: false,
            locals: Vec::new(),
            delegated_in_flight_max: 1,
        }
    }
}
