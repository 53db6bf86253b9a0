use clap::Args;
use starling_discovery::{Enode, NodeUrl, dns::TreeUrl};
use starling_network::{DiscoveryConfig, Listen};
use starling_peers::Subnet;
use starling_primitives::{NodeKey, PeerId};
use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr};

/// The peer-to-peer network.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Peers")]
pub(crate) struct NetworkArgs {
    /// Network that peers must be on [default: the chain id]
    #[arg(id = "networkid", long = "networkid", value_name = "ID")]
    pub network_id: Option<u64>,
    /// Port for peers; 0 takes a free one
    #[arg(id = "port", long = "port", value_name = "PORT", default_value = "30303")]
    pub port: u16,
    /// Port for discovery; 0 takes a free one [default: the same]
    #[arg(id = "discovery.port", long = "discovery.port", value_name = "PORT")]
    pub discovery_port: Option<u16>,
    /// Address to listen on for peers [default: all of this machine]
    #[arg(id = "addr", long = "addr", value_name = "IP")]
    pub addr: Option<IpAddr>,
    /// Find nobody: connect only with peers that are named here and with those that call
    #[arg(id = "nodiscover", long = "nodiscover", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
    pub no_discover: bool,
    /// Find nodes by discv4
    #[arg(id = "discovery.v4", long = "discovery.v4", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = clap::ArgAction::Set)]
    pub v4: bool,
    /// Find nodes by discv5
    #[arg(id = "discovery.v5", long = "discovery.v5", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = clap::ArgAction::Set)]
    pub v5: bool,
    /// Find nodes in lists in DNS: true for the chain's, false for none, or enrtree:// links
    #[arg(
        id = "discovery.dns",
        long = "discovery.dns",
        value_name = "BOOL|URLS",
        num_args = 0..=1,
        default_value = "true",
        default_missing_value = "true"
    )]
    pub dns: DnsLists,
    /// Nodes to ask first, as enode:// or enr: [default: the chain's]
    #[arg(id = "bootnodes", long = "bootnodes", value_name = "URLS", value_delimiter = ',')]
    pub bootnodes: Option<Vec<MaybeUrl>>,
    /// Peers to be connected with always
    #[arg(id = "peers", long = "peers", value_name = "URLS", value_delimiter = ',')]
    pub peers: Vec<MaybeUrl>,
    /// Peers to let in always, whatever the limits say
    #[arg(id = "trusted-peers", long = "trusted-peers", value_name = "URLS", value_delimiter = ',')]
    pub trusted: Vec<MaybeUrl>,
    /// Networks that peers must be in, such as 10.0.0.0/8
    #[arg(id = "netrestrict", long = "netrestrict", value_name = "CIDRS", value_delimiter = ',')]
    pub netrestrict: Vec<Subnet>,
    /// Peers at most; those named come on top
    #[arg(id = "maxpeers", long = "maxpeers", value_name = "PEERS", default_value = "50", value_parser = parse_count)]
    pub max_peers: usize,
    /// Connections that shake hands at a time, each way
    #[arg(id = "maxpendpeers", long = "maxpendpeers", value_name = "PEERS", default_value = "50", value_parser = parse_count)]
    pub max_pend_peers: usize,
    /// Speak eth/72 too, where blobs travel as cells (EIP-8070, in review)
    #[arg(id = "eth72", long = "eth72", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
    pub eth72: bool,
    /// File with the key of this node, made if missing [default: DATADIR/nodekey]
    #[arg(id = "nodekey", long = "nodekey", value_name = "FILE", conflicts_with = "nodekeyhex")]
    pub node_key: Option<PathBuf>,
    /// The key of this node itself, for tests: others on this machine can see it
    #[arg(id = "nodekeyhex", long = "nodekeyhex", value_name = "HEX")]
    pub node_key_hex: Option<NodeKey>,
    /// How others reach this node: none (they find out), or extip:IP
    #[arg(id = "nat", long = "nat", value_name = "none|extip:IP", default_value = "none")]
    pub nat: Nat,
}

