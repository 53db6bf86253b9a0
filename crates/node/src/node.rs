//! A running node: the chain on its thread, the servers around it, and how they come up and go down.

use crate::{
    cli::NodeArgs,
    datadir::write_whole,
    failure::{Context, Failure},
    gossip::{self, GossipParts},
    memory::MemoryBudget,
    metrics::Exporter,
    p2p::P2p,
    pool,
    process::{self, STACK_SIZE_BYTES, cores},
    sealer,
    shutdown::Shutdown,
    store::{IfMissing, Store},
    sync::{SyncHandle, SyncParts},
    version,
};
use serde_json::json;
use starling_builder::{BuildOptions, JobSource, PayloadJobs, seal::Proposals};
use starling_chain::{Chain, ChainConfig, ChainHandle};
use starling_network::NetworkHandle;
use starling_rpc::{
    DevHandle, EngineConfig, Filters, HttpConfig, JwtSecret, Namespace, NodeStatus, QueryPool, RpcContext, RpcLimits,
    ServerHandle, Signers, SyncProgress, Ways, serve_engine, serve_http, serve_ipc,
};
use starling_sync::SyncConfig;
use starling_txpool::PoolHandle;
use std::{
    net::{IpAddr, SocketAddr},
    os::unix::fs::DirBuilderExt,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tokio::{runtime::Runtime, task::JoinHandle};

/// Port distance of two instances on one machine.
const INSTANCE_PORTS: u16 = 100;
/// Calls that run or wait on the query pool; more are refused.
const QUERIES_MAX: usize = 1024;
/// Requests of peers on the query pool; the permits of serving let fewer through.
const SERVED_MAX: usize = 64;
/// Batches of peers' transactions on the query pool; gossip itself bounds their bytes.
const GOSSIP_JOBS_MAX: usize = 256;
/// Payloads that are decoded or wait for it; a consensus client sends one after the other.
const PAYLOADS_MAX: usize = 64;
/// Stack of the runtime's threads: sockets, timers and parsing only.
const RUNTIME_STACK_SIZE_BYTES: usize = 4 << 20;
/// Time that tasks of the runtime have to end at the stop.
const RUNTIME_STOP_TIME_MAX: Duration = Duration::from_millis(200);

/// A node that is up.
#[derive(Debug)]
pub(crate) struct Node {
    runtime: Runtime,
    chain: Chain,
    store: Store,
    servers: Vec<ServerHandle>,
    exporter: Option<JoinHandle<()>>,
    p2p: Option<P2p>,
    /// With `--exitwhensynced`: who says when.
    ends_when_synced: Option<SyncHandle>,
    /// The folder that goes with the node: with `--dev` and no `--datadir`.
    _temporary: Option<TemporaryFolder>,
}

/// Where a node is reached; null in `node.json` when off.
#[derive(Debug, Default)]
struct Addresses {
    http: Option<SocketAddr>,
    ws: Option<SocketAddr>,
    engine: Option<SocketAddr>,
    metrics: Option<SocketAddr>,
    ipc: Option<PathBuf>,
    jwt: PathBuf,
}

impl Node {
    /// Brings a node up: returns when all ports listen.
    pub(crate) fn start(args: &NodeArgs) -> Result<Self, Failure> {
        let mut args = args.settled();
        let temporary = temporary_datadir(&mut args)?;
        let args = &args;
        if let Some(flag) = args.signs_for_strangers() {
            return Err(Failure::usage(format_args!(
                "this node signs for whoever asks (--dev, --unlock), and {flag} lets others than this machine ask"
            ))
            .remedy(format_args!(
                "leave {flag} as it is by default, or name who may; --allow-insecure-unlock lets everybody"
            )));
        }
        process::raise_open_files();
        warm_up_kzg()?;
        let recorder = args.metrics.on.then(Exporter::recorder).transpose()?;
        let budget = MemoryBudget::new(args.storage.memory);
        let store = Store::open(&args.datadir, Some(&args.storage), &args.overrides, IfMissing::Create)?;
        budget.log();
        let config = ChainConfig { reorg_depth_max: args.engine.max_reorg_depth, ..ChainConfig::default() };
        let core = store.chain_within(&budget, config)?;
        let (chain, handle) = starling_chain::spawn(core).context("cannot start the chain thread")?;
        let runtime = runtime()?;
        let queries = Arc::new(process::pool("query")?);
        let imports = Arc::new(process::pool("import")?);
        let mut node = Self {
            runtime,
            chain,
            store,
            servers: Vec::new(),
            exporter: None,
            p2p: None,
            ends_when_synced: None,
            _temporary: temporary,
        };
        let started = node.start_pool(args, &handle).and_then(|pool| {
            let network = node.join_network(args, &handle, &pool, queries.clone())?;
            let pools = Pools { queries, imports };
            let sync = node.start_sync(args, &budget, &handle, &pool, pools.clone());
            let joined = Joined { pool, network, sync: sync.clone() };
            let mut context = rpc_context(args, &budget, &node.store, &handle, pools, joined)?;
            let orders = args.sealer.dev.then(|| {
                let (handle, orders) = DevHandle::channel();
                context.dev = Some(handle);
                orders
            });
            let sealing = context.clone();
            let addresses = node.listen(args, context, recorder)?;
            let _runtime = node.runtime.enter();
            sealer::start(&args.sealer, &node.store.datadir, &sealing, sync, orders)?;
            Ok(addresses)
        });
        let addresses = match started {
            Ok(addresses) => addresses,
            Err(failure) => return Err(node.stop().err().unwrap_or(failure)),
        };
        node.announce(args, &addresses)?;
        Ok(node)
    }

    /// Runs until a signal asks for the end, or what it was to reach is reached.
    pub(crate) fn run(mut self, mut shutdown: Shutdown) -> Result<(), Failure> {
        let sync = self.ends_when_synced.take();
        self.runtime.block_on(async {
            tokio::select! {
                () = shutdown.asked() => {}
                () = synced(sync) => {}
            }
        });
        tracing::info!("stopping");
        self.stop()
    }

    fn join_network(
        &mut self,
        args: &NodeArgs,
        chain: &ChainHandle,
        pool: &PoolHandle,
        queries: Arc<rayon::ThreadPool>,
    ) -> Result<NetworkHandle, Failure> {
        let listen = args.network.listen(|port| port_of(port, args.instance))?;
        let workers = QueryPool::over("serve", queries, SERVED_MAX);
        let client = version::client(args.identity.as_deref());
        let p2p = P2p::start(&args.network, listen, &self.store.datadir, chain, pool, workers, client);
        let p2p = self.runtime.block_on(p2p)?;
        Ok(self.p2p.insert(p2p).network.clone())
    }

    /// Opens the pool and lets it follow the chain.
    fn start_pool(&self, args: &NodeArgs, chain: &ChainHandle) -> Result<PoolHandle, Failure> {
        let (pool, journal) = pool::open(&args.pool, &self.store.datadir, chain)?;
        self.runtime.spawn(pool::follow(pool.clone(), journal, chain.clone()));
        Ok(pool)
    }

    /// Starts to sync with the network that was joined, and to pass transactions on.
    fn start_sync(
        &mut self,
        args: &NodeArgs,
        budget: &MemoryBudget,
        chain: &ChainHandle,
        pool: &PoolHandle,
        pools: Pools,
    ) -> Option<SyncHandle> {
        let p2p = self.p2p.as_mut()?;
        let (events, heard) = p2p.events.take()?;
        let config = SyncConfig {
            window_bytes_max: budget.import_size_bytes(),
            check_seal: !args.sync.fake_pow,
            ..SyncConfig::default()
        };
        let parts = SyncParts {
            chain: chain.clone(),
            network: p2p.network.clone(),
            events,
            told: p2p.told.clone(),
            threads: pools.imports,
            config,
            target: args.sync.target,
        };
        let _runtime = self.runtime.enter();
        let sync = SyncHandle::start(parts);
        let gossip = GossipParts {
            chain: chain.clone(),
            pool: pool.clone(),
            network: p2p.network.clone(),
            workers: QueryPool::over("gossip", pools.queries, GOSSIP_JOBS_MAX),
            follows: follows(chain.clone(), sync.clone()),
        };
        tokio::spawn(gossip::run(gossip, heard));
        self.ends_when_synced = args.sync.exit_when_synced.then(|| sync.clone());
        Some(sync)
    }

    fn listen(
        &mut self,
        args: &NodeArgs,
        context: RpcContext,
        recorder: Option<metrics_exporter_prometheus::PrometheusHandle>,
    ) -> Result<Addresses, Failure> {
        let addr = |ip: IpAddr, port: u16| Ok(SocketAddr::new(ip, port_of(port, args.instance)?));
        let jwt = args.engine.jwtsecret.clone().unwrap_or_else(|| self.store.datadir.jwt());
        let mut addresses = Addresses { jwt: jwt.clone(), ..Addresses::default() };
        let secret = JwtSecret::load_or_create(&jwt).failed()?;
        let engine = EngineConfig {
            addr: addr(args.engine.addr, args.engine.port)?,
            vhosts: args.engine.vhosts.clone(),
            jwt: secret,
        };
        let server = self.runtime.block_on(serve_engine(engine, context.clone())).failed()?;
        addresses.engine = server.local_addr();
        self.servers.push(server);
        for (config, is_http, is_ws) in web_servers(args, addr)? {
            let server = self.runtime.block_on(serve_http(config, context.clone())).failed()?;
            addresses.http = addresses.http.or(server.local_addr().filter(|_| is_http));
            addresses.ws = addresses.ws.or(server.local_addr().filter(|_| is_ws));
            self.servers.push(server);
        }
        if !args.ipc.disable {
            let path = args.ipc.path.clone().unwrap_or_else(|| self.store.datadir.ipc());
            self.servers.push(self.runtime.block_on(serve_ipc(&path, context.clone())).failed()?);
            addresses.ipc = Some(path);
        }
        if let Some(recorder) = recorder {
            let exporter = Exporter::new(recorder, context.chain.clone(), context.status.clone());
            let addr = addr(args.metrics.addr, args.metrics.port)?;
            let (addr, task) = self.runtime.block_on(exporter.serve(addr))?;
            addresses.metrics = Some(addr);
            self.exporter = Some(task);
        }
        Ok(addresses)
    }

    /// Writes `node.json` and the one line that begins with `Ready`.
    fn announce(&self, args: &NodeArgs, at: &Addresses) -> Result<(), Failure> {
        let url = |addr: Option<SocketAddr>| addr.map(|addr| format!("http://{addr}"));
        let ws = at.ws.map(|addr| format!("ws://{addr}"));
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let (http, engine, metrics) = (url(at.http), url(at.engine), url(at.metrics));
        let ipc = at.ipc.as_ref().map(absolute);
        let p2p = self.p2p.as_ref();
        let text = json!({
            "pid": std::process::id(),
            "http": http,
            "ws": ws,
            "engine": engine,
            "metrics": metrics,
            "ipc": ipc,
            "enode": p2p.map(|p2p| p2p.network.local().enode().to_string()),
            "enr": p2p.map(|p2p| p2p.network.record().to_string()),
            "jwt": absolute(&at.jwt),
            "chainId": self.store.spec.chain_id,
            "genesisHash": self.store.spec.genesis_hash(),
        });
        let path = self.store.datadir.node_json();
        write_whole(&path, format!("{text:#}\n").as_bytes())
            .context(format_args!("cannot write {}", path.display()))?;
        let off = |url: Option<String>| url.unwrap_or_else(|| "off".into());
        tracing::info!(
            http = off(http),
            ws = off(ws),
            engine = off(engine),
            metrics = off(metrics),
            ipc = ipc.map_or("off".into(), |path| path.display().to_string()),
            peers = p2p.map_or_else(|| "off".into(), |p2p| ports(&p2p.network)),
            chain = self.store.spec.name,
            head = self.store.database.head().head.number,
            instance = args.instance,
            "Ready"
        );
        Ok(())
    }

    /// Closes everything: servers first, then the chain, then the database.
    fn stop(self) -> Result<(), Failure> {
        if let Some(exporter) = self.exporter {
            exporter.abort();
        }
        self.runtime.block_on(async {
            // While the servers still answer: goodbyes take longest.
            let network = self.p2p.map(|p2p| tokio::spawn(p2p.stop()));
            let stops: Vec<_> = self.servers.into_iter().map(|server| tokio::spawn(server.stop())).collect();
            for stop in stops {
                // A server task that panicked is stopped as well.
                let _ = stop.await;
            }
            if let Some(network) = network {
                let _ = network.await;
            }
        });
        self.runtime.shutdown_timeout(RUNTIME_STOP_TIME_MAX);
        drop(self.chain.stop());
        let node_json = self.store.datadir.node_json();
        if let Err(error) = std::fs::remove_file(&node_json)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %node_json.display(), %error, "node.json stays behind");
        }
        // The last handle to go syncs the journal.
        drop(self.store);
        tracing::info!("stopped");
        Ok(())
    }
}

