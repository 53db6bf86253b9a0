//! The Engine API: a consensus client hands over payloads, says which block is the head, and has payloads built.
//!
//! Specification: <https://github.com/ethereum/execution-apis/tree/main/src/engine>, Paris to Amsterdam.
//!
//! ```text
//! newPayload ─► arguments, version gate ─► known? ─► header, block hash ─► chain.import ─► status
//!               │                          └─► senders, found beside all this ┘
//!               └──────────── on the import pool ────────────────────┘
//! forkchoiceUpdated ─► version gate of the attributes ─► chain.set_head ─► status; attributes ─► PayloadJobs ─► id
//! getPayload ─► version gates ─► PayloadJobs ─► payload, value, blobs, requests
//! ```
//!
//! Each version of a method has its forks, and other forks are refused with −38005: `version.rs` (newPayload),
//! `attributes.rs` (forkchoiceUpdated), `get_payload.rs`, `blobs.rs`.

mod attributes;
mod blobs;
mod bodies;
mod envelope;
mod forkchoice;
mod get_payload;
mod handshake;
mod payload;
mod requests;
mod status;
mod version;

use crate::{
    RpcContext, Wanted,
    api::{Answer, Api, to_json},
    args::Args,
};
use blobs::GetBlobs;
use get_payload::GetPayload;
use jsonrpsee::types::Params;
use payload::Judged;
use serde_json::value::RawValue;
use starling_builder::AttributesVersion;
use starling_chain::{ImportOutcome, RefusedBlock};
use status::PayloadStatus;
use std::{sync::Arc, time::Instant};
use version::PayloadVersion;

pub(crate) use attributes::AttributesArgs;
pub(crate) use envelope::Envelope;
pub(crate) use get_payload::build_error;

/// Two letters by which consensus clients know us in graffiti.
const CLIENT_CODE: &str = "SG";
/// Our name.
const CLIENT_NAME: &str = "Starling";

const FORKCHOICE_UPDATED: [(&str, AttributesVersion); 4] = [
    ("engine_forkchoiceUpdatedV1", AttributesVersion::V1),
    ("engine_forkchoiceUpdatedV2", AttributesVersion::V2),
    ("engine_forkchoiceUpdatedV3", AttributesVersion::V3),
    ("engine_forkchoiceUpdatedV4", AttributesVersion::V4),
];

/// Adds every method of the namespace.
pub(crate) fn register(api: &mut Api) {
    for version in PayloadVersion::ALL {
        api.command(version.method(), move |context, params| new_payload(context, params, version));
    }
    for (method, version) in FORKCHOICE_UPDATED {
        api.command(method, move |context, params| async move {
            to_json(&forkchoice::updated(&context, &params, version).await?)
        });
    }
    for version in GetPayload::ALL {
        api.command(version.method(), move |context, params| get_payload::get_payload(context, params, version));
    }
    for version in GetBlobs::ALL {
        api.command(version.method(), move |context, params| blobs::get_blobs(context, params, version));
    }
    api.query("engine_getPayloadBodiesByHashV1", bodies::by_hash_v1);
    api.query("engine_getPayloadBodiesByHashV2", bodies::by_hash_v2);
    api.query("engine_getPayloadBodiesByRangeV1", bodies::by_range_v1);
    api.query("engine_getPayloadBodiesByRangeV2", bodies::by_range_v2);
    api.query("engine_exchangeTransitionConfigurationV1", handshake::exchange_transition);
    api.light("engine_getClientVersionV1", handshake::client_version);
    let served: Vec<_> = api.names();
    api.light("engine_exchangeCapabilities", move |_, args| handshake::exchange_capabilities(args, &served));
}

async fn new_payload(
    context: Arc<RpcContext>,
    params: Params<'static>,
    version: PayloadVersion,
) -> Answer<Box<RawValue>> {
    let started = Instant::now();
    let judge = {
        let context = context.clone();
        move || payload::judge(&context, Args::new(&params)?, version)
    };
    let judged = context.imports.run(judge).await??;
    let ready = started.elapsed();
    let status = match judged {
        Judged::Settled(status) => status,
        Judged::Broken { hash, parent_hash, why } => {
            let words = why.to_string();
            let refused = RefusedBlock { hash, parent_hash, why: Some(why.into()), descendants: Vec::new() };
            context.chain.refuse_unseen(refused).await?;
            // As geth: of transactions that cannot be read it names no latest valid block.
            PayloadStatus::invalid(None, words)
        }
        Judged::Block(block) => {
            let hash = block.hash;
            let outcome = context.chain.import(block.clone()).await?;
            if outcome == ImportOutcome::UnknownParent {
                (context.wanted)(Wanted::Ancestors(block));
            }
            PayloadStatus::of_import(outcome, hash)
        }
    };
    tracing::debug!(?status, ?ready, took = ?started.elapsed(), "newPayload answered");
    to_json(&status)
}
