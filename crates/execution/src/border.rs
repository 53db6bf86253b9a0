//! First sketch of the border; its parts move to homes of their own (block.rs, call.rs, receipt.rs, system.rs, evm.rs).
use starling_chainspec::ChainSpec;
use starling_primitives::{Address, B256, Bytes, Header, Log, ReadError, Receipt, StateDiff, StateReader, U256};
use starling_validation::CheckedBlock;
use std::{collections::BTreeMap, time::Instant};

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

/// Why a block does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// State could not be read: says nothing of the block.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A transaction may not stand in this block.
    #[error("transaction {index} ({tx_hash}): {why}")]
    Transaction {
        /// Its place.
        index: usize,
        /// Its hash.
        tx_hash: B256,
        /// The rule it breaks.
        why: String,
    },
    /// The header says another gas used.
    #[error("gas used {header}, running the block gave {computed}")]
    GasUsed {
        /// In the header.
        header: u64,
        /// By running.
        computed: u64,
    },
}

/// Computes the state root after a cumulative diff: what receipts before Byzantium carry.
pub type IntermediateRoot<'a> = dyn FnMut(&mut StateDiff) -> Result<B256, ReadError> + 'a;

/// Runs a checked block on its parent's state. `root` is called only before Byzantium, once a transaction.
pub fn execute(
    spec: &ChainSpec,
    block: CheckedBlock,
    parent_state: &dyn StateReader,
    root: &mut IntermediateRoot<'_>,
) -> Result<ExecutedBlock, BlockError> {
    let _ = (spec, block, parent_state, root);
    todo!()
}

/// A message call or contract creation that is not a transaction: no signature, fields optional.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// The sender; the zero address by default.
    pub from: Address,
    /// The callee; none creates a contract.
    pub to: Option<Address>,
    /// Gas limit; the caps of [`CallLimits`] by default.
    pub gas: Option<u64>,
    /// Legacy gas price, or both fee fields, or none (then fees are not charged).
    pub gas_price: Option<u128>,
    /// EIP-1559.
    pub max_fee_per_gas: Option<u128>,
    /// EIP-1559.
    pub max_priority_fee_per_gas: Option<u128>,
    /// Wei.
    pub value: U256,
    /// Call data or init code.
    pub input: Bytes,
    /// Nonce; the account's by default.
    pub nonce: Option<u64>,
    /// EIP-2930 access list: addresses and slots.
    pub access_list: Option<Vec<(Address, Vec<B256>)>>,
    /// EIP-4844.
    pub max_fee_per_blob_gas: Option<u128>,
    /// EIP-4844.
    pub blob_versioned_hashes: Vec<B256>,
    /// EIP-7702, signed.
    pub authorization_list: Vec<alloy_eips::eip7702::SignedAuthorization>,
}

/// State laid over the real one for one call.
#[derive(Debug, Clone, Default)]
pub struct AccountOverride {
    /// Balance in wei.
    pub balance: Option<U256>,
    /// Nonce.
    pub nonce: Option<u64>,
    /// Code.
    pub code: Option<Bytes>,
    /// The whole storage; slots not named are zero.
    pub state: Option<BTreeMap<B256, B256>>,
    /// Single slots.
    pub state_diff: Option<BTreeMap<B256, B256>>,
    /// Moves a precompile from the overridden address to this one.
    pub move_precompile_to: Option<Address>,
}

/// Block fields laid over the real ones for one call.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct BlockOverride {
    pub number: Option<u64>,
    pub time: Option<u64>,
    pub gas_limit: Option<u64>,
    pub fee_recipient: Option<Address>,
    pub prev_randao: Option<B256>,
    pub base_fee_per_gas: Option<U256>,
    pub blob_base_fee: Option<U256>,
    pub difficulty: Option<U256>,
}

/// Overrides of one call.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// By address.
    pub accounts: BTreeMap<Address, AccountOverride>,
    /// Block fields.
    pub block: BlockOverride,
}

/// What a call may cost.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// Most gas (`--rpc.gascap`).
    pub gas_cap: u64,
    /// When it is cut off (`--rpc.evmtimeout`).
    pub deadline: Instant,
}

/// How a call ended.
#[derive(Debug, Clone)]
pub enum CallResult {
    /// It returned.
    Success {
        /// Return data, or the code of a created contract.
        output: Bytes,
        /// Logs in order.
        logs: Vec<Log>,
    },
    /// It reverted.
    Revert {
        /// The revert data.
        output: Bytes,
    },
    /// It failed and used all its gas; the field's words for it (`out of gas`, `invalid opcode: …`).
    Halt {
        /// Why.
        reason: String,
    },
}

/// A call's end and cost.
#[derive(Debug, Clone)]
pub struct CallOutcome {
    /// How it ended.
    pub result: CallResult,
    /// Gas used, refunds taken off.
    pub gas_used: u64,
}

/// Why a call could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// State could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The call is not one: fees, nonce, balance, …; in geth's words, since scripts match them.
    #[error("{0}")]
    Invalid(String),
    /// Cut off at the deadline.
    #[error("execution aborted (timeout = {0:?})")]
    Timeout(std::time::Duration),
    /// No gas limit up to the cap lets it succeed (estimates only); the outcome at the cap.
    #[error("gas required exceeds allowance ({0})")]
    GasExceedsAllowance(u64),
    /// The call reverts whatever the gas (estimates only).
    #[error("execution reverted")]
    Reverted(Bytes),
}

/// Runs a call on the state after `header`'s block.
pub fn call(
    spec: &ChainSpec,
    header: &Header,
    state: &dyn StateReader,
    call: &Call,
    overrides: &Overrides,
    limits: CallLimits,
) -> Result<CallOutcome, CallError> {
    let _ = (spec, header, state, call, overrides, limits);
    todo!()
}

/// The least gas limit at which a call succeeds.
pub fn estimate_gas(
    spec: &ChainSpec,
    header: &Header,
    state: &dyn StateReader,
    call: &Call,
    overrides: &Overrides,
    limits: CallLimits,
) -> Result<u64, CallError> {
    let _ = (spec, header, state, call, overrides, limits);
    todo!()
}

/// The access list that a call would profit from, and the call's outcome with it.
pub fn create_access_list(
    spec: &ChainSpec,
    header: &Header,
    state: &dyn StateReader,
    call: &Call,
    overrides: &Overrides,
    limits: CallLimits,
) -> Result<(Vec<(Address, Vec<B256>)>, CallOutcome), CallError> {
    let _ = (spec, header, state, call, overrides, limits);
    todo!()
}
