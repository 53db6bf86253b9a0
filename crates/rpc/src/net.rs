//! The `net` namespace.

use crate::{
    RpcContext,
    api::{Answer, Api},
    args::Args,
};
use alloy_primitives::U64;

/// Adds every method of the namespace.
pub(crate) fn register(api: &mut Api) {
    api.light("net_version", version);
    api.light("net_listening", listening);
    api.light("net_peerCount", peer_count);
}

/// The network id, a decimal number in a string.
fn version(context: &RpcContext, args: Args<'_>) -> Answer<String> {
    args.end()?;
    let of_network = context.network.as_ref().map(|network| network.status().network_id);
    Ok(of_network.unwrap_or(context.chain.spec().chain_id).to_string())
}

fn listening(context: &RpcContext, args: Args<'_>) -> Answer<bool> {
    args.end()?;
    Ok((context.status)().listening)
}

fn peer_count(context: &RpcContext, args: Args<'_>) -> Answer<U64> {
    args.end()?;
    Ok(U64::from((context.status)().peer_count))
}
