//! Fees: of the next block, of past ones.

use super::oracle::{blob_gas_used_ratio, next_base_fee, next_blob_base_fee, suggest_tip};
use crate::{
    ApiError, RpcContext,
    api::{Answer, Api},
    args::Args,
    convert::blob_base_fee,
    tags::{BlockTag, Count, kept_block},
};
use alloy_consensus::Transaction as _;
use alloy_primitives::{U64, U128};
use serde::Serialize;
use starling_chainspec::ChainSpec;
use starling_primitives::Header;
use starling_state::{BlockId, ChainView, KeptBlock};
use std::time::Instant;

pub(super) fn register(api: &mut Api) {
    api.light("eth_baseFee", base_fee);
    api.light("eth_blobBaseFee", current_blob_base_fee);
    api.query("eth_gasPrice", gas_price);
    api.query("eth_maxPriorityFeePerGas", max_priority_fee_per_gas);
    api.query("eth_feeHistory", fee_history);
}

fn base_fee(context: &RpcContext, args: Args<'_>) -> Answer<Option<U64>> {
    args.end()?;
    Ok(next_base_fee(context.chain.spec(), context.chain.view().head_header()).map(U64::from))
}

fn current_blob_base_fee(context: &RpcContext, args: Args<'_>) -> Answer<Option<U128>> {
    args.end()?;
    Ok(blob_base_fee(context.chain.spec(), context.chain.view().head_header()).map(U128::from))
}

fn gas_price(context: &RpcContext, args: Args<'_>) -> Answer<U128> {
    args.end()?;
    let head_fee = context.chain.view().head_header().base_fee_per_gas.unwrap_or_default();
    Ok(U128::from(suggest_tip(context)? + u128::from(head_fee)))
}

fn max_priority_fee_per_gas(context: &RpcContext, args: Args<'_>) -> Answer<U128> {
    args.end()?;
    Ok(U128::from(suggest_tip(context)?))
}

/// Fees of a run of blocks, and of the block after it; absent lists were not asked for.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct FeeHistory {
    oldest_block: U64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reward: Vec<Vec<U128>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    base_fee_per_gas: Vec<U64>,
    /// Null for no blocks, as in geth.
    gas_used_ratio: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    base_fee_per_blob_gas: Vec<U128>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blob_gas_used_ratio: Vec<f64>,
}

fn fee_history(context: &RpcContext, mut args: Args<'_>) -> Answer<FeeHistory> {
    let (count, newest, percentiles): (Count, BlockTag, Vec<f64>) =
        (args.required()?, args.required()?, args.required()?);
    args.end()?;
    check_percentiles(&percentiles, context.limits.fee_percentiles_max)?;
    let view = context.chain.view();
    let newest = newest_number(&view, newest)?;
    // More blocks than may be, or than there are, are cut off silently.
    let count = count.get().min(context.limits.fee_history_blocks).min(newest.saturating_add(1));
    if count == 0 {
        return Ok(FeeHistory::default());
    }
    let oldest = newest + 1 - count;
    let mut history = FeeHistory { oldest_block: U64::from(oldest), ..FeeHistory::default() };
    let deadline = Instant::now() + context.limits.search_timeout;
    for number in oldest..=newest {
        if Instant::now() > deadline {
            let timeout = context.limits.search_timeout;
            return Err(ApiError::Server(format!(
                "aborted at block {number} (timeout = {timeout:?}); ask for fewer blocks"
            )));
        }
        history.add(context.chain.spec(), &view, number, &percentiles)?;
    }
    Ok(history)
}

fn check_percentiles(percentiles: &[f64], limit: usize) -> Answer<()> {
    let invalid = |why: String| Err(ApiError::server(format!("invalid reward percentile: {why}")));
    if percentiles.len() > limit {
        return invalid(format!("over the query limit {limit}"));
    }
    if let Some(out) = percentiles.iter().find(|percentile| !(0.0..=100.0).contains(*percentile)) {
        return invalid(format!("{out:.6}"));
    }
    match percentiles.windows(2).enumerate().find(|(_, pair)| pair[0] >= pair[1]) {
        Some((i, pair)) => invalid(format!("#{i}:{:.6} >= #{}:{:.6}", pair[0], i + 1, pair[1])),
        None => Ok(()),
    }
}

