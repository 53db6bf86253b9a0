use crate::{
    BadBlock, ChainCore, ChainError, InvalidReason, RefusedBlock,
    core::{header_of, place_of},
    invalid::Verdict,
    times::{ImportTimes, Watch},
};
use alloy_consensus::Transaction as _;
use alloy_rlp::Decodable;
use starling_execution::{BlockError, ExecutedBlock, LookAhead};
use starling_primitives::{
    Address, B256, Block, BlockRef, BranchChanges, EMPTY_OMMER_ROOT_HASH, Header, ReadError, Receipt, StateDiff, U256,
    beside,
};
use starling_state::StateView;
use starling_storage::{BlockRecord, Record, View};
use starling_trie::{TrieError, TrieUpdate};
use starling_validation::{Ancestry, CheckOptions, CheckedBlock, CliqueSnapshot, PreparedBlock};
use std::{sync::Arc, time::Duration};

/// Generations that ommer checks look back: six for the ommer's parent, one more for its siblings.
const OMMER_GENERATIONS: usize = 7;

/// How long a block may take before its parent's state is given up under it: longer than any block takes on any
/// machine, since the time that it takes says nothing of the block.
const EXECUTION_TIME_MAX: Duration = Duration::from_secs(600);

/// From this many changes on, a microsecond each, the cache learns of a block while it is written.
const BESIDE_MIN: usize = 256;

/// What became of an imported block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportOutcome {
    /// Checked, executed, kept. Before the merge it may have become the head.
    Valid,
    /// Valid and kept already.
    Known,
    /// Its parent is known but its state is not at hand any more: not executed, not kept.
    Accepted,
    /// Its parent is unknown.
    UnknownParent,
    /// It breaks a rule, or descends from a block that does.
    Invalid {
        /// The nearest valid ancestor, if known; the zero hash stands for one from before the merge.
        latest_valid: Option<B256>,
        /// The rule it, or the ancestor, breaks.
        why: InvalidReason,
    },
}

/// Why a block did not become a kept one.
enum Refusal {
    Invalid(InvalidReason),
    Failed(ChainError),
}

impl<E: Into<ChainError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl ChainCore {
    /// Checks, executes and keeps a block, and moves the head if the chain's own rule says so (before the
    /// merge, by total difficulty). When this returns `Valid`, the block survives the death of the process.
    pub fn import(&mut self, block: Arc<PreparedBlock>) -> Result<ImportOutcome, ChainError> {
        let at = block.at();
        let parent_hash = block.block.header.parent_hash;
        if let Some(outcome) = self.known_invalid(&block) {
            return Ok(outcome);
        }
        let current = self.db.view(self.head.at.hash)?;
        if current.block_number(&at.hash)?.is_some() {
            return Ok(ImportOutcome::Known);
        }
        let Some(parent_number) = current.block_number(&parent_hash)? else {
            return Ok(ImportOutcome::UnknownParent);
        };
        let parent = BlockRef::new(parent_number, parent_hash);
        if parent_number < current.frontier().number {
            return Ok(ImportOutcome::Accepted);
        }
        let view = self.db.view_with_deadline(parent_hash, EXECUTION_TIME_MAX)?;
        let parent_header = header_of(&view, parent)?;
        match self.execute_on(view, parent, &parent_header, block.clone()) {
            Ok(total_difficulty) => {
                metrics::counter!("chain_blocks_imported_total").increment(1);
                self.follow_difficulty(at, total_difficulty)?;
                Ok(ImportOutcome::Valid)
            }
            Err(Refusal::Failed(error)) => Err(error),
            Err(Refusal::Invalid(why)) => Ok(self.refuse(block, &parent_header, why)),
        }
    }

    /// Imports a block and makes it the head, whatever the difficulty: what an import from a file does on
    /// proof of stake, where only a consensus client could say so.
    pub fn import_as_head(&mut self, block: Arc<PreparedBlock>) -> Result<ImportOutcome, ChainError> {
        let hash = block.hash;
        let number = block.at().number;
        let outcome = self.import(block)?;
        let merged = self.head.total_difficulty.is_none();
        let extends =
            outcome == ImportOutcome::Valid || (outcome == ImportOutcome::Known && number > self.head.at.number);
        if extends && self.head.at.hash != hash && (merged || self.is_proof_of_stake(hash)?) {
            self.adopt(hash)?;
        }
        Ok(outcome)
    }

    fn is_proof_of_stake(&self, hash: B256) -> Result<bool, ChainError> {
        let view = self.db.view(self.head.at.hash)?;
        let Some(at) = place_of(&view, hash)? else { return Ok(false) };
        Ok(view.total_difficulty(at)?.is_none())
    }

