use crate::{Attributes, Authorship, BuildError, Built, Candidate, Candidates, Unfit, draft::draft, error::read_error};
use alloy_consensus::{Transaction as _, proofs::calculate_withdrawals_root};
use alloy_eips::{eip2718::Encodable2718, eip4895::Withdrawals, eip7594::BlobTransactionSidecarVariant};
use alloy_rlp::Encodable;
use starling_chainspec::{ChainSpec, Fork};
use starling_execution::{BlockError, BlockInProgress, Computed, TxError};
use starling_primitives::{Address, B256, BlockBody, Header, StateDiff, Transaction, TxHash, U256};
use starling_state::StateView;
use starling_trie::TrieUpdate;
use starling_validation::{BLOCK_BYTES_MAX, check_transaction};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

/// No transaction needs less gas (the intrinsic gas of a transfer): with less left, the block is full.
const TX_GAS_MIN: u64 = 21_000;

/// Bytes kept free for the header and the lists' heads: a header of today has about 650 besides its extra data.
const HEADER_BYTES_MAX: usize = 1_024;

/// What a block is built on.
#[derive(Debug, Clone, Copy)]
pub struct Parent<'a> {
    /// The parent's header.
    pub header: &'a Header,
    /// The state after it.
    pub state: &'a StateView,
}

/// When to stop, and how much at most. What was taken so far is a block.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// No transaction is begun after this moment.
    pub deadline: Option<Instant>,
    /// No transaction is begun once this is set.
    pub stop: Option<Arc<AtomicBool>>,
    /// Most blobs, if fewer than the fork allows (`--miner.maxblobs`).
    pub blobs_max: Option<u64>,
    /// Blob transactions are taken only if their blobs are at hand with the fork's kind of proofs.
    pub needs_sidecars: bool,
}

/// Builds a block of proof of stake: whoever gets the fees is its author.
pub fn build(
    spec: &ChainSpec,
    parent: Parent<'_>,
    attributes: &Attributes,
    candidates: &mut dyn Candidates,
    limits: &Limits,
) -> Result<Built, BuildError> {
    make(spec, parent, attributes, None, candidates, limits)
}

/// Builds a block that is sealed afterwards: author, difficulty and nonce are given. On Clique the seal replaces the
/// last 65 bytes of the extra data; the block's hash follows from it.
pub fn build_for_seal(
    spec: &ChainSpec,
    parent: Parent<'_>,
    attributes: &Attributes,
    authorship: &Authorship,
    candidates: &mut dyn Candidates,
    limits: &Limits,
) -> Result<Built, BuildError> {
    make(spec, parent, attributes, Some(authorship), candidates, limits)
}

fn make(
    spec: &ChainSpec,
    parent: Parent<'_>,
    attributes: &Attributes,
    authorship: Option<&Authorship>,
    candidates: &mut dyn Candidates,
    limits: &Limits,
) -> Result<Built, BuildError> {
    let (header, fork) = draft(spec, parent.state.block().hash, parent.header, attributes, authorship)?;
    let withdrawals = withdrawals(fork, attributes)?;
    let author = authorship.map_or(attributes.fee_recipient, |authorship| authorship.author);
    let block = BlockInProgress::begin(spec, &header, author, parent.state)?;
    let mut filling = Filling::new(spec, fork, &header, &withdrawals, block, parent.state, limits);
    filling.fill(candidates)?;
    let Filling { block, taken, senders, sidecars, fees, .. } = filling;
    let body = BlockBody { transactions: taken, ommers: Vec::new(), withdrawals };
    let computed = block.end(&body)?;
    finish(parent.state, header, body, computed, Parts { senders, sidecars, fees })
}

fn withdrawals(fork: Fork, attributes: &Attributes) -> Result<Option<Withdrawals>, BuildError> {
    if fork >= Fork::Shanghai {
        return Ok(Some(Withdrawals::new(attributes.withdrawals.clone().unwrap_or_default())));
    }
    match &attributes.withdrawals {
        Some(list) if !list.is_empty() => Err(BuildError::Attributes(format!("withdrawals in a block of {fork}"))),
        _ => Ok(None),
    }
}

/// A block while transactions are tried.
struct Filling<'a> {
    // what it is
    spec: &'a ChainSpec,
    fork: Fork,
    base_fee: u64,
    state: &'a StateView,
    limits: &'a Limits,
    // what is left
    bytes_left: usize,
    blobs_max: u64,
    // what it has
    block: BlockInProgress<'a>,
    taken: Vec<Transaction>,
    senders: Vec<Address>,
    sidecars: Vec<Arc<BlobTransactionSidecarVariant>>,
    fees: U256,
}

impl<'a> Filling<'a> {
    fn new(
        spec: &'a ChainSpec,
        fork: Fork,
        header: &Header,
        withdrawals: &Option<Withdrawals>,
        block: BlockInProgress<'a>,
        state: &'a StateView,
        limits: &'a Limits,
    ) -> Self {
        let outside = HEADER_BYTES_MAX + header.extra_data.len() + withdrawals.as_ref().map_or(0, |list| list.length());
        let blobs_of_fork = spec.blob_schedule_of(fork).map_or(0, |schedule| schedule.max);
        Self {
            spec,
            fork,
            base_fee: header.base_fee_per_gas.unwrap_or_default(),
            state,
            limits,
            bytes_left: if fork >= Fork::Osaka { BLOCK_BYTES_MAX.saturating_sub(outside) } else { usize::MAX },
            blobs_max: limits.blobs_max.unwrap_or(u64::MAX).min(blobs_of_fork),
            block,
            taken: Vec::new(),
            senders: Vec::new(),
            sidecars: Vec::new(),
            fees: U256::ZERO,
        }
    }

