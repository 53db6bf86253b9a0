//! JSON-RPC over HTTP and IPC, and the Engine API.
//!
//! ```text
//! HTTP ─► gate (host, token, health) ─► jsonrpsee ─┐
//! IPC  ─► splitter (cuts JSON values) ─────────────┴─► Dispatch ─► Api: one plain function a method
//!                                                                  │ light:   at once, reads memory only
//!                                                                  │ query:   on the query pool
//!                                                                  └ command: the Engine API, awaits the chain
//! ```
//!
//! A method is a function of [`RpcContext`] and its arguments; it reads one immutable
//! [`ChainView`](starling_state::ChainView) and never waits for the chain. Nothing that reads the disk or
//! runs the EVM does so on the runtime's threads. Shapes, error codes and argument rules are geth's, since
//! scripts rely on them; what is not served answers -32601.
//!
//! `pending` is the block that would come next, out of the pool, built when somebody asks for it (`pending.rs`).

mod admin;
mod api;
mod args;
mod clique;
mod context;
mod convert;
mod debug;
mod dev;
mod engine;
mod error;
mod eth;
mod heads;
mod hex;
mod net;
mod pending;
mod pool;
mod server;
mod signers;
mod subscribe;
mod tags;
mod testing;
mod txpool;
mod web3;

pub use api::{Namespace, UnknownNamespace, engine_module, module};
pub use context::{NodeStatus, RpcContext, RpcLimits, SyncProgress, Wanted};
pub use dev::{DevClock, DevCommand, DevHandle, DevOrders, DevSetting};
pub use error::ApiError;
pub use eth::Filters;
/// What [`module`] and [`engine_module`] give: methods that can be called without a socket.
pub use jsonrpsee::RpcModule;
pub use pool::{PoolError, QueryPool};
pub use server::{
    EngineConfig, HttpConfig, JwtError, JwtSecret, RpcError, ServerHandle, TokenError, Ways, serve_engine, serve_http,
    serve_ipc,
};
pub use signers::Signers;
