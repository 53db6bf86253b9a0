//! Starting the network.

use crate::{
    ChainStatus, Listen, ListenError, LocalNode, NetworkEvents, NetworkHandle,
    discovery::{Driver, Parts, StartError, Udp, unix},
    event,
    handle::COMMANDS_MAX,
    listen::{Sockets, accept},
    local::Ports,
    manager::{Manager, OUTCOMES_MAX},
    report::REPORTS_MAX,
    resolve::Resolver,
    shared::Shared,
};
use starling_discovery::{Enode, Node, NodeDb, NodeUrl, dns::TreeUrl};
use starling_peers::{KNOWN_MAX, KnownPeer, PeerEvent, Peers, PeersConfig};
use starling_primitives::{NodeKey, PeerId};
use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Instant};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

/// Questions to discovery that wait.
const QUESTIONS_MAX: usize = 16;
/// Candidates on their way to the manager; discovery keeps the rest.
const CANDIDATES_MAX: usize = 16;

/// Everything that an operator decides about the network.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// Who this node is.
    pub key: NodeKey,
    /// Name and version of this program, as peers see it.
    pub client_id: String,
    /// Where to listen.
    pub listen: Listen,
    /// The address that others should use, if it is known.
    pub external: Option<IpAddr>,
    /// How nodes are found.
    pub discovery: DiscoveryConfig,
    /// Slots and limits; `local_id` is set from the key.
    pub peers: PeersConfig,
    /// Peers to be connected with always.
    pub statics: Vec<Enode>,
    /// Peers to let in always.
    pub trusted: Vec<PeerId>,
    /// Nodes known from an earlier run.
    pub database: NodeDb,
}

/// How nodes are found. With everything off, only named peers are dialed.
#[derive(Debug, Clone, Default)]
pub struct DiscoveryConfig {
    /// discv4.
    pub v4: bool,
    /// discv5.
    pub v5: bool,
    /// Lists in DNS.
    pub lists: Vec<TreeUrl>,
    /// Whom to ask first.
    pub bootnodes: Vec<NodeUrl>,
}

/// The network did not start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A port is not to be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// discv5 did not start.
    #[error(transparent)]
    Discovery(#[from] StartError),
}

/// Opens the ports and starts everything on the runtime that this runs in. The network lives until
/// [`NetworkHandle::stop`], or until every handle is gone.
pub async fn start(config: NetworkConfig, status: ChainStatus) -> Result<(NetworkHandle, NetworkEvents), NetworkError> {
    let known = config.database.former_peers(KNOWN_MAX).iter().filter_map(known_peer).collect();
    let discovers = config.discovery.v4 || config.discovery.v5 || !config.discovery.lists.is_empty();
    let sockets = Sockets::open(&config.listen, discovers)?;
    let bound = config.listen.addr.filter(|ip| !ip.is_unspecified());
    let ports = Ports {
        fixed: config.external.or(bound),
        v6: sockets.udp6.is_some(),
        listen: sockets.listen,
        udp: sockets.udp_port,
    };
    let unix_ms = u64::try_from(unix().as_millis()).unwrap_or(u64::MAX);
    let local = Arc::new(LocalNode::new(config.key.clone(), ports, Some(status.fork_id()), unix_ms));
    let resolver = Resolver::of_system();
    let told = status.range;
    let (status, status_out) = watch::channel(status);
    let (events, events_out) = event::channel();
    let shared = Shared::new(config.key.clone(), config.client_id, status, events);
    let (commands, commands_out) = mpsc::channel(COMMANDS_MAX);
    let (reports, reports_out) = mpsc::channel(REPORTS_MAX);
    let (candidates, candidates_out) = mpsc::channel(CANDIDATES_MAX);
    let (outcomes, outcomes_out) = mpsc::channel(OUTCOMES_MAX);
    let (questions, questions_out) = mpsc::channel(QUESTIONS_MAX);
    if discovers {
        let driver = Driver::start(Parts {
            key: config.key.clone(),
            local: local.clone(),
            udp: Udp::new(sockets.udp4, sockets.udp6),
            v4: config.discovery.v4,
            v5: config.discovery.v5,
            on_loopback: bound.is_some_and(|ip| ip.is_loopback()),
            bootnodes: config.discovery.bootnodes.clone(),
            status: Some(status_out.clone()),
            lists: config.discovery.lists.clone(),
            resolver: resolver.clone(),
            database: config.database,
            peers_wanted: config.peers.peers_max,
            candidates,
            outcomes: outcomes_out,
            questions: questions_out,
        })
        .await?;
        tokio::spawn(driver.run());
    }
    let listeners: Vec<_> = sockets
        .tcp
        .into_iter()
        .map(|listener| tokio::spawn(accept(listener, reports.clone())).abort_handle())
        .collect();
    let boot = config.discovery.bootnodes.iter().filter_map(|url| known_peer(&url.node()?));
    let now = Instant::now();
    let settings = PeersConfig { local_id: config.key.public(), ..config.peers };
    let mut peers = Peers::new(settings, boot.collect(), known, rand::random(), now);
    config.statics.into_iter().for_each(|enode| peers.handle(PeerEvent::AddStatic(enode), now));
    config.trusted.into_iter().for_each(|id| peers.handle(PeerEvent::AddTrusted(id), now));
    let manager = Manager {
        shared: shared.clone(),
        peers,
        commands: commands_out,
        candidates: candidates_out,
        outcomes,
        resolver,
        reports: (reports, reports_out),
        sessions: HashMap::new(),
        tasks: JoinSet::new(),
        told,
        listeners,
    };
    tokio::spawn(manager.run(status_out));
    Ok((NetworkHandle { shared, local, commands, questions }, events_out))
}

fn known_peer(node: &Node) -> Option<KnownPeer> {
    Some(KnownPeer { id: node.id, addr: node.tcp_addr()? })
}
