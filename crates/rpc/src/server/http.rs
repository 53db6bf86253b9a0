use super::{
    dispatch::Dispatch,
    gate::{Gate, Rules},
    handle::{RpcError, ServerHandle, stopped},
    jwt::JwtSecret,
};
use crate::{Namespace, RpcContext, RpcLimits, engine_module, module};
use jsonrpsee::{
    Methods,
    core::middleware::RpcServiceBuilder,
    server::{BatchRequestConfig, ServerBuilder, ServerConfig, middleware::rpc::RpcService},
};
use std::net::SocketAddr;
use tokio::sync::watch;

/// Most bytes of a request on the engine port: a payload with its blobs' neighbours fits many times.
const ENGINE_BODY_BYTES_MAX: u32 = 128 << 20;
/// Most calls of a batch on the engine port.
const ENGINE_BATCH_CALLS_MAX: u32 = 2_000;

/// Where HTTP listens and what it serves.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Port 0 takes any free one.
    pub addr: SocketAddr,
    /// What is served (`--http.api`).
    pub apis: Vec<Namespace>,
    /// Names in the `Host` header that are served, `*` for all; addresses always are (`--http.vhosts`).
    pub vhosts: Vec<String>,
}

/// Where the Engine API listens and who may call it.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Port 0 takes any free one.
    pub addr: SocketAddr,
    /// Names in the `Host` header that are served, `*` for all; addresses always are.
    pub vhosts: Vec<String>,
    /// The secret that callers must know.
    pub jwt: JwtSecret,
}

/// Serves JSON-RPC over HTTP.
pub async fn serve_http(config: HttpConfig, context: RpcContext) -> Result<ServerHandle, RpcError> {
    let limits = context.limits;
    let rules = Rules { vhosts: config.vhosts, secret: None, status: context.status.clone() };
    let methods = module(context, &config.apis).into();
    serve("HTTP", config.addr, limits, rules, methods).await
}

/// Serves the Engine API, and `eth`, over HTTP to callers who know the secret.
pub async fn serve_engine(config: EngineConfig, context: RpcContext) -> Result<ServerHandle, RpcError> {
    let limits =
        RpcLimits { body_bytes_max: ENGINE_BODY_BYTES_MAX, batch_calls_max: ENGINE_BATCH_CALLS_MAX, ..context.limits };
    let rules = Rules { vhosts: config.vhosts, secret: Some(config.jwt), status: context.status.clone() };
    serve("the Engine API", config.addr, limits, rules, engine_module(context).into()).await
}

async fn serve(
    what: &'static str,
    addr: SocketAddr,
    limits: RpcLimits,
    rules: Rules,
    methods: Methods,
) -> Result<ServerHandle, RpcError> {
    let config = ServerConfig::builder()
        .http_only()
        .max_connections(limits.connections_max)
        .max_request_body_size(limits.body_bytes_max)
        .max_response_body_size(limits.response_bytes_max)
        .set_batch_request_config(BatchRequestConfig::Limit(limits.batch_calls_max))
        .build();
    let dispatch = Dispatch::new(methods.clone(), 0, limits.response_bytes_max);
    let server = ServerBuilder::with_config(config)
        .set_http_middleware(tower::ServiceBuilder::new().layer(Gate::new(rules)))
        .set_rpc_middleware(RpcServiceBuilder::new().layer_fn(move |_: RpcService| dispatch.clone()))
        .build(addr)
        .await
        .map_err(|error| RpcError::Listen { what, addr, error })?;
    let address = server.local_addr().map_err(|error| RpcError::Listen { what, addr, error })?;
    let running = server.start(methods);
    let (stop, stop_signal) = watch::channel(false);
    let task = tokio::spawn(async move {
        stopped(stop_signal).await;
        let _ = running.stop();
        running.stopped().await;
    });
    Ok(ServerHandle::new(Some(address), stop, task))
}
