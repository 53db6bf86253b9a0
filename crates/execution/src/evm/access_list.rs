use alloy_primitives::{Address, B256, U256, map::AddressSet};
use revm::{
    Inspector,
    bytecode::opcode,
    interpreter::{
        Interpreter,
        interpreter_types::{InputsTr, Jumps},
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// Watches a call and gathers the addresses and slots that an access list could name (EIP-2930).
#[derive(Debug)]
pub(crate) struct AccessListTracer {
    /// Warm anyway: sender, callee, precompiles, authorities.
    excluded: AddressSet,
    accessed: BTreeMap<Address, BTreeSet<B256>>,
}

impl AccessListTracer {
    /// Starts from a list, of which what is warm anyway is left out.
    pub(crate) fn new(excluded: AddressSet, list: &[(Address, Vec<B256>)]) -> Self {
        let mut accessed = BTreeMap::<Address, BTreeSet<B256>>::new();
        for (address, slots) in list.iter().filter(|(address, _)| !excluded.contains(address)) {
            accessed.entry(*address).or_default().extend(slots);
        }
        Self { excluded, accessed }
    }

    /// The list gathered, sorted.
    pub(crate) fn list(&self) -> Vec<(Address, Vec<B256>)> {
        self.accessed.iter().map(|(address, slots)| (*address, slots.iter().copied().collect())).collect()
    }

    fn address(&mut self, word: U256) {
        let address = Address::from_word(word.into());
        if !self.excluded.contains(&address) {
            self.accessed.entry(address).or_default();
        }
    }
}

impl<CTX> Inspector<CTX> for AccessListTracer {
    fn step(&mut self, interpreter: &mut Interpreter, _: &mut CTX) {
        let word = |depth: usize| {
            let stack = interpreter.stack.data();
            stack.len().checked_sub(depth + 1).and_then(|at| stack.get(at)).copied()
        };
        match interpreter.bytecode.opcode() {
            opcode::SLOAD | opcode::SSTORE => {
                if let Some(slot) = word(0) {
                    // Slots of an excluded address are worth naming: only the address itself is warm.
                    let contract = interpreter.input.target_address();
                    self.accessed.entry(contract).or_default().insert(slot.into());
                }
            }
            opcode::EXTCODECOPY
            | opcode::EXTCODEHASH
            | opcode::EXTCODESIZE
            | opcode::BALANCE
            | opcode::SELFDESTRUCT => {
                if let Some(address) = word(0) {
                    self.address(address);
                }
            }
            opcode::CALL | opcode::CALLCODE | opcode::DELEGATECALL | opcode::STATICCALL => {
                if let Some(address) = word(1) {
                    self.address(address);
                }
            }
            _ => {}
        }
    }
}
