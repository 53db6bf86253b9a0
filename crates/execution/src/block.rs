use crate::{
    access_list,
    ahead::LookAhead,
    dao, dev,
    error::{BlockError, TxError},
    evm::{AccessRecorder, BlockRules, Machine, Ran, RunError},
    overlay::Overlay,
    requests, rewards, system,
};
use alloy_consensus::Transaction as _;
use alloy_eips::eip4844::DATA_GAS_PER_BLOB;
use alloy_primitives::{Address, B256, Bloom, Bytes};
use starling_chainspec::{ChainSpec, Fork};
use starling_primitives::{
    BlockBody, Header, ReadError, Receipt, ReceiptOutcome, Senders, StateDiff, StateReader, Transaction, beside,
    receipts_root_and_bloom,
};
use starling_validation::CheckedBlock;

/// From this many receipts on their root, two microseconds each, is worth waking another thread.
const BESIDE_MIN: usize = 64;

/// A block that was run, and whose header agrees with what running it gave: gas used, receipts root,
/// bloom, requests hash, access list hash, blob gas. The state root is the caller's to check.
#[derive(Debug, Clone)]
pub struct ExecutedBlock {
    /// The block.
    pub block: CheckedBlock,
    /// Receipts in order.
    pub receipts: Vec<Receipt>,
    /// What it changed; storage roots are still those before (`trie` fills them in).
    pub diff: StateDiff,
    /// Block access list as RLP, if the fork has one.
    pub access_list: Option<Bytes>,
}

/// What running a block gave: the header fields that follow from it, and what they are roots of.
#[derive(Debug, Clone)]
pub struct Computed {
    /// Receipts in order.
    pub receipts: Vec<Receipt>,
    /// What the block changed; storage roots are still those before.
    pub diff: StateDiff,
    /// Header field.
    pub gas_used: u64,
    /// Header field, since Cancun.
    pub blob_gas_used: Option<u64>,
    /// Header field.
    pub receipts_root: B256,
    /// Header field.
    pub logs_bloom: Bloom,
    /// Requests with their type bytes, empty ones left out (EIP-7685), since Prague.
    pub requests: Option<Vec<Bytes>>,
    /// Header field, since Prague.
    pub requests_hash: Option<B256>,
    /// Block access list as RLP (EIP-7928), since Amsterdam.
    pub access_list: Option<Bytes>,
    /// Header field, since Amsterdam.
    pub access_list_hash: Option<B256>,
}

/// Computes the state root after a cumulative diff: what receipts before Byzantium carry.
pub type IntermediateRoot<'a> = dyn FnMut(&mut StateDiff) -> Result<B256, ReadError> + 'a;

/// Runs a checked block on its parent's state. `root` is called only before Byzantium, once a transaction.
/// `ahead` makes it faster, and nothing else.
pub fn execute(
    spec: &ChainSpec,
    block: CheckedBlock,
    parent_state: &dyn StateReader,
    ahead: Option<LookAhead>,
    root: &mut IntermediateRoot<'_>,
) -> Result<ExecutedBlock, BlockError> {
    let header = &block.block.header;
    let computed = run(spec, header, &block.block.body, &block.senders, parent_state, ahead.as_ref(), root)?;
    computed.agrees_with(header)?;
    let Computed { receipts, diff, access_list, .. } = computed;
    Ok(ExecutedBlock { block, receipts, diff, access_list })
}

/// Runs a block and computes the header fields that follow from it, instead of comparing them. Of the
/// header it reads only what is known before: parent, number, time, limits, fees, author, roots of the outside.
pub fn execute_unchecked(
    spec: &ChainSpec,
    header: &Header,
    body: &BlockBody,
    senders: &[Address],
    parent_state: &dyn StateReader,
    root: &mut IntermediateRoot<'_>,
) -> Result<Computed, BlockError> {
    run(spec, header, body, &Senders::known(senders.to_vec()), parent_state, None, root)
}

pub(crate) fn run(
    spec: &ChainSpec,
    header: &Header,
    body: &BlockBody,
    senders: &Senders,
    parent_state: &dyn StateReader,
    ahead: Option<&LookAhead>,
    root: &mut IntermediateRoot<'_>,
) -> Result<Computed, BlockError> {
    if senders.len() != body.transactions.len() {
        return Err(BlockError::Senders { senders: senders.len(), transactions: body.transactions.len() });
    }
    let author = spec.consensus.author(header).ok_or(BlockError::NoAuthor)?;
    let mut run = BlockRun::new(spec, header, author, parent_state);
    run.begin()?;
    for (index, tx) in body.transactions.iter().enumerate() {
        let sender = senders.of(index, &body.transactions)?;
        if let Some(ahead) = ahead {
            ahead.reach(index, &mut run.machine);
        }
        let receipt = run.transaction(tx, sender, root)?;
        run.receipts.push(receipt);
    }
    run.end(body)
}

