use super::{Call, CallLimits, CallOutcome, Overrides, setup::CallSetup};
use crate::{
    error::CallError,
    evm::{AccessListTracer, CallTx, authority},
};
use alloy_primitives::{Address, B256, U256, map::AddressSet};
use starling_chainspec::ChainSpec;
use starling_primitives::{Header, StateReader};

/// Addresses and slots, as in EIP-2930.
pub type AccessList = Vec<(Address, Vec<B256>)>;

/// The access list that a call would profit from, and the call's outcome with it.
///
/// A list changes what the call costs, and so perhaps what it does: the call runs again with each list
/// until the list does not change any more.
pub fn create_access_list(
    spec: &ChainSpec,
    header: &Header,
    state: &dyn StateReader,
    call: &Call,
    overrides: &Overrides,
    limits: CallLimits,
) -> Result<(AccessList, CallOutcome), CallError> {
    let setup = CallSetup::new(spec, header, state, call, overrides, limits)?;
    let mut tx = setup.resolve(call)?;
    let excluded = warm_anyway(&setup, &tx, spec.chain_id)?;
    let mut list = AccessListTracer::new(excluded.clone(), &tx.access_list).list();
    loop {
        tx.access_list = list.clone();
        let mut machine = setup.inspected(AccessListTracer::new(excluded.clone(), &list))?;
        let ran = machine.inspect_call(&tx).map_err(|error| setup.error(error))?;
        let seen = machine.inspector().list();
        if seen == list {
            return Ok((list, ran.into()));
        }
        list = seen;
    }
}

/// What a transaction warms without a list: sender, callee or created contract, precompiles, authorities.
fn warm_anyway(setup: &CallSetup<'_>, tx: &CallTx, chain_id: u64) -> Result<AddressSet, CallError> {
    let mut machine = setup.machine()?;
    let mut warm = machine.precompiles_mut().addresses().clone();
    warm.insert(tx.from);
    let callee = match tx.to {
        Some(to) => to,
        None => tx.from.create(machine.overlay().account(&tx.from)?.unwrap_or_default().nonce),
    };
    warm.insert(callee);
    let here = |id: U256| id.is_zero() || id == U256::from(chain_id);
    warm.extend(tx.authorizations.iter().filter(|signed| here(signed.chain_id)).filter_map(authority));
    Ok(warm)
}