    /// Tries candidates until there are no more, the block is full, or it is time to stop.
    fn fill(&mut self, candidates: &mut dyn Candidates) -> Result<(), BuildError> {
        while self.block.gas_left() >= TX_GAS_MIN && !self.must_stop() {
            let Some(candidate) = candidates.next() else { return Ok(()) };
            let tx_hash = *candidate.tx.tx_hash();
            if let Err(why) = self.take(candidate)? {
                refuse(candidates, tx_hash, why)?;
            }
        }
        // What is offered may wait; what is given must all stand in the block.
        match candidates.next() {
            Some(candidate) => {
                let (have, left) = (candidate.tx.gas_limit(), self.block.gas_left());
                refuse(
                    candidates,
                    *candidate.tx.tx_hash(),
                    Unfit::Run(Box::new(TxError::GasLimitReached { have, left })),
                )
            }
            None => Ok(()),
        }
    }

    fn must_stop(&self) -> bool {
        self.limits.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed))
            || self.limits.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Runs a candidate and takes it in; the inner error says why it does not fit.
    fn take(&mut self, candidate: Candidate) -> Result<Result<(), Unfit>, BuildError> {
        let bytes = candidate.tx.network_len();
        if let Err(why) = self.admit(&candidate, bytes) {
            return Ok(Err(why));
        }
        let before = self.gas_used();
        let state = self.state;
        let mut root =
            |diff: &mut StateDiff| starling_trie::update(state, diff).map(|update| update.root).map_err(read_error);
        let after = match self.block.add(&candidate.tx, candidate.sender, &mut root) {
            Ok(receipt) => receipt.cumulative_gas_used,
            Err(BlockError::Transaction { why, .. }) => return Ok(Err(Unfit::Run(why))),
            Err(other) => return Err(other.into()),
        };
        let tip = candidate.tx.effective_tip_per_gas(self.base_fee).unwrap_or_default();
        self.fees += U256::from(tip) * U256::from(after - before);
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
        self.sidecars.extend(candidate.sidecar);
        self.senders.push(candidate.sender);
        self.taken.push(candidate.tx);
        Ok(Ok(()))
    }

    fn gas_used(&self) -> u64 {
        self.block.receipts().last().map_or(0, |receipt| receipt.cumulative_gas_used)
    }

    /// The rules that need neither the state nor the EVM.
    fn admit(&self, candidate: &Candidate, bytes: usize) -> Result<(), Unfit> {
        check_transaction(self.spec.chain_id, self.fork, &candidate.tx)?;
        if bytes > self.bytes_left {
            return Err(Unfit::Size { bytes, left: self.bytes_left });
        }
        if let Some(hashes) = candidate.tx.blob_versioned_hashes() {
            let (blobs, left) = (hashes.len() as u64, self.blobs_max.saturating_sub(self.block.blobs()));
            if blobs > left {
                return Err(Unfit::Blobs { blobs, left });
            }
            if self.limits.needs_sidecars && !has_right_proofs(self.fork, candidate.sidecar.as_deref()) {
                return Err(Unfit::Sidecar);
            }
        }
        Ok(())
    }
}

fn refuse(candidates: &mut dyn Candidates, tx_hash: TxHash, why: Unfit) -> Result<(), BuildError> {
    candidates.refused(why).map_err(|why| BuildError::Transaction { tx_hash, why: Box::new(why) })
}

/// Whether blobs come with one proof a blob before Osaka, one a cell since (EIP-7594).
fn has_right_proofs(fork: Fork, sidecar: Option<&BlobTransactionSidecarVariant>) -> bool {
    match sidecar {
        Some(BlobTransactionSidecarVariant::Eip4844(_)) => fork < Fork::Osaka,
        Some(BlobTransactionSidecarVariant::Eip7594(_)) => fork >= Fork::Osaka,
        None => false,
    }
}

/// What goes along with a block.
struct Parts {
    senders: Vec<Address>,
    sidecars: Vec<Arc<BlobTransactionSidecarVariant>>,
    fees: U256,
}

/// Fills in what follows from running the block, the state root last.
fn finish(
    state: &StateView,
    mut header: Header,
    body: BlockBody,
    computed: Computed,
    parts: Parts,
) -> Result<Built, BuildError> {
    let mut diff = computed.diff;
    let TrieUpdate { root, branches } = starling_trie::update(state, &mut diff)?;
    header.state_root = root;
    header.transactions_root = transactions_root(&body.transactions);
    header.withdrawals_root = body.withdrawals.as_ref().map(|list| calculate_withdrawals_root(list));
    header.receipts_root = computed.receipts_root;
    header.logs_bloom = computed.logs_bloom;
    header.gas_used = computed.gas_used;
    header.blob_gas_used = computed.blob_gas_used;
    header.requests_hash = computed.requests_hash;
    header.block_access_list_hash = computed.access_list_hash;
    Ok(Built {
        block: starling_primitives::Block { header, body },
        senders: parts.senders,
        receipts: computed.receipts,
        fees: parts.fees,
        requests: computed.requests,
        access_list: computed.access_list,
        sidecars: parts.sidecars,
        diff,
        branches,
    })
}

fn transactions_root(transactions: &[Transaction]) -> B256 {
    alloy_trie::root::ordered_trie_root_with_encoder(transactions, |tx, out| tx.encode_2718(out))
}
