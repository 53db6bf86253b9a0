//! The pool between threads: accounts and senders are read before the lock is taken.

use crate::{
    Best, BestParams, BlobStore, Content, Departure, Explanation, JournalRecord, Origin, Pool, PoolConfig, PoolStatus,
    PooledTx, Refusal, Row, Stripped, blobs, check,
    pool::{AccountFacts, HeadFacts, PoolEvent},
};
use alloy_consensus::Transaction as _;
use alloy_eips::eip7594::BlobTransactionSidecarVariant;
use alloy_eips::eip7702::constants::EIP7702_DELEGATION_DESIGNATOR;
use alloy_primitives::{B256, map::B256Map};
use parking_lot::{Mutex, MutexGuard};
use starling_chainspec::{ChainSpec, Consensus, Fork};
use starling_primitives::{
    Address, BlockRef, EMPTY_CODE_HASH, PeerId, ReadError, SenderError, StateReader, Transaction, TxHash,
    impersonated_sender, recover_sender,
};
use starling_state::{BlockId, ChainView, StateView};
use starling_validation::{next_base_fee, next_excess_blob_gas};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::broadcast;

/// News that a slow reader may lag behind before it loses the oldest and is told so.
const NEWS_MAX: usize = 4096;
/// Blocks whose transactions are looked at when the head moves by more than one; of more, only accounts are.
const BLOCKS_READ_MAX: u64 = 64;

/// What happened in the pool.
#[derive(Debug, Clone)]
pub enum PoolNews {
    /// A transaction became pending: it can run when those before it have.
    Pending(Arc<PooledTx>),
    /// A transaction left.
    Left {
        /// Which.
        hash: TxHash,
        /// Why.
        why: Departure,
    },
}

/// A transaction that was taken in.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// The transaction.
    pub tx: Arc<PooledTx>,
    /// Whether it can run when those before it have.
    pub pending: bool,
}

/// Writes records where a restart finds them.
type Keep = Box<dyn Fn(&[JournalRecord]) -> std::io::Result<()> + Send + Sync>;

/// Reaches the pool from any thread. Cheap to clone.
#[derive(Clone)]
pub struct PoolHandle {
    shared: Arc<Shared>,
}

struct Shared {
    spec: Arc<ChainSpec>,
    pool: Mutex<Pool>,
    /// The chain at the head that the pool has heard of.
    view: Mutex<ChainView>,
    news: broadcast::Sender<PoolNews>,
    keep: Keep,
    blobs: Option<Arc<BlobStore>>,
    /// Whether all blobs have the proofs that came with Osaka.
    proofs_are_new: AtomicBool,
}

