//! Which peer is told of which transaction, and how announced ones are fetched.
//!
//! ```text
//!            Pending ─►┌────────┐─► Broadcast   in full, to √n of the peers
//!             Joined ─►│ spread │─► Announce    hash, type and size, to the others
//!                      └────────┘
//!          Announced ─►┌────────┐─► Request     from one announcer after another, a batch at a time
//!             Pooled ─►│ fetch  │─► RequestCells the blobs of those that come without, from the same peer
//!              Cells ─►│        │
//!       Transactions ─►└────────┘─► Verify ─► worker ─► Verified
//! ```
//!
//! [`Gossip`] decides and does nothing: no sockets, no clock, no lock. The same events, times and seed give the same
//! actions. Source of the rules: [eth](https://github.com/ethereum/devp2p/blob/master/caps/eth.md), EIP-5793.
//!
//! - A transaction goes in full to ⌈√n⌉ peers that its sender's address picks, so that what one account sends takes one
//!   way and arrives in order. Large ones and those with blobs are announced to everybody instead. Private ones never
//!   leave the node.
//! - Nobody is told what it told us or was told before.
//! - Announced transactions are asked for once at a time, after a short wait for a broadcast. Who does not answer is
//!   passed over for the next announcer and is not asked again for a while.
//! - What arrives must have been asked for and be of the announced type and size; both are compared before a signature is.
//! - Since eth/72 a transaction comes without its blobs. What is wanted is followed by a request for cells to the same
//!   peer, so that who sent the proofs is also who sent what they prove. We fetch whole blobs only, so whoever announces
//!   too few columns for that is not asked.
//! - A peer may waste only so many signature recoveries: those of accepted transactions are given back to it.

mod budget;
mod cells;
mod event;
mod fetch;
mod job;
mod known;
mod spread;
#[cfg(test)]
mod tests;
mod wire;

pub use event::{Fault, GossipAction, GossipEvent};
pub use job::{AnnouncedAs, Judgement, Offer, Verified, VerifyJob};
pub use wire::{decode_item, encode_item, encode_stripped_item};

use crate::{PoolConfig, PooledTx};
use budget::Budget;
use fetch::{BLOB_TYPE, Fetcher};
use job::Delivery;
use known::KnownSet;
use rand::{SeedableRng, rngs::StdRng};
use spread::Spread;
use starling_devp2p::eth::{Cells, EthVersion, PooledHashes};
use starling_primitives::{Bytes, PeerId, TxHash};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Instant,
};

/// Bytes of one peer's transactions that may wait for a worker; what a peer sends beyond is dropped unread.
const UNVERIFIED_BYTES_PER_PEER_MAX: usize = 16 << 20;
/// Bytes of all peers' transactions that may wait for a worker; what anyone sends beyond is dropped unread.
const UNVERIFIED_BYTES_MAX: usize = 96 << 20;

const _: () = assert!(UNVERIFIED_BYTES_PER_PEER_MAX < UNVERIFIED_BYTES_MAX);

/// What the operator decides about gossip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GossipConfig {
    /// Whether transactions with blobs are fetched.
    pub fetch_blobs: bool,
    /// Bytes of a transaction without blobs; larger ones are not asked for.
    pub tx_bytes_max: usize,
    /// Bytes of a transaction with its blobs; larger ones are not asked for.
    pub blob_tx_bytes_max: usize,
}

impl From<&PoolConfig> for GossipConfig {
    fn from(config: &PoolConfig) -> Self {
        Self {
            fetch_blobs: config.blobs,
            tx_bytes_max: config.tx_bytes_max,
            blob_tx_bytes_max: config.blob_tx_bytes_max,
        }
    }
}

impl Default for GossipConfig {
    fn default() -> Self {
        Self::from(&PoolConfig::default())
    }
}

/// Decides whom to tell and whom to ask. See the module's page.
#[derive(Debug)]
pub struct Gossip {
    spread: Spread,
    fetcher: Fetcher,
    peers: BTreeMap<PeerId, Peer>,
    unverified_bytes: usize,
    actions: VecDeque<GossipAction>,
}

