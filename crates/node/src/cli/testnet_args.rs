use super::node_args::parse_duration;
use clap::{Args, Subcommand};
use std::{path::PathBuf, time::Duration};

/// `testnet`
#[derive(Debug, Args)]
pub(crate) struct TestnetArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: TestnetCommand,
}

/// `testnet …`
#[derive(Debug, Subcommand)]
pub(crate) enum TestnetCommand {
    /// Starts a network on this machine, or starts the one in the folder again; ends when its nodes agree
    Up(UpArgs),
    /// Stops its nodes; what they keep stays
    Down(FolderArgs),
    /// Prints its nodes: process, URL, head, peers, transactions that wait
    Status(FolderArgs),
    /// Adds a node that does not seal, and waits until it has the head
    AddNode(FolderArgs),
    /// Sends transfers and says how many were mined
    Load(LoadArgs),
    /// Cuts the network in two halves for a while, and waits until it is one again
    Partition(PartitionArgs),
}

/// Where a network is unless another folder is named.
pub(crate) const DIR_DEFAULT: &str = "testnet/local";

/// Which network is meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct FolderArgs {
    /// Folder of the network: genesis, keys, one folder a node, logs
    #[arg(long, value_name = "DIR", default_value = DIR_DEFAULT)]
    pub dir: PathBuf,
}

/// `testnet up`
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub folder: FolderArgs,
    /// Nodes of a new network
    #[arg(long, value_name = "COUNT", default_value = "4", value_parser = clap::value_parser!(u16).range(1..=50))]
    pub nodes: u16,
    /// How many of them seal blocks
    #[arg(long, value_name = "COUNT", default_value = "2", value_parser = clap::value_parser!(u16).range(1..=50))]
    pub sealers: u16,
    /// Seconds from one block to the next
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub period: u64,
    /// Rules of the network: testnet (today's contracts run), or testnet-geth (what geth 1.13 joins)
    #[arg(long, value_name = "NAME", default_value = "testnet", value_parser = ["testnet", "testnet-geth"])]
    pub profile: String,
    /// Proof of stake: nobody seals, a consensus client of Node.js makes the slots, with blobs (Osaka's rules)
    #[arg(long, conflicts_with_all = ["sealers", "profile"])]
    pub pos: bool,
    /// Take free ports instead of 30303, 8545 and 8551, and those above by hundreds
    #[arg(long)]
    pub any_ports: bool,
    /// Address to listen on for peers; another machine's nodes need one that it reaches
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub addr: std::net::IpAddr,
}

/// `testnet load`
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub folder: FolderArgs,
    /// Transfers a second
    #[arg(long, value_name = "COUNT", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub tps: u32,
    /// How long
    #[arg(long = "for", value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub time: Duration,
}

/// `testnet partition`
#[derive(Debug, Args)]
pub(crate) struct PartitionArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub folder: FolderArgs,
    /// How long the halves do not know each other
    #[arg(long = "for", value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub time: Duration,
}
