use alloy_primitives::{Address, TxHash, U256};
use starling_chainspec::Fork;
use starling_primitives::{ReadError, SenderError};
use starling_validation::TransactionRule;

/// Why a transaction is not taken into the pool, in the words that scripts know from geth.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    // it could never be in a block
    /// The bytes are no transaction.
    #[error("transaction does not decode: {0}")]
    Decode(String),
    /// It is longer than a node takes.
    #[error("oversized data: transaction size {size}, limit {limit}")]
    TooLarge {
        /// Its bytes.
        size: usize,
        /// Most bytes.
        limit: usize,
    },
    /// It is for another chain.
    #[error("invalid chain id for signer: have {have} want {want}")]
    ChainId {
        /// Its chain.
        have: u64,
        /// Ours.
        want: u64,
    },
    /// Its type comes with a later fork.
    #[error("transaction type not supported: type {tx_type} needs {since}")]
    TypeNotSupported {
        /// Its type.
        tx_type: u8,
        /// The fork that brings it.
        since: Fork,
    },
    /// It breaks another rule of its fork.
    #[error(transparent)]
    Rule(TransactionRule),
    /// It has blobs, and this network or this node takes none.
    #[error("transaction type not supported: no blob transactions are taken here")]
    Blobs,
    /// Its blobs, commitments or proofs are missing or wrong.
    #[error("{0}")]
    Sidecar(String),
    /// Without EIP-155 it could be replayed on another chain.
    #[error("only replay-protected (EIP-155) transactions allowed over RPC")]
    Unprotected,
    /// More goes to the author than is paid at all.
    #[error(
        "max priority fee per gas higher than max fee per gas: maxPriorityFeePerGas: {tip_cap}, maxFeePerGas: {fee_cap}"
    )]
    TipAboveFeeCap {
        /// The tip's cap.
        tip_cap: u128,
        /// The fee's cap.
        fee_cap: u128,
    },
    /// It costs more than it may use.
    #[error("intrinsic gas too low: gas {have}, minimum needed {want}")]
    IntrinsicGas {
        /// Its gas limit.
        have: u64,
        /// What it costs before it runs.
        want: u64,
    },
    /// EIP-7623.
    #[error("insufficient gas for floor data gas cost: gas {have}, minimum needed {want}")]
    FloorDataGas {
        /// Its gas limit.
        have: u64,
        /// What its data costs at least.
        want: u64,
    },
    /// EIP-7825.
    #[error("transaction gas limit too high (cap: {cap}, tx: {gas})")]
    GasCap {
        /// Its gas limit.
        gas: u64,
        /// Most gas of a transaction.
        cap: u64,
    },
    /// No key fits its signature.
    #[error("invalid sender: {0}")]
    Sender(#[from] SenderError),

    // it could not be in the next block
    /// It wants more gas than a block has.
    #[error("exceeds block gas limit: gas {gas}, limit {limit}")]
    GasLimit {
        /// Its gas limit.
        gas: u64,
        /// The block's.
        limit: u64,
    },
    /// The chain is past its nonce.
    #[error("nonce too low: next nonce {state}, tx nonce {nonce}")]
    NonceTooLow {
        /// The account's nonce.
        state: u64,
        /// The transaction's.
        nonce: u64,
    },
    /// EIP-2681.
    #[error("nonce has max value: address {sender}, nonce: {nonce}")]
    NonceMax {
        /// Who signed it.
        sender: Address,
        /// Its nonce.
        nonce: u64,
    },
    /// The sender has too little, counting what its earlier transactions here may take.
    #[error("insufficient funds for gas * price + value: balance {balance}, queued cost {queued}, tx cost {cost}")]
    Funds {
        /// What the sender has.
        balance: U256,
        /// What its earlier transactions in the pool may take.
        queued: U256,
        /// What this one may take.
        cost: U256,
    },
    /// A contract cannot sign (EIP-3607).
    #[error("sender not an eoa: address {0}")]
    SenderNotEoa(Address),

    // the pool has no room for it
    /// It is here.
    #[error("already known")]
    Known(TxHash),
    /// It pays less than the pool asks for.
    #[error("transaction underpriced: tip needed {needed}, tip permitted {tip}")]
    Underpriced {
        /// Its tip.
        tip: u128,
        /// The least.
        needed: u128,
    },
    /// The pool is full of better ones.
    #[error("transaction underpriced: the pool is full, and nothing in it pays less")]
    Full,
    /// Another one of this nonce is here, and it does not pay enough more.
    #[error("replacement transaction underpriced")]
    Replacement,
    /// The account has too many that wait.
    #[error("account limit exceeded: {limit} transactions of {sender} wait for an earlier nonce already")]
    AccountQueue {
        /// Who signed it.
        sender: Address,
        /// Most that may wait.
        limit: usize,
    },
    /// EIP-7702: more would be void as soon as the code that stands in for the account spends its funds.
    #[error("in-flight transaction limit reached for delegated accounts: {0}")]
    Delegated(Address),
    /// The same, with a gap before it.
    #[error("gapped-nonce tx from delegated accounts: {0}")]
    DelegatedGap(Address),
    /// An account that would be delegated by it has transactions here.
    #[error("authority already reserved: {0}")]
    Authority(Address),

    /// The account has transactions of the other kind here: those with blobs and those without do not mix.
    #[error("address already reserved: {0}")]
    Reserved(Address),
    /// The account has as many transactions with blobs here as one may.
    #[error("account limit exceeded: pooled {limit} txs")]
    AccountBlobs {
        /// Most that it may have.
        limit: usize,
    },
    /// Transactions with blobs do not wait for others.
    #[error("nonce too high: tx nonce {nonce}, gapped nonce {expected}")]
    NonceGap {
        /// Its nonce.
        nonce: u64,
        /// The account's next one.
        expected: u64,
    },

    // nothing is wrong with it
    /// The account cannot be looked up now.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Its blobs cannot be written or read.
    #[error("cannot keep the blobs: {0}; make room on the disk")]
    BlobStore(String),
    /// It cannot be kept over a restart, so it is not accepted.
    #[error("cannot write the journal of transactions: {0}; make room on the disk")]
    Journal(String),
}

impl From<TransactionRule> for Refusal {
    fn from(rule: TransactionRule) -> Self {
        match rule {
            TransactionRule::ChainId { got, expected } => Self::ChainId { have: got, want: expected },
            TransactionRule::TypeBeforeFork { tx_type, since } => Self::TypeNotSupported { tx_type, since },
            other => Self::Rule(other),
        }
    }
}

impl Refusal {
    /// Whether a peer that sends such a transaction breaks the rules: no honest node would have it in its pool.
    pub const fn is_fault(&self) -> bool {
        matches!(
            self,
            Self::Decode(_)
                | Self::TooLarge { .. }
                | Self::TipAboveFeeCap { .. }
                | Self::IntrinsicGas { .. }
                | Self::FloorDataGas { .. }
                | Self::Sender(_)
                | Self::Sidecar(_)
        )
    }
}
