//! The `admin` namespace: this node among its peers, in geth's shapes.

use crate::{
    ApiError, RpcContext,
    api::{Answer, Api, to_json},
    args::Args,
};
use alloy_primitives::{B256, U256, hex};
use jsonrpsee::types::Params;
use serde::Serialize;
use serde_json::value::RawValue;
use starling_devp2p::{Capability, eth::Status};
use starling_discovery::{Enode, Host, NodeUrl};
use starling_network::{NetworkHandle, Overview, PeerSnapshot, Stopped};
use starling_peers::{Direction, NamedPeers};
use starling_primitives::{PeerId, node_id};
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

/// Adds every method of the namespace.
pub(crate) fn register(api: &mut Api) {
    api.light("admin_nodeInfo", node_info);
    api.command("admin_peers", |context, params| async move { to_json(&peers(&context, &params).await?) });
    api.command("admin_peerDrops", |context, params| async move { to_json(&peer_drops(&context, &params).await?) });
    for change in [Change::AddPeer, Change::RemovePeer, Change::AddTrusted, Change::RemoveTrusted] {
        api.command(change.method(), move |context, params| async move {
            to_json(&apply(&context, &params, change).await?)
        });
    }
}

fn network(context: &RpcContext) -> Answer<&NetworkHandle> {
    context.network.as_ref().ok_or_else(|| ApiError::server("the node runs without a network"))
}

impl From<Stopped> for ApiError {
    fn from(error: Stopped) -> Self {
        Self::server(error.to_string())
    }
}

