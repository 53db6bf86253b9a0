//! What connected nodes say to each other, and the real pool and gossip that decide it.

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Signature, TxKind, keccak256};
use starling_chainspec::Fork;
use starling_devp2p::eth::{BlockId, EthVersion, NewBlock, PooledHashes, Request, Response};
use starling_execution::intrinsic_gas;
use starling_peers::Offence;
use starling_primitives::{Address, B256, Bytes, NodeKey, PeerId, Transaction, TxHash, U256};
use starling_txpool::{
    AccountFacts, HeadFacts, Origin, Pool, PoolConfig, PoolEvent, PooledTx, Refusal,
    gossip::{Fault, Gossip, GossipAction, GossipConfig, GossipEvent, Offer, encode_item},
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

/// The chain of the simulation.
const CHAIN_ID: u64 = 1337;
/// What every account has, in wei.
const BALANCE: u64 = 1_000_000_000_000_000_000;

/// Senders that are remembered.
const SENDERS_MAX: usize = 1 << 17;

/// What is said over a connection.
#[derive(Debug, Clone)]
pub(super) enum Message {
    Transactions(Vec<Bytes>),
    Announce(PooledHashes),
    GetPooled { request: u64, hashes: Vec<TxHash> },
    Pooled { request: u64, transactions: Vec<Bytes> },
    NewBlock(NewBlock),
    NewBlockHashes(Vec<BlockId>),
    Ask { id: u64, request: Request },
    Answer { id: u64, response: Response },
}

impl Message {
    pub(super) fn size_bytes(&self) -> usize {
        match self {
            Self::Transactions(transactions) | Self::Pooled { transactions, .. } => {
                transactions.iter().map(|item| item.len()).sum()
            }
            Self::Announce(announced) => announced.hashes.len() * 38,
            Self::GetPooled { hashes, .. } => hashes.len() * 33,
            Self::NewBlock(new) => new.block.len(),
            Self::NewBlockHashes(blocks) => blocks.len() * 40,
            Self::Ask { .. } => 64,
            Self::Answer { response: Response::BlockHeaders(items) | Response::BlockBodies(items), .. } => {
                items.iter().map(|item| item.len()).sum()
            }
            Self::Answer { .. } => 0,
        }
    }
}

/// What a node wants done about talk.
pub(super) enum Talk {
    Say { peer: PeerId, message: Message },
    Has { hash: TxHash },
    Penalise { peer: PeerId, offence: Offence },
}

/// A node's pool and gossip.
pub(super) struct Talker {
    pool: Pool,
    gossip: Gossip,
    peers: BTreeSet<PeerId>,
}

impl Talker {
    pub(super) fn new(seed: u64) -> Self {
        let head =
            HeadFacts { number: 1, fork: Fork::Osaka, gas_limit: 60_000_000, base_fee: 7, blob_base_fee: Some(1) };
        Self {
            pool: Pool::new(CHAIN_ID, PoolConfig::default(), intrinsic_gas, head),
            gossip: Gossip::new(GossipConfig::default(), seed),
            peers: BTreeSet::new(),
        }
    }

    pub(super) fn joined(&mut self, peer: PeerId, now: Instant) {
        self.peers.insert(peer);
        let pending = self.pool.content().pending.into_values().flat_map(|row| row.into_values()).collect();
        self.event(GossipEvent::Joined { peer, version: EthVersion::SETTLED, pending }, now);
    }

    pub(super) fn left(&mut self, peer: PeerId, now: Instant) {
        if self.peers.remove(&peer) {
            self.event(GossipEvent::Left { peer }, now);
        }
    }

    /// A transaction of this node's own user.
    pub(super) fn submit(&mut self, tx: Transaction, now: Instant) -> Result<(), Refusal> {
        insert(&mut self.pool, tx, Origin::Local, now)
    }

    pub(super) fn message(&mut self, peer: PeerId, message: Message, now: Instant) -> Option<Message> {
        let event = match message {
            Message::Transactions(transactions) => GossipEvent::Transactions { peer, transactions },
            Message::Announce(announced) => GossipEvent::Announced { peer, announced },
            Message::Pooled { request, transactions } => GossipEvent::Pooled { peer, request, transactions },
            Message::GetPooled { request, hashes } => {
                let transactions = hashes.iter().filter_map(|hash| encode_item(self.pool.get(hash)?)).collect();
                return Some(Message::Pooled { request, transactions });
            }
            // about blocks
            _ => return None,
        };
        self.event(event, now);
        None
    }

    pub(super) fn handle_deadline(&mut self, now: Instant) {
        self.gossip.handle_deadline(now);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.gossip.next_deadline()
    }

    /// Everything that is to be done now.
    pub(super) fn poll(&mut self, now: Instant) -> Vec<Talk> {
        let mut talk = Vec::new();
        loop {
            let mut pending = Vec::new();
            while let Some(event) = self.pool.poll() {
                if let PoolEvent::Pending(tx) = event {
                    talk.push(Talk::Has { hash: tx.hash });
                    pending.push(tx);
                }
            }
            if !pending.is_empty() {
                self.event(GossipEvent::Pending(pending), now);
            }
            let Some(action) = self.gossip.poll() else { return talk };
            self.act(action, now, &mut talk);
        }
    }

    fn act(&mut self, action: GossipAction, now: Instant, talk: &mut Vec<Talk>) {
        match action {
            GossipAction::Broadcast { peer, transactions, .. } => {
                talk.push(Talk::Say { peer, message: Message::Transactions(transactions) });
            }
            GossipAction::Announce { peer, announced } => {
                talk.push(Talk::Say { peer, message: Message::Announce(announced) });
            }
            GossipAction::Request { peer, request, hashes } => {
                talk.push(Talk::Say { peer, message: Message::GetPooled { request, hashes } });
            }
            // Nobody here speaks eth/72.
            GossipAction::RequestCells { .. } => {}
            GossipAction::Verify(job) => {
                let pool = &mut self.pool;
                let verified = job.run_with(|offer, origin| match offer {
                    Offer::Whole(envelope) => insert(pool, decode(envelope)?, origin, now),
                    Offer::Stripped(_) => Err(Refusal::Blobs),
                });
                self.event(GossipEvent::Verified(verified), now);
            }
            GossipAction::Penalise { peer, fault } => {
                talk.push(Talk::Penalise { peer, offence: offence_of(fault) });
            }
        }
    }

    fn event(&mut self, event: GossipEvent, now: Instant) {
        let pool = &self.pool;
        self.gossip.handle(event, &|hash| pool.get(hash).is_some(), now);
    }
}

fn decode(envelope: &Bytes) -> Result<Transaction, Refusal> {
    use alloy_eips::eip2718::Decodable2718;
    Transaction::decode_2718_exact(envelope).map_err(|error| Refusal::Decode(error.to_string()))
}

/// The door of the node's pool, but for the account, which is as rich and as new as any.
fn insert(pool: &mut Pool, tx: Transaction, origin: Origin, now: Instant) -> Result<(), Refusal> {
    pool.check(&tx, origin)?;
    let sender = sender_of(&tx)?;
    let facts = AccountFacts { balance: U256::from(BALANCE), ..AccountFacts::default() };
    pool.insert(PooledTx::new(tx, sender, None, origin, now), facts, now).map(drop)
}

/// Who signed a transaction. A hundred nodes get the same ones and come to the same answer, each on a computer of its own;
/// here it is computed once.
fn sender_of(tx: &Transaction) -> Result<Address, Refusal> {
    thread_local!(static SENDERS: RefCell<BTreeMap<TxHash, Address>> = const { RefCell::new(BTreeMap::new()) });
    let hash = *tx.tx_hash();
    if let Some(known) = SENDERS.with_borrow(|senders| senders.get(&hash).copied()) {
        return Ok(known);
    }
    let sender = starling_primitives::recover_sender(tx, true)?;
    SENDERS.with_borrow_mut(|senders| {
        // What is forgotten is computed again.
        if senders.len() >= SENDERS_MAX {
            senders.clear();
        }
        senders.insert(hash, sender);
    });
    Ok(sender)
}

/// As the node's loop does.
fn offence_of(fault: Fault) -> Offence {
    match fault {
        Fault::NoAnswer => Offence::Timeout,
        Fault::UselessAnswer | Fault::Flood => Offence::UselessAnswer,
        Fault::Unasked => Offence::UnrequestedAnswer,
        Fault::BadTransaction => Offence::BadTransaction,
        Fault::BadAnnouncement | Fault::BadCells => Offence::BadAnnouncement,
        Fault::BlobBroadcast => Offence::ProtocolBreach,
    }
}

/// A transfer that any node takes; with a value above all that an account has, one that none takes.
pub(super) fn transfer(key: &NodeKey, nonce: u64, value: U256) -> Transaction {
    let tx = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 1_000_000_000,
        max_priority_fee_per_gas: 1_000_000,
        to: TxKind::Call(Address::repeat_byte(0x42)),
        value,
        ..TxEip1559::default()
    };
    let [bytes @ .., parity] = key.sign_recoverable(&tx.signature_hash());
    let signature = Signature::from_bytes_and_parity(&bytes, parity != 0);
    tx.into_signed(signature).into()
}

/// A transaction as it goes over the wire.
pub(super) fn on_the_wire(tx: Transaction, now: Instant) -> Bytes {
    encode_item(&PooledTx::new(tx, Address::ZERO, None, Origin::Block, now)).expect("no blobs, nothing to read")
}

/// An announcement of a transaction that nobody has.
pub(super) fn invented(number: u64) -> PooledHashes {
    let hash: B256 = keccak256(number.to_be_bytes());
    PooledHashes { types: vec![2], sizes: vec![120], hashes: vec![hash], mask: None }
}
