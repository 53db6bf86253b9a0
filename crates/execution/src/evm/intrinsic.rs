use super::env::{spec_id, transaction_env};
use alloy_primitives::Address;
use revm::{
    context_interface::{
        Transaction as _,
        cfg::{GasParams, gas_params::Eip2780TxInfo},
    },
    primitives::hardfork::SpecId,
};
use starling_chainspec::Fork;
use starling_primitives::Transaction;

/// What a transaction costs before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntrinsicGas {
    /// For its bytes, its access list, its authorizations, and for being one; the gas limit may not be below.
    pub cost: u64,
    /// What it costs at least, whatever it runs (EIP-7623); zero before Prague.
    pub floor: u64,
}

/// The intrinsic gas of a transaction under a fork's rules.
pub fn intrinsic_gas(fork: Fork, tx: &Transaction, sender: Address) -> IntrinsicGas {
    let spec = spec_id(fork);
    let tx = transaction_env(tx, sender);
    let is_self_transfer = tx.kind().to() == Some(&sender);
    let info = spec.is_enabled_in(SpecId::AMSTERDAM).then(|| Eip2780TxInfo { value: tx.value(), is_self_transfer });
    let gas = GasParams::new_spec(spec).initial_tx_gas_for_tx(&tx, info);
    let floor = if spec.is_enabled_in(SpecId::PRAGUE) { gas.floor_gas() } else { 0 };
    IntrinsicGas { cost: gas.initial_total_gas(), floor }
}
