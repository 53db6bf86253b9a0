//! Why a block was refused, against what the suites call it: a block refused for a wrong reason fails.
//!
//! A refusal stands here with every name that is right for it. Most have one. Others have more, since the order of
//! checks is free and a block may break several rules: where that is so, a comment says why ours comes first.

use starling_chain::InvalidReason;
use starling_execution::{BlockError, TxError};
use starling_validation::{HeaderError, OmmerRule, PrepareError, TransactionRule};
use std::fmt;

/// Why a block was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// What the case gives as its bytes is no hex.
    NoBytes,
    /// It does not decode, or a signature leads to no sender.
    Prepare(PrepareError),
    /// Its parent is not known.
    UnknownParent,
    /// Its parent was refused before.
    Descendant,
    /// Its parent's state is not kept any more, which happens to no case.
    StateGone,
    /// It breaks a rule.
    Invalid(InvalidReason),
    /// In the words of the Engine API, which settles some payloads without asking the chain.
    Engine(String),
}

impl From<PrepareError> for Refusal {
    fn from(error: PrepareError) -> Self {
        Self::Prepare(error)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBytes => f.write_str("no hex"),
            Self::Prepare(error) => error.fmt(f),
            Self::UnknownParent => f.write_str("unknown parent"),
            Self::Descendant => f.write_str("a child of a refused block"),
            Self::StateGone => f.write_str("the parent's state is not kept"),
            Self::Invalid(why) => why.fmt(f),
            Self::Engine(why) => f.write_str(why),
        }
    }
}

impl Refusal {
    /// Whether one of the suite's names, joined with `|`, is one for this refusal.
    pub fn is_for(&self, names: &str) -> bool {
        let rules = self.rules();
        names.split('|').any(|name| {
            let name = name.split_once('.').map_or(name, |(_class, rule)| rule);
            match OLDER.iter().find(|(older, _)| *older == name) {
                Some((_, today)) => today.iter().any(|name| rules.contains(name)),
                None => rules.contains(&name),
            }
        })
    }

    /// The rules by which the suites may call this refusal: the one that is broken, and those that a block which breaks
    /// it breaks as well, where our order of checks comes to this one first.
    fn rules(&self) -> &'static [&'static str] {
        match self {
            Self::NoBytes => &["RLP_STRUCTURES_ENCODING"],
            Self::Prepare(error) => prepare_rules(error),
            Self::UnknownParent => &["UNKNOWN_PARENT", "UNKNOWN_PARENT_ZERO"],
            // the suites' parent was never there; ours is known to be invalid
            Self::Descendant => &["UNKNOWN_PARENT"],
            Self::StateGone => &[],
            Self::Invalid(InvalidReason::Prepare(error)) => prepare_rules(error),
            Self::Invalid(InvalidReason::Check(error)) => header_rules(error),
            Self::Invalid(InvalidReason::Execute(error)) => block_rules(error),
            Self::Invalid(InvalidReason::StateRoot { .. }) => &["INVALID_STATE_ROOT"],
            Self::Engine(words) => engine_rules(words),
        }
    }
}

/// A signature that leads to no sender is found when a block is read, or as late as it runs.
const SENDER_RULES: &[&str] = &["INVALID_SIGNATURE_VRS", "EC_RECOVERY_FAIL"];

/// What does not decode is refused before any rule about its content, whatever the case is about.
fn prepare_rules(error: &PrepareError) -> &'static [&'static str] {
    match error {
        PrepareError::Decode { what: "header", .. } => &[
            "RLP_STRUCTURES_ENCODING",
            "RLP_INVALID_FIELD_OVERFLOW_64",
            // with a field too few or too many, the ones behind it are read as others and are too long
            "INCORRECT_BLOCK_FORMAT",
        ],
        PrepareError::Decode { .. } => {
            &["RLP_STRUCTURES_ENCODING", "RLP_INVALID_FIELD_OVERFLOW_64", "RLP_WITHDRAWALS_NOT_READ"]
        }
        // what alloy says of a legacy transaction whose price has more than 128 bits: nobody could pay it
        PrepareError::Transaction { error, .. } if error.starts_with("Unexpected type flag") => &[
            "GASLIMIT_PRICE_PRODUCT_OVERFLOW",
            "GASPRICE_OVERFLOW",
            "INSUFFICIENT_ACCOUNT_FUNDS",
            "RLP_INVALID_VALUE",
            "TYPE_NOT_SUPPORTED",
            "VALUE_OVERFLOW",
        ],
        PrepareError::Transaction { .. } => &[
            "RLP_STRUCTURES_ENCODING",
            "RLP_INVALID_VALUE",
            "ADDRESS_TOO_LONG",
            "ADDRESS_TOO_SHORT",
            "GASLIMIT_OVERFLOW",
            "GASPRICE_OVERFLOW",
            "NONCE_OVERFLOW",
            "VALUE_OVERFLOW",
            "TYPE_NOT_SUPPORTED",
            // these types have no form without a `to`
            "TYPE_3_TX_CONTRACT_CREATION",
            "TYPE_4_TX_CONTRACT_CREATION",
            "TYPE_3_TX_WITH_FULL_BLOBS",
        ],
        PrepareError::Sender(_) => SENDER_RULES,
    }
}

