use crate::PoolError;
use alloy_primitives::{B256, Bytes};
use jsonrpsee::types::{
    ErrorObjectOwned,
    error::{INTERNAL_ERROR_CODE, METHOD_NOT_FOUND_CODE},
};
use serde_json::json;
use starling_chain::ChainError;
use starling_execution::CallError;
use starling_primitives::ReadError;
use std::time::Duration;

/// Why a method has no answer. The number in brackets is the code it is sent with.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ApiError {
    /// The arguments are not what the method takes (-32602).
    #[error("{0}")]
    InvalidParams(String),
    /// What was asked for cannot be had; the code geth uses for nearly everything (-32000).
    #[error("{0}")]
    Server(String),
    /// The call reverted; the revert data is the error's data (3).
    #[error("{}", revert_message(.0))]
    Reverted(Bytes),
    /// Blocks or receipts that far back are not kept (4444).
    #[error("pruned history unavailable")]
    Pruned,
    /// The request is larger than a limit, which the text names (-38026, as geth has it).
    #[error("{0}")]
    TooLarge(String),
    /// The node has more to do than it takes on (-32005).
    #[error("{0}")]
    TooManyRequests(String),
    /// There is no such subscription (-32601, as geth has it).
    #[error("{0}")]
    NoSubscription(String),
    /// The transaction waits, and is in no block yet (4, as EIP-7966 has it; the hash is the error's data).
    #[error("the transaction {hash} was taken, but is in no block after {} s", waited.as_secs())]
    NotMined {
        /// Which.
        hash: B256,
        /// How long it was waited for.
        waited: Duration,
    },
    /// Our own fault: a damaged database, a panic (-32603).
    #[error("{0}")]
    Internal(String),
    /// An error of the Engine API; the detail is sent as data.
    #[error("{kind}")]
    Engine {
        /// Which.
        kind: EngineErrorKind,
        /// What is wrong, in words.
        detail: String,
    },
}

/// The Engine API's own errors, with the texts of its specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EngineErrorKind {
    /// -32602.
    #[error("Invalid parameters")]
    InvalidParams,
    /// -38001.
    #[error("Unknown payload")]
    UnknownPayload,
    /// -38002.
    #[error("Invalid forkchoice state")]
    InvalidForkchoiceState,
    /// -38003.
    #[error("Invalid payload attributes")]
    InvalidPayloadAttributes,
    /// -38004.
    #[error("Too large request")]
    TooLargeRequest,
    /// -38005.
    #[error("Unsupported fork")]
    UnsupportedFork,
    /// -38006.
    #[error("Too deep reorg")]
    TooDeepReorg,
}

impl EngineErrorKind {
    /// The error with what is wrong in words.
    pub(crate) fn because(self, detail: impl Into<String>) -> ApiError {
        ApiError::Engine { kind: self, detail: detail.into() }
    }

    fn code(self) -> i32 {
        match self {
            Self::InvalidParams => -32602,
            Self::UnknownPayload => -38001,
            Self::InvalidForkchoiceState => -38002,
            Self::InvalidPayloadAttributes => -38003,
            Self::TooLargeRequest => -38004,
            Self::UnsupportedFork => -38005,
            Self::TooDeepReorg => -38006,
        }
    }
}

impl ApiError {
    /// An error with geth's code for everything that has none of its own.
    pub(crate) fn server(message: impl Into<String>) -> Self {
        Self::Server(message.into())
    }

    /// The arguments are wrong.
    pub(crate) fn params(message: impl Into<String>) -> Self {
        Self::InvalidParams(message.into())
    }

    fn code(&self) -> i32 {
        match self {
            Self::InvalidParams(_) => -32602,
            Self::Server(_) => -32000,
            Self::Reverted(_) => 3,
            Self::Pruned => 4444,
            Self::TooLarge(_) => -38026,
            Self::TooManyRequests(_) => -32005,
            Self::NoSubscription(_) => METHOD_NOT_FOUND_CODE,
            Self::NotMined { .. } => 4,
            Self::Internal(_) => INTERNAL_ERROR_CODE,
            Self::Engine { kind, .. } => kind.code(),
        }
    }
}

impl From<ApiError> for ErrorObjectOwned {
    fn from(error: ApiError) -> Self {
        let message = error.to_string();
        let data = match &error {
            ApiError::Reverted(output) => Some(json!(output)),
            ApiError::NotMined { hash, .. } => Some(json!(hash)),
            ApiError::Engine { detail, .. } => Some(json!({ "err": detail })),
            _ => None,
        };
        ErrorObjectOwned::owned(error.code(), message, data)
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NotKept { block, why } => {
                Self::Server(format!("historical state of block {block} is not available: {why}"))
            }
            ReadError::Expired { .. } => Self::Server(error.to_string()),
            ReadError::Damaged(_) | ReadError::Io(_) => {
                tracing::error!(%error, "a query could not read the database");
                Self::Internal(error.to_string())
            }
        }
    }
}