#[derive(Debug)]
struct Peer {
    version: EthVersion,
    known: KnownSet,
    budget: Budget,
    unverified_bytes: usize,
}

impl Gossip {
    /// No peers yet. All that is random follows from `seed`.
    pub fn new(config: GossipConfig, seed: u64) -> Self {
        Self {
            spread: Spread::new(seed),
            fetcher: Fetcher::new(config, StdRng::seed_from_u64(seed)),
            peers: BTreeMap::new(),
            unverified_bytes: 0,
            actions: VecDeque::new(),
        }
    }

    /// Something happened. `is_known` says whether the pool has a transaction or has had it of late. Call
    /// [`Self::poll`] until it has nothing more.
    pub fn handle(&mut self, event: GossipEvent, is_known: &dyn Fn(&TxHash) -> bool, now: Instant) {
        match event {
            GossipEvent::Joined { peer, version, pending } => self.joined(peer, version, &pending, now),
            GossipEvent::Left { peer } => self.left(&peer),
            GossipEvent::Pending(txs) => self.spread_all(&txs),
            GossipEvent::Announced { peer, announced } => self.announced(peer, &announced, is_known, now),
            GossipEvent::Transactions { peer, transactions } => self.transactions(peer, transactions, now),
            GossipEvent::Pooled { peer, request, transactions } => self.pooled(peer, request, transactions, now),
            GossipEvent::Cells { peer, request, cells } => self.cells(peer, request, cells, now),
            GossipEvent::Failed { peer, request } => self.fetcher.failed(&peer, request),
            GossipEvent::Verified(verified) => self.verified(verified, now),
        }
        self.handle_deadline(now);
    }

    /// The time of [`Self::next_deadline`] has come; harmless when it has not.
    pub fn handle_deadline(&mut self, now: Instant) {
        let peers = &mut self.peers;
        self.fetcher.advance(now, |peer| peers.get_mut(peer).map_or(0, |peer| peer.budget.left(now)));
        self.actions.extend(self.fetcher.take_actions());
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<GossipAction> {
        self.actions.pop_front()
    }

    /// When to call [`Self::handle_deadline`] if nothing happens before.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.fetcher.next_deadline()
    }

    fn joined(&mut self, peer: PeerId, version: EthVersion, pending: &[Arc<PooledTx>], now: Instant) {
        let (known, budget) = (KnownSet::default(), Budget::new(now));
        self.peers.insert(peer, Peer { version, known, budget, unverified_bytes: 0 });
        self.fetcher.joined(peer);
        let spread = self.spread.announce_to(peer, pending, &mut self.peers);
        self.actions.extend(spread);
    }

    fn left(&mut self, peer: &PeerId) {
        // What a worker still has of it is given back by `verified`, to the total only.
        self.peers.remove(peer);
        self.fetcher.left(peer);
    }

    fn spread_all(&mut self, txs: &[Arc<PooledTx>]) {
        for tx in txs {
            self.fetcher.forget(&tx.hash);
        }
        let spread = self.spread.spread(txs, &mut self.peers);
        self.actions.extend(spread);
    }

    fn announced(&mut self, peer: PeerId, announced: &PooledHashes, is_known: &dyn Fn(&TxHash) -> bool, now: Instant) {
        let Some(from) = self.peers.get_mut(&peer) else { return };
        for ((hash, kind), size) in announced.hashes.iter().zip(&announced.types).zip(&announced.sizes) {
            from.known.insert(hash);
            if !is_known(hash) {
                let mask = announced.mask.filter(|_| *kind == BLOB_TYPE);
                let announced = AnnouncedAs { tx_type: *kind, size_bytes: *size as usize, mask };
                self.fetcher.announced(peer, *hash, announced, now);
            }
        }
    }

    fn transactions(&mut self, peer: PeerId, mut transactions: Vec<Bytes>, now: Instant) {
        let count = transactions.len();
        transactions.retain(|item| !wire::has_blobs(item));
        if transactions.len() < count {
            self.actions.push_back(GossipAction::Penalise { peer, fault: Fault::BlobBroadcast });
        }
        let Some(from) = self.peers.get_mut(&peer) else { return };
        let allowed = from.budget.take(transactions.len(), now);
        if allowed < transactions.len() {
            self.actions.push_back(GossipAction::Penalise { peer, fault: Fault::Flood });
            transactions.truncate(allowed);
        }
        if !self.verify(peer, Delivery::Broadcast(transactions)) {
            self.actions.push_back(GossipAction::Penalise { peer, fault: Fault::Flood });
        }
    }

