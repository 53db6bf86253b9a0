//! Where the cases of Amsterdam's devnets must differ.
//!
//! Both archives of Amsterdam were filled in April 2026 for a devnet each. The fork that went live prices gas otherwise:
//! a transaction's 21,000 became 12,000 and what it does besides (EIP-2780), state costs gas of its own at other prices
//! (EIP-8037), and so does access (EIP-8038). So hardly any transaction uses what the cases say. What may differ is this
//! and nothing else: a block of Amsterdam with transactions, in what follows from gas. Blocks without transactions,
//! blocks of the forks before, and refusals for anything else must be as the case says. The builders' requests
//! (EIP-8282) are younger too: the runner leaves them out where the genesis has no contract for them.

use super::Refusal;
use starling_chain::InvalidReason;
use starling_chainspec::{ChainSpec, Fork};
use starling_execution::{BlockError, TxError};
use starling_primitives::Block;

/// The transactions use other gas.
const GAS_USED: &str =
    "gas used: the base of a transaction (EIP-2780), state (EIP-8037) and access (EIP-8038) are priced anew";
/// The block's gas is the same, a transaction's is not.
const RECEIPTS: &str =
    "gas used by a single transaction, where the block's larger dimension is the same (EIP-2780, 8037)";
/// The gas is the same, since all of it is gone, but it was gone elsewhere.
const RAN_OUT: &str = "a transaction that uses up its limit runs out of gas at another place (EIP-2780, 8037, 8038)";
/// What must be given at least, or fits a block, moved.
const LIMITS: &str = "a gas limit that was enough, or too much, and is not any more (EIP-2780, 8037)";
/// The case is about the moved limits themselves.
const REFUSED_FOR_GAS: &str = "a block that had to be refused for a gas rule, whose numbers moved (EIP-2780, 8037)";
/// What is wrong by the case is compared only once the gas is right.
const OTHER_FIRST: &str = "a wrong field that stands behind the gas used, which differs already (EIP-2780, 8037, 8038)";

/// A contract that the protocol calls uses all that the devnet gave it.
const SYSTEM_CALL: &str = "a system contract made to use all gas of its call, whose state is priced anew (EIP-8037)";
/// EIP-7954's limits doubled.
const CODE_SIZE: &str =
    "code of a size that the devnet refused: the limits are 65,536 and 131,072 bytes now (EIP-7954)";

/// Exceptions whose point is gas.
const GAS_RULES: [&str; 8] = [
    "INTRINSIC_GAS_TOO_LOW",
    "INTRINSIC_GAS_BELOW_FLOOR_GAS_COST",
    "GAS_ALLOWANCE_EXCEEDED",
    "GAS_USED_OVERFLOW",
    "GAS_LIMIT_EXCEEDS_MAXIMUM",
    "INVALID_GAS_USED",
    "BLOCK_ACCESS_LIST_GAS_LIMIT_EXCEEDED",
    "INSUFFICIENT_ACCOUNT_FUNDS",
];
/// Exceptions about what is compared behind the gas used.
const BEHIND_GAS: [&str; 6] = [
    "INVALID_BAL_HASH",
    "INVALID_BLOCK_ACCESS_LIST",
    "INVALID_LOG_BLOOM",
    "INVALID_RECEIPTS_ROOT",
    "INVALID_REQUESTS",
    "INVALID_STATE_ROOT",
];

/// The group of reasons for which a block may differ from what its case says; none: it may not. The case names an
/// exception, or takes the block; we refused it, or took it.
pub(super) fn group_of(
    spec: &ChainSpec,
    block: &Block,
    exception: Option<&str>,
    refusal: Option<&Refusal>,
) -> Option<&'static str> {
    if spec.fork_of(&block.header) < Fork::Amsterdam {
        return None;
    }
    let error = match refusal {
        Some(Refusal::Invalid(InvalidReason::Execute(error))) => Some(error),
        _ => None,
    };
    if let (None, Some(BlockError::SystemContractFailed { .. })) = (exception, error) {
        return Some(SYSTEM_CALL);
    }
    if block.body.transactions.is_empty() {
        return None;
    }
    let is_about = |rules: &[&str]| {
        exception.is_some_and(|names| names.split('|').any(|name| rules.iter().any(|rule| name.ends_with(rule))))
    };
    let from_gas = error.and_then(of_gas);
    match exception {
        None => from_gas,
        Some(_) if is_about(&["INITCODE_SIZE_EXCEEDED"]) && from_gas.is_some() => Some(CODE_SIZE),
        Some(_) if is_about(&GAS_RULES) && (refusal.is_none() || from_gas.is_some()) => Some(REFUSED_FOR_GAS),
        Some(_) if is_about(&BEHIND_GAS) && from_gas.is_some() => Some(OTHER_FIRST),
        Some(_) => None,
    }
}

fn of_gas(error: &BlockError) -> Option<&'static str> {
    match error {
        BlockError::GasUsed { .. } => Some(GAS_USED),
        BlockError::ReceiptsRoot { .. } => Some(RECEIPTS),
        BlockError::AccessListHash { .. } => Some(RAN_OUT),
        BlockError::Transaction { why, index, .. } => match **why {
            // paid for by the ones before, which cost more
            TxError::InsufficientFunds { .. } if *index > 0 => Some(LIMITS),
            TxError::IntrinsicGas { .. } | TxError::FloorDataGas { .. } | TxError::GasLimitReached { .. } => {
                Some(LIMITS)
            }
            _ => None,
        },
        _ => None,
    }
}
