use super::{attributes::AttributesArgs, get_payload::build_error, status::PayloadStatus};
use crate::{
    RpcContext, Wanted,
    api::Answer,
    args::Args,
    error::EngineErrorKind,
    hex::{Hash, from_text, parse_fixed},
};
use alloy_primitives::{B64, B256, FixedBytes};
use jsonrpsee::types::Params;
use serde::{Deserialize, Serialize};
use starling_builder::{Attributes, AttributesVersion, PayloadId};
use starling_chain::SetHeadOutcome;
use starling_state::BlockId;

/// Bytes of the bit field of custody columns that comes with the fourth version.
const CUSTODY_BYTES: usize = 16;

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

/// Moves head, safe and finalized, then begins the payload that is asked for. Attributes that do not fit their version
/// are refused before anything moves, as geth does; ones that no block on the new head can have, once it has moved.
pub(super) async fn updated(context: &RpcContext, params: &Params<'_>, version: AttributesVersion) -> Answer<Updated> {
    let mut args = Args::new(params)?;
    let (state, attributes): (State, Option<AttributesArgs>) = (args.required()?, args.optional()?);
    if version >= AttributesVersion::V4 {
        let _custody: Option<CustodyColumns> = args.optional()?;
    }
    args.end()?;
    let (Hash(head), Hash(safe), Hash(finalized)) =
        (state.head_block_hash, state.safe_block_hash, state.finalized_block_hash);
    if let Some(attributes) = &attributes {
        attributes.check(version, context.chain.spec())?;
    }
    if head == B256::ZERO {
        return Ok(PayloadStatus::invalid_without_reason().into());
    }
    if is_final_already(context, head)? {
        return Ok(PayloadStatus::valid(head).into());
    }
    match context.chain.set_head(head, safe, finalized).await? {
        SetHeadOutcome::Done => {
            let attributes = attributes.map(|attributes| attributes.complete(context));
            let payload_id = attributes.map(|attributes| begin(context, version, head, attributes)).transpose()?;
            let payload_id = payload_id.map(|PayloadId(id)| FixedBytes(id));
            Ok(Updated { payload_status: PayloadStatus::valid(head), payload_id })
        }
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

/// Whether a head lies below the finalized block: a consensus client that is catching up names such. The fork choice
/// stays as it is, and nothing is built there.
fn is_final_already(context: &RpcContext, head: B256) -> Answer<bool> {
    let view = context.chain.view();
    let (Some(finalized), Some(at)) = (view.finalized(), view.find(BlockId::Hash(head))?) else { return Ok(false) };
    Ok(at.number < finalized.number && view.is_canonical(at)?)
}

/// Begins a payload on a block; the same parent and attributes give the same one.
fn begin(context: &RpcContext, version: AttributesVersion, head: B256, attributes: Attributes) -> Answer<PayloadId> {
    let unknown = || EngineErrorKind::InvalidForkchoiceState.because(format!("the head {head} has moved on"));
    let header = context.chain.view().header(BlockId::Hash(head))?.ok_or_else(unknown)?;
    context.payloads.start(version, (head, header), attributes).map_err(build_error)
}

/// A bit for each column that the consensus client keeps; this node keeps whole blobs and needs none of it.
#[derive(Deserialize)]
struct CustodyColumns(#[serde(deserialize_with = "columns")] ());

fn columns<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    from_text(deserializer, |text| parse_fixed::<CUSTODY_BYTES>(text, "custody columns").map(|_| ()))
}
