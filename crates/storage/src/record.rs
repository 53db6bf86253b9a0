//! What is put into the database and what comes out of it.

use starling_primitives::{Address, B256, BlockRef, BranchChanges, Bytes, Header, StateDiff, U256};
use std::sync::Arc;

/// Place of a record in the journal: its sequence number. Rising, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

/// A block with all that importing it found out.
#[derive(Debug, Clone)]
pub struct BlockRecord {
    /// Number and hash.
    pub block: BlockRef,
    /// The header (also the first item of `rlp`).
    pub header: Header,
    /// The block as RLP `[header, transactions, ommers, withdrawals]`.
    pub rlp: Bytes,
    /// Hashes of its transactions in order.
    pub tx_hashes: Vec<B256>,
    /// Senders of its transactions in order.
    pub senders: Vec<Address>,
    /// Receipts in their stored form ([`starling_primitives::Receipt::encode_stored_list`]).
    pub receipts: Bytes,
    /// Total difficulty up to and with this block; none on proof of stake.
    pub total_difficulty: Option<U256>,
    /// Block access list as RLP (EIP-7928), if the fork has one.
    pub access_list: Option<Bytes>,
    /// What it changed in the state.
    pub diff: StateDiff,
    /// What it changed in the tries.
    pub branches: BranchChanges,
}

/// What the consensus said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadRecord {
    /// The canonical head.
    pub head: BlockRef,
    /// Safe block, none until told.
    pub safe: Option<BlockRef>,
    /// Finalized block, none until told.
    pub finalized: Option<BlockRef>,
}

/// One journal record.
#[derive(Debug, Clone)]
pub enum Record {
    /// A checked and executed block; its parent is the frontier or an earlier record's block.
    Block(Arc<BlockRecord>),
    /// Head, safe and finalized moved.
    Head(HeadRecord),
}

/// A block as it is kept. Cut from disk or journal, nothing decoded.
#[derive(Debug, Clone)]
pub struct StoredBlock {
    /// Number and hash.
    pub block: BlockRef,
    /// RLP of the whole block.
    pub rlp: Bytes,
    /// Senders in order.
    pub senders: Vec<Address>,
    /// Receipts in their stored form; empty for genesis.
    pub receipts: Bytes,
    /// Block access list, if kept.
    pub access_list: Option<Bytes>,
}
