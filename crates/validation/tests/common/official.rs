//! The official test files: their numbers, their networks, their names for what is wrong.

use alloy_primitives::U256;
use serde_json::Value;
use starling_chainspec::{Activation, BlobSchedule, ChainSpec, Consensus, Fork};
use std::{io::Read, path::Path};

/// Every N-th JSON file of an archive.
pub(crate) fn for_each_json(path: &Path, every: usize, mut each: impl FnMut(&str, &Value)) {
    let packed = std::fs::File::open(path).expect("readable");
    let mut tar = tar::Archive::new(zstd::Decoder::new(packed).expect("zstd"));
    let mut count = 0;
    for entry in tar.entries().expect("a tar archive") {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a path").display().to_string();
        count += usize::from(name.ends_with(".json"));
        if name.ends_with(".json") && usize::is_multiple_of(count, every) {
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("text");
            each(&name, &serde_json::from_str(&text).expect("JSON"));
        }
    }
}

pub(crate) fn word(value: &Value) -> U256 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}

pub(crate) fn number(value: &Value) -> u64 {
    word(value).saturating_to()
}

/// The rules of a case: `Cancun`, `BerlinToLondonAt5`, `PragueToOsakaAtTime15k`, …
pub(crate) fn spec_of(case: &Value) -> Result<ChainSpec, String> {
    let network = case["network"].as_str().ok_or("no network")?;
    let mut spec = match network.split_once("To") {
        None => ChainSpec::up_to(fork_of(network)?),
        Some((before, rest)) => {
            let (after, at) = rest.split_once("At").ok_or("a transition without a point")?;
            transition(fork_of(before)?, fork_of(after)?, at)?
        }
    };
    if let Some(id) = case["config"].get("chainid") {
        spec.chain_id = number(id);
    }
    if let Some(schedule) = case["config"]["blobSchedule"].as_object() {
        spec.blob_schedule = schedule.iter().map(blob_entry).collect::<Result<_, _>>()?;
        spec.blob_schedule.sort_by_key(|(fork, _)| *fork);
    }
    Ok(spec)
}

fn transition(before: Fork, after: Fork, at: &str) -> Result<ChainSpec, String> {
    let mut spec = ChainSpec::up_to(before);
    if let Some(difficulty) = at.strip_prefix("Diff") {
        let terminal = U256::from_str_radix(difficulty, 16).map_err(|error| error.to_string())?;
        spec.consensus = Consensus::Ethereum { terminal_total_difficulty: Some(terminal) };
        return Ok(spec);
    }
    let point = match at.strip_prefix("Time") {
        Some("15k") => Activation::Time(15_000),
        Some(other) => return Err(format!("unknown time {other}")),
        None => Activation::Block(at.parse().map_err(|_| format!("unknown block {at}"))?),
    };
    let new = ChainSpec::up_to(after).forks.into_iter().filter(|(fork, _)| *fork > before);
    spec.forks.extend(new.map(|(fork, _)| (fork, point)));
    Ok(spec)
}

fn fork_of(name: &str) -> Result<Fork, String> {
    match name {
        "EIP150" => Ok(Fork::Tangerine),
        "EIP158" => Ok(Fork::SpuriousDragon),
        "ConstantinopleFix" => Ok(Fork::Petersburg),
        name => name.parse().map_err(|error: starling_chainspec::UnknownFork| error.to_string()),
    }
}

fn blob_entry((name, entry): (&String, &Value)) -> Result<(Fork, BlobSchedule), String> {
    let schedule = BlobSchedule {
        target: number(&entry["target"]),
        max: number(&entry["max"]),
        base_fee_update_fraction: number(&entry["baseFeeUpdateFraction"]),
    };
    Ok((fork_of(name)?, schedule))
}

/// What the test files call the rules that are broken.
pub(crate) mod exception {
    use starling_validation::{HeaderError, OmmerRule, PrepareError, TransactionRule};

