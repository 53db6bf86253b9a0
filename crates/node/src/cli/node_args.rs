use super::{DatadirArgs, LogArgs, NetworkArgs, Overrides, PoolArgs, SealerArgs, StorageArgs, SyncArgs};
use crate::{datadir::Datadir, size::Size};
use clap::Args;
use starling_primitives::U256;
use starling_rpc::Namespace;
use std::{net::IpAddr, path::PathBuf, time::Duration};

/// `node`
#[derive(Debug, Clone, Args)]
#[command(after_help = super::unavailable::help())]
pub(crate) struct NodeArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub datadir: DatadirArgs,
    /// Adds N × 100 to every port, so that several nodes run on one machine
    #[arg(long, value_name = "N", default_value = "0", value_parser = clap::value_parser!(u16).range(..=100))]
    pub instance: u16,
    /// Name of this node in its client version
    #[arg(long, value_name = "NAME", value_parser = parse_identity)]
    pub identity: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub storage: StorageArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub network: NetworkArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub sync: SyncArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub http: HttpArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub ws: WsArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub ipc: IpcArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub engine: EngineArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub rpc: RpcLimitArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub pool: PoolArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub sealer: SealerArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub metrics: MetricsArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub overrides: Overrides,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub log: LogArgs,
}

impl NodeArgs {
    /// What `--dev` brings along: its chain, what test tools ask for, and no peers, since nobody else seals it.
    pub(crate) fn settled(&self) -> Self {
        let mut args = self.clone();
        if args.sealer.dev {
            // A folder that holds a chain says itself which.
            let named = args.datadir.datadir.as_deref().and_then(|root| Datadir::new(Some(root), "dev").ok());
            if named.is_none_or(|datadir| !datadir.database().exists()) {
                args.datadir.chain.get_or_insert_with(|| "dev".into());
            }
            if args.http.api == Namespace::DEFAULT {
                args.http.api.extend([Namespace::Anvil, Namespace::Evm, Namespace::Hardhat]);
            }
            args.network.no_discover = true;
            args.network.max_peers = 0;
            // Not in the way of a node that has peers.
            args.network.port = 0;
            args.network.addr.get_or_insert(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));
        }
        args
    }

    /// The flag that lets others than this machine's own programs have this node sign, if it signs for whoever asks.
    /// A page in a browser of this machine is one of the others.
    pub(crate) fn signs_for_strangers(&self) -> Option<&'static str> {
        let signs = self.sealer.dev || !self.sealer.unlock.is_empty();
        if !signs || self.sealer.allow_insecure_unlock {
            return None;
        }
        let any = |names: &[String]| names.iter().any(|name| name == "*");
        let (http, ws) = (&self.http, &self.ws);
        let served = http.on || ws.on;
        let ws_addr = ws.addr.unwrap_or(http.addr);
        [
            (http.on && !http.addr.is_loopback(), "--http.addr"),
            (ws.on && !ws_addr.is_loopback(), if ws.addr.is_some() { "--ws.addr" } else { "--http.addr" }),
            (http.on && any(&http.cors), "--http.corsdomain"),
            (ws.on && any(&ws.origins), "--ws.origins"),
            (served && any(&http.vhosts), "--http.vhosts"),
        ]
        .into_iter()
        .find_map(|(is_open, flag)| is_open.then_some(flag))
    }
}

/// JSON-RPC over HTTP.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "JSON-RPC over HTTP")]
pub(crate) struct HttpArgs {
    /// Serve JSON-RPC over HTTP
    #[arg(id = "http", long = "http", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
    pub on: bool,
    /// Address to listen on
    #[arg(id = "http.addr", long = "http.addr", value_name = "IP", default_value = "127.0.0.1")]
    pub addr: IpAddr,
    /// Port to listen on; 0 takes a free one
    #[arg(id = "http.port", long = "http.port", value_name = "PORT", default_value = "8545")]
    pub port: u16,
    /// Namespaces to serve
    #[arg(
        id = "http.api",
        long = "http.api",
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "eth,net,web3"
    )]
    pub api: Vec<Namespace>,
    /// Host names by which it may be called; * is any
    #[arg(
        id = "http.vhosts",
        long = "http.vhosts",
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "localhost"
    )]
    pub vhosts: Vec<String>,
    /// Origins whose pages may call (CORS); * is any
    #[arg(id = "http.corsdomain", long = "http.corsdomain", value_name = "ORIGINS", value_delimiter = ',')]
    pub cors: Vec<String>,
}

/// JSON-RPC over WebSockets.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "JSON-RPC over WebSocket")]
pub(crate) struct WsArgs {
    /// Serve JSON-RPC and subscriptions over WebSocket
    #[arg(id = "ws", long = "ws", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
    pub on: bool,
    /// Address to listen on [default: that of HTTP]
    #[arg(id = "ws.addr", long = "ws.addr", value_name = "IP")]
    pub addr: Option<IpAddr>,
    /// Port to listen on; 0 takes a free one [default: that of HTTP, shared]
    #[arg(id = "ws.port", long = "ws.port", value_name = "PORT")]
    pub port: Option<u16>,
    /// Namespaces to serve, on a port of its own [default: those of HTTP]
    #[arg(id = "ws.api", long = "ws.api", value_name = "NAMES", value_delimiter = ',')]
    pub api: Option<Vec<Namespace>>,
    /// Origins whose pages may connect; * is any [default: those of this machine]
    #[arg(id = "ws.origins", long = "ws.origins", value_name = "ORIGINS", value_delimiter = ',')]
    pub origins: Vec<String>,
}

