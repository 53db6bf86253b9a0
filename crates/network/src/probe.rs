//! One question to one node, by whoever wants to know: is it there, what does it say of itself.

use crate::{
    discovery::{ask_v5, unix},
    report::{Line, ORDERS_MAX, REPORTS_MAX},
    session::greet,
};
use rand::{SeedableRng, rngs::StdRng};
use starling_devp2p::{Hello, eth::EthVersion, session::Offer};
use starling_discovery::{
    Node, Record, RecordContent,
    discv4::{Action, Config, Discv4, PACKET_BYTES_MAX},
};
use starling_peers::ConnectionId;
use starling_primitives::NodeKey;
use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};
use tokio::{net::UdpSocket, sync::mpsc};

/// No automatic lookups: only the question is asked.
const NO_LOOKUPS: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest wait for an answer, whatever the protocol.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// What a node says in Hello, and how long that took; in words why it says nothing.
pub async fn hello(key: &NodeKey, client_id: &str, node: &Node) -> Result<(Hello, Duration), String> {
    let addr = node.tcp_addr().ok_or("the node takes no connections")?;
    let (reports, _reports) = mpsc::channel(REPORTS_MAX);
    let (_orders, orders) = mpsc::channel(ORDERS_MAX);
    let line = Line { connection: ConnectionId(0), reports, orders };
    let protocols = EthVersion::up_to(EthVersion::SETTLED).map(EthVersion::protocol).collect();
    let offer = Offer { client_id: client_id.into(), protocols, listen_port: 0 };
    let started = Instant::now();
    let hello = greet(key, offer, node.id, addr, line).await?;
    Ok((hello, started.elapsed()))
}

/// How long a Pong of discv4 took; none if there was none.
pub async fn ping_v4(key: &NodeKey, node: &Node) -> io::Result<Option<Duration>> {
    let asked = ask_v4(key, node, |discv4, now| discv4.ping(node.clone(), now)).await?;
    Ok(asked.and_then(|action| match action {
        Action::Pinged { round_trip, .. } => round_trip,
        _ => None,
    }))
}

/// A node's record as it gives it now over discv4; none if it does not answer.
pub async fn record_v4(key: &NodeKey, node: &Node) -> io::Result<Option<Record>> {
    let asked = ask_v4(key, node, |discv4, now| discv4.request_record(node.clone(), now)).await?;
    Ok(asked.and_then(|action| match action {
        Action::RecordAnswered { record, .. } => record,
        _ => None,
    }))
}

/// How long a Pong of discv5 took, and the node's record as it gives it now; none if it does not answer, or if no
/// record of it is known to begin with.
pub async fn discv5(key: &NodeKey, node: &Node) -> Option<(Duration, Option<Record>)> {
    let record = node.record.as_ref()?;
    let socket = socket_for(node.udp_addr()?).await.ok()?;
    ask_v5(key, &own_record(key), socket, record, ANSWER_TIME_MAX).await
}

async fn ask_v4(key: &NodeKey, node: &Node, ask: impl FnOnce(&mut Discv4, Instant)) -> io::Result<Option<Action>> {
    let Some(addr) = node.udp_addr() else { return Ok(None) };
    let socket = socket_for(addr).await?;
    let config =
        Config { key: key.clone(), record: own_record(key), bootnodes: Vec::new(), lookup_interval: NO_LOOKUPS };
    let now = Instant::now();
    let mut discv4 = Discv4::new(config, now, unix(), StdRng::from_rng(&mut rand::rng()));
    ask(&mut discv4, now);
    let answer = tokio::time::timeout(ANSWER_TIME_MAX, drive(&mut discv4, &socket)).await;
    answer.map_or(Ok(None), |answer| answer.map(Some))
}

/// Runs until the question is answered.
async fn drive(discv4: &mut Discv4, socket: &UdpSocket) -> io::Result<Action> {
    let mut buffer = [0; PACKET_BYTES_MAX];
    loop {
        while let Some(action) = discv4.poll() {
            match action {
                Action::Send { to, bytes } => drop(socket.send_to(&bytes, to).await?),
                Action::Pinged { .. } | Action::RecordAnswered { .. } => return Ok(action),
                Action::Found(_) | Action::Endpoint { .. } | Action::LookupDone { .. } => {}
            }
        }
        let deadline = discv4.next_deadline().unwrap_or_else(|| Instant::now() + ANSWER_TIME_MAX);
        tokio::select! {
            received = socket.recv_from(&mut buffer) => {
                let (length, from) = received?;
                // Whatever else reaches this port is not the answer.
                let _ = discv4.handle(from, &buffer[..length], Instant::now());
            }
            () = tokio::time::sleep_until(deadline.into()) => discv4.advance(Instant::now()),
        }
    }
}

async fn socket_for(addr: SocketAddr) -> io::Result<UdpSocket> {
    if addr.is_ipv4() {
        UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await
    } else {
        UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).await
    }
}

/// Who asks: nobody that should be asked back.
fn own_record(key: &NodeKey) -> Record {
    let seq = u64::try_from(unix().as_millis()).unwrap_or(u64::MAX);
    Record::sign(key, &RecordContent { seq, ..RecordContent::default() })
}
