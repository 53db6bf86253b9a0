//! `testnet`: a network of one's own on this machine.
//!
//! ```text
//! DIR/genesis.json            signers and funded accounts
//! DIR/node-1/  sealer.key     whoever seals has a key
//!              data/          what `starling node` keeps; node.json says where it is reached
//!              node.log       what it says
//! DIR/consensus/             under proof of stake: the client that makes the slots
//! ```
//!
//! The folder is all there is: which nodes exist, and which run, is read from it. The first node is the one that the
//! others are told; they find each other by discv5. Nodes are processes of their own and outlive the command.

mod check;
mod consensus;
mod folder;
mod load;
mod partition;
mod process;
mod rpc;
mod setup;

use crate::{
    cli::{FolderArgs, TestnetCommand, UpArgs},
    commands::say,
    failure::Failure,
};
use folder::{Member, Network};

/// Runs a command.
pub(crate) fn run(command: &TestnetCommand) -> Result<(), Failure> {
    match command {
        TestnetCommand::Up(args) => up(args),
        TestnetCommand::Down(args) => down(args),
        TestnetCommand::Status(args) => status(args),
        TestnetCommand::AddNode(args) => add_node(args),
        TestnetCommand::Load(args) => load::run(args),
        TestnetCommand::Partition(args) => partition::run(args),
    }
}

fn up(args: &UpArgs) -> Result<(), Failure> {
    let network = match Network::open(&args.folder.dir)? {
        Some(network) => network,
        None => setup::create(args)?,
    };
    let started = network.start()?;
    if started == 0 {
        say("the network runs already")?;
    }
    if network.settings.pos {
        consensus::start(&network)?;
    }
    check::agree(&network)?;
    check::transfer(&network)?;
    describe(&network)
}

fn down(args: &FolderArgs) -> Result<(), Failure> {
    let network = Network::existing(&args.dir)?;
    if network.settings.pos {
        consensus::stop(&network)?;
    }
    let stopped = network.stop()?;
    say(&format!("{stopped} nodes stopped; `{}` starts them again where they were", network.command("up")))
}

fn status(args: &FolderArgs) -> Result<(), Failure> {
    let network = Network::existing(&args.dir)?;
    say("node      process  URL                          head       peers  waiting")?;
    for member in &network.members {
        say(&check::line(member))?;
    }
    if network.settings.pos { consensus::show(&network) } else { Ok(()) }
}

fn add_node(args: &FolderArgs) -> Result<(), Failure> {
    let network = Network::existing(&args.dir)?;
    if network.running().next().is_none() {
        return Err(network.not_running());
    }
    let network = network.with_one_more()?;
    network.start()?;
    check::agree(&network)?;
    match network.members.last() {
        Some(member) => say(&check::line(member)),
        None => Ok(()),
    }
}

/// What a user wants to know of a network that has just come up.
fn describe(network: &Network) -> Result<(), Failure> {
    let settings = &network.settings;
    say(&format!("\n{} nodes run and agree; chain id {}", network.members.len(), settings.chain_id))?;
    for member in &network.members {
        let role = if member.seals() { "seals" } else { "" };
        say(&format!("  {:<8} {:<28} {role}", member.name, member.http().unwrap_or_default()))?;
    }
    if settings.pos {
        let log = consensus::log(network);
        say(&format!("a consensus client makes a block every {} s; its log is {}", settings.period, log.display()))?;
    }
    say("accounts with ether; everybody knows these keys:")?;
    for (address, key) in crate::sealer::dev_accounts().take(ACCOUNTS_SHOWN) {
        say(&format!("  {address}  0x{}", key.to_hex()))?;
    }
    if let Some(record) = network.members.first().and_then(Member::record) {
        let genesis = network.genesis();
        let (genesis, node) = (genesis.display(), "starling node --datadir joins --chain");
        say(&match settings.addr.is_loopback() {
            // Its ports must not be those of the first node.
            true => format!(
                "another node of this machine joins with\n  {node} {genesis} --port 0 --authrpc.port 0 --bootnodes {record}\n\
                 for nodes on other machines, make the network with --addr IP, an address that they reach"
            ),
            false => format!(
                "another machine joins with a copy of {genesis} and\n  {node} genesis.json --bootnodes {record}"
            ),
        })?;
    }
    let (status, down) = (network.command("status"), network.command("down"));
    say(&format!("logs, keys and data lie in {}; look with `{status}`, stop with `{down}`", network.dir.display()))
}

/// Accounts that are shown; the genesis has more.
const ACCOUNTS_SHOWN: usize = 3;
