use super::status::PayloadStatus;
use crate::{RpcContext, Wanted, api::Answer, args::Args, error::EngineErrorKind, hex::Hash};
use alloy_primitives::{B64, B256};
use jsonrpsee::types::Params;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use starling_chain::SetHeadOutcome;

/// `ForkchoiceStateV1`; a zero hash says that there is no such block yet.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct State {
    head_block_hash: Hash,
    safe_block_hash: Hash,
    finalized_block_hash: Hash,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Updated {
    payload_status: PayloadStatus,
    /// Null: no payload is being built.
    payload_id: Option<B64>,
}

impl From<PayloadStatus> for Updated {
    fn from(payload_status: PayloadStatus) -> Self {
        Self { payload_status, payload_id: None }
    }
}

/// Moves head, safe and finalized. Payload attributes are refused only once that is done, as the
/// specification wants it for attributes that cannot be served.
pub(super) async fn updated(context: &RpcContext, params: &Params<'_>) -> Answer<Updated> {
    let mut args = Args::new(params)?;
    let (state, attributes): (State, Option<IgnoredAny>) = (args.required()?, args.optional()?);
    args.end()?;
    let (Hash(head), Hash(safe), Hash(finalized)) =
        (state.head_block_hash, state.safe_block_hash, state.finalized_block_hash);
    if head == B256::ZERO {
        return Ok(PayloadStatus::invalid_without_reason().into());
    }
    match context.chain.set_head(head, safe, finalized).await? {
        SetHeadOutcome::Done if attributes.is_some() => Err(EngineErrorKind::InvalidPayloadAttributes
            .because("this node does not build payloads yet; the fork choice has been applied")),
        SetHeadOutcome::Done => Ok(PayloadStatus::valid(head).into()),
        SetHeadOutcome::UnknownHead => {
            (context.wanted)(Wanted::Head { head, safe, finalized });
            Ok(PayloadStatus::syncing().into())
        }
        SetHeadOutcome::Invalid { latest_valid, why } => {
            Ok(PayloadStatus::invalid(latest_valid, why.to_string()).into())
        }
        SetHeadOutcome::Inconsistent(why) => Err(EngineErrorKind::InvalidForkchoiceState.because(why)),
        SetHeadOutcome::TooDeep { depth, limit } => {
            let why = format!("reorg depth {depth} exceeds limit {limit} (--engine.maxreorgdepth)");
            Err(EngineErrorKind::TooDeepReorg.because(why))
        }
    }
}
