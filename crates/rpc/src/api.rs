//! From a table of functions to JSON-RPC methods: arguments, threads, panics, metrics.

use crate::{
    ApiError, RpcContext, admin, args::Args, clique, debug, dev, engine, eth, net, subscribe, testing, txpool, web3,
};
use jsonrpsee::{Methods, PendingSubscriptionSink, RpcModule, core::SubscriptionError, types::Params};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    str::FromStr,
    sync::Arc,
    time::Instant,
};

/// What a method returns.
pub(crate) type Answer<T> = Result<T, ApiError>;

/// A group of methods that is served or not as a whole: the part of their names before the `_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Namespace {
    /// The peers, and changes to them; never on by default.
    Admin,
    /// What test tools ask of a development chain; served with `--dev`.
    Anvil,
    /// The signers of a chain of proof of authority, and votes; never on by default.
    Clique,
    /// Raw blocks and other things for people who look closely; never on by default.
    Debug,
    /// The chain.
    Eth,
    /// As `anvil`.
    Evm,
    /// As `anvil`.
    Hardhat,
    /// The network.
    Net,
    /// Blocks built on request, for tests; never on by default.
    Testing,
    /// Transactions that wait for a block; not on by default.
    Txpool,
    /// The client.
    Web3,
}

impl Namespace {
    /// All that are served.
    pub const ALL: [Self; 11] = [
        Self::Admin,
        Self::Anvil,
        Self::Clique,
        Self::Debug,
        Self::Eth,
        Self::Evm,
        Self::Hardhat,
        Self::Net,
        Self::Testing,
        Self::Txpool,
        Self::Web3,
    ];
    /// What HTTP serves unless told otherwise.
    pub const DEFAULT: [Self; 3] = [Self::Eth, Self::Net, Self::Web3];

    /// The name, as in `--http.api`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Anvil => "anvil",
            Self::Evm => "evm",
            Self::Hardhat => "hardhat",
            Self::Clique => "clique",
            Self::Debug => "debug",
            Self::Eth => "eth",
            Self::Net => "net",
            Self::Testing => "testing",
            Self::Txpool => "txpool",
            Self::Web3 => "web3",
        }
    }
}

/// A namespace that is not served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("namespace {0:?} is not served; there are {served}", served = Namespace::ALL.map(Namespace::name).join(", "))]
pub struct UnknownNamespace(String);

impl FromStr for Namespace {
    type Err = UnknownNamespace;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|namespace| namespace.name() == name);
        known.ok_or_else(|| UnknownNamespace(name.to_owned()))
    }
}

/// The methods of some namespaces, and `rpc_modules`.
pub fn module(context: RpcContext, namespaces: &[Namespace]) -> RpcModule<RpcContext> {
    let served: BTreeSet<_> = namespaces.iter().copied().collect();
    let mut api = Api { module: RpcModule::new(context) };
    for namespace in &served {
        match namespace {
            Namespace::Admin => {
                admin::register(&mut api);
                subscribe::register_admin(&mut api);
            }
            Namespace::Anvil => dev::register_anvil(&mut api),
            Namespace::Evm => dev::register_evm(&mut api),
            Namespace::Hardhat => dev::register_hardhat(&mut api),
            Namespace::Clique => clique::register(&mut api),
            Namespace::Debug => debug::register(&mut api),
            Namespace::Eth => {
                eth::register(&mut api);
                subscribe::register_eth(&mut api);
            }
            Namespace::Net => net::register(&mut api),
            Namespace::Testing => testing::register(&mut api),
            Namespace::Txpool => txpool::register(&mut api),
            Namespace::Web3 => web3::register(&mut api),
        }
    }
    let mut versions: BTreeMap<_, _> = served.iter().map(|namespace| (namespace.name(), "1.0")).collect();
    versions.insert("rpc", "1.0");
    api.light("rpc_modules", move |_, args| args.end().map(|()| versions.clone()));
    api.module
}