fn newest_number(view: &ChainView, tag: BlockTag) -> Answer<u64> {
    let head = view.head().number;
    match tag {
        BlockTag::Number(number) if number > head => {
            Err(ApiError::server(format!("request beyond head block: requested {number}, head {head}")))
        }
        BlockTag::Number(number) => Ok(number),
        tag => match view.find(tag.id(view)?)? {
            Some(at) => Ok(at.number),
            None => Err(ApiError::server("header not found")),
        },
    }
}

impl FeeHistory {
    /// Adds a block; the fees after it stand in the list's last place until the next block replaces them.
    fn add(&mut self, spec: &ChainSpec, view: &ChainView, number: u64, percentiles: &[f64]) -> Answer<()> {
        let header = if percentiles.is_empty() {
            view.header(BlockId::Number(number))?.ok_or(ApiError::Pruned)?
        } else {
            let kept = kept_block(view, BlockId::Number(number))?.ok_or(ApiError::Pruned)?;
            self.reward.push(rewards(&kept, percentiles)?);
            kept.block.header
        };
        self.base_fee_per_gas.pop();
        self.base_fee_per_gas.push(U64::from(header.base_fee_per_gas.unwrap_or_default()));
        self.base_fee_per_gas.push(U64::from(next_base_fee(spec, &header).unwrap_or_default()));
        self.base_fee_per_blob_gas.pop();
        self.base_fee_per_blob_gas.push(U128::from(blob_base_fee(spec, &header).unwrap_or_default()));
        self.base_fee_per_blob_gas.push(U128::from(next_blob_base_fee(spec, &header).unwrap_or_default()));
        self.gas_used_ratio.get_or_insert_default().push(gas_used_ratio(&header));
        self.blob_gas_used_ratio.push(blob_gas_used_ratio(spec, &header));
        Ok(())
    }
}

fn gas_used_ratio(header: &Header) -> f64 {
    if header.gas_limit == 0 { 0.0 } else { header.gas_used as f64 / header.gas_limit as f64 }
}

/// The tips at percentiles of a block's gas, transactions sorted by tip; zeros for a block without any.
fn rewards(kept: &KeptBlock, percentiles: &[f64]) -> Answer<Vec<U128>> {
    let base_fee = kept.block.header.base_fee_per_gas.unwrap_or_default();
    let mut gas_before = 0;
    let mut paid: Vec<(u128, u64)> = Vec::new();
    for (tx, receipt) in kept.block.body.transactions.iter().zip(kept.receipts()?) {
        let gas_used = receipt.cumulative_gas_used.saturating_sub(gas_before);
        gas_before = receipt.cumulative_gas_used;
        paid.push((tx.effective_tip_per_gas(base_fee).unwrap_or_default(), gas_used));
    }
    paid.sort_by_key(|(tip, _)| *tip);
    let gas_used = kept.block.header.gas_used as f64;
    let mut sorted = paid.into_iter();
    let Some((mut tip, mut gas)) = sorted.next() else { return Ok(vec![U128::ZERO; percentiles.len()]) };
    let reward = |percentile: &f64| {
        let threshold = (gas_used * percentile / 100.0) as u64;
        while gas < threshold
            && let Some((next_tip, used)) = sorted.next()
        {
            (tip, gas) = (next_tip, gas + used);
        }
        U128::from(tip)
    };
    Ok(percentiles.iter().map(reward).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(percentiles: &[f64], expect: Result<(), &str>) {
        let expect = expect.map_err(|why| ApiError::server(format!("invalid reward percentile: {why}")));
        assert_eq!(check_percentiles(percentiles, 4), expect, "{percentiles:?}");
    }

    #[test]
    fn percentiles() {
        check(&[], Ok(()));
        check(&[0.0, 50.5, 100.0], Ok(()));
        check(&[101.0], Err("101.000000"));
        check(&[-1.0], Err("-1.000000"));
        check(&[f64::NAN], Err("NaN"));
        check(&[50.0, 20.0], Err("#0:50.000000 >= #1:20.000000"));
        check(&[1.0; 5], Err("over the query limit 4"));
    }
}