/// geth writes node ids without `0x`.
fn bare(id: B256) -> String {
    hex::encode(id)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeInfo {
    id: String,
    name: String,
    enode: String,
    enr: String,
    ip: String,
    ports: Ports,
    listen_addr: String,
    protocols: Protocols<EthInfo>,
    /// Where others see us, when enough of them agree.
    seen: Seen,
}

#[derive(Serialize)]
struct Ports {
    discovery: u16,
    listener: u16,
}

#[derive(Serialize)]
struct Protocols<T> {
    eth: T,
}

#[derive(Serialize)]
struct EthInfo {
    network: u64,
    genesis: B256,
    config: Box<RawValue>,
    head: B256,
}

#[derive(Serialize)]
struct Seen {
    v4: Option<SocketAddr>,
    v6: Option<SocketAddr>,
}

fn node_info(context: &RpcContext, args: Args<'_>) -> Answer<NodeInfo> {
    args.end()?;
    let network = network(context)?;
    let (local, status) = (network.local(), network.status());
    let (enode, seen) = (local.enode(), local.seen());
    let config = RawValue::from_string(context.chain.spec().config_json());
    Ok(NodeInfo {
        id: bare(node_id(&local.id())),
        name: context.client_version.clone(),
        enr: local.record().to_string(),
        ip: enode.host.to_string(),
        enode: enode.to_string(),
        ports: Ports { discovery: local.udp_port().unwrap_or(0), listener: local.tcp_port() },
        listen_addr: local.listen_addr().to_string(),
        protocols: Protocols {
            eth: EthInfo {
                network: status.network_id,
                genesis: status.genesis,
                config: config.map_err(|error| ApiError::Internal(error.to_string()))?,
                head: status.range.latest_hash,
            },
        },
        seen: Seen { v4: seen.v4, v6: seen.v6 },
    })
}

#[derive(Serialize)]
struct PeerInfo {
    enode: String,
    id: String,
    name: String,
    caps: Vec<String>,
    network: Connection,
    protocols: Protocols<EthPeer>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Connection {
    local_address: String,
    remote_address: String,
    inbound: bool,
    trusted: bool,
    #[serde(rename = "static")]
    is_static: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EthPeer {
    version: u8,
    #[serde(flatten)]
    chain: PeerChain,
}

/// What the peer says of its chain: a weight in eth/68, a range since.
#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum PeerChain {
    Weight { difficulty: U256, head: B256 },
    Range { earliest_block: u64, latest_block: u64, latest_block_hash: B256 },
}

async fn peers(context: &RpcContext, params: &Params<'_>) -> Answer<Vec<PeerInfo>> {
    Args::new(params)?.end()?;
    let network = network(context)?;
    let named = network.named().await?;
    let mut peers = network.peers();
    peers.sort_by_key(|peer| peer.connection);
    Ok(peers.iter().map(|peer| peer_info(peer, &named)).collect())
}

fn peer_info(peer: &PeerSnapshot, named: &NamedPeers) -> PeerInfo {
    let address = |addr: Option<SocketAddr>| addr.map_or_else(String::new, |addr| addr.to_string());
    let chain = match (&peer.status, peer.range) {
        (Status::V68(status), _) => PeerChain::Weight { difficulty: status.total_difficulty, head: status.head },
        (Status::V69(status), told) => {
            let range = told.unwrap_or(status.range);
            let (earliest_block, latest_block) = (range.earliest, range.latest);
            PeerChain::Range { earliest_block, latest_block, latest_block_hash: range.latest_hash }
        }
    };
    let remote =
        Enode { id: peer.id, host: Host::Ip(peer.remote.ip()), tcp: peer.remote.port(), udp: peer.remote.port() };
    PeerInfo {
        enode: remote.to_string(),
        id: bare(node_id(&peer.id)),
        name: peer.client_id.clone(),
        caps: peer.capabilities.iter().map(Capability::to_string).collect(),
        network: Connection {
            local_address: address(peer.local),
            remote_address: peer.remote.to_string(),
            inbound: peer.direction == Direction::Inbound,
            trusted: named.trusted.contains(&peer.id),
            is_static: named.statics.iter().any(|enode| enode.id == peer.id),
        },
        protocols: Protocols { eth: EthPeer { version: peer.version as u8, chain } },
    }
}

#[derive(Serialize)]
struct PeerDrops {
    /// Ends of connections by reason since the start.
    counts: BTreeMap<&'static str, u64>,
    /// The last ones, newest first.
    recent: Vec<RecentDrop>,
    /// Seconds for which peers are banned yet, by their public key.
    banned: BTreeMap<PeerId, u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecentDrop {
    /// The peer's public key, null if it never proved one.
    peer: Option<PeerId>,
    address: SocketAddr,
    inbound: bool,
    /// Whether it had been a peer.
    connected: bool,
    reason: &'static str,
    seconds_ago: u64,
}

/// Why peers were dropped.
async fn peer_drops(context: &RpcContext, params: &Params<'_>) -> Answer<PeerDrops> {
    Args::new(params)?.end()?;
    let Overview { drops, recent, banned, .. } = network(context)?.overview().await?;
    Ok(PeerDrops {
        counts: drops.into_iter().fold(BTreeMap::new(), |mut counts, (reason, count)| {
            *counts.entry(reason.label()).or_default() += count;
            counts
        }),
        recent: recent
            .into_iter()
            .map(|record| RecentDrop {
                peer: record.drop.peer,
                address: record.drop.addr,
                inbound: record.drop.direction == Direction::Inbound,
                connected: record.drop.was_ready,
                reason: record.drop.reason.label(),
                seconds_ago: record.ago.as_secs(),
            })
            .collect(),
        banned: banned.into_iter().map(|(peer, time)| (peer, time.as_secs())).collect(),
    })
}

/// A change to the peers that an operator names.
#[derive(Debug, Clone, Copy)]
enum Change {
    AddPeer,
    RemovePeer,
    AddTrusted,
    RemoveTrusted,
}

impl Change {
    fn method(self) -> &'static str {
        match self {
            Self::AddPeer => "admin_addPeer",
            Self::RemovePeer => "admin_removePeer",
            Self::AddTrusted => "admin_addTrustedPeer",
            Self::RemoveTrusted => "admin_removeTrustedPeer",
        }
    }
}

/// Takes an enode URL or a record; true when the change is made, whether or not the peer answers.
async fn apply(context: &Arc<RpcContext>, params: &Params<'_>, change: Change) -> Answer<bool> {
    let mut args = Args::new(params)?;
    let text: String = args.required()?;
    args.end()?;
    let url: NodeUrl = text.parse().map_err(|error| ApiError::server(format!("invalid enode: {error}")))?;
    let network = network(context)?;
    match change {
        Change::AddPeer => network.add_static(enode(&url)?).await?,
        Change::RemovePeer => network.remove_static(url.id()).await?,
        Change::AddTrusted => network.add_trusted(url.id()).await?,
        Change::RemoveTrusted => network.remove_trusted(url.id()).await?,
    }
    Ok(true)
}

fn enode(url: &NodeUrl) -> Answer<Enode> {
    match url {
        NodeUrl::Enode(enode) => Ok(enode.clone()),
        NodeUrl::Record(_) => {
            let node = url.node().ok_or_else(|| ApiError::server("invalid enode: the record gives no address"))?;
            Ok(node.enode())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_s_chain_is_flat_beside_its_version() {
        let json = |chain| serde_json::to_string(&EthPeer { version: 69, chain }).unwrap();
        assert_eq!(
            json(PeerChain::Range { earliest_block: 0, latest_block: 7, latest_block_hash: B256::ZERO }),
            format!(r#"{{"version":69,"earliestBlock":0,"latestBlock":7,"latestBlockHash":"{}"}}"#, B256::ZERO)
        );
        assert_eq!(
            json(PeerChain::Weight { difficulty: U256::from(5), head: B256::ZERO }),
            format!(r#"{{"version":69,"difficulty":"0x5","head":"{}"}}"#, B256::ZERO)
        );
    }
}
