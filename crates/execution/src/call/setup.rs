use super::{Call, CallLimits, Overrides, overrides};
use crate::{
    error::CallError,
    evm::{BlockRules, CallMode, CallTx, Machine, RunError},
    overlay::Overlay,
};
use alloy_primitives::U256;
use starling_chainspec::ChainSpec;
use starling_primitives::{Header, StateReader};
use std::time::{Duration, Instant};

/// Everything that the runs of one call have in common.
pub(super) struct CallSetup<'a> {
    pub(super) rules: BlockRules,
    pub(super) limits: CallLimits,
    state: &'a dyn StateReader,
    overrides: &'a Overrides,
    started: Instant,
}

impl<'a> CallSetup<'a> {
    pub(super) fn new(
        spec: &ChainSpec,
        header: &Header,
        state: &'a dyn StateReader,
        call: &Call,
        overrides: &'a Overrides,
        limits: CallLimits,
    ) -> Result<Self, CallError> {
        let started = Instant::now();
        if call.gas_price.is_some() && (call.max_fee_per_gas.is_some() || call.max_priority_fee_per_gas.is_some()) {
            let why = "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified";
            return Err(CallError::Invalid(why.into()));
        }
        let mode = CallMode { free: is_free(call), blobs_free: call.max_fee_per_blob_gas.unwrap_or_default() == 0 };
        let rules = overrides::rules(spec, header, &overrides.block, mode)?;
        Ok(Self { rules, limits, state, overrides, started })
    }

    /// A machine on the overridden state, with the deadline set.
    pub(super) fn machine(&self) -> Result<Machine<'a>, CallError> {
        self.inspected(())
    }

    /// The same under an inspector.
    pub(super) fn inspected<INSP>(&self, inspector: INSP) -> Result<Machine<'a, INSP>, CallError> {
        let mut machine = Machine::inspected(&self.rules, Overlay::new(self.state), inspector);
        overrides::apply(&mut machine, &self.overrides.accounts)?;
        machine.set_deadline(self.limits.deadline);
        Ok(machine)
    }

    /// The call with its defaults filled in.
    pub(super) fn resolve(&self, call: &Call) -> Result<CallTx, CallError> {
        let gas_cap = self.gas_cap();
        // With one gas price there is no tip apart from it.
        let dynamic = call.max_fee_per_gas.is_some() || call.max_priority_fee_per_gas.is_some();
        let (fee_cap, tip_cap) = match call.gas_price {
            Some(price) => (price, None),
            None => (
                call.max_fee_per_gas.unwrap_or_default(),
                dynamic.then(|| call.max_priority_fee_per_gas.unwrap_or_default()),
            ),
        };
        Ok(CallTx {
            from: call.from,
            to: call.to,
            gas_limit: call.gas.unwrap_or(gas_cap).min(gas_cap),
            fee_cap,
            tip_cap,
            value: call.value,
            input: call.input.clone(),
            nonce: call.nonce.unwrap_or_default(),
            access_list: call.access_list.clone().unwrap_or_default(),
            blob_fee_cap: call.max_fee_per_blob_gas.unwrap_or_default(),
            blob_hashes: call.blob_versioned_hashes.clone(),
            authorizations: call.authorization_list.clone(),
        })
    }

    /// Most gas of one run. Without a cap half of what the type holds, so that sums cannot overflow.
    pub(super) fn gas_cap(&self) -> u64 {
        if self.limits.gas_cap == 0 { u64::MAX / 2 } else { self.limits.gas_cap }
    }

    pub(super) fn error(&self, error: RunError) -> CallError {
        match error {
            RunError::Read(error) => CallError::Read(error),
            RunError::Invalid(why) => CallError::Invalid(why.to_string()),
            RunError::Deadline => CallError::Timeout(self.timeout()),
            RunError::Internal(why) => CallError::Internal(why),
        }
    }

    fn timeout(&self) -> Duration {
        self.limits.deadline.saturating_duration_since(self.started)
    }
}

/// Whether no fee is offered: then none is charged and the base fee does not count.
fn is_free(call: &Call) -> bool {
    [call.gas_price, call.max_fee_per_gas, call.max_priority_fee_per_gas].into_iter().flatten().all(|fee| fee == 0)
}

/// What a sender can pay for gas after the value and the blobs, in gas; none if fees are not charged.
pub(super) fn affordable_gas(balance: U256, call: &CallTx) -> Result<Option<u64>, CallError> {
    if call.fee_cap == 0 {
        return Ok(None);
    }
    let blob_gas = call.blob_hashes.len() as u64 * alloy_eips::eip4844::DATA_GAS_PER_BLOB;
    let blobs = U256::from(blob_gas).saturating_mul(U256::from(call.blob_fee_cap));
    let left = balance.checked_sub(call.value).and_then(|left| left.checked_sub(blobs));
    let left = left.ok_or_else(|| CallError::Invalid("insufficient funds for transfer".into()))?;
    Ok(Some((left / U256::from(call.fee_cap)).saturating_to()))
}
