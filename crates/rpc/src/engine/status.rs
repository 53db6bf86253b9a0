use alloy_primitives::B256;
use serde::Serialize;
use starling_chain::ImportOutcome;

/// What became of a payload (`PayloadStatusV1`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PayloadStatus {
    status: Status,
    /// The nearest ancestor known to be valid, the payload itself if it is; null if there is none to name.
    latest_valid_hash: Option<B256>,
    validation_error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Valid,
    Invalid,
    Syncing,
    Accepted,
}

impl PayloadStatus {
    /// The block is valid.
    pub(super) fn valid(hash: B256) -> Self {
        Self { status: Status::Valid, latest_valid_hash: Some(hash), validation_error: None }
    }

    /// Nothing is known of the block yet.
    pub(super) fn syncing() -> Self {
        Self { status: Status::Syncing, latest_valid_hash: None, validation_error: None }
    }

    /// The block, or one before it, breaks a rule.
    pub(super) fn invalid(latest_valid: Option<B256>, why: impl Into<String>) -> Self {
        Self { status: Status::Invalid, latest_valid_hash: latest_valid, validation_error: Some(why.into()) }
    }

    /// There is no block zero to update to; geth gives no reason either.
    pub(super) fn invalid_without_reason() -> Self {
        Self { status: Status::Invalid, latest_valid_hash: None, validation_error: None }
    }

    /// What an import of the block with this hash came to.
    pub(super) fn of_import(outcome: ImportOutcome, hash: B256) -> Self {
        match outcome {
            ImportOutcome::Valid | ImportOutcome::Known => Self::valid(hash),
            ImportOutcome::Accepted => {
                Self { status: Status::Accepted, latest_valid_hash: None, validation_error: None }
            }
            ImportOutcome::UnknownParent => Self::syncing(),
            ImportOutcome::Invalid { latest_valid, why } => Self::invalid(latest_valid, why.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use starling_validation::HeaderError;

    fn check(outcome: ImportOutcome, expect: &str) {
        let json = serde_json::to_string(&PayloadStatus::of_import(outcome, B256::ZERO)).unwrap();
        assert_eq!(json, expect);
    }

    #[test]
    fn shapes() {
        let zero = B256::ZERO;
        let valid = format!(r#"{{"status":"VALID","latestValidHash":"{zero}","validationError":null}}"#);
        check(ImportOutcome::Valid, &valid);
        check(ImportOutcome::Known, &valid);
        check(ImportOutcome::Accepted, r#"{"status":"ACCEPTED","latestValidHash":null,"validationError":null}"#);
        check(ImportOutcome::UnknownParent, r#"{"status":"SYNCING","latestValidHash":null,"validationError":null}"#);
        check(
            ImportOutcome::Invalid { latest_valid: None, why: HeaderError::WithdrawalsMissing.into() },
            r#"{"status":"INVALID","latestValidHash":null,"validationError":"the body has no list of withdrawals"}"#,
        );
    }
}
