//! `p2p`, `bootnode` and `key`: tools for the network, without a chain.

use super::{named_datadir, say};
use crate::{
    cli::{BootnodeArgs, KeyCommand, Nat, P2pCommand, P2pCrawlArgs, P2pInfoArgs, urls},
    datadir::Datadir,
    failure::{Context, Failure},
    logging,
    p2p::{key, nodes},
    shutdown::Shutdown,
    store::NamedChain,
    version,
};
use starling_discovery::{Node, NodeDb, NodeUrl, libp2p_peer_id};
use starling_network::{Bootnode, BootnodeConfig, DiscoveryConfig, Listen, probe};
use starling_primitives::{NodeKey, PeerId, node_id};
use std::{fmt::Write, net::IpAddr};

pub(super) fn run(command: &P2pCommand) -> Result<(), Failure> {
    match command {
        P2pCommand::Info(args) => info(args),
        P2pCommand::Ping(args) => on_runtime(ping(&node_of(&args.node)?))?,
        P2pCommand::Resolve(args) => on_runtime(resolve(&node_of(&args.node)?))?,
        P2pCommand::Crawl(args) => crawl(args),
    }
}

pub(super) fn key(command: &KeyCommand) -> Result<(), Failure> {
    match command {
        KeyCommand::Generate(args) => {
            let key = NodeKey::random(&mut rand::rng());
            key::create(&args.file, &key)?;
            say(&names(&key.public()))
        }
        KeyCommand::Inspect(args) => say(&names(&key::load_from(&args.file)?.public())),
    }
}

pub(super) fn bootnode(args: &BootnodeArgs) -> Result<(), Failure> {
    let _log = logging::start(&args.log)?;
    let mut shutdown = Shutdown::listen()?;
    let datadir = Datadir::new(args.datadir.as_deref(), "bootnode")?;
    let _lock = datadir.lock()?;
    let key = match &args.node_key_hex {
        Some(key) => key.clone(),
        None => key::load_or_create(args.node_key.as_deref().unwrap_or(&datadir.node_key()))?,
    };
    let config = BootnodeConfig {
        key,
        listen: Listen { addr: args.addr, tcp_port: args.port, udp_port: None },
        external: external(args.nat),
        discovery: DiscoveryConfig { v4: true, v5: true, lists: Vec::new(), bootnodes: urls(&args.bootnodes) },
        database: nodes::load(&datadir.nodes_json()),
    };
    on_runtime(async move {
        let bootnode = Bootnode::start(config).await.failed()?;
        say(&format!("{}\n{}", bootnode.local().enode(), bootnode.local().record()))?;
        tracing::info!(udp = bootnode.local().udp_port(), "Ready");
        shutdown.asked().await;
        if let Some(found) = bootnode.nodes().await {
            nodes::write(&datadir.nodes_json(), &found.to_json());
        }
        Ok(())
    })?
}

/// Runs something that waits for the network to its end.
fn on_runtime<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    Ok(runtime.context("cannot start the runtime")?.block_on(work))
}

fn external(nat: Nat) -> Option<IpAddr> {
    match nat {
        Nat::None => None,
        Nat::External(ip) => Some(ip),
    }
}

/// The names of one key.
fn names(id: &PeerId) -> String {
    format!("public key  {id:x}\nnode id     {:x}\nlibp2p      {}", node_id(id), libp2p_peer_id(id))
}

fn info(args: &P2pInfoArgs) -> Result<(), Failure> {
    let datadir = named_datadir(&args.datadir)?;
    let key = key::load_from(args.node_key.as_deref().unwrap_or(&datadir.node_key()))?;
    let mut text = names(&key.public());
    // What a running node says of itself.
    let running = std::fs::read_to_string(datadir.node_json()).ok();
    let running: Option<serde_json::Value> = running.and_then(|text| serde_json::from_str(&text).ok());
    for (name, member) in [("enode", "enode"), ("record", "enr")] {
        if let Some(value) = running.as_ref().and_then(|json| json.get(member)).and_then(|value| value.as_str()) {
            let _ = write!(text, "\n{name:<11} {value}");
        }
    }
    if let Some(record) = running.as_ref().and_then(|json| json.get("enr")?.as_str()?.parse().ok()) {
        text.push_str(&entries(&record));
    }
    say(&text)
}

