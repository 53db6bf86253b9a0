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
use starling_primitives::{IntrinsicGas, Transaction};

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
