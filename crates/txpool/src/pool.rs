//! The pool as a value: rows of accounts, what they are worth, and the limits of all together.

mod ask;
mod wanted;

use crate::{
    Blobs, Departure, IntrinsicGasRule, Origin, PoolConfig, PooledTx, Refusal, TOLD_MAX, account::AccountRow, check,
    departed::Departed,
};
use alloy_primitives::map::{AddressMap, B256Map};
use starling_chainspec::Fork;
use starling_primitives::{Address, PeerId, TxHash, U256};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Instant,
};

/// What the chain says of an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccountFacts {
    /// Its next nonce.
    pub nonce: u64,
    /// What it has, in wei.
    pub balance: U256,
    /// Whether it has code that is no delegation: then it can sign nothing (EIP-3607).
    pub is_contract: bool,
    /// Whether its code is another's (EIP-7702).
    pub is_delegated: bool,
}

/// What the next block will be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadFacts {
    /// The head's number.
    pub number: u64,
    /// The fork of the block after it.
    pub fork: Fork,
    /// Most gas of the block after it, or of the head where that is not known.
    pub gas_limit: u64,
    /// The base fee of the block after it, in wei per gas; zero before London.
    pub base_fee: u64,
    /// The blob base fee of the block after it; none before Cancun.
    pub blob_base_fee: Option<u128>,
}

/// How many transactions there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolStatus {
    /// Those that can run one after the other.
    pub pending: usize,
    /// All others.
    pub queued: usize,
    /// Bytes of all that have no blobs together.
    pub size_bytes: usize,
    /// Bytes of all that have blobs together, as they travel.
    pub blob_bytes: usize,
}

/// An account's transactions by nonce.
pub type Row = BTreeMap<u64, Arc<PooledTx>>;

/// Everything in the pool, by account.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// Those that can run.
    pub pending: BTreeMap<Address, Row>,
    /// Those that wait for a nonce or for funds.
    pub queued: BTreeMap<Address, Row>,
}

/// What happened in the pool.
#[derive(Debug, Clone)]
pub enum PoolEvent {
    /// A transaction became pending.
    Pending(Arc<PooledTx>),
    /// One left.
    Left {
        /// Which.
        tx: Arc<PooledTx>,
        /// Why.
        why: Departure,
    },
}

/// The transactions that wait for a block.
#[derive(Debug)]
pub struct Pool {
    config: PoolConfig,
    chain_id: u64,
    intrinsic: IntrinsicGasRule,
    head: HeadFacts,

    rows: AddressMap<AccountRow>,
    by_hash: B256Map<Arc<PooledTx>>,
    /// Accounts by what they are worth to us, the least first: who loses a transaction when the pool is full.
    order: BTreeSet<Worth>,
    /// The same of accounts whose transactions have blobs: their room is on disk.
    blob_order: BTreeSet<Worth>,
    /// The same of accounts with queued ones: who loses one when too many are queued.
    waiting: BTreeSet<Worth>,
    /// Accounts that pending authorizations would delegate, and how many there are for each.
    authorities: AddressMap<usize>,

    pending: usize,
    queued: usize,
    slots: usize,
    size_bytes: usize,
    /// Of transactions with blobs, which count nowhere else.
    blob_bytes: usize,

    departed: Departed,
    /// Who was sent a transaction, or told of it.
    told: B256Map<Vec<PeerId>>,
    /// The latest time that was passed in.
    now: Option<Instant>,
    events: VecDeque<PoolEvent>,
}

/// An account's place among those that may lose a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Worth {
    ours: bool,
    can_run: bool,
    /// Within the slots that each account has for itself.
    modest: bool,
    /// What its cheapest transaction is worth, in wei per gas.
    wei: u128,
    address: Address,
}

