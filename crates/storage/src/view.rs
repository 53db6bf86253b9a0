//! Views: what readers hold. Layers, frontier and the tables' read transaction, captured as one value.

use crate::{
    StoredBlock,
    blocks::Column,
    flush::read_body,
    journal::record::Body,
    layers::{BranchBytes, HashedKey, Hit, Layer, Span},
    patch,
    rows::{Kind, PathBytes, Sections},
    tree::Snapshot,
};
use starling_primitives::{Account, Address, B256, BlockRef, Bytes, Header, Nibbles, ReadError, StateDiff, U256};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A view can be read for this long, unless its owner asks for longer.
pub(crate) const READ_DEADLINE: Duration = Duration::from_secs(5);

/// An immutable snapshot: the chain up to one head, and the state after one block of it.
/// Cheap to clone, usable from several threads, bounded in life by a deadline.
#[derive(Debug, Clone)]
pub struct View {
    chain: Arc<Chain>,
    /// The block whose state is shown.
    state: BlockRef,
    /// Spans from that block down to the frontier, newest first; empty at and below the frontier.
    spans: Arc<[Arc<Span>]>,
}

/// What views of the same head share.
#[derive(Debug)]
struct Chain {
    snapshot: Arc<Snapshot>,
    head: BlockRef,
    /// Spans from the head down to the frontier, newest first.
    spans: Arc<[Arc<Span>]>,
    deadline: Instant,
}

impl View {
    pub(crate) fn new(snapshot: Arc<Snapshot>, head: B256, time: Duration) -> Result<Self, ReadError> {
        let frontier = snapshot.frontier();
        let spans: Arc<[Arc<Span>]> = snapshot.spans(&head).ok_or_else(|| unknown(head))?.into();
        let head = spans.first().map_or(frontier, |span| span.newest().block);
        snapshot.generation.keep_for(time);
        let chain = Chain { snapshot, head, spans: spans.clone(), deadline: Instant::now() + time };
        Ok(Self { chain: Arc::new(chain), state: head, spans })
    }

    /// The same moment with another kept block as head: above the frontier, side branches included.
    pub fn on(&self, head: B256) -> Result<Self, ReadError> {
        let left = self.chain.deadline.saturating_duration_since(Instant::now());
        Self::new(self.chain.snapshot.clone(), head, left)
    }

    /// The block that the view's chain ends with.
    pub fn head(&self) -> BlockRef {
        self.chain.head
    }

    /// The block whose state [`View::account`] and the like show.
    pub fn state_block(&self) -> BlockRef {
        self.state
    }

    /// The same chain with the state after another of its blocks.
    pub fn at(&self, number: u64) -> Result<Self, ReadError> {
        if number == self.state.number {
            return Ok(self.clone());
        }
        let frontier = self.frontier();
        if number > self.head().number {
            let why = format!("the head is block {}", self.head().number);
            return Err(ReadError::NotKept { block: number, why });
        }
        if number < self.oldest_state() {
            return Err(self.chain.snapshot.generation.not_kept(number));
        }
        let hash = self.canonical_hash(number)?;
        let hash = hash.ok_or_else(|| ReadError::Damaged(format!("no header of block {number}")))?;
        let spans = if number > frontier.number { self.chain.snapshot.spans(&hash) } else { Some(Vec::new()) };
        let spans = spans.ok_or_else(|| unknown(hash))?.into();
        Ok(Self { chain: self.chain.clone(), state: BlockRef::new(number, hash), spans })
    }

    /// The lowest block whose state is kept.
    pub fn oldest_state(&self) -> u64 {
        self.chain.snapshot.generation.meta.history_from
    }

    /// The frontier below which state is in MDBX.
    pub fn frontier(&self) -> BlockRef {
        self.chain.snapshot.frontier()
    }

    /// An account by keccak(address).
    pub fn account(&self, account: &B256) -> Result<Option<Account>, ReadError> {
        self.check()?;
        match find_in(&self.spans, &HashedKey::new(Kind::Account, &[], account.as_slice()))? {
            Some(hit) => hit.account_after(),
            None => {
                let row = self.chain.snapshot.generation.account_at(account, self.tables_block())?;
                Ok(row.map(|(account, _)| account))
            }
        }
    }

