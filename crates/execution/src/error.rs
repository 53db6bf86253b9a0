use alloy_primitives::{Address, B256, Bloom, Bytes, U256};
use starling_primitives::{ReadError, SenderError};
use std::time::Duration;

/// Why a block does not run, or does not run to what its header says.
///
/// Only [`BlockError::Read`] and [`BlockError::Internal`] say nothing of the block; all others make it invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum BlockError {
    /// State could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The executor itself failed; a bug or a broken library, not the block.
    #[error("executor failed: {0}")]
    Internal(String),
    /// A transaction may not stand in this block.
    #[error("transaction {index} ({tx_hash}): {why}")]
    Transaction { index: usize, tx_hash: B256, why: Box<TxError> },
    /// A transaction's signature leads to no sender.
    #[error(transparent)]
    Sender(#[from] SenderError),
    /// The number of senders differs from the number of transactions.
    #[error("{senders} senders for {transactions} transactions")]
    Senders { senders: usize, transactions: usize },
    /// A header field that this fork needs is absent.
    #[error("header lacks {0}")]
    HeaderField(&'static str),
    /// The header's seal leads to no signer, so nobody can receive the fees (Clique).
    #[error("header has no author: its seal leads to no signer")]
    NoAuthor,
    /// A contract that must be called at the end of the block is not there (EIP-7002, EIP-7251, EIP-8282).
    #[error("system contract {0} has no code")]
    SystemContractEmpty(Address),
    /// A contract that must be called at the end of the block failed.
    #[error("call of system contract {address} failed: {why}")]
    SystemContractFailed { address: Address, why: String },
    /// A log of the deposit contract does not have the fixed layout (EIP-6110).
    #[error("deposit log of transaction {index} does not have the layout of a deposit")]
    DepositLayout { index: usize },
    /// Gas used by running differs.
    #[error("gas used {header}, running the block gave {computed}")]
    GasUsed { header: u64, computed: u64 },
    /// Blob gas used by the transactions differs.
    #[error("blob gas used {header}, the transactions use {computed}")]
    BlobGasUsed { header: u64, computed: u64 },
    /// Receipts differ.
    #[error("receipts root {header}, running the block gave {computed}")]
    ReceiptsRoot { header: B256, computed: B256 },
    /// Logs differ.
    #[error("logs bloom differs from running the block")]
    LogsBloom { header: Box<Bloom>, computed: Box<Bloom> },
    /// Requests differ (EIP-7685).
    #[error("requests hash {header:?}, running the block gave {computed:?}")]
    RequestsHash { header: Option<B256>, computed: Option<B256> },
    /// The block access list differs (EIP-7928).
    #[error("block access list hash {header:?}, running the block gave {computed:?}")]
    AccessListHash { header: Option<B256>, computed: Option<B256> },
    /// The block access list has more items than the gas limit allows (EIP-7928).
    #[error("block access list has {items} items, the gas limit allows {limit}")]
    AccessListTooLarge { items: u64, limit: u64 },
}

/// The rule that a transaction breaks, in the words that scripts know from geth.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum TxError {
    #[error("nonce too low: address {address}, tx: {tx} state: {state}")]
    NonceTooLow { address: Address, tx: u64, state: u64 },
    #[error("nonce too high: address {address}, tx: {tx} state: {state}")]
    NonceTooHigh { address: Address, tx: u64, state: u64 },
    /// EIP-2681.
    #[error("nonce has max value: address {address}, nonce: {nonce}")]
    NonceMax { address: Address, nonce: u64 },
    #[error("insufficient funds for gas * price + value: address {address} have {have} want {want}")]
    InsufficientFunds { address: Address, have: U256, want: U256 },
    /// Gas limit × price + value exceeds 256 bits.
    #[error("insufficient funds for gas * price + value: address {address} required balance exceeds 256 bits")]
    CostOverflow { address: Address },
    #[error("intrinsic gas too low: have {have}, want {want}")]
    IntrinsicGas { have: u64, want: u64 },
    /// EIP-7623.
    #[error("insufficient gas for floor data gas cost: have {have}, want {want}")]
    FloorDataGas { have: u64, want: u64 },
    /// The gas limit is above what is left in the block.
    #[error("gas limit reached: have {have}, left in block {left}")]
    GasLimitReached { have: u64, left: u64 },
    /// EIP-7825.
    #[error("transaction gas limit too high (cap: {cap}, tx: {gas_limit})")]
    GasLimitCap { gas_limit: u64, cap: u64 },
    #[error(
        "max fee per gas less than block base fee: address {address}, maxFeePerGas: {fee_cap}, baseFee: {base_fee}"
    )]
    FeeCapTooLow { address: Address, fee_cap: u128, base_fee: u64 },
    #[error(
        "max priority fee per gas higher than max fee per gas: address {address}, maxPriorityFeePerGas: {tip_cap}, maxFeePerGas: {fee_cap}"
    )]
    TipAboveFeeCap { address: Address, tip_cap: u128, fee_cap: u128 },
    /// EIP-3860.
    #[error("max initcode size exceeded: code size {size} limit {limit}")]
    InitcodeSize { size: usize, limit: usize },
    /// EIP-3607.
    #[error("sender not an eoa: address {address}")]
    SenderNotEoa { address: Address },
    /// Its EIP-2718 type does not exist in this fork.
    #[error("transaction type not supported: {tx_type}")]
    TypeNotSupported { tx_type: u8 },
    #[error("invalid chain id for signer: have {have:?} want {want}")]
    ChainId { have: Option<u64>, want: u64 },
    /// Replay protection (EIP-155) before the fork that has it.
    #[error("replay-protected transaction before its fork")]
    ProtectedTooEarly,
    #[error(
        "max fee per blob gas less than block blob gas fee: address {address} blobGasFeeCap: {fee_cap}, blobBaseFee: {base_fee}"
    )]
    BlobFeeCapTooLow { address: Address, fee_cap: u128, base_fee: u128 },
    #[error("blob transaction missing blob hashes")]
    NoBlobs,
    /// More blobs in one transaction than the fork allows.
    #[error("blob transaction has too many blobs ({have}), at most {max}")]
    TooManyBlobs { have: usize, max: usize },
    /// The blobs of the block together exceed the block's maximum.
    #[error("blob gas limit reached: {have} above {limit}")]
    BlobGasLimitReached { have: u64, limit: u64 },
    #[error("blob has invalid hash version")]
    BlobHashVersion,
    #[error("blob transaction of type create")]
    BlobCreate,
    #[error("EIP-7702 transaction with empty auth list (sender {address})")]
    EmptyAuthorizationList { address: Address },
    #[error("EIP-7702 transaction of type create")]
    AuthorizationCreate,
    /// A rule of the EVM library without a name here.
    #[error("{0}")]
    Other(String),
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
    Timeout(Duration),
    /// No gas limit up to the cap lets it succeed (estimates only); the outcome at the cap.
    #[error("gas required exceeds allowance ({0})")]
    GasExceedsAllowance(u64),
    /// The call reverts whatever the gas (estimates only).
    #[error("execution reverted")]
    Reverted(Bytes),
    /// The executor itself failed.
    #[error("executor failed: {0}")]
    Internal(String),
}
