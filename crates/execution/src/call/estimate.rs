//! The least gas limit at which a call succeeds, as geth finds it: one run at the top, a first guess from the
//! gas it took, then halving until the answer is within [`ERROR_RATIO`].

use super::{
    Call, CallLimits, Overrides,
    setup::{self, CallSetup},
};
use crate::{
    error::{CallError, TxError},
    evm::{CallTx, Ending, Machine, Ran, RunError},
};
use starling_chainspec::{ChainSpec, Fork};
use starling_primitives::{EMPTY_CODE_HASH, Header, StateReader};

/// What a plain transfer costs.
const TRANSFER_GAS: u64 = 21_000;
/// Gas given along with a value.
const CALL_STIPEND: u64 = 2_300;
/// How far above the least the answer may lie, in parts of the answer.
const ERROR_RATIO: f64 = 0.015;
/// Most gas of a transaction since Osaka (EIP-7825).
const TX_GAS_MAX: u64 = 16_777_216;

/// The least gas limit at which a call succeeds, within 1.5 %.
pub fn estimate_gas(
    spec: &ChainSpec,
    header: &Header,
    state: &dyn StateReader,
    call: &Call,
    overrides: &Overrides,
    limits: CallLimits,
) -> Result<u64, CallError> {
    let setup = CallSetup::new(spec, header, state, call, overrides, limits)?;
    let mut estimate = Estimate { tx: setup.resolve(call)?, machine: setup.machine()?, setup };
    let top = estimate.top(call.gas)?;
    if let Some(gas) = estimate.plain_transfer(top)? {
        return Ok(gas);
    }
    estimate.search(top)
}

struct Estimate<'a> {
    setup: CallSetup<'a>,
    machine: Machine<'a>,
    tx: CallTx,
}

impl Estimate<'_> {
    /// The highest gas limit that may be tried: what the caller, the block, the fork, the sender's balance and
    /// the node allow.
    fn top(&mut self, asked: Option<u64>) -> Result<u64, CallError> {
        let mut top = match asked {
            Some(gas) if gas >= TRANSFER_GAS => gas,
            _ => self.setup.rules.gas_limit(),
        };
        let fork = self.setup.rules.fork;
        if (Fork::Osaka..Fork::Amsterdam).contains(&fork) {
            top = top.min(TX_GAS_MAX);
        }
        let balance = self.machine.overlay().account(&self.tx.from)?.unwrap_or_default().balance;
        if let Some(affordable) = setup::affordable_gas(balance, &self.tx)? {
            top = top.min(affordable);
        }
        Ok(top.min(self.setup.gas_cap()))
    }

    /// A transfer to an account without code needs no search.
    fn plain_transfer(&mut self, top: u64) -> Result<Option<u64>, CallError> {
        let Some(to) = self.tx.to else { return Ok(None) };
        if !self.tx.input.is_empty() || top < TRANSFER_GAS {
            return Ok(None);
        }
        let to = self.machine.overlay().account(&to)?;
        if to.is_some_and(|info| info.code_hash != EMPTY_CODE_HASH) {
            return Ok(None);
        }
        let ran = self.run(TRANSFER_GAS)?;
        Ok(ran.is_some_and(|ran| ran.is_success()).then_some(TRANSFER_GAS))
    }

    fn search(&mut self, top: u64) -> Result<u64, CallError> {
        let ran = self.run(top)?.ok_or(CallError::GasExceedsAllowance(top))?;
        match ran.ending {
            Ending::Success { .. } => {}
            Ending::Revert { output } => return Err(CallError::Reverted(output)),
            Ending::Halt { out_of_gas: true, .. } => return Err(CallError::GasExceedsAllowance(top)),
            Ending::Halt { reason, .. } => return Err(CallError::Invalid(reason)),
        }
        let (mut low, mut high) = (ran.gas_used.saturating_sub(1), top);
        // A call passes on 63 of 64 parts of its gas, so this often is enough at once.
        let guess = (ran.gas_peak.saturating_add(CALL_STIPEND)).saturating_mul(64) / 63;
        if guess < high {
            self.narrow(guess, &mut low, &mut high)?;
        }
        while low.saturating_add(1) < high && (high - low) as f64 / high as f64 >= ERROR_RATIO {
            // Most calls need little more than the lower bound: lean to it.
            let middle = (low + (high - low) / 2).min(low.saturating_mul(2));
            self.narrow(middle, &mut low, &mut high)?;
        }
        Ok(high)
    }

    fn narrow(&mut self, gas: u64, low: &mut u64, high: &mut u64) -> Result<(), CallError> {
        let succeeds = self.run(gas)?.is_some_and(|ran| ran.is_success());
        *if succeeds { high } else { low } = gas;
        Ok(())
    }

    /// One run at a gas limit; none if it is below what the call costs before it runs.
    fn run(&mut self, gas_limit: u64) -> Result<Option<Ran>, CallError> {
        self.tx.gas_limit = gas_limit;
        let ran = self.machine.call(&self.tx);
        // Every run begins from the same state.
        self.machine.discard();
        match ran {
            Ok(ran) => Ok(Some(ran)),
            Err(RunError::Invalid(TxError::IntrinsicGas { .. } | TxError::FloorDataGas { .. })) => Ok(None),
            Err(error) => Err(self.setup.error(error)),
        }
    }
}
