//! One file a command.

mod account;
mod attach;
mod db;
mod export;
mod genesis;
mod import;
mod p2p;
mod rpc_client;

use crate::{
    cli::{Cli, Command, ConfigCommand, DatadirArgs, Overrides, RemovedbArgs, RewindArgs},
    config,
    datadir::Datadir,
    failure::{Context, Failure},
    logging,
    node::Node,
    shutdown::Shutdown,
    size::human,
    store::{IfMissing, NamedChain, Store},
    testnet, version,
};
use clap::ArgMatches;
pub(crate) use rpc_client::{Endpoint, call};
use starling_chain::ChainConfig;
use std::{
    fs,
    io::{self, Write},
    path::Path,
};

/// Runs a command.
pub(crate) fn run(cli: Cli, matches: &ArgMatches) -> Result<(), Failure> {
    match cli.command {
        Command::Node(args) => {
            let _log = logging::start(&args.log)?;
            // Before anything is started: a signal that comes early is heard as well.
            let shutdown = Shutdown::listen()?;
            Node::start(&args)?.run(shutdown)
        }
        Command::Init(args) => genesis::init(&args),
        Command::Import(args) => import::run(args),
        Command::Export(args) => export::run(&args),
        Command::DumpGenesis(args) => genesis::dump(&args),
        Command::Db(args) => db::run(args.command),
        Command::Rewind(args) => rewind(&args),
        Command::Attach(args) => attach::run(&args),
        Command::P2p(args) => p2p::run(&args.command),
        Command::Bootnode(args) => p2p::bootnode(&args),
        Command::Key(args) => p2p::key(&args.command),
        Command::Testnet(args) => testnet::run(&args.command),
        Command::Account(args) => account::run(&args.command),
        Command::Version => say(&version::long()),
        Command::Removedb(args) => removedb(&args),
        Command::Config(args) => {
            let ConfigCommand::Dump(_) = args.command;
            say(config::dump(matches).trim_end())
        }
    }
}

/// Writes a result to stdout. A reader that has gone away is no failure.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(error)),
        _ => Ok(()),
    }
}

/// The datadir that a command means, without opening it.
fn named_datadir(args: &DatadirArgs) -> Result<Datadir, Failure> {
    let network = match (&args.datadir, &args.chain) {
        (None, Some(chain)) => NamedChain::find(chain)?.spec.name,
        _ => "mainnet".into(),
    };
    Datadir::new(args.datadir.as_deref(), &network)
}

fn rewind(args: &RewindArgs) -> Result<(), Failure> {
    let _log = logging::start(&args.log)?;
    let store = Store::open(&args.datadir, None, &Overrides::default(), IfMissing::Refuse)?;
    let mut core = store.chain(ChainConfig::default())?;
    let from = core.head();
    if args.to > from.number {
        return Err(Failure::usage(format_args!("block {} is above the head, {from}", args.to)));
    }
    let head = core.rewind(args.to).context(format_args!("cannot go back to block {}", args.to))?;
    say(&format!("rewound from block {} to block {head}", from.number))
}

fn removedb(args: &RemovedbArgs) -> Result<(), Failure> {
    let datadir = named_datadir(&args.datadir)?;
    let database = datadir.database();
    if !database.exists() {
        return say(&format!("there is no database in {}", datadir.root().display()));
    }
    let _lock = datadir.lock()?;
    let size = human(size_bytes(&database));
    if !args.yes && !confirm(&format!("Remove the database in {} ({size})? [y/N] ", database.display()))? {
        return Err(Failure::new("nothing was removed").remedy("answer y, or give --yes"));
    }
    fs::remove_dir_all(&database).context(format_args!("cannot remove {}", database.display()))?;
    say(&format!("removed {} ({size})", database.display()))
}

fn confirm(question: &str) -> Result<bool, Failure> {
    eprint!("{question}");
    let mut answer = String::new();
    if io::stdin().read_line(&mut answer).context("no answer")? == 0 {
        eprintln!();
    }
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// What the files below a folder occupy; files that vanish meanwhile do not count.
fn size_bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    /// Unit of `st_blocks`.
    const BLOCK_SIZE_BYTES: u64 = 512;
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size_bytes(&entry.path()),
            Ok(metadata) => metadata.blocks() * BLOCK_SIZE_BYTES,
            Err(_) => 0,
        })
        .sum()
}
