//! Checks that need neither an account nor the signature, the cheapest first.

use crate::{IntrinsicGasRule, Origin, PoolConfig, Refusal, pool::HeadFacts};
use alloy_consensus::Transaction as _;
use alloy_eips::eip2718::Decodable2718;
use starling_chainspec::Fork;
use starling_primitives::{Address, IntrinsicGas, Transaction};
use starling_validation::{TransactionRule, check_transaction};

/// Most gas of a transaction since Osaka (EIP-7825). From Amsterdam on only what it costs before it runs is bound by it.
const GAS_CAP: u64 = 1 << 24;

/// Decodes a transaction as it travels.
pub(crate) fn decode(bytes: &[u8], config: &PoolConfig) -> Result<Transaction, Refusal> {
    if bytes.len() > config.tx_bytes_max {
        return Err(Refusal::TooLarge { size: bytes.len(), limit: config.tx_bytes_max });
    }
    Transaction::decode_2718_exact(bytes).map_err(|error| Refusal::Decode(error.to_string()))
}

/// Everything that can be said of a transaction before its sender is known.
pub(crate) fn check(
    tx: &Transaction,
    chain_id: u64,
    head: &HeadFacts,
    config: &PoolConfig,
    intrinsic: IntrinsicGasRule,
    origin: Origin,
) -> Result<(), Refusal> {
    check_transaction(chain_id, head.fork, tx)?;
    if let Some(hashes) = tx.blob_versioned_hashes() {
        check_blobs(hashes.len(), head, config)?;
    }
    let (fee_cap, tip_cap) = (tx.max_fee_per_gas(), tx.max_priority_fee_per_gas());
    let tip = tip_cap.unwrap_or(fee_cap);
    if tip > fee_cap {
        return Err(Refusal::TipAboveFeeCap { tip_cap: tip, fee_cap });
    }
    let gas = tx.gas_limit();
    if gas > head.gas_limit {
        return Err(Refusal::GasLimit { gas, limit: head.gas_limit });
    }
    if (Fork::Osaka..Fork::Amsterdam).contains(&head.fork) && gas > GAS_CAP {
        return Err(Refusal::GasCap { gas, cap: GAS_CAP });
    }
    // What it costs does not depend on the sender before Amsterdam; there, a transfer to oneself is cheaper, which the
    // executor judges.
    let sender = tx.to().filter(|_| head.fork >= Fork::Amsterdam).unwrap_or(Address::ZERO);
    let IntrinsicGas { cost, floor } = intrinsic(head.fork, tx, sender);
    if gas < cost {
        return Err(Refusal::IntrinsicGas { have: gas, want: cost });
    }
    if gas < floor {
        return Err(Refusal::FloorDataGas { have: gas, want: floor });
    }
    if tx.max_fee_per_blob_gas() == Some(0) {
        return Err(Refusal::Underpriced { tip: 0, needed: 1 });
    }
    if !origin.is_ours() && tip < config.tip_min {
        return Err(Refusal::Underpriced { tip, needed: config.tip_min });
    }
    Ok(())
}

fn check_blobs(count: usize, head: &HeadFacts, config: &PoolConfig) -> Result<(), Refusal> {
    if !config.blobs || head.blob_base_fee.is_none() {
        return Err(Refusal::Blobs);
    }
    let limit = config.tx_blobs_max;
    if count > limit { Err(Refusal::Rule(TransactionRule::TooManyBlobs { count, limit })) } else { Ok(()) }
}
