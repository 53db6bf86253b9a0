//! The `eth` namespace, one file a group of methods.

mod accounts;
mod block;
mod call;
mod call_args;
mod config;
mod fee;
mod filter;
mod filters;
mod logs;
mod oracle;
mod proof;
mod send;
mod state;
mod status;
mod tx;

pub(crate) use filter::LogFilter;
pub use filters::Filters;
pub(crate) use logs::{check_terms, logs_of};
pub(crate) use state::{KeyText, StorageKey};
pub(crate) use status::sync_state;
pub(crate) use tx::raw_transaction;

use crate::api::Api;

/// Adds every method of the namespace.
pub(crate) fn register(api: &mut Api) {
    accounts::register(api);
    block::register(api);
    call::register(api);
    config::register(api);
    fee::register(api);
    filters::register(api);
    logs::register(api);
    proof::register(api);
    send::register(api);
    state::register(api);
    status::register(api);
    tx::register(api);
}
