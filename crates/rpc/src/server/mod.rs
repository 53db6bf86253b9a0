//! The doors: HTTP, the engine port, the IPC socket. What passes them meets in [`dispatch::Dispatch`].

mod dispatch;
mod gate;
mod handle;
mod health;
mod http;
mod ipc;
mod jwt;
mod splitter;

pub use handle::{RpcError, ServerHandle};
pub use http::{EngineConfig, HttpConfig, Ways, serve_engine, serve_http};
pub use ipc::serve_ipc;
pub use jwt::{JwtError, JwtSecret, TokenError};