fn node_of(url: &NodeUrl) -> Result<Node, Failure> {
    url.node().ok_or_else(|| {
        Failure::usage(format_args!("{url} names no address")).remedy("write the IP address of the node in its URL")
    })
}

async fn ping(node: &Node) -> Result<(), Failure> {
    let key = NodeKey::random(&mut rand::rng());
    let discv4 = probe::ping_v4(&key, node).await.context("cannot ask")?;
    let discv5 = probe::discv5(&key, node).await;
    let hello = probe::hello(&key, &version::client(None), node).await;
    let word = |time: Option<std::time::Duration>| time.map_or("no answer".into(), |time| format!("{time:.1?}"));
    say(&format!("discv4  {}", word(discv4)))?;
    match &node.record {
        Some(_) => say(&format!("discv5  {}", word(discv5.as_ref().map(|(time, _)| *time))))?,
        None => say("discv5  not asked: it takes a record (enr:) to ask")?,
    }
    match &hello {
        Ok((hello, time)) => {
            let spoken: Vec<_> = hello.capabilities.iter().map(ToString::to_string).collect();
            say(&format!("RLPx    {time:.1?}  {}  {}", hello.client_id, spoken.join(" ")))?;
        }
        Err(why) => say(&format!("RLPx    {why}"))?,
    }
    if discv4.is_none() && discv5.is_none() && hello.is_err() {
        return Err(Failure::new("the node does not answer").remedy("check its address, its ports and the firewalls"));
    }
    Ok(())
}

async fn resolve(node: &Node) -> Result<(), Failure> {
    let key = NodeKey::random(&mut rand::rng());
    let by_v4 = probe::record_v4(&key, node).await.context("cannot ask")?;
    let by_v5 = probe::discv5(&key, node).await.and_then(|(_, record)| record);
    let newest = by_v4.into_iter().chain(by_v5).max_by_key(|record| record.seq());
    let record = newest
        .ok_or_else(|| Failure::new("the node gives no record").remedy("check its address and its discovery port"))?;
    say(&format!("{record}{}", entries(&record)))
}

/// What a record says, for people.
fn entries(record: &starling_discovery::Record) -> String {
    let mut text = format!("\n  seq   {}", record.seq());
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = write!(text, "\n  {name:<5} {value}");
        }
    };
    line("udp", record.udp4().map(|addr| addr.to_string()));
    line("tcp", record.tcp4().map(|addr| addr.to_string()));
    line("udp6", record.udp6().map(|addr| addr.to_string()));
    line("tcp6", record.tcp6().map(|addr| addr.to_string()));
    line("eth", record.fork_id().map(|fork| format!("0x{} next {}", hex::encode(fork.hash.0), fork.next)));
    line("snap", record.serves_snap().then(String::new));
    line("eth2", record.is_consensus().then(|| "a node of the consensus layer".into()));
    text
}

fn crawl(args: &P2pCrawlArgs) -> Result<(), Failure> {
    let bootnodes = match &args.bootnodes {
        Some(named) => urls(named),
        None => {
            let spec = NamedChain::find(&args.chain)?.spec;
            spec.bootnodes().iter().filter_map(|url| url.parse().ok()).collect()
        }
    };
    if bootnodes.is_empty() {
        return Err(Failure::usage("nobody to ask first").remedy("name nodes with --bootnodes"));
    }
    let config = BootnodeConfig {
        key: NodeKey::random(&mut rand::rng()),
        listen: Listen { addr: args.addr, tcp_port: 0, udp_port: None },
        external: None,
        discovery: DiscoveryConfig { v4: true, v5: true, lists: Vec::new(), bootnodes },
        database: NodeDb::new(),
    };
    on_runtime(async move {
        let crawler = Bootnode::start(config).await.failed()?;
        tokio::time::sleep(args.timeout).await;
        let found = crawler.nodes().await.unwrap_or_default();
        for node in found.seeds(found.len(), &mut rand::rng()) {
            say(&node.record.as_ref().map_or_else(|| node.enode().to_string(), ToString::to_string))?;
        }
        eprintln!("{} nodes answered in {:?}", found.len(), args.timeout);
        Ok(())
    })?
}
