//! The `eth` namespace, one file a group of methods.

mod block;
mod call;
mod call_args;
mod config;
mod fee;
mod filter;
mod logs;
mod oracle;
mod proof;
mod send;
mod state;
mod status;
mod tx;

pub(crate) use tx::raw_transaction;

use crate::api::Api;

/// Adds every method of the namespace.
pub(crate) fn register(api: &mut Api) {
    block::register(api);
    call::register(api);
    config::register(api);
    fee::register(api);
    logs::register(api);
    proof::register(api);
    send::register(api);
    state::register(api);
    status::register(api);
    tx::register(api);
}