/// Runs one transaction alone, as the first of a block with this header, without what surrounds the
/// transactions of a block: system calls, withdrawals, rewards. A receipt before Byzantium has a zero root.
pub fn execute_transaction(
    spec: &ChainSpec,
    header: &Header,
    tx: &Transaction,
    sender: Address,
    state: &dyn StateReader,
) -> Result<(Receipt, StateDiff), BlockError> {
    let author = spec.consensus.author(header).ok_or(BlockError::NoAuthor)?;
    let mut run = BlockRun::new(spec, header, author, state);
    let receipt = run.transaction(tx, sender, &mut |_| Ok(B256::ZERO))?;
    Ok((receipt, run.machine.overlay().diff()))
}

impl Computed {
    /// Compares with a header, in the order of the execution specs.
    pub fn agrees_with(&self, header: &Header) -> Result<(), BlockError> {
        if header.gas_used != self.gas_used {
            return Err(BlockError::GasUsed { header: header.gas_used, computed: self.gas_used });
        }
        if header.receipts_root != self.receipts_root {
            return Err(BlockError::ReceiptsRoot { header: header.receipts_root, computed: self.receipts_root });
        }
        if header.logs_bloom != self.logs_bloom {
            return Err(BlockError::LogsBloom {
                header: Box::new(header.logs_bloom),
                computed: Box::new(self.logs_bloom),
            });
        }
        if let Some(computed) = self.blob_gas_used
            && header.blob_gas_used != Some(computed)
        {
            return Err(BlockError::BlobGasUsed { header: header.blob_gas_used.unwrap_or_default(), computed });
        }
        if header.requests_hash != self.requests_hash {
            return Err(BlockError::RequestsHash { header: header.requests_hash, computed: self.requests_hash });
        }
        if header.block_access_list_hash != self.access_list_hash {
            return Err(BlockError::AccessListHash {
                header: header.block_access_list_hash,
                computed: self.access_list_hash,
            });
        }
        Ok(())
    }
}

/// A block on its way.
pub(crate) struct BlockRun<'a> {
    // what it is
    spec: &'a ChainSpec,
    header: &'a Header,
    fork: Fork,
    // the state so far
    machine: Machine<'a>,
    recorder: Option<AccessRecorder>,
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) gas: GasPool,
    pub(crate) blob_gas_used: u64,
}

impl<'a> BlockRun<'a> {
    pub(crate) fn new(
        spec: &'a ChainSpec,
        header: &'a Header,
        author: Address,
        parent_state: &'a dyn StateReader,
    ) -> Self {
        let rules = BlockRules::of_block(spec, header, author);
        let fork = rules.fork;
        Self {
            spec,
            header,
            fork,
            machine: Machine::new(&rules, Overlay::new(parent_state)),
            recorder: (fork >= Fork::Amsterdam).then(AccessRecorder::default),
            receipts: Vec::new(),
            gas: GasPool::new(header.gas_limit, fork),
            blob_gas_used: 0,
        }
    }

    /// What comes before the first transaction.
    pub(crate) fn begin(&mut self) -> Result<(), BlockError> {
        if dao::is_drained_at(self.spec, self.header.number) {
            dao::drain(self.machine.overlay())?;
        }
        // What does not decode is `validation`'s to refuse.
        if let Ok(Some(record)) = self.spec.dev_record(&self.header.extra_data) {
            dev::apply(self.machine.overlay(), &record.changes, self.fork >= Fork::SpuriousDragon)?;
        }
        system::before_transactions(&mut self.machine, self.recorder.as_mut(), self.fork, self.header)
    }

    /// Runs a transaction and counts it in. One that may not stand here ([`BlockError::Transaction`]) leaves
    /// everything as it was.
    pub(crate) fn transaction(
        &mut self,
        tx: &Transaction,
        sender: Address,
        root: &mut IntermediateRoot<'_>,
    ) -> Result<Receipt, BlockError> {
        let index = self.receipts.len();
        let invalid = |why| BlockError::Transaction { index, tx_hash: *tx.tx_hash(), why: Box::new(why) };
        let blob_gas_used = self.admit(tx).map_err(invalid)?;
        let ran = match self.machine.transact(tx, sender) {
            Ok(ran) => ran,
            Err(RunError::Invalid(why)) => return Err(invalid(why)),
            Err(other) => return Err(fatal(other)),
        };
        self.blob_gas_used = blob_gas_used;
        if let Some(recorder) = &mut self.recorder {
            recorder.advance();
        }
        self.machine.commit(self.recorder.as_mut())?;
        self.gas.take(&ran);
        let outcome = if self.fork >= Fork::Byzantium {
            ReceiptOutcome::Status(ran.is_success())
        } else {
            ReceiptOutcome::StateRoot(root(&mut self.machine.overlay().diff())?)
        };
        Ok(Receipt { tx_type: tx.tx_type(), outcome, cumulative_gas_used: self.gas.cumulative, logs: ran.logs })
    }