    fn pooled(&mut self, peer: PeerId, request: u64, transactions: Vec<Bytes>, now: Instant) {
        let Some(asked) = self.fetcher.answered(&peer, request, transactions.len()) else {
            self.actions.push_back(GossipAction::Penalise { peer, fault: Fault::Unasked });
            return;
        };
        if transactions.is_empty() {
            self.actions.push_back(GossipAction::Penalise { peer, fault: Fault::UselessAnswer });
            return;
        }
        self.verify_answer(peer, request, Delivery::Answer { request, asked, transactions }, now);
    }

    fn cells(&mut self, peer: PeerId, request: u64, cells: Cells, now: Instant) {
        match self.fetcher.cells_answered(&peer, request, cells) {
            Ok(delivery) => self.verify_answer(peer, request, delivery, now),
            Err(fault) => self.penalise(peer, fault),
        }
    }

    fn verify_answer(&mut self, peer: PeerId, request: u64, delivery: Delivery, now: Instant) {
        if let Some(from) = self.peers.get_mut(&peer) {
            from.budget.take(delivery.len(), now);
        }
        if !self.verify(peer, delivery) {
            self.fetcher.settle(&peer, request, &[]);
        }
    }

    /// Hands what came to a worker, unless too many bytes are with workers already.
    fn verify(&mut self, peer: PeerId, delivery: Delivery) -> bool {
        let Some(from) = self.peers.get_mut(&peer) else { return true };
        if delivery.len() == 0 {
            return true;
        }
        let bytes = delivery.bytes();
        let first = from.unverified_bytes == 0;
        let fits = from.unverified_bytes + bytes <= UNVERIFIED_BYTES_PER_PEER_MAX
            && self.unverified_bytes + bytes <= UNVERIFIED_BYTES_MAX;
        // One message of a peer is always taken: the frame's limit bounds it.
        if !fits && !first {
            return false;
        }
        from.unverified_bytes += bytes;
        self.unverified_bytes += bytes;
        self.actions.push_back(GossipAction::Verify(VerifyJob::new(peer, bytes, delivery)));
        true
    }

    fn verified(&mut self, verified: Verified, now: Instant) {
        let Verified { peer, judgements, bytes, request } = verified;
        self.unverified_bytes = self.unverified_bytes.saturating_sub(bytes);
        if let Some(from) = self.peers.get_mut(&peer) {
            from.unverified_bytes = from.unverified_bytes.saturating_sub(bytes);
            let wasted = judgements.iter().filter(|one| one.wastes_a_recovery()).count();
            from.budget.give_back(judgements.len() - wasted);
            judgements.iter().filter_map(Judgement::hash).for_each(|hash| from.known.insert(&hash));
        }
        // One fault a message: a list of a thousand bad transactions is one mistake of its sender.
        let fault = |one: &Judgement| match one {
            Judgement::Unasked(hash, is) if self.fetcher.contradicts(&peer, hash, is) => Some(Fault::BadAnnouncement),
            other => other.fault(),
        };
        if let Some(fault) = judgements.iter().filter_map(fault).max() {
            self.penalise(peer, fault);
        }
        for judgement in &judgements {
            self.fetcher.judged(&peer, judgement, now);
        }
        if let Some(request) = request {
            let delivered: Vec<TxHash> = judgements.iter().filter_map(Judgement::hash).collect();
            let stripped = judgements.into_iter().filter_map(Judgement::stripped);
            self.fetcher.ask_cells(&peer, request, stripped, now);
            self.fetcher.settle(&peer, request, &delivered);
        }
    }

    fn penalise(&mut self, peer: PeerId, fault: Fault) {
        self.actions.push_back(GossipAction::Penalise { peer, fault });
        if fault >= Fault::BadAnnouncement {
            // It will be dropped for that; nothing more is asked of it.
            self.fetcher.left(&peer);
        }
    }
}