    fn known_invalid(&mut self, block: &PreparedBlock) -> Option<ImportOutcome> {
        let verdict = match self.invalid.get(&block.hash) {
            Some(verdict) => verdict.clone(),
            None => {
                let verdict = self.invalid.get(&block.block.header.parent_hash)?.clone();
                self.invalid.insert(block.hash, verdict.clone());
                verdict
            }
        };
        Some(ImportOutcome::Invalid { latest_valid: verdict.latest_valid, why: verdict.why.clone() })
    }

    /// Remembers a block that was refused before it came here, and its descendants, so that whoever asks about one of them
    /// is told that it is invalid. What is kept is valid and stays so. Returns the nearest valid ancestor, if known.
    pub fn refuse_unseen(&mut self, refused: RefusedBlock) -> Result<Option<B256>, ChainError> {
        let RefusedBlock { hash, parent_hash, why, descendants } = refused;
        let view = self.db.view(self.head.at.hash)?;
        if let Some(why) = why.filter(|_| self.invalid.get(&hash).is_none())
            && view.block_number(&hash)?.is_none()
        {
            let verdict = match (self.invalid.get(&parent_hash), place_of(&view, parent_hash)?) {
                (Some(verdict), _) => verdict.clone(),
                (None, Some(parent)) => {
                    let latest_valid = Some(valid_hash(&header_of(&view, parent)?, parent_hash));
                    Arc::new(Verdict { latest_valid, why })
                }
                (None, None) => Arc::new(Verdict { latest_valid: None, why }),
            };
            tracing::warn!(%hash, why = %verdict.why, "block refused");
            metrics::counter!("chain_blocks_refused_total").increment(1);
            self.invalid.insert(hash, verdict);
        }
        let Some(verdict) = self.invalid.get(&hash).cloned() else { return Ok(None) };
        for descendant in descendants {
            if view.block_number(&descendant)?.is_none() {
                self.invalid.insert(descendant, verdict.clone());
            }
        }
        Ok(verdict.latest_valid)
    }

    fn refuse(&mut self, block: Arc<PreparedBlock>, parent: &Header, why: InvalidReason) -> ImportOutcome {
        tracing::warn!(number = block.at().number, hash = %block.hash, %why, "block refused");
        metrics::counter!("chain_blocks_refused_total").increment(1);
        let valid = valid_hash(parent, block.block.header.parent_hash);
        // A body that is not the header's refutes itself only: the right one may come under the same hash.
        if block.is_of_its_header() {
            let verdict = Verdict { latest_valid: Some(valid), why: why.clone() };
            self.invalid.insert(block.hash, Arc::new(verdict));
        }
        self.invalid.show(BadBlock { block, why: why.clone() });
        self.shared.set_bad_blocks(self.invalid.bad_blocks());
        ImportOutcome::Invalid { latest_valid: Some(valid), why }
    }

    /// Check, execute, root, journal. Returns the block's total difficulty.
    fn execute_on(
        &mut self,
        view: View,
        parent: BlockRef,
        parent_header: &Header,
        block: Arc<PreparedBlock>,
    ) -> Result<Option<U256>, Refusal> {
        let (mut watch, mut times) = (Watch::start(), ImportTimes::default());
        let clique = self.clique.at(&self.spec, &view, parent)?;
        let ancestry = ancestry(&view, parent, parent_header, &block, clique)?;
        let options = CheckOptions { seal: self.config.check_seal };
        let prepared = block.clone();
        let checked = starling_validation::check(&self.spec, block, &ancestry, options)
            .map_err(|error| Refusal::Invalid(error.into()))?;
        let total_difficulty = total_difficulty(&ancestry, &checked);
        watch.lap(&mut times.check);

        let state = StateView::new(view);
        self.cache.move_to(parent.hash);
        self.cache.warm(&state, &touched(&prepared))?;
        let (values, rows) = self.cache.split(&state);
        let mut root_between = |diff: &mut StateDiff| match starling_trie::update(&rows, diff) {
            Ok(update) => Ok(update.root),
            Err(TrieError::Read(error)) => Err(error),
            Err(TrieError::Damaged(what)) => Err(ReadError::Damaged(what)),
        };
        let ahead = LookAhead::new(self.spec.clone(), prepared, state.clone());
        let executed = starling_execution::execute(&self.spec, checked, &values, Some(ahead), &mut root_between);
        let mut executed = executed.map_err(|error| match error {
            BlockError::Read(error) => Refusal::Failed(error.into()),
            BlockError::Internal(what) => Refusal::Failed(ChainError::Internal(what)),
            rule => Refusal::Invalid(rule.into()),
        })?;

        watch.lap(&mut times.execute);

        let TrieUpdate { root, branches } = starling_trie::update(&rows, &mut executed.diff)?;
        let header = executed.block.block.header.state_root;
        if root != header {
            return Err(Refusal::Invalid(InvalidReason::StateRoot { header, computed: root }));
        }
        watch.lap(&mut times.root);

        let (at, txs) = (executed.block.at(), executed.receipts.len());
        self.keep(executed, branches, total_difficulty)?;
        watch.lap(&mut times.keep);
        let ImportTimes { check, execute, root, keep, .. } = times;
        tracing::debug!(number = at.number, hash = %at.hash, txs, ?check, ?execute, ?root, ?keep, "block imported");
        self.times += times;
        Ok(total_difficulty)
    }