    /// The checks of a transaction that depend on the block around it; the block's blob gas with it.
    fn admit(&self, tx: &Transaction) -> Result<u64, TxError> {
        if self.fork < Fork::SpuriousDragon && tx.is_legacy() && tx.chain_id().is_some() {
            return Err(TxError::ProtectedTooEarly);
        }
        self.gas.admit(tx.gas_limit())?;
        if let Some(blob_gas) = tx.blob_gas_used()
            && let Some(schedule) = self.spec.blob_schedule_at(self.header)
        {
            let have = self.blob_gas_used.saturating_add(blob_gas);
            let limit = schedule.max.saturating_mul(DATA_GAS_PER_BLOB);
            if have > limit {
                return Err(TxError::BlobGasLimitReached { have, limit });
            }
            return Ok(have);
        }
        Ok(self.blob_gas_used)
    }

    /// What comes after the last transaction.
    pub(crate) fn end(mut self, body: &BlockBody) -> Result<Computed, BlockError> {
        if let Some(recorder) = &mut self.recorder {
            recorder.advance();
        }
        if let Some(withdrawals) = &body.withdrawals {
            rewards::withdrawals(self.machine.overlay(), self.recorder.as_mut(), withdrawals)?;
        }
        let requests = if self.fork >= Fork::Prague {
            let deposits = requests::deposits(self.spec.deposit_contract, &self.receipts)?;
            Some(system::requests(&mut self.machine, self.recorder.as_mut(), self.spec, self.fork, deposits)?)
        } else {
            None
        };
        rewards::pay(self.machine.overlay(), &self.spec.consensus, self.fork, self.header, &body.ommers)?;
        self.compute(requests)
    }

    fn compute(mut self, requests: Option<Vec<Bytes>>) -> Result<Computed, BlockError> {
        let (access_list, access_list_hash) = match self.recorder.take() {
            Some(recorder) => {
                let (list, hash) = access_list::encode(&recorder.finish(), self.header.gas_limit)?;
                (Some(list), Some(hash))
            }
            None => (None, None),
        };
        let receipts = self.receipts;
        let (mut receipts_root, mut logs_bloom) = (B256::ZERO, Bloom::ZERO);
        let roots = || (receipts_root, logs_bloom) = receipts_root_and_bloom(&receipts);
        // The diff takes hundreds of hashes as well.
        let diff = beside(receipts.len() >= BESIDE_MIN, roots, || self.machine.overlay().diff());
        Ok(Computed {
            gas_used: self.gas.block_gas_used(),
            blob_gas_used: (self.fork >= Fork::Cancun).then_some(self.blob_gas_used),
            receipts_root,
            logs_bloom,
            receipts,
            diff,
            requests_hash: requests.as_deref().map(requests::hash),
            requests,
            access_list,
            access_list_hash,
        })
    }
}

/// Errors of the machine that are not a transaction's fault.
pub(crate) fn fatal(error: RunError) -> BlockError {
    match error {
        RunError::Read(error) => error.into(),
        RunError::Internal(why) => BlockError::Internal(why),
        RunError::Invalid(why) => BlockError::Internal(why.to_string()),
        RunError::Deadline => BlockError::Internal("a block has no deadline".into()),
    }
}

/// Gas of a block: since Amsterdam regular and state gas are counted apart (EIP-8037), and refunds do not
/// return gas to the block (EIP-7778).
pub(crate) struct GasPool {
    limit: u64,
    two_dimensional: bool,
    cumulative: u64,
    regular: u64,
    state: u64,
}

impl GasPool {
    /// Most regular gas of one transaction (EIP-7825), which is all that it can take of the block's.
    const TX_REGULAR_GAS_MAX: u64 = 16_777_216;

    fn new(limit: u64, fork: Fork) -> Self {
        Self { limit, two_dimensional: fork >= Fork::Amsterdam, cumulative: 0, regular: 0, state: 0 }
    }

    fn admit(&self, gas_limit: u64) -> Result<(), TxError> {
        let check = |have: u64, used: u64| {
            let left = self.limit.saturating_sub(used);
            if have > left { Err(TxError::GasLimitReached { have, left }) } else { Ok(()) }
        };
        if !self.two_dimensional {
            return check(gas_limit, self.cumulative);
        }
        check(gas_limit.min(Self::TX_REGULAR_GAS_MAX), self.regular)?;
        check(gas_limit, self.state)
    }

    /// What is left for a next transaction.
    pub(crate) fn left(&self) -> u64 {
        self.limit.saturating_sub(self.block_gas_used())
    }

    fn take(&mut self, ran: &Ran) {
        self.cumulative = self.cumulative.saturating_add(ran.gas_used);
        self.regular = self.regular.saturating_add(ran.regular_gas);
        self.state = self.state.saturating_add(ran.state_gas);
    }

    fn block_gas_used(&self) -> u64 {
        if self.two_dimensional { self.regular.max(self.state) } else { self.cumulative }
    }
}