/// The servers for users: one for both ways in, or one for each. With each, whether it serves HTTP, and WebSockets.
fn web_servers(
    args: &NodeArgs,
    addr: impl Fn(IpAddr, u16) -> Result<SocketAddr, Failure>,
) -> Result<Vec<(HttpConfig, bool, bool)>, Failure> {
    let config = |addr, apis: &[Namespace], ways| HttpConfig {
        addr,
        apis: apis.to_vec(),
        vhosts: args.http.vhosts.clone(),
        cors: args.http.cors.clone(),
        ways,
    };
    let (http, ws) = (&args.http, &args.ws);
    let origins = ws.origins.clone();
    let http_addr = addr(http.addr, http.port)?;
    let ws_addr = addr(ws.addr.unwrap_or(http.addr), ws.port.unwrap_or(http.port))?;
    let apis = ws.api.as_deref().unwrap_or(&http.api);
    let shared = ws.port.is_none() || (ws_addr == http_addr && http.port != 0);
    Ok(match (http.on, ws.on) {
        (false, false) => Vec::new(),
        (true, false) => vec![(config(http_addr, &http.api, Ways::Http), true, false)],
        (false, true) => vec![(config(ws_addr, apis, Ways::WebSocket(origins)), false, true)],
        (true, true) if shared && apis != http.api => {
            return Err(Failure::usage(
                "one port serves one set of namespaces: leave out --ws.api, or choose another --ws.port",
            ));
        }
        (true, true) if shared => vec![(config(http_addr, &http.api, Ways::Both(origins)), true, true)],
        (true, true) => vec![
            (config(http_addr, &http.api, Ways::Http), true, false),
            (config(ws_addr, apis, Ways::WebSocket(origins)), false, true),
        ],
    })
}

