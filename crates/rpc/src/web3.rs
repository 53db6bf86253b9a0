//! The `web3` namespace.

use crate::{
    RpcContext,
    api::{Answer, Api},
    args::Args,
    hex::Data,
};
use alloy_primitives::{B256, keccak256};

/// Adds every method of the namespace.
pub(crate) fn register(api: &mut Api) {
    api.light("web3_clientVersion", client_version);
    // Megabytes may be asked for.
    api.query("web3_sha3", sha3);
}

fn client_version(context: &RpcContext, args: Args<'_>) -> Answer<String> {
    args.end()?;
    Ok(context.client_version.clone())
}

fn sha3(_: &RpcContext, mut args: Args<'_>) -> Answer<B256> {
    let Data(data) = args.required()?;
    args.end()?;
    Ok(keccak256(data))
}
