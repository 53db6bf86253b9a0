use crate::PooledTx;
use starling_primitives::Address;
use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
    time::Instant,
};

/// What the next block asks of its transactions.
#[derive(Debug, Clone, Copy, Default)]
pub struct BestParams {
    /// Its base fee, in wei per gas; zero before London.
    pub base_fee: u64,
    /// Its blob base fee, in wei per blob gas; none where no blobs go.
    pub blob_base_fee: Option<u128>,
    /// Least tip, in wei per gas.
    pub tip_min: u128,
}

/// The pending transactions, best tip first, each account's in order of nonce. A snapshot: what comes to the pool later
/// is not in it.
#[derive(Debug)]
pub struct Best {
    heads: BinaryHeap<Head>,
    params: BestParams,
    /// The account of the transaction that was given last, with what follows it.
    last: Option<VecDeque<Arc<PooledTx>>>,
}

/// An account's next transaction, with those behind it.
#[derive(Debug)]
struct Head {
    tip: u128,
    since: Reverse<Instant>,
    row: VecDeque<Arc<PooledTx>>,
}

impl Best {
    pub(crate) fn new(rows: impl Iterator<Item = VecDeque<Arc<PooledTx>>>, params: BestParams) -> Self {
        let heads = rows.filter_map(|row| Head::new(row, &params)).collect();
        Self { heads, params, last: None }
    }

    /// Leaves out what else the sender of the last transaction has: it did not fit, so they cannot run.
    pub fn skip_sender(&mut self) {
        self.last = None;
    }
}

impl Iterator for Best {
    type Item = Arc<PooledTx>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(row) = self.last.take()
            && let Some(head) = Head::new(row, &self.params)
        {
            self.heads.push(head);
        }
        let mut head = self.heads.pop()?;
        let tx = head.row.pop_front();
        self.last = Some(head.row);
        tx
    }
}

impl Head {
    /// None if the row is empty or its first cannot pay what the block asks.
    fn new(row: VecDeque<Arc<PooledTx>>, params: &BestParams) -> Option<Self> {
        use alloy_consensus::Transaction as _;
        let first = row.front()?;
        let tip = first.effective_tip(params.base_fee).filter(|tip| *tip >= params.tip_min)?;
        if let Some(cap) = first.tx.max_fee_per_blob_gas()
            && params.blob_base_fee.is_none_or(|fee| cap < fee)
        {
            return None;
        }
        Some(Self { tip, since: Reverse(first.since), row })
    }

    fn sender(&self) -> Option<Address> {
        self.row.front().map(|tx| tx.sender)
    }

    fn key(&self) -> (u128, Reverse<Instant>, Option<Address>) {
        (self.tip, self.since, self.sender())
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}
