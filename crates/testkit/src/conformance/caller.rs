//! How the Engine API's methods are reached: called, or asked through the authenticated HTTP port.

use super::{cases::Failure, door::block_on};
use crate::http;
use serde_json::{Value, value::RawValue};
use starling_rpc::{EngineConfig, JwtSecret, RpcContext, RpcModule, ServerHandle, engine_module, serve_engine};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::LazyLock,
};

/// The secret between the runner and the servers that it starts.
const SECRET: [u8; 32] = [7; 32];
/// Any free port, of this machine only.
const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A way to the methods.
pub(super) enum Caller {
    /// In this process.
    Methods(Box<RpcModule<RpcContext>>),
    /// Over a port of its own, which closes with this.
    Http {
        /// Knows the secret.
        client: http::Client,
        /// Serves as long as it lives.
        _server: Box<ServerHandle>,
    },
}

impl Caller {
    /// The methods over a chain, served on a free port of this machine if `over_http`.
    ///
    /// # Errors
    /// In words, if no port can be opened.
    pub(super) fn new(context: RpcContext, over_http: bool) -> Result<Self, Failure> {
        if !over_http {
            return Ok(Self::Methods(Box::new(engine_module(context))));
        }
        let config = EngineConfig { addr: ANY_PORT, vhosts: vec!["localhost".into()], jwt: JwtSecret::new(SECRET) };
        let server = SERVERS.block_on(serve_engine(config, context)).map_err(|error| error.to_string())?;
        let address = server.local_addr().ok_or_else(|| "a server without an address".to_owned())?;
        let client = http::Client::with_secret(&format!("http://{address}"), &hex::encode(SECRET))?;
        Ok(Self::Http { client, _server: Box::new(server) })
    }

    /// Asks a method; the whole answer.
    ///
    /// # Errors
    /// In words, if there is none.
    pub(super) fn ask(&self, method: &str, params: &str) -> Result<Value, String> {
        let request = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        match self {
            Self::Methods(methods) => {
                let (answer, _): (Box<RawValue>, _) =
                    block_on(methods.raw_json_request(&request, 1)).map_err(|error| error.to_string())?;
                serde_json::from_str(answer.get()).map_err(|error| error.to_string())
            }
            Self::Http { client, .. } => client.send_text(&request),
        }
    }
}

/// Where the servers of all workers run.
static SERVERS: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("the machine gives threads")
});
