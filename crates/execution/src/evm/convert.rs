//! The library's reasons in our own, and in the words that scripts know.

use super::machine::Context;
use crate::error::TxError;
use revm::{
    bytecode::opcode::OpCode,
    context::{Cfg, TxEnv},
    context_interface::result::{HaltReason, InvalidTransaction, OutOfGasError},
};

/// Most items on the EVM's stack.
const STACK_LIMIT: usize = 1024;

pub(super) fn tx_error(error: InvalidTransaction, context: &Context<'_>) -> TxError {
    use InvalidTransaction as E;
    let tx: &TxEnv = &context.tx;
    let address = tx.caller;
    match error {
        E::PriorityFeeGreaterThanMaxFee => {
            TxError::TipAboveFeeCap { address, tip_cap: tx.gas_priority_fee.unwrap_or_default(), fee_cap: tx.gas_price }
        }
        E::GasPriceLessThanBasefee => {
            TxError::FeeCapTooLow { address, fee_cap: tx.gas_price, base_fee: context.block.basefee }
        }
        E::CallerGasLimitMoreThanBlock => {
            TxError::GasLimitReached { have: tx.gas_limit, left: context.block.gas_limit }
        }
        E::CallGasCostMoreThanGasLimit { initial_gas, gas_limit } => {
            TxError::IntrinsicGas { have: gas_limit, want: initial_gas }
        }
        E::GasFloorMoreThanGasLimit { gas_floor, gas_limit } => {
            TxError::FloorDataGas { have: gas_limit, want: gas_floor }
        }
        E::RejectCallerWithCode => TxError::SenderNotEoa { address },
        E::LackOfFundForMaxFee { fee, balance } => TxError::InsufficientFunds { address, have: *balance, want: *fee },
        E::OverflowPaymentInTransaction => TxError::CostOverflow { address },
        E::NonceOverflowInTransaction => TxError::NonceMax { address, nonce: tx.nonce },
        E::NonceTooHigh { tx, state } => TxError::NonceTooHigh { address, tx, state },
        E::NonceTooLow { tx, state } => TxError::NonceTooLow { address, tx, state },
        E::CreateInitCodeSizeLimit => {
            TxError::InitcodeSize { size: tx.data.len(), limit: context.cfg.max_initcode_size() }
        }
        E::InvalidChainId | E::MissingChainId => TxError::ChainId { have: tx.chain_id, want: context.cfg.chain_id },
        E::TxGasLimitGreaterThanCap { gas_limit, cap } => TxError::GasLimitCap { gas_limit, cap },
        E::BlobGasPriceGreaterThanMax { block_blob_gas_price, tx_max_fee_per_blob_gas } => {
            TxError::BlobFeeCapTooLow { address, fee_cap: tx_max_fee_per_blob_gas, base_fee: block_blob_gas_price }
        }
        E::EmptyBlobs => TxError::NoBlobs,
        E::TooManyBlobs { max, have } => TxError::TooManyBlobs { have, max },
        E::BlobVersionNotSupported => TxError::BlobHashVersion,
        E::BlobCreateTransaction => TxError::BlobCreate,
        E::EmptyAuthorizationList => TxError::EmptyAuthorizationList { address },
        E::Eip2930NotSupported | E::Eip1559NotSupported | E::Eip4844NotSupported | E::Eip7702NotSupported => {
            TxError::TypeNotSupported { tx_type: tx.tx_type }
        }
        other => TxError::Other(other.to_string()),
    }
}

/// Why the outermost frame halted, in the field's words, and whether more gas might have helped.
pub(super) fn halt_words(reason: &HaltReason, halted: Option<(u8, usize)>) -> (String, bool) {
    let (opcode, stack) = halted.unwrap_or_default();
    let words = match reason {
        HaltReason::OutOfGas(OutOfGasError::ReentrancySentry) => {
            "out of gas: not enough gas for reentrancy sentry".into()
        }
        HaltReason::OutOfGas(OutOfGasError::InvalidOperand) => "gas uint64 overflow".into(),
        HaltReason::OutOfGas(_) => "out of gas".into(),
        HaltReason::OpcodeNotFound | HaltReason::InvalidFEOpcode | HaltReason::NotActivated => {
            match OpCode::new(opcode) {
                Some(known) => format!("invalid opcode: {}", known.as_str()),
                None => format!("invalid opcode: opcode {opcode:#x} not defined"),
            }
        }
        HaltReason::InvalidJump => "invalid jump destination".into(),
        HaltReason::StackUnderflow => {
            let wanted = OpCode::new(opcode).map_or(0, |known| known.info().inputs());
            format!("stack underflow ({stack} <=> {wanted})")
        }
        HaltReason::StackOverflow => {
            let net = OpCode::new(opcode).map_or(1, |known| {
                usize::from(known.info().outputs()).saturating_sub(usize::from(known.info().inputs()))
            });
            format!("stack limit reached {stack} ({})", STACK_LIMIT - net.min(STACK_LIMIT))
        }
        HaltReason::OutOfOffset => "return data out of bounds".into(),
        HaltReason::CreateCollision => "contract address collision".into(),
        HaltReason::PrecompileError => "precompile failed".into(),
        HaltReason::PrecompileErrorWithContext(why) => why.clone(),
        HaltReason::NonceOverflow => "nonce uint64 overflow".into(),
        HaltReason::CreateContractSizeLimit => "max code size exceeded".into(),
        HaltReason::CreateContractStartingWithEF => "invalid code: must not begin with 0xef".into(),
        HaltReason::CreateInitCodeSizeLimit => "max initcode size exceeded".into(),
        HaltReason::StateChangeDuringStaticCall | HaltReason::CallNotAllowedInsideStatic => "write protection".into(),
        HaltReason::OutOfFunds | HaltReason::OverflowPayment => "insufficient balance for transfer".into(),
        HaltReason::CallTooDeep => "max call depth exceeded".into(),
    };
    (words, matches!(reason, HaltReason::OutOfGas(_)))
}