fn header_rules(error: &HeaderError) -> &'static [&'static str] {
    match error {
        // only development chains have them, and no case does
        HeaderError::DevRecord(_) => &[],
        HeaderError::Number { .. } => &["INVALID_BLOCK_NUMBER"],
        HeaderError::Size { .. } => &["RLP_BLOCK_LIMIT_EXCEEDED"],
        HeaderError::BeforeMerge { .. } => &["IMPORT_IMPOSSIBLE_PARIS_WRONG_POS"],
        HeaderError::DifficultyAfterMerge { .. } => &["IMPORT_IMPOSSIBLE_PARIS_WRONG_POW", "INVALID_DIFFICULTY"],
        HeaderError::Difficulty { .. } => &["INVALID_DIFFICULTY"],
        HeaderError::NonceAfterMerge { .. } | HeaderError::OmmersAfterMerge { .. } => {
            &["IMPORT_IMPOSSIBLE_UNCLES_OVER_PARIS"]
        }
        HeaderError::FieldMissing { field: "baseFeePerGas", .. } => {
            &["INCORRECT_BLOCK_FORMAT", "IMPORT_IMPOSSIBLE_LEGACY", "IMPORT_IMPOSSIBLE_LEGACY_WRONG_PARENT"]
        }
        HeaderError::FieldUnexpected { field: "baseFeePerGas", .. } => &[
            "INCORRECT_BLOCK_FORMAT",
            "IMPORT_IMPOSSIBLE_LONDON_WRONG_PARENT",
            // a block with London's doubled limit one block too early
            "INVALID_GASLIMIT",
        ],
        HeaderError::FieldMissing { field: "withdrawalsRoot", .. } => {
            &["INCORRECT_BLOCK_FORMAT", "IMPORT_IMPOSSIBLE_PARIS_OVER_SHANGHAI"]
        }
        HeaderError::FieldUnexpected { field: "withdrawalsRoot", .. } => {
            &["INCORRECT_BLOCK_FORMAT", "IMPORT_IMPOSSIBLE_SHANGHAI"]
        }
        HeaderError::FieldMissing { .. } | HeaderError::FieldUnexpected { .. } => &["INCORRECT_BLOCK_FORMAT"],
        // the suites lower the limit under the gas used, or let transactions use more than the limit: the header
        // shows both before anything runs
        HeaderError::GasUsedAboveLimit { .. } => &["GAS_USED_OVERFLOW", "INVALID_GASLIMIT", "GAS_ALLOWANCE_EXCEEDED"],
        HeaderError::GasLimitStep { .. } => &["INVALID_GASLIMIT"],
        HeaderError::GasLimitBounds { .. } => &["INVALID_GASLIMIT", "GASLIMIT_TOO_BIG"],
        HeaderError::BaseFee { .. } => &["INVALID_BASEFEE_PER_GAS"],
        HeaderError::Timestamp { .. } => &["INVALID_BLOCK_TIMESTAMP_OLDER_THAN_PARENT"],
        HeaderError::ExtraDataLength { .. } => &["EXTRA_DATA_TOO_BIG"],
        HeaderError::DaoExtraData { .. } => &["EXTRA_DATA_INVALID_DAO"],
        HeaderError::ExcessBlobGas { .. } => &["INCORRECT_EXCESS_BLOB_GAS"],
        // the header says what its transactions carry, and is looked at before them
        HeaderError::BlobGasAboveLimit { .. } => {
            &["BLOB_GAS_USED_ABOVE_LIMIT", "TYPE_3_TX_MAX_BLOB_GAS_ALLOWANCE_EXCEEDED", "TYPE_3_TX_BLOB_COUNT_EXCEEDED"]
        }
        HeaderError::BlobGasUsed { .. } => &["INCORRECT_BLOB_GAS_USED"],
        HeaderError::TransactionsRoot { .. } => &["INVALID_TRANSACTIONS_ROOT"],
        HeaderError::OmmersHash { .. } => &["INVALID_OMMERS_HASH"],
        HeaderError::WithdrawalsRoot { .. } => &["INVALID_WITHDRAWALS_ROOT"],
        HeaderError::WithdrawalsMissing => &["RLP_STRUCTURES_ENCODING", "RLP_WITHDRAWALS_NOT_READ"],
        HeaderError::AccessListHash { .. } => &["INVALID_BAL_HASH"],
        HeaderError::Transaction { rule, .. } => transaction_rules(rule),
        HeaderError::OmmersCount { .. } => &["TOO_MANY_OMMERS"],
        HeaderError::Ommer { rule, .. } => ommer_rules(rule),
        HeaderError::Seal(_) => &["INVALID_SEAL"],
        _ => &[],
    }
}