/// `--discovery.dns`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DnsLists {
    /// The chain's.
    OfChain,
    /// These; none if empty.
    These(Vec<TreeUrl>),
}

/// `--nat`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nat {
    /// The address that others see, by their word.
    None,
    /// That address.
    External(IpAddr),
}

/// A node's URL, or nothing: `--bootnodes ""` names none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MaybeUrl(pub Option<NodeUrl>);

impl NetworkArgs {
    /// Where to listen; `port_of` moves a port by the instance.
    pub(crate) fn listen<E>(&self, port_of: impl Fn(u16) -> Result<u16, E>) -> Result<Listen, E> {
        let udp_port = self.discovery_port.map(&port_of).transpose()?;
        Ok(Listen { addr: self.addr, tcp_port: port_of(self.port)?, udp_port })
    }

    /// How to find nodes of a chain.
    pub(crate) fn discovery(&self, bootnodes: &[&str], dns_list: Option<&str>) -> DiscoveryConfig {
        if self.no_discover {
            return DiscoveryConfig::default();
        }
        let of_chain = || bootnodes.iter().filter_map(|url| url.parse().ok()).collect();
        let lists = match &self.dns {
            DnsLists::OfChain => dns_list.and_then(|link| link.parse().ok()).into_iter().collect(),
            DnsLists::These(links) => links.clone(),
        };
        let bootnodes = self.bootnodes.as_deref().map_or_else(of_chain, urls);
        DiscoveryConfig { v4: self.v4, v5: self.v5, lists, bootnodes }
    }

    /// Peers to be connected with always.
    pub(crate) fn statics(&self) -> Vec<Enode> {
        urls(&self.peers).iter().filter_map(enode_of).collect()
    }

    /// Peers to let in always.
    pub(crate) fn trusted(&self) -> Vec<PeerId> {
        urls(&self.trusted).iter().map(NodeUrl::id).collect()
    }
}

/// Where to dial a node; none for a record without an address.
pub(crate) fn enode_of(url: &NodeUrl) -> Option<Enode> {
    match url {
        NodeUrl::Enode(enode) => Some(enode.clone()),
        NodeUrl::Record(_) => url.node().map(|node| node.enode()),
    }
}

/// The URLs that are there.
pub(crate) fn urls(urls: &[MaybeUrl]) -> Vec<NodeUrl> {
    urls.iter().filter_map(|url| url.0.clone()).collect()
}

fn parse_count(text: &str) -> Result<usize, String> {
    /// More connections than one machine keeps.
    const COUNT_MAX: usize = 10_000;
    text.parse().ok().filter(|count| *count <= COUNT_MAX).ok_or_else(|| format!("write a number up to {COUNT_MAX}"))
}

impl FromStr for MaybeUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self(None));
        }
        text.trim()
            .parse()
            .map(|url| Self(Some(url)))
            .map_err(|error: starling_discovery::InvalidNodeUrl| error.to_string())
    }
}

impl fmt::Display for MaybeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |url| url.fmt(f))
    }
}

impl FromStr for DnsLists {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "true" => Ok(Self::OfChain),
            "" | "false" => Ok(Self::These(Vec::new())),
            links => links
                .split(',')
                .map(|link| link.trim().parse().map_err(|error| format!("{link:?} is no enrtree:// link: {error}")))
                .collect::<Result<_, _>>()
                .map(Self::These),
        }
    }
}

impl FromStr for Nat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let external = text.strip_prefix("extip:").and_then(|ip| ip.parse().ok()).map(Self::External);
        match text {
            "none" => Ok(Self::None),
            "any" | "upnp" | "pmp" | "pcp" => Err(format!("port mapping ({text}) is not available yet")),
            _ => external.ok_or_else(|| "write none, or extip:IP".into()),
        }
    }
}
