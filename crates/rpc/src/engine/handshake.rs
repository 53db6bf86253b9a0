//! What two clients tell each other of themselves.

use super::{CLIENT_CODE, CLIENT_NAME};
use crate::{
    ApiError, RpcContext,
    api::Answer,
    args::Args,
    hex::{Hash, Quantity, Word},
};
use alloy_primitives::{B256, U256};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use starling_state::BlockId;

/// What we serve; what the other side serves does not matter to us.
pub(super) fn exchange_capabilities(mut args: Args<'_>, served: &[&'static str]) -> Answer<Vec<&'static str>> {
    let _theirs: Vec<String> = args.required()?;
    args.end()?;
    Ok(served.to_vec())
}

#[derive(Serialize)]
pub(super) struct ClientVersion {
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

pub(super) fn client_version(context: &RpcContext, mut args: Args<'_>) -> Result<[ClientVersion; 1], ApiError> {
    let _theirs: TheirVersion = args.required()?;
    args.end()?;
    let version = context.client_version.split('/').nth(1).unwrap_or_default().to_owned();
    let commit = context.commit.into();
    Ok([ClientVersion { code: CLIENT_CODE, name: CLIENT_NAME, version, commit }])
}

/// `TransitionConfigurationV1`: how the merge comes about.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TheirTransition {
    terminal_total_difficulty: Word,
    terminal_block_hash: Hash,
    terminal_block_number: Quantity,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Transition {
    terminal_total_difficulty: U256,
    terminal_block_hash: B256,
    #[serde(with = "alloy_serde::quantity")]
    terminal_block_number: u64,
}

/// Deprecated since Cancun; consensus clients of before ask once a minute and warn their users if nobody answers.
pub(super) fn exchange_transition(context: &RpcContext, mut args: Args<'_>) -> Answer<Transition> {
    let theirs: TheirTransition = args.required()?;
    args.end()?;
    let (Word(theirs_total), Hash(hash), Quantity(number)) =
        (theirs.terminal_total_difficulty, theirs.terminal_block_hash, theirs.terminal_block_number);
    let ours = context.chain.spec().consensus.terminal_total_difficulty();
    if ours != Some(theirs_total) {
        let ours = ours.map_or("none".to_owned(), |ours| ours.to_string());
        return Err(ApiError::server(format!("invalid ttd: execution {ours} consensus {theirs_total}")));
    }
    if !hash.is_zero() {
        let kept = context.chain.view().find(BlockId::Number(number))?;
        if kept.map(|at| at.hash) != Some(hash) {
            return Err(ApiError::server("invalid terminal block hash"));
        }
        return Ok(Transition {
            terminal_total_difficulty: theirs_total,
            terminal_block_hash: hash,
            terminal_block_number: number,
        });
    }
    Ok(Transition {
        terminal_total_difficulty: theirs_total,
        terminal_block_hash: B256::ZERO,
        terminal_block_number: 0,
    })
}