/// The methods of the authenticated port: `engine`, and `eth`, which consensus clients ask as well.
pub fn engine_module(context: RpcContext) -> RpcModule<RpcContext> {
    let mut api = Api { module: RpcModule::new(context) };
    engine::register(&mut api);
    eth::register(&mut api);
    api.module
}

/// Collects methods.
pub(crate) struct Api {
    module: RpcModule<RpcContext>,
}

impl Api {
    /// A method that only looks at memory: runs at once, where the request is read.
    pub(crate) fn light<R: Serialize>(
        &mut self,
        name: &'static str,
        method: impl Fn(&RpcContext, Args<'_>) -> Answer<R> + Send + Sync + 'static,
    ) {
        let added = self.module.register_method(name, move |params, context, _| {
            let started = Instant::now();
            let answer = catch_unwind(AssertUnwindSafe(|| answer(&method, context, &params)));
            record(name, started);
            answer.unwrap_or_else(|_| Err(ApiError::Internal("internal error: the method handler crashed".into())))
        });
        added.expect("method names are unique");
    }

    /// A method that reads the disk, hashes or runs the EVM: runs on the query pool.
    pub(crate) fn query<R: Serialize + 'static>(
        &mut self,
        name: &'static str,
        method: fn(&RpcContext, Args<'_>) -> Answer<R>,
    ) {
        let added = self.module.register_async_method(name, move |params: Params<'static>, context, _| async move {
            let started = Instant::now();
            let queries = context.queries.clone();
            let answer = queries.run(move || answer(&method, &context, &params)).await;
            record(name, started);
            answer?
        });
        added.expect("method names are unique");
    }

    /// A method that waits for the chain.
    pub(crate) fn command<F>(
        &mut self,
        name: &'static str,
        method: impl Fn(Arc<RpcContext>, Params<'static>) -> F + Clone + Send + Sync + 'static,
    ) where
        F: Future<Output = Answer<Box<RawValue>>> + Send + 'static,
    {
        let added = self.module.register_async_method(name, move |params, context, _| {
            let method = method.clone();
            async move {
                let started = Instant::now();
                let answer = method(context, params).await;
                record(name, started);
                answer
            }
        });
        added.expect("method names are unique");
    }

    /// A subscription; a connection that can carry no messages of its own refuses it.
    pub(crate) fn subscription<F>(
        &mut self,
        name: &'static str,
        message: &'static str,
        end: &'static str,
        serve: impl Fn(Arc<RpcContext>, Params<'static>, PendingSubscriptionSink) -> F + Clone + Send + Sync + 'static,
    ) where
        F: Future<Output = Result<(), SubscriptionError>> + Send + 'static,
    {
        let added = self.module.register_subscription(name, message, end, move |params, pending, context, _| {
            count(name);
            serve(context, params, pending)
        });
        added.expect("method names are unique");
    }

    /// The names registered so far.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let methods: &Methods = &self.module;
        methods.method_names().collect()
    }
}

/// Runs a method and writes its result as JSON, so that long answers are not written on the runtime.
fn answer<R: Serialize>(
    method: &impl Fn(&RpcContext, Args<'_>) -> Answer<R>,
    context: &RpcContext,
    params: &Params<'_>,
) -> Answer<Box<RawValue>> {
    to_json(&method(context, Args::new(params)?)?)
}

/// A value as JSON text.
pub(crate) fn to_json<R: Serialize>(value: &R) -> Answer<Box<RawValue>> {
    serde_json::value::to_raw_value(value).map_err(|error| ApiError::Internal(error.to_string()))
}

/// What calls of names that are not served are counted under: a stranger must not choose series names.
pub(crate) const UNKNOWN_METHOD: &str = "unknown";

fn record(method: &'static str, started: Instant) {
    count(method);
    metrics::histogram!("rpc_request_duration_seconds", "method" => method).record(started.elapsed());
}

/// Counts a request.
pub(crate) fn count(method: &'static str) {
    metrics::counter!("rpc_requests_total", "method" => method).increment(1);
}
