use super::{DatadirArgs, LogArgs, Nat, network_args::MaybeUrl};
use clap::{Args, Subcommand};
use starling_discovery::NodeUrl;
use starling_primitives::NodeKey;
use std::{net::IpAddr, path::PathBuf, time::Duration};

/// `p2p`
#[derive(Debug, Args)]
pub(crate) struct P2pArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: P2pCommand,
}

/// `p2p …`
#[derive(Debug, Subcommand)]
pub(crate) enum P2pCommand {
    /// Prints who a node of this machine is: its keys' names, its URL and its record if it runs
    Info(P2pInfoArgs),
    /// Asks a node whether it is there, over discv4, discv5 and RLPx
    Ping(P2pNodeArgs),
    /// Asks a node for its record
    Resolve(P2pNodeArgs),
    /// Looks around for a while and prints the nodes that answered
    Crawl(P2pCrawlArgs),
}

/// `p2p info`
#[derive(Debug, Args)]
pub(crate) struct P2pInfoArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub datadir: DatadirArgs,
    /// File with the key [default: DATADIR/nodekey]
    #[arg(long = "nodekey", value_name = "FILE")]
    pub node_key: Option<PathBuf>,
}

/// `p2p ping`, `p2p resolve`
#[derive(Debug, Args)]
pub(crate) struct P2pNodeArgs {
    /// The node, as enode:// or enr:
    #[arg(value_name = "URL")]
    pub node: NodeUrl,
}

/// `p2p crawl`
#[derive(Debug, Args)]
pub(crate) struct P2pCrawlArgs {
    /// Network whose boot nodes are asked first
    #[arg(long, value_name = "NAME", default_value = "mainnet")]
    pub chain: String,
    /// Nodes to ask first, as enode:// or enr: [default: the chain's]
    #[arg(long, value_name = "URLS", value_delimiter = ',')]
    pub bootnodes: Option<Vec<MaybeUrl>>,
    /// How long
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = super::node_args::parse_duration)]
    pub timeout: Duration,
    /// Address to listen on [default: all of this machine]
    #[arg(long, value_name = "IP")]
    pub addr: Option<IpAddr>,
}

/// `bootnode`
#[derive(Debug, Args)]
pub(crate) struct BootnodeArgs {
    /// Folder of the boot node's files [default: ~/.local/share/starling/bootnode]
    #[arg(long, value_name = "DIR")]
    pub datadir: Option<PathBuf>,
    /// Port for discovery; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value = "30301")]
    pub port: u16,
    /// Address to listen on [default: all of this machine]
    #[arg(long, value_name = "IP")]
    pub addr: Option<IpAddr>,
    /// Other boot nodes, as enode:// or enr:
    #[arg(long, value_name = "URLS", value_delimiter = ',')]
    pub bootnodes: Vec<MaybeUrl>,
    /// File with the key, made if missing [default: DATADIR/nodekey]
    #[arg(long = "nodekey", value_name = "FILE", conflicts_with = "node_key_hex")]
    pub node_key: Option<PathBuf>,
    /// The key itself, for tests: others on this machine can see it
    #[arg(long = "nodekeyhex", value_name = "HEX")]
    pub node_key_hex: Option<NodeKey>,
    /// How others reach it: none (they find out), or extip:IP
    #[arg(long, value_name = "none|extip:IP", default_value = "none")]
    pub nat: Nat,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub log: LogArgs,
}

/// `key`
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: KeyCommand,
}

/// `key …`
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Makes a new node key that only its owner can read; never overwrites one
    Generate(KeyFileArgs),
    /// Prints the names of a node key: public key, node id, libp2p peer id
    Inspect(KeyFileArgs),
}

/// A key file.
#[derive(Debug, Args)]
pub(crate) struct KeyFileArgs {
    /// The file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}
