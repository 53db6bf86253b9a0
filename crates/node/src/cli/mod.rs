//! The command line: what every command takes. One file a group of flags.

mod account_args;
mod network_args;
mod node_args;
mod overrides;
mod p2p_args;
mod pool_args;
mod sealer_args;
mod sync_args;
mod testnet_args;
pub(crate) mod unavailable;

pub(crate) use account_args::{AccountArgs, AccountCommand, KeystoreArgs, PasswordArgs};
pub(crate) use network_args::{Nat, NetworkArgs, urls};
pub(crate) use node_args::NodeArgs;
pub(crate) use overrides::Overrides;
pub(crate) use p2p_args::{BootnodeArgs, KeyArgs, KeyCommand, P2pArgs, P2pCommand, P2pCrawlArgs, P2pInfoArgs};
pub(crate) use pool_args::PoolArgs;
pub(crate) use sealer_args::SealerArgs;
pub(crate) use sync_args::SyncArgs;
pub(crate) use testnet_args::{DIR_DEFAULT, FolderArgs, LoadArgs, PartitionArgs, TestnetArgs, TestnetCommand, UpArgs};

use crate::{logging::LogFormat, size::Size};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Starling, an Ethereum execution node.
#[derive(Debug, Parser)]
#[command(name = "starling", version = crate::version::SHORT, max_term_width = 120, propagate_version = true)]
#[command(after_help = "Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted. \
    Logs go to stderr, results to stdout.")]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the node; without `init` it writes the genesis of --chain by itself
    Node(Box<NodeArgs>),
    /// Writes a genesis into an empty datadir; accepts another one there if only future fork times differ
    Init(InitArgs),
    /// Imports blocks: RLP streams, .era1 and .ere files, told apart by their content
    Import(ImportArgs),
    /// Writes blocks into a file: RLP, or era1 if the name ends with .era1
    Export(ExportArgs),
    /// Prints the genesis of a built-in network, or the one that a datadir holds, as JSON
    DumpGenesis(DumpGenesisArgs),
    /// Looks into the database, checks it, makes it smaller
    Db(DbArgs),
    /// Goes back to a block; the blocks above it are forgotten
    Rewind(RewindArgs),
    /// Sends one JSON-RPC call to a node; without a method, a small prompt
    Attach(AttachArgs),
    /// Asks and looks at the peer-to-peer network
    P2p(P2pArgs),
    /// Runs a boot node: discovery alone, for others to ask first
    Bootnode(Box<BootnodeArgs>),
    /// Makes and looks at node keys
    Key(KeyArgs),
    /// Runs a network of one's own on this machine
    Testnet(TestnetArgs),
    /// Makes, lists and imports accounts
    Account(AccountArgs),
    /// Prints version, commit and platform
    Version,
    /// Removes the database of a datadir; keys and configuration stay
    Removedb(RemovedbArgs),
    /// Looks at the configuration
    Config(ConfigArgs),
}

/// Which node is meant.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Node")]
pub(crate) struct DatadirArgs {
    /// Folder of the node's files [default: ~/.local/share/starling/CHAIN]
    #[arg(long, value_name = "DIR")]
    pub datadir: Option<PathBuf>,
    /// Network: mainnet, sepolia, hoodi, dev, or a genesis file in geth's format
    /// [default: mainnet, or what the datadir holds]
    #[arg(long, value_name = "NAME|FILE")]
    pub chain: Option<String>,
    /// File with flags in TOML; flags and STARLING_… variables win over it
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
}

/// How much a node may take.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Storage")]
pub(crate) struct StorageArgs {
    /// Budget of all caches and buffers [default: a quarter of the machine or cgroup]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<Size>,
    /// State history to keep: all, or the last N blocks
    #[arg(long, value_name = "all|N", default_value = "all")]
    pub history: History,
    /// Below this free space on the disk, imports stop and reads go on
    #[arg(id = "datadir.minfreedisk", long = "datadir.minfreedisk", value_name = "SIZE", default_value = "2GiB")]
    pub min_free_disk: Size,
    /// Unflushed journal; more makes flushes rarer and a restart after a kill slower
    #[arg(id = "datadir.journalsize", long = "datadir.journalsize", value_name = "SIZE", default_value = "256MiB")]
    pub journal_size: Size,
}

/// State history that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum History {
    /// All of it.
    All,
    /// That many blocks behind the flushed frontier.
    Blocks(u64),
}

impl History {
    /// As storage wants it.
    pub(crate) fn blocks(self) -> Option<u64> {
        match self {
            Self::All => None,
            Self::Blocks(blocks) => Some(blocks),
        }
    }
}

impl std::str::FromStr for History {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            number => number.parse().map(Self::Blocks).map_err(|_| "write 'all' or a number of blocks".into()),
        }
    }
}

