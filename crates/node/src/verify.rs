//! `db verify`: reads everything back and computes it anew.
//!
//! - blocks: hash, link to the parent, roots of transactions, ommers and withdrawals, root of the receipts
//! - state at the frontier: every slot and account into storage roots and the state root of its header
//! - trie rows: every node recomputed from the accounts

use crate::{
    failure::{Context, Failure},
    shutdown::Shutdown,
    store::canonical,
};
use alloy_consensus::{constants::EMPTY_WITHDRAWALS, proofs};
use alloy_primitives::B256;
use alloy_rlp::Decodable;
use starling_primitives::{Account, Block, BlockRef, EMPTY_ROOT_HASH, ReadError, Receipt, U256, receipts_root};
use starling_state::StateView;
use starling_storage::{Database, View};
use starling_trie::FlatRoot;
use std::time::{Duration, Instant};

/// Rows that are read at once.
const PAGE_ROWS: usize = 4096;
/// A check of the largest chain takes hours, and nobody else has the database open meanwhile.
const VIEW_TIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// What to do about damage.
const REMEDY: &str =
    "go back before it with `starling rewind`, or start over with `starling removedb` and import again";

/// What was read and found well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Verified {
    /// Blocks.
    pub blocks: u64,
    /// Accounts at the frontier.
    pub accounts: u64,
    /// Slots at the frontier.
    pub slots: u64,
    /// Rows of the account trie and of all storage tries.
    pub trie_rows: u64,
}

/// Checks a database that nobody writes to. The first damage is the error.
#[derive(Debug)]
pub(crate) struct Verifier<'a> {
    database: &'a Database,
    shutdown: &'a Shutdown,
    view: View,
    told: Instant,
    verified: Verified,
}

impl<'a> Verifier<'a> {
    /// A check of an open database.
    pub(crate) fn new(database: &'a Database, shutdown: &'a Shutdown) -> Result<Self, Failure> {
        let view = database.view_with_deadline(database.head().head.hash, VIEW_TIME).failed()?;
        Ok(Self { database, shutdown, view, told: Instant::now(), verified: Verified::default() })
    }

    /// Checks blocks from `first`, then the state.
    pub(crate) fn run(mut self, first: u64) -> Result<Verified, Failure> {
        let head = self.view.head();
        let mut parent = match first {
            0 => None,
            first => Some(canonical(&self.view, first - 1).failed()?.hash),
        };
        for number in first..=head.number {
            parent = Some(self.block(number, parent)?);
        }
        self.stored(first)?;
        self.state()?;
        Ok(self.verified)
    }

    /// Ends when asked to, and tells how far it is.
    fn pace(&mut self) -> Result<(), Failure> {
        if self.shutdown.is_asked() {
            return Err(Failure::interrupted("interrupted; nothing was found so far"));
        }
        if self.told.elapsed() > PROGRESS_EVERY {
            let Verified { blocks, accounts, slots, .. } = self.verified;
            tracing::info!(blocks, accounts, slots, "verifying");
            self.told = Instant::now();
        }
        Ok(())
    }

    fn block(&mut self, number: u64, parent: Option<B256>) -> Result<B256, Failure> {
        self.pace()?;
        let at = canonical(&self.view, number).failed()?;
        let stored = self.view.block(at).failed()?;
        let stored = stored.ok_or_else(|| damaged(at, "its body is missing"))?;
        let block = Block::decode(&mut stored.rlp.as_ref()).map_err(|error| damaged(at, error))?;
        let header = &block.header;
        if header.hash_slow() != at.hash || header.number != number {
            return Err(damaged(at, "its header is another block's"));
        }
        if parent.is_some_and(|parent| parent != header.parent_hash) {
            return Err(damaged(at, "it does not follow the block before it"));
        }
        check_body(at, &block)?;
        if number > 0 {
            let receipts = Receipt::decode_stored_list(&stored.receipts).map_err(|error| damaged(at, error))?;
            same(at, "the receipts' root", receipts_root(&receipts), header.receipts_root)?;
            if stored.senders.len() != block.body.transactions.len() {
                return Err(damaged(at, "it has not one sender for each transaction"));
            }
        }
        self.verified.blocks += 1;
        Ok(at.hash)
    }

    /// What storage knows to check of its own bytes: checksums, links, lookups.
    fn stored(&mut self, first: u64) -> Result<(), Failure> {
        let findings = self.database.verify(first, &mut |_, _| {}).failed()?;
        match findings.as_slice() {
            [] => Ok(()),
            [finding] => Err(Failure::new(format_args!("the database is damaged: {finding}")).remedy(REMEDY)),
            [finding, more @ ..] => {
                more.iter().for_each(|finding| tracing::error!("{finding}"));
                let what = format!("the database is damaged: {finding}, and {} findings more in the log", more.len());
                Err(Failure::new(what).remedy(REMEDY))
            }
        }
    }

