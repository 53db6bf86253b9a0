//! Raw transactions, judged by the rules of each fork: hash, sender and intrinsic gas, or the reason of the refusal.
//!
//! They go the way of a transaction in a block: decoding, the sender, validation's rules without state, and
//! then execution, on a sender who can pay for anything and whose nonce fits.

use super::fields::{self, address, bytes, hash, number, same};
use crate::conformance::{
    archive::Member,
    cases::{Cases, Failure, Verdict},
    network::fork_of,
};
use alloy_consensus::{Transaction as _, TxLegacy, transaction::RlpEcdsaDecodableTx};
use alloy_eips::eip2718::{Decodable2718, Eip2718Error};
use alloy_primitives::{Address, B256, U256};
use serde_json::Value;
use starling_chainspec::{ChainSpec, Fork};
use starling_execution::{BlockError, TxError, execute_transaction, intrinsic_gas};
use starling_primitives::{Account, Header, MemoryState, Transaction, recover_sender};
use starling_validation::{TransactionRule, check_transaction};

/// What a transaction that is allowed is known by.
#[derive(Debug)]
struct Allowed {
    hash: B256,
    sender: Address,
    intrinsic_gas: u64,
}

/// A price that fits 256 bits and not 128: the suite has no state and allows it.
const UNPAYABLE: &str = "a fee over 128 bits, which nobody can pay: refused as it is decoded";

/// Bytes of the largest fee that is read.
const FEE_BYTES_MAX: usize = 16;

/// Where a transaction was stopped.
#[derive(Debug)]
enum Refused {
    /// It does not decode, and is of a type of its own or a legacy one.
    Typed(Eip2718Error),
    Legacy(alloy_rlp::Error),
    Rule(TransactionRule),
    Sender,
    Run(TxError),
}

pub(super) fn run(member: &Member, cases: &mut Cases<'_>) -> Result<(), String> {
    for (name, case) in fields::cases_of(member)? {
        cases.case(&name, "", || check(&case));
    }
    Ok(())
}

fn check(case: &Value) -> Verdict {
    let raw = match bytes(case, "txbytes") {
        Ok(raw) => raw,
        Err(why) => return Verdict::Failed(why.into()),
    };
    let forks = case["result"].as_object().into_iter().flatten();
    let mut verdict = Verdict::Passed;
    for (fork, expected) in forks {
        let judged = fork_of(fork).and_then(|fork| judge(fork, &raw));
        let allowed = expected.get("exception").is_none();
        match judged {
            Err(why) => return Verdict::Failed(Failure { at: fork.clone(), ..why.into() }),
            Ok(Err(Refused::Typed(_) | Refused::Legacy(_))) if allowed && has_wide_fee(&raw) => {
                verdict = Verdict::Skipped(UNPAYABLE);
            }
            Ok(judged) => {
                if let Err(failure) = check_fork(expected, judged) {
                    return Verdict::Failed(Failure {
                        at: format!("{fork} {}", failure.at).trim_end().into(),
                        ..failure
                    });
                }
            }
        }
    }
    verdict
}

/// Whether a transaction names a fee that is wider than those that are read.
fn has_wide_fee(raw: &[u8]) -> bool {
    let typed = raw.first().is_some_and(|first| *first < alloy_rlp::EMPTY_STRING_CODE);
    let mut list = &raw[usize::from(typed)..];
    let Ok(alloy_rlp::PayloadView::List(items)) = alloy_rlp::Header::decode_raw(&mut list) else { return false };
    let fees = if typed { 2..4 } else { 1..2 };
    items.get(fees).is_some_and(|fees| fees.iter().any(|fee| fee.len() > FEE_BYTES_MAX + 1))
}

fn check_fork(expected: &Value, judged: Result<Allowed, Refused>) -> Result<(), Failure> {
    match (expected.get("exception").and_then(Value::as_str), judged) {
        (None, Ok(allowed)) => {
            same("hash", allowed.hash, hash(expected, "hash")?)?;
            same("sender", allowed.sender, address(expected, "sender")?)?;
            same("intrinsic gas", allowed.intrinsic_gas, number(expected, "intrinsicGas")?)
        }
        (Some(reason), Err(refused)) if is_reason(reason, &refused) => Ok(()),
        (reason, judged) => Err(Failure {
            expected: reason.unwrap_or("allowed").into(),
            got: match judged {
                Ok(_) => "allowed".into(),
                Err(refused) => format!("{refused:?}"),
            },
            ..Failure::default()
        }),
    }
}

fn judge(fork: Fork, raw: &[u8]) -> Result<Result<Allowed, Refused>, String> {
    let spec = ChainSpec::up_to(fork);
    let tx = match Transaction::decode_2718_exact(raw) {
        Ok(tx) => tx,
        Err(error) => {
            let typed = raw.first().is_some_and(|first| *first < alloy_rlp::EMPTY_STRING_CODE);
            return Ok(Err(if typed { Refused::Typed(error) } else { Refused::Legacy(legacy_error(raw)) }));
        }
    };
    if let Err(rule) = check_transaction(spec.chain_id, fork, &tx) {
        return Ok(Err(Refused::Rule(rule)));
    }
    let Ok(sender) = recover_sender(&tx, fork >= Fork::Homestead) else { return Ok(Err(Refused::Sender)) };
    let mut state = MemoryState::default();
    let rich = Account { nonce: tx.nonce(), balance: U256::MAX, ..Account::default() };
    state.accounts.insert(sender, (rich, Default::default()));
    match execute_transaction(&spec, &header(fork), &tx, sender, &state) {
        Ok(_) => {}
        // With the value, which only a state can refuse.
        Err(BlockError::Transaction { why, .. }) if is_payable(&tx, &why) => {}
        Err(BlockError::Transaction { why, .. }) => return Ok(Err(Refused::Run(*why))),
        Err(other) => return Err(other.to_string()),
    }
    let intrinsic_gas = intrinsic_gas(fork, &tx, sender).cost;
    Ok(Ok(Allowed { hash: *tx.tx_hash(), sender, intrinsic_gas }))
}