    /// A slot by keccak(address) and keccak(slot).
    pub fn slot(&self, account: &B256, slot: &B256) -> Result<U256, ReadError> {
        self.check()?;
        match find_stored(&self.spans, account, &HashedKey::new(Kind::Slot, account.as_slice(), slot.as_slice()))? {
            Found::Hit(hit) => hit.slot_after(),
            Found::Wiped => Ok(U256::ZERO),
            Found::Below => self.chain.snapshot.generation.slot_at(account, slot, self.tables_block()),
        }
    }

    /// Code by hash.
    pub fn code(&self, hash: &B256) -> Result<Option<Bytes>, ReadError> {
        self.check()?;
        match find_in(&self.chain.spans, &HashedKey::new(Kind::Code, &[], hash.as_slice()))? {
            Some(hit) => hit.code().map(Some),
            None => self.chain.snapshot.generation.code(hash),
        }
    }

    /// The address whose keccak is known.
    pub fn address(&self, account: &B256) -> Result<Option<Address>, ReadError> {
        self.check()?;
        match find_in(&self.chain.spans, &HashedKey::new(Kind::Account, &[], account.as_slice()))? {
            Some(hit) => Ok(Some(hit.account()?.address)),
            None => self.chain.snapshot.generation.address(account),
        }
    }

    /// A row of the account trie. Kept for blocks from the frontier up.
    pub fn account_branch(&self, path: &Nibbles) -> Result<Option<Bytes>, ReadError> {
        self.check_branches()?;
        let path = PathBytes::new(path);
        let key = HashedKey::new(Kind::AccountBranch, &[], path.as_slice());
        self.branch(None, &key, &|| self.chain.snapshot.generation.account_branch(path.as_slice()))
    }

    /// A row of a storage trie. Kept for blocks from the frontier up.
    pub fn storage_branch(&self, account: &B256, path: &Nibbles) -> Result<Option<Bytes>, ReadError> {
        self.check_branches()?;
        let path = PathBytes::new(path);
        let key = HashedKey::new(Kind::StorageBranch, account.as_slice(), path.as_slice());
        self.branch(Some(account), &key, &|| self.chain.snapshot.generation.storage_branch(account, path.as_slice()))
    }

    /// A branch row, of an account's storage trie or of the account trie: the newest one that stands somewhere
    /// whole, with the later patches put on it. `below` asks the tables.
    fn branch(
        &self,
        account: Option<&B256>,
        key: &HashedKey<'_>,
        below: &dyn Fn() -> Result<Option<Bytes>, ReadError>,
    ) -> Result<Option<Bytes>, ReadError> {
        let (mut patches, mut spans) = (Vec::new(), self.spans.clone());
        let base = loop {
            let found = match account {
                Some(account) => find_stored(&spans, account, key)?,
                None => find_in(&spans, key)?.map_or(Found::Below, Found::Hit),
            };
            let parent = match found {
                Found::Below => break below()?,
                Found::Wiped => break None,
                Found::Hit(hit) => match hit.branch()? {
                    None => break None,
                    Some(BranchBytes::Whole(row)) => break Some(Bytes::from(row.into_owned())),
                    Some(BranchBytes::Patch(patch)) => {
                        patches.push(patch.into_owned());
                        hit.parent()
                    }
                },
            };
            spans = self.chain.snapshot.spans(&parent).ok_or_else(|| unknown(parent))?.into();
        };
        patches.iter().rev().try_fold(base, |base, patch| {
            let base = base.ok_or_else(|| ReadError::Damaged("a change of a branch row that is not there".into()))?;
            let row = patch::apply(patch, &base).map_err(|error| ReadError::Damaged(error.to_string()))?;
            Ok(Some(row.into()))
        })
    }

    /// Hash of the canonical block of that number, up to the head.
    pub fn canonical_hash(&self, number: u64) -> Result<Option<B256>, ReadError> {
        self.check()?;
        let frontier = self.frontier();
        if number > self.head().number {
            return Ok(None);
        }
        if number == frontier.number {
            return Ok(Some(frontier.hash));
        }
        if number < frontier.number {
            return self.chain.snapshot.generation.canonical_hash(number);
        }
        Ok(self.chain.layer(number).map(|layer| layer.block.hash))
    }

    /// Number of a kept block, canonical or on a side branch above the frontier.
    pub fn block_number(&self, hash: &B256) -> Result<Option<u64>, ReadError> {
        self.check()?;
        match self.chain.snapshot.layer(hash) {
            Some(layer) => Ok(Some(layer.block.number)),
            None => self.chain.snapshot.generation.number(hash),
        }
    }