    fn state(&mut self) -> Result<(), Failure> {
        let frontier = self.view.frontier();
        let header = self.view.header(frontier).failed()?.ok_or_else(|| damaged(frontier, "its header is missing"))?;
        let mut flat = FlatRoot::default();
        let mut from = Some(B256::ZERO);
        while let Some(start) = from {
            self.pace()?;
            let accounts = self.view.frontier_accounts(&start, PAGE_ROWS).failed()?;
            from = next_page(accounts.len(), accounts.last().map(|(key, _)| *key));
            for (key, account) in accounts {
                self.account(&mut flat, key, &account)?;
            }
        }
        same(frontier, "the state root", flat.root(), header.state_root)?;
        self.account_rows(frontier)?;
        self.account_rows(self.view.head())
    }

    fn account(&mut self, flat: &mut FlatRoot, key: B256, account: &Account) -> Result<(), Failure> {
        self.pace()?;
        let page = Vec::new().into_iter();
        let mut slots = Slots { view: &self.view, account: key, page, from: Some(B256::ZERO), count: 0 };
        flat.add(&key, account, &mut slots).context("state")?;
        self.verified.accounts += 1;
        self.verified.slots += slots.count;
        if account.storage_root == EMPTY_ROOT_HASH {
            return Ok(());
        }
        let frontier = self.view.frontier();
        let (root, count) = starling_trie::check_storage_rows(&self.state_at(frontier)?, &key).context("trie")?;
        self.verified.trie_rows += count.rows;
        same(frontier, &format!("the storage root of account {key} by its trie rows"), root, account.storage_root)
    }

    fn account_rows(&mut self, at: BlockRef) -> Result<(), Failure> {
        self.pace()?;
        let header = self.view.header(at).failed()?.ok_or_else(|| damaged(at, "its header is missing"))?;
        let (root, count) = starling_trie::check_account_rows(&self.state_at(at)?).context("trie")?;
        self.verified.trie_rows += count.rows;
        same(at, "the state root by the trie rows", root, header.state_root)
    }

    fn state_at(&self, at: BlockRef) -> Result<StateView, Failure> {
        self.view.at(at.number).map(StateView::new).failed()
    }
}

fn check_body(at: BlockRef, block: &Block) -> Result<(), Failure> {
    let (header, body) = (&block.header, &block.body);
    let transactions_root = proofs::calculate_transaction_root(&body.transactions);
    same(at, "the transactions' root", transactions_root, header.transactions_root)?;
    same(at, "the ommers' hash", proofs::calculate_ommers_root(&body.ommers), header.ommers_hash)?;
    let withdrawals_root = body.withdrawals.as_ref().map(|withdrawals| proofs::calculate_withdrawals_root(withdrawals));
    match (withdrawals_root, header.withdrawals_root) {
        (Some(got), expected) => same(at, "the withdrawals' root", got, expected.unwrap_or_default()),
        (None, Some(expected)) => same(at, "the withdrawals' root", EMPTY_WITHDRAWALS, expected),
        (None, None) => Ok(()),
    }
}

fn same(at: BlockRef, what: &str, got: B256, expected: B256) -> Result<(), Failure> {
    if got == expected {
        return Ok(());
    }
    Err(damaged(at, format_args!("{what} is {got}, its header says {expected}")))
}

fn damaged(at: BlockRef, what: impl std::fmt::Display) -> Failure {
    Failure::new(format_args!("block {at} is damaged: {what}")).remedy(REMEDY)
}

/// Where the page after a full one begins.
fn next_page(rows: usize, last: Option<B256>) -> Option<B256> {
    let last = last.filter(|_| rows == PAGE_ROWS)?;
    U256::from_be_bytes(last.0).checked_add(U256::ONE).map(B256::from)
}

/// An account's slots, page by page.
struct Slots<'a> {
    view: &'a View,
    account: B256,
    page: std::vec::IntoIter<(B256, U256)>,
    from: Option<B256>,
    count: u64,
}

impl Iterator for Slots<'_> {
    type Item = Result<(B256, U256), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(slot) = self.page.next() {
                self.count += 1;
                return Some(Ok(slot));
            }
            let from = self.from.take()?;
            match self.view.frontier_slots(&self.account, &from, PAGE_ROWS) {
                Ok(page) => {
                    self.from = next_page(page.len(), page.last().map(|(key, _)| *key));
                    self.page = page.into_iter();
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