fn transaction_rules(rule: &TransactionRule) -> &'static [&'static str] {
    match rule {
        TransactionRule::TypeBeforeFork { tx_type, .. } => type_before_fork(*tx_type),
        TransactionRule::ReplayProtection | TransactionRule::ChainId { .. } => &["INVALID_CHAINID"],
        TransactionRule::NoBlobs => &["TYPE_3_TX_ZERO_BLOBS"],
        TransactionRule::BlobVersion { .. } => &["TYPE_3_TX_INVALID_BLOB_VERSIONED_HASH"],
        // as many in one transaction as the whole block may not carry
        TransactionRule::TooManyBlobs { .. } => {
            &["TYPE_3_TX_BLOB_COUNT_EXCEEDED", "TYPE_3_TX_MAX_BLOB_GAS_ALLOWANCE_EXCEEDED"]
        }
        _ => &[],
    }
}

fn type_before_fork(tx_type: u8) -> &'static [&'static str] {
    match tx_type {
        1 => &["TYPE_NOT_SUPPORTED", "TYPE_1_TX_PRE_FORK"],
        2 => &["TYPE_NOT_SUPPORTED", "TYPE_2_TX_PRE_FORK"],
        3 => &["TYPE_NOT_SUPPORTED", "TYPE_3_TX_PRE_FORK"],
        4 => &["TYPE_NOT_SUPPORTED", "TYPE_4_TX_PRE_FORK"],
        _ => &["TYPE_NOT_SUPPORTED"],
    }
}

fn ommer_rules(rule: &OmmerRule) -> &'static [&'static str] {
    match rule {
        // by the suites the second one is included already, or each is the other's brother
        OmmerRule::Twice => &["OMMER_INCLUDED", "OMMER_IS_SIBLING"],
        // an ancestor's own parent is too far back, or on the chain as it is itself
        OmmerRule::Ancestor => &["OMMER_IS_ANCESTOR", "OMMER_INCLUDED", "UNCLE_PARENT_INCORRECT"],
        OmmerRule::Included => &["OMMER_INCLUDED"],
        OmmerRule::ParentNotAncestor => &["UNCLE_PARENT_INCORRECT"],
        OmmerRule::Sibling => &["OMMER_IS_SIBLING", "UNCLE_PARENT_INCORRECT"],
        OmmerRule::Header(error) => header_rules(error),
        _ => &[],
    }
}

fn block_rules(error: &BlockError) -> &'static [&'static str] {
    match error {
        BlockError::Transaction { why, .. } => tx_rules(why),
        BlockError::Sender(_) => SENDER_RULES,
        BlockError::SystemContractEmpty(_) => &["SYSTEM_CONTRACT_EMPTY"],
        BlockError::SystemContractFailed { .. } => &["SYSTEM_CONTRACT_CALL_FAILED"],
        BlockError::DepositLayout { .. } => &["INVALID_DEPOSIT_EVENT_LAYOUT"],
        BlockError::GasUsed { .. } => &["INVALID_GAS_USED"],
        BlockError::BlobGasUsed { .. } => &["INCORRECT_BLOB_GAS_USED"],
        // before Byzantium receipts carry the state's root, which is thereby wrong first in them
        BlockError::ReceiptsRoot { .. } => &["INVALID_RECEIPTS_ROOT", "INVALID_STATE_ROOT"],
        BlockError::LogsBloom { .. } => &["INVALID_LOG_BLOOM"],
        BlockError::RequestsHash { .. } => &["INVALID_REQUESTS"],
        // the list itself is not part of a block: only its hash can be wrong
        BlockError::AccessListHash { .. } => &["INVALID_BAL_HASH", "INVALID_BLOCK_ACCESS_LIST"],
        BlockError::AccessListTooLarge { .. } => &["BLOCK_ACCESS_LIST_GAS_LIMIT_EXCEEDED"],
        _ => &[],
    }
}

