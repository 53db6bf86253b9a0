//! Discovery without a chain: a boot node, which everybody may ask and which takes no connections.

use crate::{
    DiscoveryConfig, Listen, LocalNode, NetworkError,
    discovery::{Driver, Parts, Udp, unix},
    handle::Question,
    listen::open_udp,
    local::Ports,
    manager::Outcome,
    resolve::Resolver,
};
use starling_discovery::{Node, NodeDb};
use starling_primitives::NodeKey;
use std::{net::IpAddr, sync::Arc};
use tokio::sync::{mpsc, oneshot};

/// Peers that a boot node looks for, though it never dials: looking around goes on at a steady pace.
const PEERS_WANTED: usize = 1;

/// What a boot node is made of.
#[derive(Debug, Clone)]
pub struct BootnodeConfig {
    /// Who it is.
    pub key: NodeKey,
    /// Where it listens; the port for RLPx is not opened.
    pub listen: Listen,
    /// The address that others should use, if it is known.
    pub external: Option<IpAddr>,
    /// How it finds nodes itself.
    pub discovery: DiscoveryConfig,
    /// Nodes known from before.
    pub database: NodeDb,
}

/// A running boot node; it stops when this is dropped.
#[derive(Debug)]
pub struct Bootnode {
    local: Arc<LocalNode>,
    questions: mpsc::Sender<Question>,
    _candidates: mpsc::Receiver<Node>,
    _outcomes: mpsc::Sender<Outcome>,
}

impl Bootnode {
    /// Opens the port and starts, on the runtime that this runs in.
    pub async fn start(config: BootnodeConfig) -> Result<Self, NetworkError> {
        let (udp4, udp6, addr) = open_udp(&config.listen, config.listen.tcp_port)?;
        let bound = config.listen.addr.filter(|ip| !ip.is_unspecified());
        let ports = Ports {
            fixed: config.external.or(bound),
            v6: udp6.is_some(),
            listen: std::net::SocketAddr::new(addr.ip(), 0),
            udp: Some(addr.port()),
        };
        let unix_ms = u64::try_from(unix().as_millis()).unwrap_or(u64::MAX);
        let local = Arc::new(LocalNode::new(config.key.clone(), ports, None, unix_ms));
        let (questions, questions_out) = mpsc::channel(1);
        // One candidate fills the queue, which nobody reads; the rest waits with discovery, which bounds it.
        let (candidates, candidates_out) = mpsc::channel(1);
        let (outcomes, outcomes_out) = mpsc::channel(1);
        let driver = Driver::start(Parts {
            key: config.key,
            local: local.clone(),
            udp: Udp::new(udp4, udp6),
            v4: config.discovery.v4,
            v5: config.discovery.v5,
            on_loopback: bound.is_some_and(|ip| ip.is_loopback()),
            bootnodes: config.discovery.bootnodes,
            lists: config.discovery.lists,
            resolver: Resolver::of_system(),
            database: config.database,
            peers_wanted: PEERS_WANTED,
            status: None,
            candidates,
            outcomes: outcomes_out,
            questions: questions_out,
        })
        .await?;
        tokio::spawn(driver.run());
        Ok(Self { local, questions, _candidates: candidates_out, _outcomes: outcomes })
    }

    /// How it is reached.
    pub fn local(&self) -> &LocalNode {
        &self.local
    }

    /// Everybody it has heard of, if that has changed since it was asked last.
    pub async fn nodes(&self) -> Option<NodeDb> {
        let (answer, wait) = oneshot::channel();
        self.questions.send(Question::Database(answer)).await.ok()?;
        NodeDb::from_json(&wait.await.ok()??).ok()
    }
}
