use super::{
    dispatch::{Dispatch, Messages},
    gate::{Gate, Rules},
    handle::{RpcError, ServerHandle, stopped},
    jwt::JwtSecret,
};
use crate::{Namespace, RpcContext, RpcLimits, engine_module, module, subscribe::HexIds};
use http::{HeaderValue, Method};
use jsonrpsee::{
    Methods,
    core::middleware::RpcServiceBuilder,
    server::{BatchRequestConfig, PingConfig, ServerBuilder, ServerConfig, middleware::rpc::RpcService},
};
use std::{net::SocketAddr, time::Duration};
use tokio::sync::watch;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// Most bytes of a request on the engine port: a payload with its blobs' neighbours fits many times.
const ENGINE_BODY_BYTES_MAX: u32 = 128 << 20;
/// Subscriptions of one connection; one more is refused.
const SUBSCRIPTIONS_MAX: u32 = 256;
/// Messages and answers that wait for one connection; a subscription that finds them full ends.
const MESSAGES_QUEUED_MAX: u32 = 1_024;
/// How often a silent WebSocket is asked whether it lives.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long a page may remember that it may call.
const PREFLIGHT_AGE_MAX: Duration = Duration::from_secs(600);
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
    /// Origins whose pages may call, `*` for all (`--http.corsdomain`).
    pub cors: Vec<String>,
    /// Which of the two ways in are open.
    pub ways: Ways,
}

/// How a server is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ways {
    /// Requests alone.
    Http,
    /// WebSockets alone; the origins whose pages may open one, `*` for all, none for those of this machine.
    WebSocket(Vec<String>),
    /// Both, on one port.
    Both(Vec<String>),
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

/// Serves JSON-RPC over HTTP, over WebSockets, or both.
pub async fn serve_http(config: HttpConfig, context: RpcContext) -> Result<ServerHandle, RpcError> {
    let limits = context.limits;
    let ws_origins = match &config.ways {
        Ways::Http => None,
        Ways::WebSocket(origins) | Ways::Both(origins) => Some(origins.clone()),
    };
    let rules = Rules { vhosts: config.vhosts, secret: None, ws_origins, status: context.status.clone() };
    let methods = module(context, &config.apis).into();
    let what = if matches!(config.ways, Ways::WebSocket(_)) { "WebSocket" } else { "HTTP" };
    serve(what, config.addr, limits, rules, &config.ways, &config.cors, methods).await
}

/// Serves the Engine API, and `eth`, over HTTP to callers who know the secret.
pub async fn serve_engine(config: EngineConfig, context: RpcContext) -> Result<ServerHandle, RpcError> {
    let limits =
        RpcLimits { body_bytes_max: ENGINE_BODY_BYTES_MAX, batch_calls_max: ENGINE_BATCH_CALLS_MAX, ..context.limits };
    let status = context.status.clone();
    let rules = Rules { vhosts: config.vhosts, secret: Some(config.jwt), ws_origins: None, status };
    serve("the Engine API", config.addr, limits, rules, &Ways::Http, &[], engine_module(context).into()).await
}

async fn serve(
    what: &'static str,
    addr: SocketAddr,
    limits: RpcLimits,
    rules: Rules,
    ways: &Ways,
    cors: &[String],
    methods: Methods,
) -> Result<ServerHandle, RpcError> {
    let config = ServerConfig::builder()
        .max_connections(limits.connections_max)
        .max_request_body_size(limits.body_bytes_max)
        .max_response_body_size(limits.response_bytes_max)
        .set_batch_request_config(BatchRequestConfig::Limit(limits.batch_calls_max))
        .max_subscriptions_per_connection(SUBSCRIPTIONS_MAX)
        .set_message_buffer_capacity(MESSAGES_QUEUED_MAX)
        .enable_ws_ping(PingConfig::new().ping_interval(PING_INTERVAL))
        .set_id_provider(HexIds);
    let config = match ways {
        Ways::Http => config.http_only(),
        Ways::WebSocket(_) => config.ws_only(),
        Ways::Both(_) => config,
    };
    let cors = cors_layer(cors).map_err(|origin| RpcError::Origin { origin })?;
    let (calls, bytes_max) = (methods.clone(), limits.response_bytes_max);
    let dispatch = move |service: RpcService| Dispatch::new(calls.clone(), 0, bytes_max, Messages::Server(service));
    let server = ServerBuilder::with_config(config.build())
        .set_http_middleware(tower::ServiceBuilder::new().layer(Gate::new(rules)).option_layer(cors))
        .set_rpc_middleware(RpcServiceBuilder::new().layer_fn(dispatch))
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

/// Lets the pages of some origins call, as wallets and browsers need it; none if there are none. An origin that is not
/// one is given back.
fn cors_layer(origins: &[String]) -> Result<Option<CorsLayer>, String> {
    if origins.is_empty() {
        return Ok(None);
    }
    let allowed = match origins.iter().any(|origin| origin == "*") {
        true => AllowOrigin::any(),
        false => {
            let parse = |origin: &String| HeaderValue::from_str(origin).map_err(|_| origin.clone());
            AllowOrigin::list(origins.iter().map(parse).collect::<Result<Vec<_>, _>>()?)
        }
    };
    let layer = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .allow_private_network(true)
        .max_age(PREFLIGHT_AGE_MAX);
    Ok(Some(layer))
}