fn tx_rules(error: &TxError) -> &'static [&'static str] {
    match error {
        TxError::NonceTooLow { .. } => &["NONCE_MISMATCH_TOO_LOW"],
        TxError::NonceTooHigh { .. } => &["NONCE_MISMATCH_TOO_HIGH"],
        TxError::NonceMax { .. } => &["NONCE_IS_MAX"],
        TxError::InsufficientFunds { .. } => &["INSUFFICIENT_ACCOUNT_FUNDS"],
        TxError::CostOverflow { .. } => &["INSUFFICIENT_ACCOUNT_FUNDS", "GASLIMIT_PRICE_PRODUCT_OVERFLOW"],
        TxError::IntrinsicGas { .. } => &["INTRINSIC_GAS_TOO_LOW"],
        // a limit below the floor that is below the intrinsic cost as well
        TxError::FloorDataGas { .. } => &["INTRINSIC_GAS_BELOW_FLOOR_GAS_COST", "INTRINSIC_GAS_TOO_LOW"],
        TxError::GasLimitReached { .. } => &["GAS_ALLOWANCE_EXCEEDED", "GAS_USED_OVERFLOW"],
        TxError::GasLimitCap { .. } => &["GAS_LIMIT_EXCEEDS_MAXIMUM"],
        TxError::FeeCapTooLow { .. } => &["INSUFFICIENT_MAX_FEE_PER_GAS"],
        TxError::TipAboveFeeCap { .. } => &["PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS"],
        TxError::InitcodeSize { .. } => &["INITCODE_SIZE_EXCEEDED"],
        TxError::SenderNotEoa { .. } => &["SENDER_NOT_EOA"],
        TxError::TypeNotSupported { tx_type } => type_before_fork(*tx_type),
        TxError::ChainId { .. } | TxError::ProtectedTooEarly => &["INVALID_CHAINID"],
        TxError::BlobFeeCapTooLow { .. } => &["INSUFFICIENT_MAX_FEE_PER_BLOB_GAS"],
        TxError::NoBlobs => &["TYPE_3_TX_ZERO_BLOBS"],
        TxError::TooManyBlobs { .. } | TxError::BlobGasLimitReached { .. } => {
            &["TYPE_3_TX_BLOB_COUNT_EXCEEDED", "TYPE_3_TX_MAX_BLOB_GAS_ALLOWANCE_EXCEEDED"]
        }
        TxError::BlobHashVersion => &["TYPE_3_TX_INVALID_BLOB_VERSIONED_HASH"],
        TxError::BlobCreate => &["TYPE_3_TX_CONTRACT_CREATION"],
        TxError::EmptyAuthorizationList { .. } => &["TYPE_4_EMPTY_AUTHORIZATION_LIST"],
        TxError::AuthorizationCreate => &["TYPE_4_TX_CONTRACT_CREATION"],
        _ => &[],
    }
}

/// The Engine API settles a few payloads before they reach the chain, and says so in words.
fn engine_rules(words: &str) -> &'static [&'static str] {
    const BEGINNINGS: [(&str, &[&str]); 2] = [
        ("blockhash mismatch", &["INVALID_BLOCK_HASH"]),
        // before Cancun no hashes come with a payload, so that a blob transaction in it has too many
        ("invalid number of versionedHashes", &["INVALID_VERSIONED_HASHES", "TYPE_3_TX_PRE_FORK"]),
    ];
    BEGINNINGS.iter().find(|(beginning, _)| words.starts_with(beginning)).map_or(&[], |(_, rules)| rules)
}