/// JSON-RPC over a socket on this machine.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "JSON-RPC over IPC")]
pub(crate) struct IpcArgs {
    /// Socket for JSON-RPC on this machine, with every namespace [default: DATADIR/starling.ipc]
    #[arg(id = "ipcpath", long = "ipcpath", value_name = "PATH")]
    pub path: Option<PathBuf>,
    /// Serve no socket
    #[arg(id = "ipcdisable", long = "ipcdisable", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
    pub disable: bool,
}

/// The Engine API.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Engine API")]
pub(crate) struct EngineArgs {
    /// Address to listen on
    #[arg(id = "authrpc.addr", long = "authrpc.addr", value_name = "IP", default_value = "127.0.0.1")]
    pub addr: IpAddr,
    /// Port to listen on; 0 takes a free one
    #[arg(id = "authrpc.port", long = "authrpc.port", value_name = "PORT", default_value = "8551")]
    pub port: u16,
    /// Host names by which it may be called; * is any
    #[arg(
        id = "authrpc.vhosts",
        long = "authrpc.vhosts",
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "localhost"
    )]
    pub vhosts: Vec<String>,
    /// Secret shared with the consensus client, made if missing [default: DATADIR/jwt.hex]
    #[arg(id = "authrpc.jwtsecret", long = "authrpc.jwtsecret", value_name = "FILE")]
    pub jwtsecret: Option<PathBuf>,
    /// Deepest reorg that the consensus client may ask for, in blocks
    #[arg(id = "engine.maxreorgdepth", long = "engine.maxreorgdepth", value_name = "BLOCKS", default_value = "1024")]
    pub max_reorg_depth: u64,
}

/// Limits of JSON-RPC.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits of JSON-RPC")]
pub(crate) struct RpcLimitArgs {
    /// Most gas of a call or an estimate
    #[arg(id = "rpc.gascap", long = "rpc.gascap", value_name = "GAS", default_value = "50000000")]
    pub gas_cap: u64,
    /// Most ether that the fee of a transaction sent through here may be; 0 is no cap
    #[arg(id = "rpc.txfeecap", long = "rpc.txfeecap", value_name = "ETHER", default_value = "1", value_parser = parse_ether)]
    pub tx_fee_cap: FeeCap,
    /// Longest time a call runs
    #[arg(id = "rpc.evmtimeout", long = "rpc.evmtimeout", value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    pub evm_timeout: Duration,
    /// Most blocks that one eth_getLogs looks at
    #[arg(id = "rpc.logrange", long = "rpc.logrange", value_name = "BLOCKS", default_value = "10000")]
    pub log_range: u64,
    /// Most calls in a batch
    #[arg(id = "rpc.batch-limit", long = "rpc.batch-limit", value_name = "CALLS", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch_limit: u32,
    /// Largest request
    #[arg(id = "rpc.bodylimit", long = "rpc.bodylimit", value_name = "SIZE", default_value = "15MiB")]
    pub body_limit: Size,
}

/// Health and metrics.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Health and metrics")]
pub(crate) struct MetricsArgs {
    /// Serve /livez, /readyz and /metrics (Prometheus)
    #[arg(id = "metrics", long = "metrics", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
    pub on: bool,
    /// Address to listen on
    #[arg(id = "metrics.addr", long = "metrics.addr", value_name = "IP", default_value = "127.0.0.1")]
    pub addr: IpAddr,
    /// Port to listen on; 0 takes a free one
    #[arg(id = "metrics.port", long = "metrics.port", value_name = "PORT", default_value = "6060")]
    pub port: u16,
}

fn parse_identity(text: &str) -> Result<String, String> {
    /// Room for a name; longer ones only clutter logs of others.
    const LENGTH_MAX: usize = 64;
    let plain = !text.is_empty() && text.len() <= LENGTH_MAX && text.chars().all(|c| c.is_ascii_graphic() && c != '/');
    plain.then(|| text.into()).ok_or_else(|| format!("write 1 to {LENGTH_MAX} visible ASCII characters without '/'"))
}

/// Most wei of a fee; none: no cap.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FeeCap(pub(crate) Option<U256>);

fn parse_ether(text: &str) -> Result<FeeCap, String> {
    /// Digits after the point: wei.
    const DIGITS: usize = 18;
    let wrong = || "write ether like 0.5".to_owned();
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > DIGITS || !part.bytes().chain(whole.bytes()).all(|byte| byte.is_ascii_digit()) || whole.is_empty() {
        return Err(wrong());
    }
    let wei = format!("{whole}{part:0<DIGITS$}").parse::<U256>().map_err(|_| wrong())?;
    Ok(FeeCap((!wei.is_zero()).then_some(wei)))
}

pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write a time like 500ms, 5s or 2m".to_string();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    match &text[digits..] {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs).ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::{Cli, Command};
    use clap::Parser;

    #[test]
    fn only_this_machine_may_have_a_node_sign() {
        let check = |flags: &str, expect: Option<&str>| {
            let words = format!("starling node --http --ws {flags}");
            let Command::Node(args) = Cli::try_parse_from(words.split_whitespace()).unwrap().command else { panic!() };
            assert_eq!(args.signs_for_strangers(), expect, "{flags}");
        };
        let unlocked = "--unlock 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
        for signing in ["--dev", unlocked] {
            for (flag, value, open) in [
                ("--http.addr", "0.0.0.0", true),
                ("--ws.addr", "192.0.2.1", true),
                ("--http.corsdomain", "https://a.example,*", true),
                ("--ws.origins", "*", true),
                ("--http.vhosts", "*", true),
                ("--http.corsdomain", "https://a.example", false),
                ("--ws.origins", "https://a.example", false),
                ("--http.addr", "127.0.0.2", false),
            ] {
                let flags = format!("{flag} {value}");
                check(&format!("{signing} {flags}"), open.then_some(flag));
                check(&format!("{signing} {flags} --allow-insecure-unlock"), None);
                check(&flags, None);
            }
        }
    }
}
