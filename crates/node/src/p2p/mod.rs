//! The node among others: the network, what it serves, and what it is told.
//!
//! ```text
//! NetworkEvents ─► events ─┬─ requests ────────► serve: query workers ─► answers
//!                          ├─ transactions ────► the loop that passes them on
//!                          └─ everything else ─► the loop that syncs
//! chain's events ─► status ─► what peers are told, the record's fork id
//! ```

pub(crate) mod key;
pub(crate) mod nodes;
mod pooled;
mod serve;
mod status;

use crate::{
    cli::{Nat, NetworkArgs},
    datadir::Datadir,
    failure::{Context, Failure},
    gossip::{HEARD_MAX, Heard},
};
use serve::Server;
use starling_chain::ChainHandle;
use starling_devp2p::eth::EthMessage;
use starling_network::{NetworkConfig, NetworkEvent, NetworkEvents, NetworkHandle};
use starling_peers::PeersConfig;
use starling_rpc::QueryPool;
use starling_txpool::PoolHandle;
pub(crate) use status::Told;
use std::path::PathBuf;
use tokio::sync::mpsc;

/// Events that wait for the loop that syncs; they hold their share of the network's bounds, which are narrower.
const SYNC_EVENTS_MAX: usize = 4096;

/// A running network.
#[derive(Debug)]
pub(crate) struct P2p {
    /// Reaches it.
    pub(crate) network: NetworkHandle,
    /// To be set when somebody trusted has named a head.
    pub(crate) told: Told,
    /// What is not answered here: peers that come and go, their answers and announcements of blocks, and apart from
    /// these what they say of transactions.
    pub(crate) events: Option<(mpsc::Receiver<NetworkEvent>, mpsc::Receiver<Heard>)>,
    nodes_json: PathBuf,
}

impl P2p {
    /// Opens the ports and begins to look for peers.
    pub(crate) async fn start(
        args: &NetworkArgs,
        listen: starling_network::Listen,
        datadir: &Datadir,
        chain: &ChainHandle,
        pool: &PoolHandle,
        workers: QueryPool,
        client_id: String,
    ) -> Result<Self, Failure> {
        let key = match &args.node_key_hex {
            Some(key) => key.clone(),
            None => key::load_or_create(args.node_key.as_deref().unwrap_or(&datadir.node_key()))?,
        };
        let spec = chain.spec();
        let network_id = args.network_id.unwrap_or(spec.chain_id);
        let told = Told::default();
        let offer = status::Offer { network_id, cells: args.eth72 };
        let status = status::of(&chain.view(), offer, &told).context("cannot read the head")?;
        let discovery = args.discovery(spec.bootnodes(), spec.dns_list());
        let config = NetworkConfig {
            key,
            client_id,
            listen,
            external: match args.nat {
                Nat::None => None,
                Nat::External(ip) => Some(ip),
            },
            peers: PeersConfig {
                peers_max: args.max_peers,
                pending_max: args.max_pend_peers,
                dials_strangers: !args.no_discover,
                netrestrict: args.netrestrict.clone(),
                ..PeersConfig::default()
            },
            statics: args.statics(),
            trusted: args.trusted(),
            database: nodes::load(&datadir.nodes_json()),
            discovery,
        };
        let (network, events) = starling_network::start(config, status)
            .await
            .map_err(|error| Failure::new(error).remedy("choose another --port or --addr, or stop what uses it"))?;
        tokio::spawn(status::follow(chain.clone(), network.clone(), offer, told.clone()));
        tokio::spawn(nodes::keep(network.clone(), datadir.nodes_json()));
        let (to_sync, sync_events) = mpsc::channel(SYNC_EVENTS_MAX);
        let (to_gossip, heard) = mpsc::channel(HEARD_MAX);
        let server = Server::new(chain.clone(), pool.clone(), network.clone(), workers);
        tokio::spawn(sort(events, server, to_sync, to_gossip));
        let events = Some((sync_events, heard));
        Ok(Self { network, told, events, nodes_json: datadir.nodes_json() })
    }

    /// Keeps what it learned and says goodbye; under a second.
    pub(crate) async fn stop(self) {
        nodes::save(&self.network, &self.nodes_json).await;
        self.network.stop().await;
    }
}

/// Requests are served here, what is said of transactions and everything else goes on, until the network has stopped.
async fn sort(
    mut events: NetworkEvents,
    mut server: Server,
    others: mpsc::Sender<NetworkEvent>,
    gossip: mpsc::Sender<Heard>,
) {
    while let Some(event) = events.next().await {
        let other = match event {
            NetworkEvent::Message { peer, message: EthMessage::Request { id, request }, charge, .. } => {
                server.request(peer, id, request, charge);
                continue;
            }
            NetworkEvent::Message { peer, connection, message, charge } => match Heard::of(peer, message, charge) {
                Ok(heard) => {
                    if gossip.try_send(heard).is_err() {
                        metrics::counter!("gossip_messages_dropped_total").increment(1);
                    }
                    continue;
                }
                Err((message, charge)) => NetworkEvent::Message { peer, connection, message, charge },
            },
            other => {
                match &other {
                    NetworkEvent::Ready { peer, version, .. } => {
                        server.join(*peer, *version);
                        let _ = gossip.send(Heard::Joined(*peer, *version)).await;
                    }
                    NetworkEvent::Gone { peer, .. } => {
                        server.leave(peer);
                        let _ = gossip.send(Heard::Left(*peer)).await;
                    }
                    NetworkEvent::Message { .. } => {}
                }
                other
            }
        };
        // Nobody listens when the node stops.
        let _ = others.send(other).await;
    }
}
