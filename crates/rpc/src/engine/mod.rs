//! The Engine API: a consensus client hands over payloads and says which block is the head.
//!
//! Specification: <https://github.com/ethereum/execution-apis/tree/main/src/engine>. Served are newPayload
//! V1–V4 (Paris to Osaka) and forkchoiceUpdated V1–V3. Payloads are not built: attributes are refused,
//! after the fork choice has been applied.
//!
//! ```text
//! newPayload ─► arguments, version gate ─► header, block hash ─► known? ─► senders ─► chain.import ─► status
//!               └──────────────── on the import pool ─────────────────────────────┘
//! ```

mod forkchoice;
mod payload;
mod requests;
mod status;
mod version;

use crate::{
    ApiError, RpcContext, Wanted,
    api::{Answer, Api, to_json},
    args::Args,
};
use jsonrpsee::types::Params;
use payload::Judged;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::value::RawValue;
use starling_chain::ImportOutcome;
use status::PayloadStatus;
use std::sync::Arc;
use version::PayloadVersion;

/// Two letters by which consensus clients know us in graffiti.
const CLIENT_CODE: &str = "SG";
/// Our name.
const CLIENT_NAME: &str = "Starling";

/// Adds every method of the namespace.
pub(crate) fn register(api: &mut Api) {
    for version in PayloadVersion::ALL {
        api.command(version.method(), move |context, params| new_payload(context, params, version));
    }
    for method in ["engine_forkchoiceUpdatedV1", "engine_forkchoiceUpdatedV2", "engine_forkchoiceUpdatedV3"] {
        api.command(method, |context, params| async move { to_json(&forkchoice::updated(&context, &params).await?) });
    }
    api.light("engine_getClientVersionV1", client_version);
    let served: Vec<_> = api.names();
    api.light("engine_exchangeCapabilities", move |_, args| exchange_capabilities(args, &served));
}

async fn new_payload(
    context: Arc<RpcContext>,
    params: Params<'static>,
    version: PayloadVersion,
) -> Answer<Box<RawValue>> {
    let judge = {
        let context = context.clone();
        move || payload::judge(&context, Args::new(&params)?, version)
    };
    let status = match context.imports.run(judge).await?? {
        Judged::Settled(status) => status,
        Judged::Block(block) => {
            let (hash, block) = (block.hash, Arc::new(*block));
            let outcome = context.chain.import(block.clone()).await?;
            if outcome == ImportOutcome::UnknownParent {
                (context.wanted)(Wanted::Ancestors(block));
            }
            PayloadStatus::of_import(outcome, hash)
        }
    };
    to_json(&status)
}

/// What we serve; what the other side serves does not matter to us.
fn exchange_capabilities(mut args: Args<'_>, served: &[&'static str]) -> Answer<Vec<&'static str>> {
    let _theirs: Vec<String> = args.required()?;
    args.end()?;
    Ok(served.to_vec())
}

#[derive(Serialize)]
struct ClientVersion {
    code: &'static str,
    name: &'static str,
    version: String,
    commit: alloy_primitives::Bytes,
}

/// The members of the other side's own version; they must be there.
#[derive(Deserialize)]
struct TheirVersion {
    #[serde(rename = "code")]
    _code: IgnoredAny,
    #[serde(rename = "name")]
    _name: IgnoredAny,
    #[serde(rename = "version")]
    _version: IgnoredAny,
    #[serde(rename = "commit")]
    _commit: IgnoredAny,
}

fn client_version(context: &RpcContext, mut args: Args<'_>) -> Result<[ClientVersion; 1], ApiError> {
    let _theirs: TheirVersion = args.required()?;
    args.end()?;
    let version = context.client_version.split('/').nth(1).unwrap_or_default().to_owned();
    let commit = context.commit.into();
    Ok([ClientVersion { code: CLIENT_CODE, name: CLIENT_NAME, version, commit }])
}