impl std::fmt::Debug for PoolHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoolHandle").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl PoolHandle {
    /// An empty pool over a chain, which takes no transactions with blobs. `keep` writes records of the journal and
    /// returns when the death of the process cannot undo it.
    pub fn new(
        config: PoolConfig,
        intrinsic: crate::IntrinsicGasRule,
        view: &ChainView,
        keep: impl Fn(&[JournalRecord]) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::open(config, intrinsic, view, keep, None)
    }

    /// The same with a place for blobs. What is in it comes back by [`Self::restore`].
    pub fn with_blobs(
        config: PoolConfig,
        intrinsic: crate::IntrinsicGasRule,
        view: &ChainView,
        keep: impl Fn(&[JournalRecord]) -> std::io::Result<()> + Send + Sync + 'static,
        blobs: BlobStore,
    ) -> Self {
        Self::open(config, intrinsic, view, keep, Some(Arc::new(blobs)))
    }

    fn open(
        mut config: PoolConfig,
        intrinsic: crate::IntrinsicGasRule,
        view: &ChainView,
        keep: impl Fn(&[JournalRecord]) -> std::io::Result<()> + Send + Sync + 'static,
        blobs: Option<Arc<BlobStore>>,
    ) -> Self {
        let spec = view.spec().clone();
        // Signers alone have no consensus layer that would keep blobs, and blocks with any are refused.
        let blobs = blobs.filter(|_| !matches!(spec.consensus, Consensus::Clique { .. }));
        config.blobs = blobs.is_some();
        let pool = Pool::new(spec.chain_id, config, intrinsic, head_facts(&spec, view));
        let shared = Shared {
            pool: Mutex::new(pool),
            view: Mutex::new(view.clone()),
            news: broadcast::Sender::new(NEWS_MAX),
            keep: Box::new(keep),
            blobs,
            proofs_are_new: AtomicBool::new(false),
            spec,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Takes in a transaction as it travels. Recovers its sender and reads its account: for threads that may block.
    /// What is ours is in the journal when this returns.
    pub fn submit(&self, bytes: &[u8], origin: Origin, view: &ChainView) -> Result<Submitted, Refusal> {
        if blobs::is_blob_type(bytes) {
            return self.submit_with_blobs(bytes, origin, view);
        }
        let tx = check::decode(bytes, self.shared.pool.lock().config())?;
        self.check_signed(&tx)?;
        self.submit_tx(tx, origin, view)
    }

    /// Takes in a transaction without blobs.
    pub fn submit_tx(&self, tx: Transaction, origin: Origin, view: &ChainView) -> Result<Submitted, Refusal> {
        if tx.is_eip4844() {
            return Err(Refusal::Sidecar("missing sidecar in blob transaction".to_owned()));
        }
        let sender = self.checked_sender(&tx, origin)?;
        self.insert(PooledTx::new(tx, sender, None, origin, Instant::now()), view)
    }

    /// Its proofs are checked only if the pool would take it.
    fn submit_with_blobs(&self, bytes: &[u8], origin: Origin, view: &ChainView) -> Result<Submitted, Refusal> {
        let store = self.shared.blobs.as_ref().ok_or(Refusal::Blobs)?;
        let limit = self.shared.pool.lock().config().blob_tx_bytes_max;
        if bytes.len() > limit {
            return Err(Refusal::TooLarge { size: bytes.len(), limit });
        }
        if let Some(hash) = blobs::hash(bytes).filter(|hash| self.get(hash).is_some()) {
            return Err(Refusal::Known(hash));
        }
        let (tx, sidecar) = blobs::split(bytes)?;
        let fork = self.head().fork;
        let blobs_expected = tx.blob_versioned_hashes().map_or(0, <[_]>::len);
        let mut tx = self.wanted_with_blobs(tx, &sidecar, blobs_expected, origin, view)?;
        let hashes = tx.tx.blob_versioned_hashes().unwrap_or_default();
        let came_as = std::mem::discriminant(&sidecar);
        let sidecar = blobs::check_proofs(fork, hashes, sidecar)?;
        let failed = |error: std::io::Error| Refusal::BlobStore(error.to_string());
        if std::mem::discriminant(&sidecar) == came_as {
            store.put(tx.hash, bytes, hashes).map_err(failed)?;
        } else {
            let bytes = blobs::join(&tx.tx, &sidecar).unwrap_or_default();
            store.put(tx.hash, &bytes, hashes).map_err(failed)?;
        }
        let hash = tx.hash;
        tx.set_blobs(store.take_up(hash));
        let submitted = self.insert(tx, view);
        if submitted.is_err() && self.get(&hash).is_none() {
            store.remove(&hash);
        }
        submitted
    }

    /// What can be said against a transaction with blobs before its blobs are here: they are not worth fetching then.
    pub fn check_stripped(&self, stripped: &Stripped, origin: Origin, view: &ChainView) -> Result<(), Refusal> {
        if self.shared.blobs.is_none() {
            return Err(Refusal::Blobs);
        }
        if self.get(&stripped.hash()).is_some() {
            return Err(Refusal::Known(stripped.hash()));
        }
        let (tx, sidecar) = stripped.split()?;
        let (limit, (_, size)) = (self.shared.pool.lock().config().blob_tx_bytes_max, blobs::sizes_bytes(&tx));
        if size > limit {
            return Err(Refusal::TooLarge { size, limit });
        }
        self.wanted_with_blobs(tx, &sidecar, 0, origin, view).map(drop)
    }

    /// A transaction against which nothing can be said but for its proofs.
    fn wanted_with_blobs(
        &self,
        tx: Transaction,
        sidecar: &BlobTransactionSidecarVariant,
        blobs_expected: usize,
        origin: Origin,
        view: &ChainView,
    ) -> Result<PooledTx, Refusal> {
        self.check_signed(&tx)?;
        let sender = self.checked_sender(&tx, origin)?;
        blobs::check_shape(&tx, sidecar, blobs_expected)?;
        let tx = PooledTx::new(tx, sender, None, origin, Instant::now());
        let (pool, facts) = self.lock_with_facts(&sender, view)?;
        pool.check_wanted(&tx, facts)?;
        Ok(tx)
    }

    /// The sender of a transaction against which nothing else can be said without it.
    fn checked_sender(&self, tx: &Transaction, origin: Origin) -> Result<Address, Refusal> {
        let low_s = {
            let pool = self.shared.pool.lock();
            pool.check(tx, origin)?;
            pool.head().fork >= Fork::Homestead
        };
        if matches!(origin, Origin::Peer(_)) {
            self.check_signed(tx)?;
        }
        let impersonated = impersonated_sender(tx).filter(|_| self.is_dev());
        Ok(impersonated.map_or_else(|| recover_sender(tx, low_s), Ok)?)
    }

    /// Whoever brings a transaction as bytes, or from afar, must bring a signature, on a development chain too.
    fn check_signed(&self, tx: &Transaction) -> Result<(), Refusal> {
        match impersonated_sender(tx).filter(|_| self.is_dev()) {
            Some(_) => Err(SenderError { tx_hash: *tx.tx_hash(), why: "nobody signed it" }.into()),
            None => Ok(()),
        }
    }

    fn is_dev(&self) -> bool {
        self.shared.spec.consensus == Consensus::Dev
    }

    /// What the state says of an account. On a development chain contracts are impersonated as well.
    fn facts(&self, state: &StateView, address: &Address) -> Result<AccountFacts, ReadError> {
        let facts = account_facts(state, address)?;
        Ok(AccountFacts { is_contract: facts.is_contract && !self.is_dev(), ..facts })
    }

    /// Takes in a transaction that was checked and whose sender was recovered.
    pub fn insert(&self, tx: PooledTx, view: &ChainView) -> Result<Submitted, Refusal> {
        let record = tx
            .origin
            .is_ours()
            .then(|| JournalRecord::Accepted { bytes: tx.envelope(), private: tx.origin == Origin::Private });
        let (mut pool, facts) = self.lock_with_facts(&tx.sender, view)?;
        let inserted = pool.insert(tx, facts, Instant::now());
        if let (Ok(tx), Some(record)) = (&inserted, record)
            && let Err(error) = (self.shared.keep)(&[record])
        {
            pool.remove(&tx.hash);
            self.tell(&mut pool);
            return Err(Refusal::Journal(error.to_string()));
        }
        let submitted = inserted.map(|tx| Submitted { pending: pool.is_pending(&tx), tx });
        self.tell(&mut pool);
        submitted
    }

    /// Brings back what a journal holds. Gives how many are in the pool again; the others' reasons are noted.
    pub fn restore(&self, records: Vec<JournalRecord>, view: &ChainView) -> usize {
        let mut restored = 0;
        for record in records {
            match record {
                JournalRecord::Left { hash, why } => {
                    self.shared.pool.lock().note_departed(hash, Departure::Before { why });
                }
                JournalRecord::Accepted { bytes, private } => {
                    let origin = if private { Origin::Private } else { Origin::Local };
                    match self.restore_one(&bytes, origin, view) {
                        Ok(()) => restored += 1,
                        Err(error) => tracing::debug!(%error, "a transaction of the journal is not taken back"),
                    }
                }
            }
        }
        restored + self.restore_blobs(view)
    }

    /// Hands over the records that a journal needs: what is in the pool, and why what was ours left. Nothing is kept
    /// or let go meanwhile.
    pub fn with_journal<T>(&self, write: impl FnOnce(Vec<JournalRecord>) -> T) -> T {
        let pool = self.shared.pool.lock();
        let (left, ours) = (pool.ours_departed(), pool.ours());
        let left = left.iter().map(|(hash, why)| JournalRecord::left(*hash, why));
        let accepted = ours
            .iter()
            .map(|tx| JournalRecord::Accepted { bytes: tx.envelope(), private: tx.origin == Origin::Private });
        write(left.chain(accepted).collect())
    }

    /// The head that the pool has heard of.
    pub fn head_block(&self) -> BlockRef {
        self.shared.view.lock().head()
    }

    /// Follows the chain's head. `common` is the last block that the old and the new chain share. For threads that
    /// may block; one at a time.
    pub fn head_moved(&self, view: &ChainView, common: BlockRef) -> Result<(), ReadError> {
        // First of all, so that whoever looks an account up from now on does not miss this head.
        let old = std::mem::replace(&mut *self.shared.view.lock(), view.clone()).head();
        let mined = self.mined(view, common)?;
        let accounts = self.shared.pool.lock().accounts();
        let state = view.head_state();
        let facts = accounts.into_iter().map(|address| Ok((address, self.facts(&state, &address)?)));
        let facts = facts.collect::<Result<Vec<_>, ReadError>>()?;
        {
            let mut pool = self.shared.pool.lock();
            pool.head_moved(head_facts(&self.shared.spec, view), &mined, facts, Instant::now());
            self.tell(&mut pool);
        }
        self.take_back(view, old, common, &mined)?;
        if let Some(store) = &self.shared.blobs {
            store.finalize(view.finalized().map(|at| at.number), view.head().number);
        }
        Ok(())
    }

    /// Drops what has waited too long. After a fork that wants other proofs of blobs it makes them, which takes half a
    /// second a blob: for threads that may block.
    pub fn expire(&self) {
        {
            let mut pool = self.shared.pool.lock();
            pool.expire(Instant::now());
            self.tell(&mut pool);
        }
        self.renew_proofs();
    }

    fn renew_proofs(&self) {
        let Some(store) = &self.shared.blobs else { return };
        let (fork, txs) = {
            let pool = self.shared.pool.lock();
            (pool.head().fork, pool.with_blobs())
        };
        // Once is enough: what comes later is given the right ones at once.
        if fork < Fork::Osaka || self.shared.proofs_are_new.swap(true, Ordering::Relaxed) {
            return;
        }
        let is_old =
            |sidecar: &BlobTransactionSidecarVariant| matches!(sidecar, BlobTransactionSidecarVariant::Eip4844(_));
        for tx in txs {
            let Some(sidecar) = tx.sidecar().filter(|sidecar| is_old(sidecar)) else { continue };
            let Ok(sidecar) = blobs::with_proofs_of(fork, (*sidecar).clone()) else { continue };
            let Some(bytes) = blobs::join(&tx.tx, &sidecar) else { continue };
            if let Err(error) = store.put(tx.hash, &bytes, tx.tx.blob_versioned_hashes().unwrap_or_default()) {
                tracing::warn!(tx = %tx.hash, %error, "cannot renew the proofs of its blobs");
                self.shared.proofs_are_new.store(false, Ordering::Relaxed);
                continue;
            }
            let mut pool = self.shared.pool.lock();
            match store.take_up(tx.hash) {
                Some(blobs) if pool.get(&tx.hash).is_some() => pool.renew_blobs(&tx.hash, blobs),
                // It left meanwhile. If it was mined, a reorg may want it; finality will not, so it goes.
                _ => store.remove(&tx.hash),
            }
        }
    }

    /// Drops a transaction on request; false if it is not here.
    pub fn remove(&self, hash: &TxHash) -> bool {
        let mut pool = self.shared.pool.lock();
        let removed = pool.remove(hash);
        self.tell(&mut pool);
        removed
    }

    /// Its limits.
    pub fn config(&self) -> PoolConfig {
        self.shared.pool.lock().config().clone()
    }

    /// A transaction in the pool.
    pub fn get(&self, hash: &TxHash) -> Option<Arc<PooledTx>> {
        self.shared.pool.lock().get(hash).cloned()
    }

    /// Everything in the pool.
    pub fn content(&self) -> Content {
        self.shared.pool.lock().content()
    }

    /// An account's transactions: pending and queued.
    pub fn content_of(&self, address: &Address) -> (Row, Row) {
        self.shared.pool.lock().content_of(address)
    }

    /// How many there are.
    pub fn status(&self) -> PoolStatus {
        self.shared.pool.lock().status()
    }

    /// The nonce after an account's pending transactions; none if it has none here.
    pub fn next_nonce(&self, address: &Address) -> Option<u64> {
        self.shared.pool.lock().next_nonce(address)
    }

    /// What the next block will be like, as far as the pool has heard.
    pub fn head(&self) -> HeadFacts {
        *self.shared.pool.lock().head()
    }

    /// The pending transactions as they are now, best first.
    pub fn best(&self, params: BestParams) -> Best {
        self.shared.pool.lock().best(params)
    }

    /// Where a transaction is, or why it left; none if it was never seen, or is forgotten.
    pub fn explain(&self, hash: &TxHash) -> Option<Explanation> {
        self.shared.pool.lock().explain(hash, Instant::now())
    }

    /// Whether a transaction is here, or was of late: then it need not be fetched.
    pub fn is_known(&self, hash: &TxHash) -> bool {
        self.shared.pool.lock().is_known(hash)
    }

    /// The pending transactions, each account's in order of nonce.
    pub fn pending(&self) -> Vec<Arc<PooledTx>> {
        self.shared.pool.lock().pending()
    }

    /// Notes that a peer was sent these, or told of them: [`Self::explain`] says so.
    pub fn note_told(&self, peer: PeerId, hashes: &[TxHash]) {
        self.shared.pool.lock().note_told(peer, hashes);
    }

    /// Blobs by their versioned hashes, in the order asked: each as its sidecar and its place there.
    pub fn blobs_by_versioned_hash(&self, hashes: &[B256]) -> Vec<Option<(Arc<BlobTransactionSidecarVariant>, usize)>> {
        let store = self.shared.blobs.as_ref();
        hashes.iter().map(|hash| store.and_then(|store| store.find(hash))).collect()
    }

    /// What happens from now on. A reader that lags loses the oldest and is told.
    pub fn news(&self) -> broadcast::Receiver<PoolNews> {
        self.shared.news.subscribe()
    }

    /// Brings back what has its blobs on disk and is not here by the journal.
    fn restore_blobs(&self, view: &ChainView) -> usize {
        let Some(store) = &self.shared.blobs else { return 0 };
        let mut restored = Vec::new();
        for hash in store.hashes().into_iter().filter(|hash| self.get(hash).is_none()) {
            match store.read(&hash).and_then(|bytes| blobs::split(&bytes).ok()) {
                Some((tx, _)) => restored.push(tx),
                None => store.remove(&hash),
            }
        }
        restored.sort_by_key(|tx| tx.nonce());
        let mut count = 0;
        for tx in restored {
            let hash = *tx.tx_hash();
            let hashes = tx.blob_versioned_hashes().unwrap_or_default().to_vec();
            match (self.take_in(tx, Origin::Restart, view), view.find_transaction(&hash)) {
                (Ok(()), _) => count += 1,
                (Err(_), Ok(Some((block, _)))) => {
                    store.index(hash, &hashes);
                    store.include(&hash, block.number);
                }
                (Err(error), _) => {
                    tracing::debug!(tx = %hash, %error, "a transaction with blobs is not taken back");
                    store.remove(&hash);
                }
            }
        }
        count
    }

    fn restore_one(&self, bytes: &[u8], origin: Origin, view: &ChainView) -> Result<(), Refusal> {
        let tx = check::decode(bytes, self.shared.pool.lock().config())?;
        let hash = *tx.tx_hash();
        let why = match self.take_in(tx, origin, view) {
            Ok(()) => return Ok(()),
            Err(why @ Refusal::Known(_)) => return Err(why),
            Err(why) => why,
        };
        let departure = match view.find_transaction(&hash) {
            Ok(Some((block, _))) => Departure::Mined { block: block.number },
            _ if matches!(why, Refusal::NonceTooLow { .. }) => Departure::NonceUsed { block: view.head().number },
            _ => Departure::Refused { why: why.to_string() },
        };
        self.shared.pool.lock().note_departed(hash, departure);
        Err(why)
    }

    /// The pool, locked, with what the chain says of an account at the head that the pool has heard of, or at a later
    /// one: then the pool is about to hear of it, and renews what it has.
    fn lock_with_facts(
        &self,
        sender: &Address,
        view: &ChainView,
    ) -> Result<(MutexGuard<'_, Pool>, AccountFacts), ReadError> {
        let mut facts = self.facts(&view.head_state(), sender)?;
        let mut at = view.head();
        loop {
            let pool = self.shared.pool.lock();
            let heard_of = self.shared.view.lock().clone();
            // Blocks in a row need no second look; a block beside another might have any number.
            if heard_of.head() == at || heard_of.head().number < at.number {
                return Ok((pool, facts));
            }
            drop(pool);
            facts = match self.facts(&heard_of.head_state(), sender) {
                // It rested so long that the caller's view must be of a head that the pool is about to hear of.
                Err(ReadError::Expired { .. }) => return Ok((self.shared.pool.lock(), facts)),
                read => read?,
            };
            at = heard_of.head();
        }
    }

    /// As [`Self::submit_tx`], for what is in the journal already; its blobs, if it has any, are on disk.
    fn take_in(&self, tx: Transaction, origin: Origin, view: &ChainView) -> Result<(), Refusal> {
        let tx = self.returned(tx, origin)?;
        let (mut pool, facts) = self.lock_with_facts(&tx.sender, view)?;
        let taken = pool.insert(tx, facts, Instant::now());
        self.tell(&mut pool);
        taken.map(drop)
    }

    /// A transaction that was here before, with its blobs from the disk.
    fn returned(&self, tx: Transaction, origin: Origin) -> Result<PooledTx, Refusal> {
        let sender = self.checked_sender(&tx, origin)?;
        let mut tx = PooledTx::new(tx, sender, None, origin, Instant::now());
        tx.returned = true;
        if let Some(hashes) = tx.tx.blob_versioned_hashes() {
            let store = self.shared.blobs.as_ref().ok_or(Refusal::Blobs)?;
            let gone = || Refusal::BlobStore("they are gone".to_owned());
            store.index(tx.hash, hashes);
            let blobs = store.take_up(tx.hash).ok_or_else(gone)?;
            tx.set_blobs(Some(blobs));
        }
        Ok(tx)
    }

    /// The transactions of the new chain's blocks with their block's number.
    fn mined(&self, view: &ChainView, common: BlockRef) -> Result<B256Map<u64>, ReadError> {
        let mut mined = B256Map::default();
        let head = view.head().number;
        if head.saturating_sub(common.number) > BLOCKS_READ_MAX {
            return Ok(mined);
        }
        for number in common.number + 1..=head {
            if let Some(block) = view.block(BlockId::Number(number))? {
                mined.extend(block.block.body.transactions.iter().map(|tx| (*tx.tx_hash(), number)));
            }
        }
        Ok(mined)
    }

    /// What stood in blocks that left the chain, and not in the new ones, waits again.
    fn take_back(
        &self,
        view: &ChainView,
        old: BlockRef,
        common: BlockRef,
        mined: &B256Map<u64>,
    ) -> Result<(), ReadError> {
        let mut hash = old.hash;
        let mut blocks = Vec::new();
        for _ in common.number..old.number.min(common.number + BLOCKS_READ_MAX) {
            let Some(block) = view.block(BlockId::Hash(hash))? else { break };
            hash = block.block.header.parent_hash;
            blocks.push(block);
        }
        for block in blocks.into_iter().rev() {
            for tx in block.block.body.transactions {
                if mined.contains_key(tx.tx_hash()) {
                    continue;
                }
                // What was ours is so again, and in the journal, which forgot it when it was mined.
                let was_ours = self.shared.pool.lock().was_ours(tx.tx_hash());
                let origin = if was_ours { Origin::Local } else { Origin::Block };
                let returned = self.returned(tx, origin).and_then(|tx| self.insert(tx, view));
                if let Err(error) = returned {
                    tracing::debug!(%error, "a transaction of a block that left the chain is not taken back");
                }
            }
        }
        Ok(())
    }

    /// Passes on what happened; what was ours and left is written down first, all of it at once.
    fn tell(&self, pool: &mut Pool) {
        let events: Vec<_> = std::iter::from_fn(|| pool.poll()).collect();
        let ours_left = |event: &PoolEvent| match event {
            PoolEvent::Left { tx, why } if tx.origin.is_ours() => Some(JournalRecord::left(tx.hash, why)),
            PoolEvent::Left { .. } | PoolEvent::Pending(_) => None,
        };
        let records: Vec<_> = events.iter().filter_map(ours_left).collect();
        if !records.is_empty()
            && let Err(error) = (self.shared.keep)(&records)
        {
            tracing::warn!(transactions = records.len(), %error, "cannot note why transactions left");
        }
        for event in events {
            let news = match event {
                PoolEvent::Pending(tx) => PoolNews::Pending(tx),
                PoolEvent::Left { tx, why } => {
                    if let Some(store) = self.shared.blobs.as_ref().filter(|_| tx.blobs.is_some()) {
                        match why {
                            Departure::Mined { block } => store.include(&tx.hash, block),
                            _ => store.remove(&tx.hash),
                        }
                    }
                    PoolNews::Left { hash: tx.hash, why }
                }
            };
            // Nobody listening is fine.
            let _ = self.shared.news.send(news);
        }
    }
}

/// What the state says of an account.
pub(crate) fn account_facts(state: &StateView, address: &Address) -> Result<AccountFacts, ReadError> {
    let Some(account) = state.account(address)? else { return Ok(AccountFacts::default()) };
    let has_code = account.code_hash != EMPTY_CODE_HASH;
    let is_delegated = has_code && state.code(&account.code_hash)?.starts_with(&EIP7702_DELEGATION_DESIGNATOR);
    Ok(AccountFacts {
        nonce: account.nonce,
        balance: account.balance,
        is_contract: has_code && !is_delegated,
        is_delegated,
    })
}

/// What the block after the head will be like, if it comes now.
pub(crate) fn head_facts(spec: &ChainSpec, view: &ChainView) -> HeadFacts {
    let parent = view.head_header();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut next = parent.clone();
    next.number += 1;
    next.timestamp = now.max(parent.timestamp + 1);
    let fork = spec.fork_of(&next);
    let blob_base_fee = spec.blob_schedule_at(&next).map(|schedule| {
        next.excess_blob_gas = Some(next_excess_blob_gas(fork, schedule, parent));
        schedule.base_fee(next.excess_blob_gas.unwrap_or_default())
    });
    HeadFacts {
        number: parent.number,
        fork,
        gas_limit: parent.gas_limit,
        base_fee: if fork >= Fork::London { next_base_fee(parent) } else { 0 },
        blob_base_fee,
    }
}