/// A folder that goes when this does. What is killed leaves it to the system.
#[derive(Debug)]
struct TemporaryFolder(PathBuf);

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "the temporary folder stays behind");
        }
    }
}

/// With `--dev` and no `--datadir`, a new folder among those that the system keeps for a while.
fn temporary_datadir(args: &mut NodeArgs) -> Result<Option<TemporaryFolder>, Failure> {
    if !args.sealer.dev || args.datadir.datadir.is_some() {
        return Ok(None);
    }
    let folder = std::env::temp_dir().join(format!("starling-dev-{}", std::process::id()));
    // Somebody else's folder of that name is an error.
    let made = std::fs::DirBuilder::new().mode(0o700).create(&folder);
    made.context(format_args!("cannot make the folder {}", folder.display()))?;
    eprintln!("without --datadir the development chain lies in {} and goes with the node", folder.display());
    args.datadir.datadir = Some(folder.clone());
    Ok(Some(TemporaryFolder(folder)))
}

/// Whether our head may be the network's: nothing is being synced, and a chain that will merge has.
fn follows(chain: ChainHandle, sync: SyncHandle) -> Box<dyn Fn() -> bool + Send> {
    Box::new(move || {
        let view = chain.view();
        let merges = view.spec().consensus.terminal_total_difficulty().is_some();
        sync.progress().is_none() && (!merges || view.spec().is_proof_of_stake(view.head_header()))
    })
}

