//! Networks on loopback, and strangers that speak RLPx by hand.

#![allow(dead_code, unreachable_pub)]

use rand::{SeedableRng, rngs::StdRng};
use starling_chainspec::{ChainSpec, Fork};
use starling_devp2p::{
    DisconnectReason, Event, Message, Session,
    eth::{BlockRange, EthMessage, EthVersion, Status},
    session::Offer,
};
use starling_discovery::{Enode, NodeDb, NodeUrl};
use starling_network::{
    ChainStatus, DiscoveryConfig, Listen, NetworkConfig, NetworkEvent, NetworkEvents, NetworkHandle,
};
use starling_peers::PeersConfig;
use starling_primitives::{B256, NodeKey, U256};
use std::{
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Longest wait of a test for anything; loaded machines are slow.
pub const WAIT: Duration = Duration::from_secs(20);

pub fn key(seed: u64) -> NodeKey {
    NodeKey::random(&mut StdRng::seed_from_u64(seed))
}

/// What a chain of all forks up to Osaka with a head at block 10 tells.
pub fn status() -> ChainStatus {
    let spec = ChainSpec::up_to(Fork::Osaka);
    ChainStatus {
        network_id: 1337,
        genesis: spec.genesis_hash(),
        forks: spec.fork_filter(10, 10),
        range: BlockRange { earliest: 0, latest: 10, latest_hash: B256::repeat_byte(10) },
        total_difficulty: U256::from(131_072),
        is_merged: true,
        version_max: EthVersion::SETTLED,
    }
}

pub fn config(seed: u64) -> NetworkConfig {
    NetworkConfig {
        key: key(seed),
        client_id: format!("Test/{seed}"),
        listen: Listen { addr: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), tcp_port: 0, udp_port: None },
        external: None,
        discovery: DiscoveryConfig::default(),
        peers: PeersConfig { dials_strangers: false, ..PeersConfig::default() },
        statics: vec![],
        trusted: vec![],
        database: NodeDb::new(),
    }
}

/// A config that finds others by itself.
pub fn discovering(seed: u64, bootnodes: Vec<NodeUrl>) -> NetworkConfig {
    NetworkConfig {
        discovery: DiscoveryConfig { v4: true, v5: true, lists: vec![], bootnodes },
        peers: PeersConfig::default(),
        ..config(seed)
    }
}

pub async fn start(config: NetworkConfig) -> (NetworkHandle, NetworkEvents) {
    starling_network::start(config, status()).await.expect("free ports")
}

pub fn enode(handle: &NetworkHandle) -> Enode {
    handle.local().enode()
}

/// The next event, which must come.
pub async fn next(events: &mut NetworkEvents) -> NetworkEvent {
    tokio::time::timeout(WAIT, events.next()).await.expect("an event in time").expect("a running network")
}

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < 3 * WAIT, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A stranger that does as it is told.
pub struct Stranger {
    pub session: Session,
    pub stream: TcpStream,
}

impl Stranger {
    /// Connects and shakes hands, offering these versions.
    pub async fn dial(to: &Enode, seed: u64, versions: &[EthVersion]) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", to.tcp)).await.expect("a listener");
        let protocols = versions.iter().map(|version| version.protocol()).collect();
        let offer = Offer { client_id: "Stranger".into(), protocols, listen_port: 0 };
        let mut rng = StdRng::seed_from_u64(seed);
        let session = Session::dial(&key(seed), to.id, &offer, Instant::now(), &mut rng).expect("a key");
        Self { session, stream }
    }

    /// The next event; none when the other side closed without a word.
    pub async fn event(&mut self) -> Option<Event> {
        let mut buffer = [0; 65_536];
        loop {
            if let Some(event) = self.session.poll() {
                return Some(event);
            }
            self.flush().await;
            let read = tokio::time::timeout(WAIT, self.stream.read(&mut buffer)).await.expect("bytes in time");
            match read {
                Ok(bytes) if bytes > 0 => assert_eq!(self.session.receive(&buffer[..bytes], Instant::now()), bytes),
                _ => return None,
            }
        }
    }

    pub async fn flush(&mut self) {
        while !self.session.output().is_empty() {
            let Ok(sent) = self.stream.write(self.session.output()).await else { return };
            self.session.output_sent(sent, Instant::now());
        }
    }

    pub async fn send(&mut self, version: EthVersion, message: &EthMessage) {
        let mut payload = Vec::new();
        let id = message.encode(version, &mut payload).expect("a message of the version");
        self.send_raw(version, id, &payload).await;
    }

    pub async fn send_raw(&mut self, version: EthVersion, id: u8, payload: &[u8]) {
        self.session.send(&version.protocol(), id, payload, Instant::now()).expect("an open session");
        self.flush().await;
    }

    /// Shakes hands and says Status; returns the other side's.
    pub async fn greet(&mut self, version: EthVersion, status: Status) -> Status {
        assert!(matches!(self.event().await, Some(Event::Established(_))));
        self.send(version, &EthMessage::Status(status)).await;
        match self.message().await {
            EthMessage::Status(status) => status,
            other => panic!("{other:?} before Status"),
        }
    }

    pub async fn message(&mut self) -> EthMessage {
        match self.event().await {
            Some(Event::Message(Message { protocol, id, payload })) => {
                let version = EthVersion::of(&protocol).expect("eth");
                EthMessage::decode(version, id, &payload).expect("a message")
            }
            other => panic!("{other:?} is no message"),
        }
    }

    /// Reads until the end; the reason that was told, if any.
    pub async fn farewell(&mut self) -> Option<DisconnectReason> {
        loop {
            match self.event().await {
                Some(Event::Closed(starling_devp2p::CloseCause::Remote(reason))) => return Some(reason),
                Some(Event::Closed(_)) | None => return None,
                Some(_) => {}
            }
        }
    }
}

/// Our own status in a version's form.
pub fn status_of(version: EthVersion) -> Status {
    let ours = status();
    match version {
        EthVersion::V68 => Status::V68(starling_devp2p::eth::Status68 {
            network_id: ours.network_id,
            total_difficulty: ours.total_difficulty,
            head: ours.range.latest_hash,
            genesis: ours.genesis,
            fork_id: ours.fork_id(),
        }),
        EthVersion::V69 | EthVersion::V70 | EthVersion::V71 | EthVersion::V72 => {
            Status::V69(starling_devp2p::eth::Status69 {
                network_id: ours.network_id,
                genesis: ours.genesis,
                fork_id: ours.fork_id(),
                range: ours.range,
            })
        }
    }
}