    /// Writes a valid block down: the commit point.
    fn keep(
        &mut self,
        executed: ExecutedBlock,
        branches: BranchChanges,
        total_difficulty: Option<U256>,
    ) -> Result<(), ChainError> {
        let record = Arc::new(BlockRecord {
            block: executed.block.at(),
            header: executed.block.block.header.clone(),
            rlp: executed.block.rlp.clone(),
            tx_hashes: executed.block.tx_hashes.clone(),
            senders: senders_of(&executed.block)?,
            receipts: Receipt::encode_stored_list(&executed.receipts),
            total_difficulty,
            access_list: executed.access_list,
            diff: executed.diff,
            branches,
        });
        // The cache learns of the block while it is written. If that fails, the cache stands at a block that nobody has for a
        // parent, and the next import empties it.
        let cache = &mut self.cache;
        let learn = || cache.commit(record.block.hash, &record.diff, &record.branches);
        let changes = record.diff.accounts.len() + record.branches.count();
        let lsn = beside(changes >= BESIDE_MIN, learn, || self.db.append(Record::Block(record.clone())))?;
        self.written = Some(lsn);
        // Tens of thousands of pieces: whoever waits for the answer need not wait until they are given back. A pool of one
        // thread would get to it only when this thread, which may be that one, has nothing else to do.
        if changes >= BESIDE_MIN && rayon::current_num_threads() > 1 {
            rayon::spawn(move || drop(record));
        }
        Ok(())
    }
}

/// The accounts that a block's transactions are sure to read, as far as they are known.
fn touched(block: &PreparedBlock) -> Vec<Address> {
    let targets = block.block.body.transactions.iter().filter_map(|tx| tx.to());
    block.senders.found().chain(targets).collect()
}

/// The senders of a block that was run, which has found them all.
fn senders_of(block: &PreparedBlock) -> Result<Vec<Address>, ChainError> {
    let senders = block.senders.all(&block.block.body.transactions);
    senders.map_err(|error| ChainError::Internal(format!("a block ran without a sender: {error}")))
}

/// How the Engine API names a valid block: one from before the merge by the zero hash.
fn valid_hash(header: &Header, hash: B256) -> B256 {
    if header.difficulty.is_zero() { hash } else { B256::ZERO }
}

fn total_difficulty(ancestry: &Ancestry, block: &CheckedBlock) -> Option<U256> {
    let difficulty = block.block.header.difficulty;
    if difficulty.is_zero() {
        return None;
    }
    ancestry.parent_total_difficulty.map(|parent| parent.saturating_add(difficulty))
}

/// What the checks need of the ancestors: the parent, and for ommers seven generations of headers and ommers.
fn ancestry(
    view: &View,
    parent: BlockRef,
    header: &Header,
    block: &PreparedBlock,
    clique: Option<Arc<CliqueSnapshot>>,
) -> Result<Ancestry, ChainError> {
    let mut generations = Vec::new();
    if !block.block.body.ommers.is_empty() {
        let mut next = Some((parent, header.clone()));
        while let Some((at, header)) = next.take_if(|_| generations.len() < OMMER_GENERATIONS) {
            let ommers = ommers_of(view, at, &header)?;
            let grandparent = BlockRef::new(at.number.wrapping_sub(1), header.parent_hash);
            generations.push((at.hash, header, ommers));
            if at.number > 0 {
                next = Some((grandparent, header_of(view, grandparent)?));
            }
        }
    }
    Ok(Ancestry {
        parent: (parent.hash, header.clone()),
        parent_total_difficulty: view.total_difficulty(parent)?,
        generations,
        clique,
    })
}

/// The hashes of the ommers that a kept block carries.
fn ommers_of(view: &View, at: BlockRef, header: &Header) -> Result<Vec<B256>, ChainError> {
    if header.ommers_hash == EMPTY_OMMER_ROOT_HASH {
        return Ok(Vec::new());
    }
    let damaged = |what: &str| ChainError::Read(ReadError::Damaged(format!("block {at}: {what}")));
    let stored = view.block(at)?.ok_or_else(|| damaged("its body is missing"))?;
    let block = Block::decode(&mut stored.rlp.as_ref()).map_err(|error| damaged(&error.to_string()))?;
    Ok(block.body.ommers.iter().map(Header::hash_slow).collect())
}