/// Waits until what was to be reached is reached; forever if nobody asked for that.
async fn synced(sync: Option<SyncHandle>) {
    match sync {
        Some(mut sync) => {
            let head = sync.synced().await;
            tracing::info!(%head, "synced, as asked for: the node ends");
        }
        None => std::future::pending().await,
    }
}

/// The KZG setup takes seconds of pure computing: it must not delay the start, and what needs it waits.
fn warm_up_kzg() -> Result<(), Failure> {
    std::thread::Builder::new()
        .name("kzg".into())
        .stack_size(STACK_SIZE_BYTES)
        .spawn(starling_execution::warm_kzg)
        .map(drop)
        .context("cannot start the thread that loads the KZG setup")
}

/// The ports for peers, as the `Ready` line names them.
fn ports(network: &NetworkHandle) -> String {
    let local = network.local();
    let udp = local.udp_port().map_or_else(|| "no discovery".into(), |port| format!("udp {port}"));
    format!("tcp {}, {udp}", local.tcp_port())
}

fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores())
        .thread_name("runtime")
        .thread_stack_size(RUNTIME_STACK_SIZE_BYTES)
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

fn port_of(port: u16, instance: u16) -> Result<u16, Failure> {
    if port == 0 {
        return Ok(0);
    }
    port.checked_add(instance * INSTANCE_PORTS)
        .ok_or_else(|| Failure::usage(format_args!("port {port} of instance {instance} is above 65535")))
}

