use super::{
    crypto,
    env::spec_id,
    precompile_results::{DEAR_GAS_MIN, PrecompileResults},
};
use alloy_primitives::{
    Address, Bytes,
    map::{AddressMap, AddressSet},
};
use revm::{
    context::{Cfg, ContextTr},
    handler::{EthPrecompiles, PrecompileProvider, precompile_output_to_interpreter_result},
    interpreter::{CallInputs, InstructionResult, InterpreterResult},
    precompile::{PrecompileOutput, PrecompileSpecId, PrecompileStatus},
    primitives::hardfork::SpecId,
};
use starling_chainspec::Fork;
use std::sync::Arc;

/// Gas that one call may spend when it is run ahead, a fifth of a second of the slowest: nothing ends a precompile before
/// its time, and the worker must be free again soon after the block. No transaction has more since Osaka (EIP-7825).
const GAS_AHEAD_MAX: u64 = 1 << 24;

/// What running a precompile alone gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrecompileRun {
    /// Gas that it took.
    pub gas_used: u64,
    /// What it returned.
    pub output: Bytes,
}

/// Runs a precompile of a fork alone, without a message around it. None if the fork has none at that address;
/// an error says why it failed, with all gas gone.
pub fn run_precompile(fork: Fork, address: &Address, input: &[u8], gas: u64) -> Option<Result<PrecompileRun, String>> {
    crypto::install();
    let set = revm::precompile::Precompiles::new(PrecompileSpecId::from_spec_id(spec_id(fork)));
    let precompile = set.get(address)?;
    Some(match precompile.execute(input, gas, 0) {
        Ok(output) => match output.status {
            PrecompileStatus::Success => Ok(PrecompileRun { gas_used: output.gas_used, output: output.bytes }),
            PrecompileStatus::Revert => Err("reverted".into()),
            PrecompileStatus::Halt(why) => Err(why.to_string()),
        },
        Err(error) => Err(error.to_string()),
    })
}

/// The fork's precompiles, some of which a call's overrides may have moved or taken away.
#[derive(Debug, Clone)]
pub(crate) struct Precompiles {
    inner: EthPrecompiles,
    /// None until the first change: then, by address, where the precompile behind it lies in the fork's set.
    changed: Option<Changed>,
    results: Results,
    /// Gas that dear precompiles took, or would have taken, so far.
    dear_gas: u64,
}

/// What becomes of the results of dear precompiles.
#[derive(Debug, Clone, Default)]
enum Results {
    #[default]
    Unused,
    /// They are computed ahead by somebody else.
    Looked(Arc<PrecompileResults>),
    /// They are computed ahead for somebody else.
    Kept(Arc<PrecompileResults>),
}

#[derive(Debug, Clone, Default)]
struct Changed {
    origin: AddressMap<Address>,
    addresses: AddressSet,
}

impl Precompiles {
    pub(super) fn new(spec: SpecId) -> Self {
        Self { inner: EthPrecompiles::new(spec), changed: None, results: Results::Unused, dear_gas: 0 }
    }

    pub(crate) fn contains(&self, address: &Address) -> bool {
        self.addresses().contains(address)
    }

    pub(crate) fn addresses(&self) -> &AddressSet {
        match &self.changed {
            Some(changed) => &changed.addresses,
            None => self.inner.warm_addresses(),
        }
    }

    /// From here on takes results that are there already.
    pub(crate) fn look_up(&mut self, results: Arc<PrecompileResults>) {
        self.results = Results::Looked(results);
    }

    /// From here on keeps results for somebody else.
    pub(crate) fn keep(&mut self, results: Arc<PrecompileResults>) {
        self.results = Results::Kept(results);
    }

    /// Gas that dear precompiles took so far.
    pub(crate) fn dear_gas(&self) -> u64 {
        self.dear_gas
    }

    /// Takes a precompile away, or moves it to another address.
    pub(crate) fn displace(&mut self, from: Address, to: Option<Address>) {
        let inner = &self.inner;
        let changed = self.changed.get_or_insert_with(|| {
            let addresses = inner.warm_addresses().clone();
            Changed { origin: addresses.iter().map(|address| (*address, *address)).collect(), addresses }
        });
        let Some(origin) = changed.origin.remove(&from) else { return };
        changed.addresses.remove(&from);
        if let Some(to) = to {
            changed.origin.insert(to, origin);
            changed.addresses.insert(to);
        }
    }
}

impl Precompiles {
    fn run_unchanged<CTX: ContextTr>(
        &mut self,
        context: &mut CTX,
        inputs: &CallInputs,
    ) -> Result<Option<InterpreterResult>, String> {
        if let Results::Looked(results) = &self.results
            && self.inner.contains(&inputs.bytecode_address)
            && let Some(found) =
                results.get(&inputs.bytecode_address, &inputs.input.as_bytes(context), inputs.gas_limit)
        {
            self.dear_gas = self.dear_gas.saturating_add(found.gas_used);
            let output = PrecompileOutput::new(found.gas_used, found.output, inputs.reservoir);
            return Ok(Some(precompile_output_to_interpreter_result(output, inputs.gas_limit)));
        }
        let is_ahead = matches!(self.results, Results::Kept(_));
        let bounded = (is_ahead && inputs.gas_limit > GAS_AHEAD_MAX)
            .then(|| CallInputs { gas_limit: GAS_AHEAD_MAX, ..inputs.clone() });
        let ran = bounded.as_ref().unwrap_or(inputs);
        let mut result = self.inner.run(context, ran)?;
        if let Some(result) = &mut result
            && result.result == InstructionResult::Return
        {
            let gas_used = ran.gas_limit.saturating_sub(result.gas.remaining());
            if bounded.is_some() {
                let output = PrecompileOutput::new(gas_used, result.output.clone(), inputs.reservoir);
                *result = precompile_output_to_interpreter_result(output, inputs.gas_limit);
            }
            if gas_used >= DEAR_GAS_MIN {
                self.dear_gas = self.dear_gas.saturating_add(gas_used);
                if let Results::Kept(results) = &self.results {
                    let run = PrecompileRun { gas_used, output: result.output.clone() };
                    results.put(inputs.bytecode_address, &inputs.input.as_bytes(context), run);
                }
            }
        }
        Ok(result)
    }
}

impl<CTX: ContextTr> PrecompileProvider<CTX> for Precompiles {
    type Output = InterpreterResult;

    fn set_spec(&mut self, spec: <CTX::Cfg as Cfg>::Spec) -> bool {
        <EthPrecompiles as PrecompileProvider<CTX>>::set_spec(&mut self.inner, spec)
    }

    fn run(&mut self, context: &mut CTX, inputs: &CallInputs) -> Result<Option<InterpreterResult>, String> {
        let Some(changed) = &self.changed else { return self.run_unchanged(context, inputs) };
        match changed.origin.get(&inputs.bytecode_address) {
            None => Ok(None),
            Some(origin) => {
                let mut inputs = inputs.clone();
                inputs.bytecode_address = *origin;
                self.inner.run(context, &inputs)
            }
        }
    }

    fn warm_addresses(&self) -> &AddressSet {
        self.addresses()
    }
}