impl Pool {
    /// An empty pool.
    pub fn new(chain_id: u64, config: PoolConfig, intrinsic: IntrinsicGasRule, head: HeadFacts) -> Self {
        Self {
            config,
            chain_id,
            intrinsic,
            head,
            rows: AddressMap::default(),
            by_hash: B256Map::default(),
            order: BTreeSet::new(),
            blob_order: BTreeSet::new(),
            waiting: BTreeSet::new(),
            authorities: AddressMap::default(),
            pending: 0,
            queued: 0,
            slots: 0,
            size_bytes: 0,
            blob_bytes: 0,
            departed: Departed::default(),
            told: B256Map::default(),
            now: None,
            events: VecDeque::new(),
        }
    }

    /// Its limits.
    pub fn config(&self) -> &PoolConfig {
        &self.config
    }

    /// What the next block will be like.
    pub fn head(&self) -> &HeadFacts {
        &self.head
    }

    /// Takes a checked transaction in, whose sender is as the chain says. What had to leave for it is among the events.
    pub fn insert(&mut self, tx: PooledTx, facts: AccountFacts, now: Instant) -> Result<Arc<PooledTx>, Refusal> {
        self.now = Some(now);
        let tx = self.with_origin(tx);
        if self.by_hash.contains_key(&tx.hash) {
            return Err(Refusal::Known(tx.hash));
        }
        self.check_wanted(&tx, facts)?;
        let facts = self.rows.get(&tx.sender).map_or(facts, |row| row.facts);
        let replaced = self.rows.get(&tx.sender).and_then(|row| row.txs.get(&tx.nonce())).cloned();

        let tx = Arc::new(tx);
        let (sender, nonce) = (tx.sender, tx.nonce());
        self.change_row(sender, facts, now, |row| {
            row.progress = now;
            row.insert(tx.clone());
            Some(nonce)
        });
        self.by_hash.insert(tx.hash, tx.clone());
        self.count_in(&tx);
        if let Some(old) = replaced {
            self.forget(&old, Departure::Replaced { by: tx.hash });
        } else if self.waits_in_vain(&tx) {
            self.take(sender, nonce);
            self.count_out(&tx);
            self.by_hash.remove(&tx.hash);
            return Err(Refusal::AccountQueue { sender, limit: self.config.account_queued_max });
        }
        self.make_room();
        match self.by_hash.contains_key(&tx.hash) {
            true => {
                self.departed.forget(&tx.hash);
                Ok(tx)
            }
            false => Err(Refusal::Full),
        }
    }

    /// The accounts in the pool: those whose facts [`Self::head_moved`] wants.
    pub fn accounts(&self) -> Vec<Address> {
        self.rows.keys().copied().collect()
    }

    /// The head moved. `mined` are the transactions of the new blocks with their block's number, `facts` what the new
    /// head says of the accounts.
    pub fn head_moved(
        &mut self,
        head: HeadFacts,
        mined: &B256Map<u64>,
        facts: impl IntoIterator<Item = (Address, AccountFacts)>,
        now: Instant,
    ) {
        self.now = Some(now);
        let rules_changed = self.head.fork != head.fork;
        let less_gas = head.gas_limit < self.head.gas_limit;
        self.head = head;
        for (address, facts) in facts {
            if !self.rows.contains_key(&address) {
                continue;
            }
            let mut past = Vec::new();
            self.change_row(address, facts, now, |row| {
                past = row.renew(facts, now);
                None
            });
            for tx in past {
                let why = match mined.get(&tx.hash) {
                    Some(block) => Departure::Mined { block: *block },
                    None => Departure::NonceUsed { block: head.number },
                };
                self.forget(&tx, why);
            }
        }
        if rules_changed || less_gas {
            self.drop_void();
        }
        self.make_room();
    }

    /// Drops what has waited too long.
    pub fn expire(&mut self, now: Instant) {
        self.now = Some(now);
        let lifetime = self.config.lifetime;
        let late: Vec<_> = self
            .waiting
            .iter()
            .filter(|worth| !worth.ours)
            .filter_map(|worth| self.rows.get(&worth.address))
            .filter(|row| now.saturating_duration_since(row.progress) >= lifetime)
            .flat_map(|row| row.txs.values().skip(row.pending).map(|tx| (tx.sender, tx.nonce())))
            .collect();
        for (sender, nonce) in late {
            self.drop_tx(sender, nonce, Departure::Expired);
        }
    }