/// Threads that compute.
#[derive(Clone)]
struct Pools {
    queries: Arc<rayon::ThreadPool>,
    imports: Arc<rayon::ThreadPool>,
}

/// Payloads for the consensus client, out of the pool.
fn payload_jobs(chain: &ChainHandle, pool: &PoolHandle, building: &BuildOptions) -> PayloadJobs {
    let chain = chain.clone();
    PayloadJobs::new(JobSource::of_pool(pool.clone(), move || chain.view(), building.clone()))
}

/// What JSON-RPC shows of the network.
struct Joined {
    pool: PoolHandle,
    network: NetworkHandle,
    sync: Option<SyncHandle>,
}

fn rpc_context(
    args: &NodeArgs,
    budget: &MemoryBudget,
    store: &Store,
    chain: &ChainHandle,
    pools: Pools,
    joined: Joined,
) -> Result<RpcContext, Failure> {
    let Joined { pool, network, sync } = joined;
    let database = store.database.clone();
    let writer = database.clone();
    let peers = network.clone();
    let syncing = sync.clone();
    let status = move || NodeStatus {
        not_ready: writer.write_refused().into_iter().collect(),
        listening: true,
        peer_count: peers.peer_count(),
        syncing: syncing.as_ref().and_then(SyncHandle::progress).map(|progress| SyncProgress {
            starting_block: progress.starting,
            current_block: progress.current,
            highest_block: progress.highest,
        }),
    };
    let limits = RpcLimits::default();
    let building = args.sealer.options();
    let payloads = payload_jobs(chain, &pool, &building);
    Ok(RpcContext {
        chain: chain.clone(),
        client_version: version::client(args.identity.as_deref()),
        commit: version::commit_bytes(),
        limits: RpcLimits {
            gas_cap: args.rpc.gas_cap,
            tx_fee_cap: args.rpc.tx_fee_cap.0,
            evm_timeout: args.rpc.evm_timeout,
            log_range_blocks: args.rpc.log_range,
            batch_calls_max: args.rpc.batch_limit,
            body_bytes_max: u32::try_from(args.rpc.body_limit.0).unwrap_or(u32::MAX),
            response_bytes_max: limits
                .response_bytes_max
                .min(u32::try_from(budget.queries_size_bytes()).unwrap_or(u32::MAX)),
            ..limits
        },
        queries: QueryPool::over("query", pools.queries, QUERIES_MAX),
        imports: QueryPool::over("import", pools.imports, PAYLOADS_MAX),
        pending: payloads.pending_blocks(building.clone()),
        payloads,
        building,
        pool,
        signers: Signers::default(),
        proposals: Proposals::default(),
        dev: None,
        filters: Filters::default(),
        network: Some(network),
        wanted: Arc::new(move |wanted| {
            if let Some(sync) = &sync {
                sync.want(wanted);
            }
        }),
        state_retention_blocks: args.storage.history.blocks(),
        status: Arc::new(status),
        database_stats: Arc::new(move || match database.stats() {
            Ok(stats) => Ok(serde_json::Value::String(stats.to_string())),
            Err(error) => Err(error.to_string()),
        }),
    })
}