    /// The header of a kept block.
    pub fn header(&self, block: BlockRef) -> Result<Option<Header>, ReadError> {
        self.check()?;
        match self.layer(block) {
            Some(layer) => Ok(Some((*layer.header).clone())),
            None => self.chain.snapshot.generation.header(block),
        }
    }

    /// A kept block.
    pub fn block(&self, block: BlockRef) -> Result<Option<StoredBlock>, ReadError> {
        self.check()?;
        if let Some(layer) = self.layer(block) {
            let body = read_body(layer).map_err(|error| ReadError::Damaged(error.to_string()))?;
            return Ok(Some(stored(block, body)));
        }
        let tables = &self.chain.snapshot.generation;
        if tables.canonical_hash(block.number)? != Some(block.hash) {
            return Ok(None);
        }
        let Some(place) = tables.block_place(block.number)? else { return Ok(None) };
        let body = tables.blocks.body(block.number, place).map_err(|error| tables.expired_or(error))?;
        Ok(Some(stored(block, body)))
    }

    /// Hash and header RLP of the canonical block of that number, up to the head: one look-up.
    pub fn canonical_header_rlp(&self, number: u64) -> Result<Option<(B256, Bytes)>, ReadError> {
        self.check()?;
        if number > self.head().number {
            return Ok(None);
        }
        match self.chain.layer(number) {
            Some(layer) => Ok(Some((layer.block.hash, alloy_rlp::encode(&*layer.header).into()))),
            None => self.chain.snapshot.generation.header_rlp(number),
        }
    }

    /// RLP of a kept block's header, as it was hashed.
    pub fn header_rlp(&self, block: BlockRef) -> Result<Option<Bytes>, ReadError> {
        self.check()?;
        if let Some(layer) = self.layer(block) {
            return Ok(Some(alloy_rlp::encode(&*layer.header).into()));
        }
        let kept = self.chain.snapshot.generation.header_rlp(block.number)?;
        Ok(kept.filter(|(hash, _)| *hash == block.hash).map(|(_, rlp)| rlp))
    }

    /// RLP of a kept block, the rest of its entry left unread.
    pub fn block_rlp(&self, block: BlockRef) -> Result<Option<Bytes>, ReadError> {
        self.column(block, Column::Rlp, |body| body.rlp)
    }

    /// Receipts of a kept block in their stored form; empty bytes for genesis.
    pub fn receipts(&self, block: BlockRef) -> Result<Option<Bytes>, ReadError> {
        self.column(block, Column::Receipts, |body| body.receipts)
    }

    /// Block access list of a kept block as RLP (EIP-7928); none before its fork. Kept as long as the block itself,
    /// and so longer than the 113,056 blocks for which a peer may ask.
    pub fn access_list(&self, block: BlockRef) -> Result<Option<Bytes>, ReadError> {
        // an empty list is the RLP of one, never no bytes
        let list = self.column(block, Column::AccessList, |body| body.access_list.unwrap_or_default())?;
        Ok(list.filter(|list| !list.is_empty()))
    }

    fn column(&self, block: BlockRef, column: Column, of_body: fn(Body) -> Bytes) -> Result<Option<Bytes>, ReadError> {
        self.check()?;
        if let Some(layer) = self.layer(block) {
            let body = read_body(layer).map_err(|error| ReadError::Damaged(error.to_string()))?;
            return Ok(Some(of_body(body)));
        }
        let tables = &self.chain.snapshot.generation;
        if tables.canonical_hash(block.number)? != Some(block.hash) {
            return Ok(None);
        }
        let Some(place) = tables.block_place(block.number)? else { return Ok(None) };
        tables.blocks.column(block.number, place, column).map(Some).map_err(|error| tables.expired_or(error))
    }

    /// Total difficulty of a kept block, if it has one.
    pub fn total_difficulty(&self, block: BlockRef) -> Result<Option<U256>, ReadError> {
        self.check()?;
        match self.layer(block) {
            Some(layer) => Ok(layer.total_difficulty),
            None => self.chain.snapshot.generation.total_difficulty(&block.hash),
        }
    }

    /// Where a transaction of the canonical chain stands: block number and index.
    pub fn transaction(&self, hash: &B256) -> Result<Option<(u64, u32)>, ReadError> {
        self.check()?;
        match find_in(&self.chain.spans, &HashedKey::new(Kind::Transaction, &[], hash.as_slice()))? {
            Some(hit) => Ok(Some(hit.transaction())),
            None => self.chain.snapshot.generation.transaction(hash),
        }
    }

