use super::{AccountOverride, BlockOverride};
use crate::{
    error::CallError,
    evm::{BlockRules, CallMode, Machine},
};
use alloy_primitives::{Address, keccak256};
use starling_chainspec::ChainSpec;
use starling_primitives::Header;
use std::collections::BTreeMap;

/// The rules of a call on `header`'s block with other block fields. Number and time also choose the fork.
pub(super) fn rules(
    spec: &ChainSpec,
    header: &Header,
    block: &BlockOverride,
    mode: CallMode,
) -> Result<BlockRules, CallError> {
    let too_large = |what| CallError::Invalid(format!("{what} override is too large"));
    let author = block.fee_recipient.or_else(|| spec.consensus.author(header)).unwrap_or(header.beneficiary);
    let mut header = header.clone();
    header.number = block.number.unwrap_or(header.number);
    header.timestamp = block.time.unwrap_or(header.timestamp);
    header.gas_limit = block.gas_limit.unwrap_or(header.gas_limit);
    if let Some(wei) = block.base_fee_per_gas {
        header.base_fee_per_gas = Some(wei.try_into().map_err(|_| too_large("base fee"))?);
    }
    let mut rules = BlockRules::of_block(spec, &header, author);
    if let Some(difficulty) = block.difficulty {
        rules.set_difficulty(difficulty);
    }
    if let Some(value) = block.prev_randao {
        rules.set_prev_randao(value);
    }
    if let Some(wei) = block.blob_base_fee {
        rules.set_blob_base_fee(wei.try_into().map_err(|_| too_large("blob base fee"))?);
    }
    Ok(rules.for_call(mode))
}

/// Lays accounts over the state of a machine.
pub(super) fn apply<INSP>(
    machine: &mut Machine<'_, INSP>,
    accounts: &BTreeMap<Address, AccountOverride>,
) -> Result<(), CallError> {
    for (address, account) in accounts {
        displace_precompile(machine, accounts, address, account.move_precompile_to)?;
        if account.state.is_some() && account.state_diff.is_some() {
            return Err(CallError::Invalid(format!("account {address} has both 'state' and 'stateDiff'")));
        }
        apply_account(machine, address, account)?;
    }
    Ok(())
}

/// An overridden address is no precompile any more; its precompile goes with it or to where it is moved.
fn displace_precompile<INSP>(
    machine: &mut Machine<'_, INSP>,
    accounts: &BTreeMap<Address, AccountOverride>,
    address: &Address,
    to: Option<Address>,
) -> Result<(), CallError> {
    if !machine.precompiles_mut().contains(address) {
        return match to {
            Some(_) => Err(CallError::Invalid(format!("account {address} is not a precompile"))),
            None => Ok(()),
        };
    }
    if let Some(to) = to
        && accounts.contains_key(&to)
    {
        return Err(CallError::Invalid(format!("account {to} is already overridden")));
    }
    machine.precompiles_mut().displace(*address, to);
    Ok(())
}

fn apply_account<INSP>(
    machine: &mut Machine<'_, INSP>,
    address: &Address,
    account: &AccountOverride,
) -> Result<(), CallError> {
    let overlay = machine.overlay();
    let before = overlay.account(address)?;
    let mut info = before.unwrap_or_default();
    info.balance = account.balance.unwrap_or(info.balance);
    info.nonce = account.nonce.unwrap_or(info.nonce);
    if let Some(code) = &account.code {
        info.code_hash = keccak256(code);
        overlay.deploy_code(info.code_hash, code.clone());
    }
    if before.is_some() || !info.is_empty() {
        overlay.entry(address)?.now = Some(info);
    }
    if account.state.is_some() {
        overlay.entry(address)?.wipe();
    }
    for (slot, value) in account.state.iter().chain(&account.state_diff).flatten() {
        overlay.entry(address)?.set_slot((*slot).into(), (*value).into());
    }
    Ok(())
}