impl From<PoolError> for ApiError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Full { .. } => Self::TooManyRequests(error.to_string()),
            PoolError::Panicked => Self::Internal(error.to_string()),
        }
    }
}

impl From<ChainError> for ApiError {
    fn from(error: ChainError) -> Self {
        match error {
            ChainError::Read(error) => error.into(),
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<CallError> for ApiError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Read(error) => error.into(),
            CallError::Reverted(output) => Self::Reverted(output),
            other => Self::Server(other.to_string()),
        }
    }
}

/// Selector of Solidity's `Error(string)`.
const ERROR_SELECTOR: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];
/// Selector of Solidity's `Panic(uint256)`.
const PANIC_SELECTOR: [u8; 4] = [0x4e, 0x48, 0x7b, 0x71];

/// `execution reverted`, with the reason if the revert data is one of Solidity's two built-in errors.
fn revert_message(output: &[u8]) -> String {
    match revert_reason(output) {
        Some(reason) => format!("execution reverted: {reason}"),
        None => "execution reverted".into(),
    }
}

fn revert_reason(output: &[u8]) -> Option<String> {
    let (selector, payload) = output.split_at_checked(4)?;
    if selector == ERROR_SELECTOR {
        let offset = abi_usize(payload, 0)?;
        let length = abi_usize(payload, offset)?;
        let start = offset.checked_add(32)?;
        let text = payload.get(start..start.checked_add(length)?)?;
        return String::from_utf8(text.to_vec()).ok();
    }
    if selector == PANIC_SELECTOR {
        return Some(panic_reason(abi_usize(payload, 0)?));
    }
    None
}

/// A word of ABI data as a number, if it is there and small enough to be an offset.
fn abi_usize(data: &[u8], offset: usize) -> Option<usize> {
    let word = data.get(offset..offset.checked_add(32)?)?;
    let (high, low) = word.split_at(24);
    let low = u64::from_be_bytes(low.try_into().ok()?);
    high.iter().all(|byte| *byte == 0).then_some(usize::try_from(low).ok()).flatten()
}

/// Solidity's panic codes in geth's words.
fn panic_reason(code: usize) -> String {
    let known = match code {
        0x00 => "generic panic",
        0x01 => "assert(false)",
        0x11 => "arithmetic underflow or overflow",
        0x12 => "division or modulo by zero",
        0x21 => "enum overflow",
        0x22 => "invalid encoded storage byte array accessed",
        0x31 => "out-of-bounds array access; popping on an empty array",
        0x32 => "out-of-bounds access of an array or bytesN",
        0x41 => "out of memory",
        0x51 => "uninitialized function",
        _ => return format!("unknown panic code: {code:#x}"),
    };
    known.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &str, message: &str) {
        assert_eq!(revert_message(&alloy_primitives::hex::decode(output).unwrap()), message);
    }

    #[test]
    fn reverts_in_words() {
        let word = |n: u64| format!("{n:064x}");
        check("", "execution reverted");
        check("77726f6e67", "execution reverted");
        check(&format!("4e487b71{}", word(1)), "execution reverted: assert(false)");
        check(&format!("4e487b71{}", word(0x99)), "execution reverted: unknown panic code: 0x99");
        let text = "75736572206572726f72000000000000000000000000000000000000000000000000000000";
        check(&format!("08c379a0{}{}{text}", word(32), word(10)), "execution reverted: user error");
        // Offsets and lengths that point outside are no reason, and no panic.
        check(&format!("08c379a0{}{}{text}", word(u64::MAX), word(10)), "execution reverted");
        check(&format!("08c379a0{}{}{text}", word(32), word(u64::MAX)), "execution reverted");
        check("08c379a0", "execution reverted");
    }

    #[test]
    fn codes_and_data() {
        let object = ErrorObjectOwned::from(ApiError::Reverted(Bytes::from_static(&[1, 2])));
        assert_eq!((object.code(), object.data().unwrap().get()), (3, "\"0x0102\""));
        let object = ErrorObjectOwned::from(EngineErrorKind::UnsupportedFork.because("no"));
        assert_eq!((object.code(), object.message()), (-38005, "Unsupported fork"));
        assert_eq!(object.data().unwrap().get(), r#"{"err":"no"}"#);
    }
}