    /// Drops one transaction on request.
    pub fn remove(&mut self, hash: &TxHash) -> bool {
        let Some(tx) = self.by_hash.get(hash).cloned() else { return false };
        self.drop_tx(tx.sender, tx.nonce(), Departure::Dropped);
        true
    }

    /// The blobs of a transaction have other proofs from now on, and so another size.
    pub(crate) fn renew_blobs(&mut self, hash: &TxHash, blobs: Blobs) {
        let Some(old) = self.by_hash.get(hash).cloned() else { return };
        let mut new = (*old).clone();
        new.set_blobs(Some(blobs));
        let new = Arc::new(new);
        self.count_out(&old);
        self.count_in(&new);
        if let Some(place) = self.rows.get_mut(&new.sender).and_then(|row| row.txs.get_mut(&new.nonce())) {
            *place = new.clone();
        }
        self.by_hash.insert(*hash, new);
    }

    /// Notes why a transaction that was ours is not here.
    pub fn note_departed(&mut self, hash: TxHash, why: Departure) {
        self.departed.note(hash, true, why, self.now);
    }

    /// A peer was sent these, or told of them.
    pub fn note_told(&mut self, peer: PeerId, hashes: &[TxHash]) {
        for hash in hashes.iter().filter(|hash| self.by_hash.contains_key(*hash)) {
            let told = self.told.entry(*hash).or_default();
            if told.len() < TOLD_MAX && !told.contains(&peer) {
                told.push(peer);
            }
        }
    }

    /// What happened since the last time.
    pub fn poll(&mut self) -> Option<PoolEvent> {
        self.events.pop_front()
    }

    fn with_origin(&self, mut tx: PooledTx) -> PooledTx {
        if self.config.no_locals && tx.origin == Origin::Local {
            // It is kept over a restart all the same: that was promised. It has no privilege in the order.
            return tx;
        }
        if matches!(tx.origin, Origin::Peer(_)) && self.config.locals.contains(&tx.sender) {
            tx.origin = Origin::Local;
        }
        tx
    }

    /// Whether a stranger's transaction is one too many that wait.
    fn waits_in_vain(&self, tx: &PooledTx) -> bool {
        !tx.origin.is_ours()
            && self
                .rows
                .get(&tx.sender)
                .is_some_and(|row| tx.nonce() >= row.next_nonce() && row.queued() > self.config.account_queued_max)
    }

    fn make_room(&mut self) {
        let slots_max = self.config.pending_slots_max + self.config.queued_max;
        while self.queued > self.config.queued_max {
            let Some(worth) = self.waiting.first().filter(|worth| !worth.ours).copied() else { break };
            self.drop_last(worth.address);
        }
        while self.slots > slots_max || self.size_bytes > self.config.size_bytes_max {
            let Some(worth) = self.order.first().copied() else { break };
            self.drop_last(worth.address);
        }
        self.make_room_for_blobs();
    }

    fn make_room_for_blobs(&mut self) {
        while self.blob_bytes > self.config.blob_bytes_max {
            let Some(worth) = self.blob_order.first().copied() else { break };
            self.drop_last(worth.address);
        }
    }

    fn drop_last(&mut self, address: Address) {
        let last = self.rows.get(&address).and_then(|row| row.txs.keys().next_back().copied());
        if let Some(nonce) = last {
            self.drop_tx(address, nonce, Departure::Evicted);
        }
    }

    /// Drops what cannot be in the next block, whatever it waits for.
    fn drop_void(&mut self) {
        let void: Vec<_> = self
            .by_hash
            .values()
            .filter_map(|tx| {
                let check = check::check(&tx.tx, self.chain_id, &self.head, &self.config, self.intrinsic, tx.origin);
                check.err().map(|why| (tx.sender, tx.nonce(), why.to_string()))
            })
            .collect();
        for (sender, nonce, why) in void {
            self.drop_tx(sender, nonce, Departure::Void { why });
        }
    }

