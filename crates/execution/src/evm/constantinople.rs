//! SSTORE of Constantinople: net gas metering of EIP-1283, which Petersburg took back and the library leaves out.
//! All other rules of Constantinople are Petersburg's.

use super::machine::Context;
use alloy_primitives::{Address, U256};
use revm::{
    context_interface::context::{SStoreResult, StateLoad},
    interpreter::{
        InstructionContext, InstructionExecResult, InstructionResult, instructions::host::sstore_with_gas_accounting,
        interpreter::EthInterpreter,
    },
};

const NOOP_GAS: u64 = 200;
const SET_GAS: u64 = 20_000;
const RESET_GAS: u64 = 5_000;
const CLEAR_REFUND: i64 = 15_000;

pub(super) fn sstore(context: InstructionContext<'_, Context<'_>, EthInterpreter>) -> InstructionExecResult {
    sstore_with_gas_accounting(context, account)
}

fn account(
    context: &mut InstructionContext<'_, Context<'_>, EthInterpreter>,
    _: Address,
    load: &StateLoad<SStoreResult>,
) -> InstructionExecResult {
    let SStoreResult { original_value: original, present_value: current, new_value: new } = load.data;
    let gas = &mut context.interpreter.gas;
    // The library charged its static part for the older rule already.
    if !gas.record_regular_cost(gas_cost(original, current, new)) {
        return Err(InstructionResult::OutOfGas);
    }
    gas.record_refund(refund(original, current, new));
    Ok(())
}

fn gas_cost(original: U256, current: U256, new: U256) -> u64 {
    match () {
        _ if current == new || original != current => NOOP_GAS,
        _ if original.is_zero() => SET_GAS,
        _ => RESET_GAS,
    }
}

fn refund(original: U256, current: U256, new: U256) -> i64 {
    if current == new {
        return 0;
    }
    if original == current {
        return if !original.is_zero() && new.is_zero() { CLEAR_REFUND } else { 0 };
    }
    let mut refund = 0;
    if !original.is_zero() {
        if current.is_zero() {
            refund -= CLEAR_REFUND;
        } else if new.is_zero() {
            refund += CLEAR_REFUND;
        }
    }
    if original == new {
        refund += (if original.is_zero() { SET_GAS } else { RESET_GAS } - NOOP_GAS) as i64;
    }
    refund
}