/// What a legacy transaction's bytes stumble over: the envelope's decoder does not say.
fn legacy_error(raw: &[u8]) -> alloy_rlp::Error {
    TxLegacy::rlp_decode_signed(&mut &*raw).err().unwrap_or(alloy_rlp::Error::UnexpectedLength)
}

/// Whether the fees alone fit 256 bits, where together with the value they do not.
fn is_payable(tx: &Transaction, why: &TxError) -> bool {
    let fees = U256::from(tx.gas_limit()).checked_mul(U256::from(tx.max_fee_per_gas()));
    matches!(why, TxError::CostOverflow { .. }) && fees.is_some()
}

/// A block with room for any transaction.
fn header(fork: Fork) -> Header {
    Header {
        number: 1,
        gas_limit: u64::MAX,
        difficulty: if fork >= Fork::Paris { U256::ZERO } else { U256::ONE },
        base_fee_per_gas: (fork >= Fork::London).then_some(0),
        excess_blob_gas: (fork >= Fork::Cancun).then_some(0),
        ..Header::default()
    }
}

/// Whether a refusal is the one that the suite's name stands for.
fn is_reason(reason: &str, refused: &Refused) -> bool {
    let reason = reason.trim_start_matches("TransactionException.");
    match refused {
        // What its fork does not have yet may as well not decode.
        Refused::Typed(_) if reason == "TYPE_NOT_SUPPORTED" => true,
        Refused::Typed(Eip2718Error::RlpError(error)) | Refused::Legacy(error) => is_decoding_reason(reason, error),
        Refused::Typed(_) => false,
        Refused::Rule(rule) => match rule {
            TransactionRule::TypeBeforeFork { .. } => reason == "TYPE_NOT_SUPPORTED" || reason.ends_with("_PRE_FORK"),
            TransactionRule::ChainId { .. } | TransactionRule::ReplayProtection => {
                matches!(reason, "INVALID_CHAINID" | "INVALID_SIGNATURE_VRS")
            }
            _ => false,
        },
        Refused::Sender => matches!(reason, "EC_RECOVERY_FAIL" | "INVALID_SIGNATURE_VRS"),
        Refused::Run(why) => match why {
            TxError::IntrinsicGas { .. } => reason == "INTRINSIC_GAS_TOO_LOW",
            TxError::FloorDataGas { .. } => reason == "INTRINSIC_GAS_BELOW_FLOOR_GAS_COST",
            TxError::InitcodeSize { .. } => reason == "INITCODE_SIZE_EXCEEDED",
            TxError::TipAboveFeeCap { .. } => reason.starts_with("PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS"),
            TxError::NonceMax { .. } => matches!(reason, "NONCE_TOO_BIG" | "NONCE_IS_MAX"),
            TxError::CostOverflow { .. } => reason == "GASLIMIT_PRICE_PRODUCT_OVERFLOW",
            _ => false,
        },
    }
}

/// The suite tells apart in which field a decoder stumbles; ours says over what, so names of one kind share an
/// answer.
fn is_decoding_reason(reason: &str, error: &alloy_rlp::Error) -> bool {
    use alloy_rlp::Error::{
        Custom, InputTooShort, LeadingZero, ListLengthMismatch, NonCanonicalSingleByte, NonCanonicalSize, Overflow,
        UnexpectedLength, UnexpectedList, UnexpectedString,
    };
    let wide = matches!(error, Overflow | UnexpectedLength);
    let zeros = matches!(error, LeadingZero | NonCanonicalSize | NonCanonicalSingleByte);
    let size = matches!(error, InputTooShort | ListLengthMismatch { .. } | UnexpectedLength | Overflow);
    match reason {
        "ADDRESS_TOO_LONG" | "ADDRESS_TOO_SHORT" => wide,
        "PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS_2" => wide,
        "INVALID_SIGNATURE_VRS" | "INVALID_CHAINID" => wide || matches!(error, Custom(_)),
        // What follows a wrong length can be anything.
        "RLP_ERROR_SIZE" => true,
        // No list, and no type either.
        "TYPE_NOT_SUPPORTED" => matches!(error, UnexpectedString),
        "RLP_ERROR_EOF" | "RLP_TOO_FEW_ELEMENTS" | "RLP_TOO_MANY_ELEMENTS" => size,
        "RLP_ERROR_SIZE_LEADING_ZEROS" => zeros,
        name if name.starts_with("RLP_LEADING_ZEROS") => zeros || wide,
        name if name.ends_with("_OVERFLOW") => wide,
        name if name.starts_with("RLP_INVALID_") => wide || matches!(error, UnexpectedList | UnexpectedString),
        _ => false,
    }
}