    fn drop_tx(&mut self, sender: Address, nonce: u64, why: Departure) {
        if let Some(tx) = self.take(sender, nonce) {
            self.forget(&tx, why);
        }
    }

    /// Takes one out of its row.
    fn take(&mut self, sender: Address, nonce: u64) -> Option<Arc<PooledTx>> {
        let row = self.rows.get(&sender)?;
        let (facts, progress) = (row.facts, row.progress);
        let mut taken = None;
        self.change_row(sender, facts, progress, |row| {
            taken = row.remove(nonce);
            None
        });
        taken
    }

    /// One that is out of its row has left for good.
    fn forget(&mut self, tx: &Arc<PooledTx>, why: Departure) {
        self.count_out(tx);
        self.by_hash.remove(&tx.hash);
        self.told.remove(&tx.hash);
        self.departed.note(tx.hash, tx.origin.is_ours(), why.clone(), self.now);
        self.events.push_back(PoolEvent::Left { tx: tx.clone(), why });
    }

    fn count_in(&mut self, tx: &PooledTx) {
        if tx.tx.is_eip4844() {
            self.blob_bytes += tx.size_bytes;
        } else {
            self.slots += tx.slots();
            self.size_bytes += tx.size_bytes;
        }
        for authority in &tx.authorities {
            *self.authorities.entry(*authority).or_default() += 1;
        }
    }

    fn count_out(&mut self, tx: &PooledTx) {
        if tx.tx.is_eip4844() {
            self.blob_bytes -= tx.size_bytes;
        } else {
            self.slots -= tx.slots();
            self.size_bytes -= tx.size_bytes;
        }
        for authority in &tx.authorities {
            if let Some(count) = self.authorities.get_mut(authority) {
                *count -= 1;
                if *count == 0 {
                    self.authorities.remove(authority);
                }
            }
        }
    }

    /// The one way in which a row changes: its counts and its place among the others follow, an empty one goes, and
    /// what became pending is told. `change` gives the nonce of a transaction that is new.
    fn change_row(
        &mut self,
        address: Address,
        facts: AccountFacts,
        now: Instant,
        change: impl FnOnce(&mut AccountRow) -> Option<u64>,
    ) {
        let row = self.rows.entry(address).or_insert_with(|| AccountRow::new(facts, now));
        let before = Worth::of(address, row, &self.config);
        self.order.remove(&before);
        self.blob_order.remove(&before);
        self.waiting.remove(&before);
        self.pending -= row.pending;
        self.queued -= row.queued();
        let told = row.facts.nonce..row.next_nonce();

        let new = change(row);

        self.pending += row.pending;
        self.queued += row.queued();
        let can_run = row.facts.nonce..row.next_nonce();
        let changed = new.filter(|nonce| can_run.contains(nonce) && told.contains(nonce));
        let before = can_run.start..told.start.clamp(can_run.start, can_run.end);
        let behind = told.end.clamp(can_run.start, can_run.end)..can_run.end;
        let untold = changed.into_iter().flat_map(|nonce| row.txs.get(&nonce));
        let untold =
            untold.chain([before, behind].into_iter().flat_map(|nonces| row.txs.range(nonces)).map(|(_, tx)| tx));
        self.events.extend(untold.cloned().map(PoolEvent::Pending));
        let after = Worth::of(address, row, &self.config);
        if row.txs.is_empty() {
            self.rows.remove(&address);
            return;
        }
        if row.queued() > 0 {
            self.waiting.insert(after);
        }
        let order = if row.has_blobs() { &mut self.blob_order } else { &mut self.order };
        order.insert(after);
    }
}

impl Worth {
    fn of(address: Address, row: &AccountRow, config: &PoolConfig) -> Self {
        Self {
            ours: !config.no_locals && row.has_ours(),
            can_run: row.pending > 0,
            modest: row.txs.len() <= config.account_slots,
            wei: row.worth(),
            address,
        }
    }
}