    /// Changed accounts and slots of a canonical block at or below the state block, as history keeps them: for
    /// inverse diffs. Code is not among them below the frontier.
    pub fn changes(&self, number: u64) -> Result<StateDiff, ReadError> {
        self.check()?;
        if number > self.state.number {
            let why = format!("the state is that of block {}", self.state.number);
            return Err(ReadError::NotKept { block: number, why });
        }
        if number <= self.frontier().number {
            return self.chain.snapshot.generation.changes(number);
        }
        let layer = self.chain.layer(number);
        let layer = layer.ok_or_else(|| ReadError::Damaged(format!("no layer of block {number}")))?;
        let rows = layer.rows()?;
        let sections = Sections::decode(&rows).map_err(|error| ReadError::Damaged(error.to_string()))?;
        Ok(sections.to_diff())
    }

    /// Accounts at the frontier, from a key on, at most `limit`, in key order.
    pub fn frontier_accounts(&self, from: &B256, limit: usize) -> Result<Vec<(B256, Account)>, ReadError> {
        self.check()?;
        self.chain.snapshot.generation.accounts_from(from, limit)
    }

    /// Slots of an account at the frontier, from a key on, at most `limit`, in key order.
    pub fn frontier_slots(&self, account: &B256, from: &B256, limit: usize) -> Result<Vec<(B256, U256)>, ReadError> {
        self.check()?;
        self.chain.snapshot.generation.slots_from(account, from, limit)
    }

    fn check(&self) -> Result<(), ReadError> {
        if Instant::now() < self.chain.deadline { Ok(()) } else { Err(ReadError::Expired { block: self.state.number }) }
    }

    fn check_branches(&self) -> Result<(), ReadError> {
        self.check()?;
        let frontier = self.frontier().number;
        if self.state.number >= frontier {
            return Ok(());
        }
        let why = format!("trie branches are kept from block {frontier} on");
        Err(ReadError::NotKept { block: self.state.number, why })
    }

    /// The block as of which the tables are asked.
    fn tables_block(&self) -> u64 {
        self.state.number.min(self.frontier().number)
    }

    fn layer(&self, block: BlockRef) -> Option<&Arc<Layer>> {
        self.chain.snapshot.layer(&block.hash).filter(|layer| layer.block == block)
    }
}

/// A row of an account's storage: the walk ends where the account was wiped.
fn find_stored<'a>(spans: &'a [Arc<Span>], account: &B256, key: &HashedKey<'_>) -> Result<Found<'a>, ReadError> {
    for span in spans {
        let wiped = span.wiped(account);
        match (span.find(key)?, wiped) {
            (Some(hit), None) => return Ok(Found::Hit(hit)),
            // rows of the wiping block itself are what the new account wrote
            (Some(hit), Some(wiped)) if hit.position >= wiped => return Ok(Found::Hit(hit)),
            (_, Some(_)) => return Ok(Found::Wiped),
            (None, None) => {}
        }
    }
    Ok(Found::Below)
}

/// What the layers say of a row of an account's storage.
enum Found<'a> {
    Hit(Hit<'a>),
    /// Its storage was wiped, and nothing written since.
    Wiped,
    /// The tables know.
    Below,
}

impl Chain {
    /// The layer of a block of this chain above the frontier.
    fn layer(&self, number: u64) -> Option<&Arc<Layer>> {
        self.spans.iter().find_map(|span| {
            let index = number.checked_sub(span.oldest().block.number)?;
            span.layers().get(usize::try_from(index).ok()?)
        })
    }
}

fn find_in<'a>(spans: &'a [Arc<Span>], key: &HashedKey<'_>) -> Result<Option<Hit<'a>>, ReadError> {
    for span in spans {
        if let Some(hit) = span.find(key)? {
            return Ok(Some(hit));
        }
    }
    Ok(None)
}

fn stored(block: BlockRef, body: Body) -> StoredBlock {
    let Body { rlp, senders, receipts, access_list } = body;
    StoredBlock { block, rlp, senders, receipts, access_list }
}

fn unknown(hash: B256) -> ReadError {
    ReadError::NotKept { block: 0, why: format!("block {hash} is neither the frontier nor above it") }
}