/// What is logged, and where.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Logs")]
pub(crate) struct LogArgs {
    /// How log lines look
    #[arg(id = "log.format", long = "log.format", value_enum, default_value = "text")]
    pub format: LogFormat,
    /// Also write the log into this file
    #[arg(id = "log.file", long = "log.file", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Size at which the log file is put aside as FILE.1
    #[arg(id = "log.maxsize", long = "log.maxsize", value_name = "SIZE", default_value = "100MiB")]
    pub maxsize: Size,
    /// Log more: -v debug, -vv also of libraries, -vvv everything
    #[arg(id = "verbose", long = "verbose", short = 'v', action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// `init`
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub datadir: DatadirArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub log: LogArgs,
    /// Genesis in geth's format; without it, the one of --chain
    #[arg(value_name = "GENESIS.json")]
    pub genesis: Option<PathBuf>,
}

/// `import`
#[derive(Debug, Args)]
#[command(after_help = "Blocks that are there already are passed over, so that an import can be repeated or resumed. \
    The first bad block ends it: all before it are kept, and the exit status is 1.")]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub datadir: DatadirArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub storage: StorageArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub overrides: Overrides,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub log: LogArgs,
    /// Files in order; - is stdin
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// `export`
#[derive(Debug, Args)]
#[command(after_help = "RLP goes from block 1 to the head unless told otherwise; import takes it back. \
    An .era1 file holds one epoch of 8192 blocks from before the merge: FIRST is a multiple of 8192. Blocks of one \
    epoch are written to FILE; more epochs become STEM-EPOCH-HASH.era1 beside it, the hash as the format says. \
    A FILE that is named so already must carry the right hash.")]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub datadir: DatadirArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub log: LogArgs,
    /// File to write; - is stdout
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// First block [default: 1, or 0 for era1]
    #[arg(value_name = "FIRST", requires = "last")]
    pub first: Option<u64>,
    /// Last block [default: the head, or the last one before the merge for era1]
    #[arg(value_name = "LAST")]
    pub last: Option<u64>,
}

/// `dump-genesis`
#[derive(Debug, Args)]
pub(crate) struct DumpGenesisArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub datadir: DatadirArgs,
}

/// `db`
#[derive(Debug, Args)]
pub(crate) struct DbArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub command: DbCommand,
}

/// `db …`
#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Prints head, frontier, history and sizes; asks the running node if one holds the datadir
    Stats(DbStatsArgs),
    /// Reads everything back and recomputes the state root; says what is damaged
    Verify(DbVerifyArgs),
    /// Drops old state history
    History(DbHistoryArgs),
}

/// `db stats`
#[derive(Debug, Args)]
pub(crate) struct DbStatsArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub datadir: DatadirArgs,
}

/// `db verify`
#[derive(Debug, Args)]
pub(crate) struct DbVerifyArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub datadir: DatadirArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub log: LogArgs,
    /// Block from which blocks, receipts and links are checked
    #[arg(long, value_name = "BLOCK", default_value = "0")]
    pub from: u64,
}

/// `db history`
#[derive(Debug, Args)]
pub(crate) struct DbHistoryArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub datadir: DatadirArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub log: LogArgs,
    /// Blocks of state history to keep
    #[arg(long, value_name = "BLOCKS")]
    pub keep: u64,
}

/// `rewind`
#[derive(Debug, Args)]
pub(crate) struct RewindArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub datadir: DatadirArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub log: LogArgs,
    /// The block that becomes the head
    #[arg(value_name = "BLOCK")]
    pub to: u64,
}

/// `attach`
#[derive(Debug, Args)]
#[command(after_help = "starling attach eth_getBalance '\"0x…\"' '\"latest\"'")]
pub(crate) struct AttachArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub datadir: DatadirArgs,
    /// HTTP address of the node
    #[arg(long, value_name = "URL", conflicts_with = "ipc")]
    pub url: Option<String>,
    /// Socket of the node [default: the datadir's]
    #[arg(long, value_name = "PATH")]
    pub ipc: Option<PathBuf>,
    /// Method to call; none opens a prompt
    #[arg(value_name = "METHOD")]
    pub method: Option<String>,
    /// Parameters, each one JSON
    #[arg(value_name = "JSON", allow_hyphen_values = true)]
    pub params: Vec<String>,
}

/// `removedb`
#[derive(Debug, Args)]
pub(crate) struct RemovedbArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub datadir: DatadirArgs,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// `config`
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// `config …`
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Prints the configuration that `node` would run with, as a file for --config
    Dump(Box<NodeArgs>),
}
