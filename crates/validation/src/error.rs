use crate::{CliqueRule, SealError};
use alloy_primitives::{B256, Bytes, U256};
use starling_chainspec::{DevRecordError, Fork};

/// Why a block is invalid, without running it. One rule a variant; the first rule broken is the error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// On a development chain: the extra data begins as a record, and is none.
    #[error(transparent)]
    DevRecord(#[from] DevRecordError),
    /// The number is not the parent's plus one.
    #[error("number {got}, expected {expected}")]
    Number {
        /// In the header.
        got: u64,
        /// By the rules.
        expected: u64,
    },
    /// The block names another parent than the one it is checked against.
    #[error("parent hash {got}, expected {expected}")]
    ParentHash {
        /// In the header.
        got: B256,
        /// The parent's.
        expected: B256,
    },
    /// Osaka: the block is too large (EIP-7934).
    #[error("block of {bytes} bytes, at most {limit} are allowed")]
    Size {
        /// Its RLP's length.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// A block of proof of stake on a parent that has not reached the terminal total difficulty.
    #[error("difficulty 0 on a parent of total difficulty {total}, below the terminal {terminal}")]
    BeforeMerge {
        /// The parent's total difficulty.
        total: U256,
        /// The chain's terminal total difficulty.
        terminal: U256,
    },
    /// A difficulty after the merge.
    #[error("difficulty {got} after the merge, expected 0")]
    DifficultyAfterMerge {
        /// In the header.
        got: U256,
    },
    /// A difficulty of zero on a chain that never merges, or another one than the formula's.
    #[error("difficulty {got}, expected {expected}")]
    Difficulty {
        /// In the header.
        got: U256,
        /// By the fork's formula.
        expected: U256,
    },
    /// A nonce after the merge.
    #[error("nonce {got:#018x} after the merge, expected 0")]
    NonceAfterMerge {
        /// In the header.
        got: u64,
    },
    /// Ommers after the merge.
    #[error("ommers hash {got} after the merge, expected that of no ommers")]
    OmmersAfterMerge {
        /// In the header.
        got: B256,
    },
    /// The header lacks a field of its fork.
    #[error("{field} is missing in a header of {fork}")]
    FieldMissing {
        /// The field, as JSON-RPC calls it.
        field: &'static str,
        /// The header's fork.
        fork: Fork,
    },
    /// The header has a field that its fork does not know.
    #[error("{field} stands in a header of {fork}, which has no such field")]
    FieldUnexpected {
        /// The field, as JSON-RPC calls it.
        field: &'static str,
        /// The header's fork.
        fork: Fork,
    },
    /// More gas used than the limit.
    #[error("gas used {used} is above the gas limit {limit}")]
    GasUsedAboveLimit {
        /// In the header.
        used: u64,
        /// In the header.
        limit: u64,
    },
    /// The gas limit moved by a 1024th of the parent's or more.
    #[error("gas limit {got} is too far from the parent's {parent}")]
    GasLimitStep {
        /// In the header.
        got: u64,
        /// The parent's; doubled at the London block.
        parent: u64,
    },
    /// The gas limit is out of its absolute bounds.
    #[error("gas limit {got} is not within {min} and {max}")]
    GasLimitBounds {
        /// In the header.
        got: u64,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// The base fee does not follow from the parent (EIP-1559).
    #[error("base fee per gas {got} wei, expected {expected} wei")]
    BaseFee {
        /// In the header, wei.
        got: u64,
        /// By the rules, wei.
        expected: u64,
    },
    /// Not later than the parent.
    #[error("timestamp {got} is not after the parent's {parent}")]
    Timestamp {
        /// In the header, unix seconds.
        got: u64,
        /// The parent's, unix seconds.
        parent: u64,
    },
    /// Extra data too long.
    #[error("extra data of {bytes} bytes, at most {limit} are allowed")]
    ExtraDataLength {
        /// Its length.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// In the ten blocks from the DAO fork the extra data tells the two chains apart.
    #[error("extra data {got} in the blocks of the DAO fork, which this chain {}", if *.supported { "took" } else { "refused" })]
    DaoExtraData {
        /// In the header.
        got: Bytes,
        /// Whether this chain took the fork.
        supported: bool,
    },
    /// The excess blob gas does not follow from the parent (EIP-4844, EIP-7918).
    #[error("excess blob gas {got}, expected {expected}")]
    ExcessBlobGas {
        /// In the header.
        got: u64,
        /// By the rules.
        expected: u64,
    },
    /// More blob gas than a block may use.
    #[error("blob gas used {used} is above the limit {limit}")]
    BlobGasAboveLimit {
        /// In the header.
        used: u64,
        /// By the fork's blob schedule.
        limit: u64,
    },
    /// The blob gas is not that of the body's blobs.
    #[error("blob gas used {got}, the transactions carry {computed}")]
    BlobGasUsed {
        /// In the header.
        got: u64,
        /// By the body.
        computed: u64,
    },
    /// The transactions are not those of the header.
    #[error("transactions root {got}, the body gives {computed}")]
    TransactionsRoot {
        /// In the header.
        got: B256,
        /// By the body.
        computed: B256,
    },
    /// The ommers are not those of the header.
    #[error("ommers hash {got}, the body gives {computed}")]
    OmmersHash {
        /// In the header.
        got: B256,
        /// By the body.
        computed: B256,
    },
    /// The withdrawals are not those of the header.
    #[error("withdrawals root {got}, the body gives {computed}")]
    WithdrawalsRoot {
        /// In the header.
        got: B256,
        /// By the body.
        computed: B256,
    },
    /// The body has no list of withdrawals, since Shanghai.
    #[error("the body has no list of withdrawals")]
    WithdrawalsMissing,
    /// The body has a list of withdrawals, before Shanghai.
    #[error("the body has a list of withdrawals before Shanghai")]
    WithdrawalsUnexpected,
    /// The block access list that came beside the block is not that of the header.
    #[error("block access list hash {got}, the list gives {computed}")]
    AccessListHash {
        /// In the header.
        got: B256,
        /// By the list.
        computed: B256,
    },
    /// A transaction that may not stand in any block of this fork and chain.
    #[error("transaction {index} ({tx_hash}): {rule}")]
    Transaction {
        /// Its place in the block.
        index: usize,
        /// Its hash.
        tx_hash: B256,
        /// The rule it breaks.
        rule: TransactionRule,
    },
    /// More ommers than two.
    #[error("{count} ommers, at most 2 are allowed")]
    OmmersCount {
        /// In the body.
        count: usize,
    },
    /// An ommer that may not stand in this block.
    #[error("ommer {index}: {rule}")]
    Ommer {
        /// Its place in the block.
        index: usize,
        /// The rule it breaks.
        rule: OmmerRule,
    },
    /// The Ethash seal does not hold.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A rule of proof of authority.
    #[error(transparent)]
    Clique(#[from] CliqueRule),
}

/// Rules of a transaction that need neither the state nor the gas spent before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransactionRule {
    /// Its type comes with a later fork.
    #[error("type {tx_type} before {since}")]
    TypeBeforeFork {
        /// EIP-2718 type.
        tx_type: u8,
        /// The fork that brings it.
        since: Fork,
    },
    /// A signature with a chain id, before EIP-155.
    #[error("replay protection before {}", Fork::SpuriousDragon)]
    ReplayProtection,
    /// Signed for another chain.
    #[error("chain id {got}, expected {expected}")]
    ChainId {
        /// In the transaction.
        got: u64,
        /// The chain's.
        expected: u64,
    },
    /// A blob transaction without blobs.
    #[error("a blob transaction without blobs")]
    NoBlobs,
    /// A versioned hash of an unknown kind of commitment.
    #[error("blob hash version {version}, expected 1")]
    BlobVersion {
        /// Its first byte.
        version: u8,
    },
    /// Osaka: more blobs than one transaction may carry (EIP-7594).
    #[error("{count} blobs, at most {limit} are allowed in a transaction")]
    TooManyBlobs {
        /// In the transaction.
        count: usize,
        /// The bound.
        limit: usize,
    },
}

/// Rules of an ommer: it must be a sibling of an ancestor of the last six generations, new and valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OmmerRule {
    /// It stands in the block twice.
    #[error("stands in the block twice")]
    Twice,
    /// It is one of the block's ancestors.
    #[error("is an ancestor of the block")]
    Ancestor,
    /// An ancestor has included it.
    #[error("was included by an ancestor")]
    Included,
    /// Its parent is not among the ancestors near enough.
    #[error("its parent is not an ancestor of the block within six generations before its parent")]
    ParentNotAncestor,
    /// It is a sibling of the block itself.
    #[error("is a sibling of the block")]
    Sibling,
    /// Its header breaks a rule.
    #[error(transparent)]
    Header(Box<HeaderError>),
}