/// The older suites' words, in today's. Some rules have no name today; theirs is made up.
const OLDER: [(&str, &[&str]); 53] = [
    ("1559BlockImportImpossible_BaseFeeWrong", &["INVALID_BASEFEE_PER_GAS"]),
    ("3675PoSBlockRejected", &["IMPORT_IMPOSSIBLE_PARIS_WRONG_POS", "INVALID_DIFFICULTY"]),
    ("3675PreParis1559BlockRejected", &["IMPORT_IMPOSSIBLE_PARIS_WRONG_POW", "IMPORT_IMPOSSIBLE_UNCLES_OVER_PARIS"]),
    ("BlockGasLimitReached", &["GAS_ALLOWANCE_EXCEEDED"]),
    ("ExtraDataTooBig", &["EXTRA_DATA_TOO_BIG"]),
    ("INPUT_UNMARSHAL_ERROR", &["RLP_STRUCTURES_ENCODING"]),
    ("IntrinsicGas", &["INTRINSIC_GAS_TOO_LOW"]),
    ("InvalidBlockNonce", &["INVALID_SEAL"]),
    ("InvalidDifficulty", &["INVALID_DIFFICULTY"]),
    ("InvalidGasLimit", &["INVALID_GASLIMIT"]),
    ("InvalidGasLimit2", &["INVALID_GASLIMIT"]),
    ("InvalidGasUsed", &["INVALID_GAS_USED"]),
    ("InvalidLogBloom", &["INVALID_LOG_BLOOM"]),
    ("InvalidNumber", &["INVALID_BLOCK_NUMBER"]),
    ("InvalidReceiptsStateRoot", &["INVALID_RECEIPTS_ROOT"]),
    ("InvalidStateRoot", &["INVALID_STATE_ROOT"]),
    ("InvalidTimestamp", &["INVALID_BLOCK_TIMESTAMP_OLDER_THAN_PARENT"]),
    ("InvalidTimestampOlderParent", &["INVALID_BLOCK_TIMESTAMP_OLDER_THAN_PARENT"]),
    ("InvalidTransactionsRoot", &["INVALID_TRANSACTIONS_ROOT"]),
    ("InvalidUncleParentHash", &["UNCLE_PARENT_INCORRECT"]),
    ("InvalidUnclesHash", &["INVALID_OMMERS_HASH"]),
    ("InvalidWithdrawals", &["INVALID_WITHDRAWALS_ROOT"]),
    ("PostParisUncleHashIsNotEmpty", &["IMPORT_IMPOSSIBLE_UNCLES_OVER_PARIS"]),
    ("RLP_ExpectedAsList", &["RLP_STRUCTURES_ENCODING"]),
    ("SenderNotEOA", &["SENDER_NOT_EOA"]),
    ("SenderNotEOAorNoCASH", &["SENDER_NOT_EOA", "INSUFFICIENT_ACCOUNT_FUNDS"]),
    ("TR_BLOBCREATE", &["TYPE_3_TX_CONTRACT_CREATION"]),
    ("TR_BLOBLIST_OVERSIZE", &["TYPE_3_TX_BLOB_COUNT_EXCEEDED"]),
    ("TR_BLOBVERSION_INVALID", &["TYPE_3_TX_INVALID_BLOB_VERSIONED_HASH"]),
    ("TR_EMPTYBLOB", &["TYPE_3_TX_ZERO_BLOBS"]),
    ("TR_FeeCapLessThanBlocks", &["INSUFFICIENT_MAX_FEE_PER_GAS"]),
    ("TR_FeeCapLessThanBlocksORGasLimitReached", &["INSUFFICIENT_MAX_FEE_PER_GAS", "GAS_ALLOWANCE_EXCEEDED"]),
    ("TR_FeeCapLessThanBlocksORNoFunds", &["INSUFFICIENT_MAX_FEE_PER_GAS", "INSUFFICIENT_ACCOUNT_FUNDS"]),
    ("TR_GasLimitReached", &["GAS_ALLOWANCE_EXCEEDED"]),
    ("TR_InitCodeLimitExceeded", &["INITCODE_SIZE_EXCEEDED"]),
    ("TR_IntrinsicGas", &["INTRINSIC_GAS_TOO_LOW"]),
    ("TR_NoFunds", &["INSUFFICIENT_ACCOUNT_FUNDS"]),
    ("TR_NoFundsOrGas", &["INSUFFICIENT_ACCOUNT_FUNDS", "INTRINSIC_GAS_TOO_LOW"]),
    ("TR_NoFundsX", &["INSUFFICIENT_ACCOUNT_FUNDS"]),
    ("TR_NonceHasMaxValue", &["NONCE_IS_MAX"]),
    ("TR_NonceTooHigh", &["NONCE_MISMATCH_TOO_HIGH"]),
    ("TR_NonceTooLow", &["NONCE_MISMATCH_TOO_LOW"]),
    ("TR_RLP_WRONGVALUE", &["RLP_INVALID_VALUE"]),
    ("TR_TipGtFeeCap", &["PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS"]),
    ("TR_TypeNotSupported", &["TYPE_NOT_SUPPORTED"]),
    ("TooManyUncles", &["TOO_MANY_OMMERS"]),
    ("TooMuchGasUsed", &["GAS_USED_OVERFLOW"]),
    ("UncleInChain", &["OMMER_INCLUDED"]),
    ("UncleIsAncestor", &["OMMER_IS_ANCESTOR"]),
    ("UncleIsBrother", &["OMMER_IS_SIBLING"]),
    ("UncleParentIsNotAncestor", &["UNCLE_PARENT_INCORRECT"]),
    ("UnknownParent", &["UNKNOWN_PARENT"]),
    ("UnknownParent2", &["UNKNOWN_PARENT_ZERO"]),
];
