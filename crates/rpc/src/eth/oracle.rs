//! Which fees the next block will ask for, and which tips got into the last ones.

use crate::{RpcContext, api::Answer, convert::blob_base_fee, tags::kept_block};
use alloy_consensus::Transaction as _;
use alloy_eips::{
    eip1559::{BaseFeeParams, INITIAL_BASE_FEE, calc_next_block_base_fee},
    eip4844::DATA_GAS_PER_BLOB,
    eip7840::{BLOB_BASE_COST, BlobParams},
};
use starling_chainspec::{ChainSpec, Fork};
use starling_primitives::Header;
use starling_state::{BlockId, ChainView, KeptBlock};

/// Blocks below the head that tips are taken from.
const SAMPLE_BLOCKS: u64 = 20;
/// Tips taken from each, the lowest first.
const SAMPLES_PER_BLOCK: usize = 3;
/// Where among all samples the suggestion lies.
const SAMPLE_PERCENTILE: usize = 60;
/// Wei; lower tips are gifts of the block's author, not a market.
const TIP_MIN: u128 = 2;
/// Wei: 500 gwei; more would be somebody's mistake.
const TIP_MAX: u128 = 500_000_000_000;
/// Wei: 0.001 gwei; stands for a block without a sample.
const TIP_DEFAULT: u128 = 1_000_000;

/// Wei for a unit of gas in the block after `header`; none before London.
pub(super) fn next_base_fee(spec: &ChainSpec, header: &Header) -> Option<u64> {
    match header.base_fee_per_gas {
        Some(fee) => {
            let params = BaseFeeParams::ethereum();
            Some(calc_next_block_base_fee(header.gas_used, header.gas_limit, fee, params))
        }
        None => {
            let next = Header { number: header.number + 1, ..header.clone() };
            spec.is_active(Fork::London, &next).then_some(INITIAL_BASE_FEE)
        }
    }
}

/// Wei for a unit of blob gas in the block after `header`, under the rules of its own fork; none before blobs.
pub(super) fn next_blob_base_fee(spec: &ChainSpec, header: &Header) -> Option<u128> {
    let schedule = spec.blob_schedule_at(header)?;
    let cost = if spec.fork_of(header) >= Fork::Osaka { BLOB_BASE_COST } else { 0 };
    let params = BlobParams {
        target_blob_count: schedule.target,
        max_blob_count: schedule.max,
        update_fraction: u128::from(schedule.base_fee_update_fraction),
        ..BlobParams::cancun()
    }
    .with_blob_base_cost(cost);
    let (excess, used) = (header.excess_blob_gas?, header.blob_gas_used?);
    let excess = params.next_block_excess_blob_gas_osaka(excess, used, header.base_fee_per_gas.unwrap_or_default());
    blob_base_fee(spec, &Header { excess_blob_gas: Some(excess), ..header.clone() })
}

/// The part of a block's blob space that was used.
pub(super) fn blob_gas_used_ratio(spec: &ChainSpec, header: &Header) -> f64 {
    let most = spec.blob_schedule_at(header).map_or(0, |schedule| schedule.max * DATA_GAS_PER_BLOB);
    match header.blob_gas_used {
        Some(used) if most > 0 => used as f64 / most as f64,
        _ => 0.0,
    }
}

/// Wei a unit of gas that a transaction sent now should offer the author of the next blocks.
pub(super) fn suggest_tip(context: &RpcContext) -> Answer<u128> {
    let view = context.chain.view();
    let head = view.head().number;
    let mut samples = Vec::new();
    for number in (1..=head).rev().take(SAMPLE_BLOCKS as usize) {
        samples.extend(sample(&view, number)?);
    }
    samples.sort_unstable();
    let index = samples.len().saturating_sub(1) * SAMPLE_PERCENTILE / 100;
    Ok(samples.get(index).copied().unwrap_or(TIP_DEFAULT).min(TIP_MAX))
}

/// The lowest tips that a block took from others than its author.
fn sample(view: &ChainView, number: u64) -> Answer<Vec<u128>> {
    let Some(kept) = kept_block(view, BlockId::Number(number))? else { return Ok(Vec::new()) };
    let mut tips = tips_of_others(&kept);
    if tips.is_empty() {
        return Ok(vec![TIP_DEFAULT]);
    }
    tips.sort_unstable();
    tips.truncate(SAMPLES_PER_BLOCK);
    Ok(tips)
}

fn tips_of_others(kept: &KeptBlock) -> Vec<u128> {
    let (header, body) = (&kept.block.header, &kept.block.body);
    let base_fee = header.base_fee_per_gas.unwrap_or_default();
    let others = body.transactions.iter().zip(&kept.senders).filter(|(_, from)| **from != header.beneficiary);
    others.filter_map(|(tx, _)| tx.effective_tip_per_gas(base_fee)).filter(|tip| *tip >= TIP_MIN).collect()
}