    /// Why a block was refused.
    #[derive(Debug, thiserror::Error)]
    pub(crate) enum Refusal {
        #[error("its hex does not decode")]
        NoBytes,
        #[error("an unknown parent")]
        UnknownParent,
        #[error(transparent)]
        Prepare(#[from] PrepareError),
        #[error(transparent)]
        Check(#[from] HeaderError),
    }

    /// Names whose rule is decided before a block runs; each must lead to a refusal here. (`GAS_USED_OVERFLOW`
    /// is not among them: in Amsterdam it also names what only running tells.)
    const NEED_NO_EVM: [&str; 34] = [
        "BlockException.BLOB_GAS_USED_ABOVE_LIMIT",
        "BlockException.EXTRA_DATA_INVALID_DAO",
        "BlockException.EXTRA_DATA_TOO_BIG",
        "BlockException.GASLIMIT_TOO_BIG",
        "BlockException.IMPORT_IMPOSSIBLE_LEGACY",
        "BlockException.IMPORT_IMPOSSIBLE_LEGACY_WRONG_PARENT",
        "BlockException.IMPORT_IMPOSSIBLE_LONDON_WRONG_PARENT",
        "BlockException.IMPORT_IMPOSSIBLE_PARIS_OVER_SHANGHAI",
        "BlockException.IMPORT_IMPOSSIBLE_PARIS_WRONG_POS",
        "BlockException.IMPORT_IMPOSSIBLE_PARIS_WRONG_POW",
        "BlockException.IMPORT_IMPOSSIBLE_SHANGHAI",
        "BlockException.IMPORT_IMPOSSIBLE_UNCLES_OVER_PARIS",
        "BlockException.INCORRECT_BLOB_GAS_USED",
        "BlockException.INCORRECT_BLOCK_FORMAT",
        "BlockException.INCORRECT_EXCESS_BLOB_GAS",
        "BlockException.INVALID_BASEFEE_PER_GAS",
        "BlockException.INVALID_BLOCK_NUMBER",
        "BlockException.INVALID_BLOCK_TIMESTAMP_OLDER_THAN_PARENT",
        "BlockException.INVALID_DIFFICULTY",
        "BlockException.INVALID_GASLIMIT",
        "BlockException.INVALID_TRANSACTIONS_ROOT",
        "BlockException.INVALID_WITHDRAWALS_ROOT",
        "BlockException.RLP_STRUCTURES_ENCODING",
        "BlockException.UNCLE_PARENT_INCORRECT",
        "BlockException.UNKNOWN_PARENT",
        "BlockException.UNKNOWN_PARENT_ZERO",
        "TransactionException.INVALID_CHAINID",
        "TransactionException.INVALID_SIGNATURE_VRS",
        "TransactionException.TYPE_1_TX_PRE_FORK",
        "TransactionException.TYPE_2_TX_PRE_FORK",
        "TransactionException.TYPE_3_TX_PRE_FORK",
        "TransactionException.TYPE_3_TX_INVALID_BLOB_VERSIONED_HASH",
        "TransactionException.TYPE_3_TX_ZERO_BLOBS",
        "TransactionException.TYPE_4_TX_PRE_FORK",
    ];

    pub(crate) fn needs_no_evm(name: &str) -> bool {
        NEED_NO_EVM.contains(&name)
    }

    impl Refusal {
        /// Whether the files' name is one for this refusal. Names of the older suites, which have no
        /// prefix, count for any.
        pub(crate) fn is(&self, name: &str) -> bool {
            let Some((kind, rule)) = name.split_once('.') else { return true };
            match self {
                // a value too wide for its field is found in decoding, whatever the rule is about
                Self::NoBytes | Self::Prepare(PrepareError::Decode { .. } | PrepareError::Transaction { .. }) => true,
                Self::Prepare(PrepareError::Sender(_)) => kind == "TransactionException",
                Self::UnknownParent => rule.starts_with("UNKNOWN_PARENT"),
                Self::Check(HeaderError::Transaction { rule: broken, .. }) => {
                    kind == "TransactionException" && is_transaction_rule(broken, rule)
                }
                // such a block was made without the bad transaction, and its header is still that one's
                Self::Check(HeaderError::TransactionsRoot { .. }) if kind == "TransactionException" => true,
                Self::Check(error) => header_names(error).contains(&rule),
            }
        }
    }

    fn is_transaction_rule(broken: &TransactionRule, rule: &str) -> bool {
        match broken {
            TransactionRule::TypeBeforeFork { .. } => rule.ends_with("PRE_FORK") || rule == "TYPE_NOT_SUPPORTED",
            TransactionRule::ReplayProtection | TransactionRule::ChainId { .. } => rule == "INVALID_CHAINID",
            TransactionRule::NoBlobs => rule == "TYPE_3_TX_ZERO_BLOBS",
            TransactionRule::BlobVersion { .. } => rule == "TYPE_3_TX_INVALID_BLOB_VERSIONED_HASH",
            TransactionRule::TooManyBlobs { .. } => rule == "TYPE_3_TX_BLOB_COUNT_EXCEEDED",
            _ => false,
        }
    }

    fn header_names(error: &HeaderError) -> &'static [&'static str] {
        match error {
            HeaderError::Number { .. } => &["INVALID_BLOCK_NUMBER"],
            HeaderError::Size { .. } => &["RLP_BLOCK_LIMIT_EXCEEDED"],
            HeaderError::BeforeMerge { .. } => &["IMPORT_IMPOSSIBLE_PARIS_WRONG_POS"],
            HeaderError::DifficultyAfterMerge { .. } => {
                &["IMPORT_IMPOSSIBLE_PARIS_WRONG_POW", "INVALID_DIFFICULTY", "IMPORT_IMPOSSIBLE_DIFFICULTY_OVER_PARIS"]
            }
            HeaderError::Difficulty { .. } => &["INVALID_DIFFICULTY"],
            HeaderError::NonceAfterMerge { .. } | HeaderError::OmmersAfterMerge { .. } => {
                &["IMPORT_IMPOSSIBLE_UNCLES_OVER_PARIS"]
            }
            HeaderError::FieldMissing { .. } | HeaderError::FieldUnexpected { .. } => &[
                "INCORRECT_BLOCK_FORMAT",
                "IMPORT_IMPOSSIBLE_LEGACY",
                "IMPORT_IMPOSSIBLE_LEGACY_WRONG_PARENT",
                "IMPORT_IMPOSSIBLE_LONDON_WRONG_PARENT",
                "IMPORT_IMPOSSIBLE_PARIS_OVER_SHANGHAI",
                "IMPORT_IMPOSSIBLE_SHANGHAI",
                // around London, blocks that break both rules
                "INVALID_GASLIMIT",
            ],
            HeaderError::GasUsedAboveLimit { .. } => &["GAS_USED_OVERFLOW", "INVALID_GASLIMIT"],
            HeaderError::GasLimitStep { .. } => &["INVALID_GASLIMIT"],
            HeaderError::GasLimitBounds { .. } => &["INVALID_GASLIMIT", "GASLIMIT_TOO_BIG"],
            HeaderError::BaseFee { .. } => &["INVALID_BASEFEE_PER_GAS"],
            HeaderError::Timestamp { .. } => &["INVALID_BLOCK_TIMESTAMP_OLDER_THAN_PARENT"],
            HeaderError::ExtraDataLength { .. } => &["EXTRA_DATA_TOO_BIG"],
            HeaderError::DaoExtraData { .. } => &["EXTRA_DATA_INVALID_DAO"],
            HeaderError::ExcessBlobGas { .. } => &["INCORRECT_EXCESS_BLOB_GAS"],
            // the files speak of the transactions where the header says what they carry
            HeaderError::BlobGasAboveLimit { .. } => &[
                "BLOB_GAS_USED_ABOVE_LIMIT",
                "INCORRECT_BLOB_GAS_USED",
                "TYPE_3_TX_MAX_BLOB_GAS_ALLOWANCE_EXCEEDED",
                "TYPE_3_TX_BLOB_COUNT_EXCEEDED",
            ],
            HeaderError::BlobGasUsed { .. } => &["INCORRECT_BLOB_GAS_USED"],
            HeaderError::TransactionsRoot { .. } => &["INVALID_TRANSACTIONS_ROOT"],
            HeaderError::WithdrawalsRoot { .. } => &["INVALID_WITHDRAWALS_ROOT"],
            HeaderError::WithdrawalsMissing => &["RLP_STRUCTURES_ENCODING", "RLP_WITHDRAWALS_NOT_READ"],
            HeaderError::Ommer { rule: OmmerRule::Header(error), .. } => header_names(error),
            HeaderError::Ommer { rule: OmmerRule::ParentNotAncestor | OmmerRule::Sibling, .. } => {
                &["UNCLE_PARENT_INCORRECT"]
            }
            HeaderError::OmmersHash { .. } => &["IMPORT_IMPOSSIBLE_UNCLES_OVER_PARIS"],
            _ => &[],
        }
    }
}
