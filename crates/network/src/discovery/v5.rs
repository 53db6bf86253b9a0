//! discv5: the `discv5` crate behind our own queues.
//!
//! The crate reads the socket, keeps the table and answers others. Around it:
//!
//! - Its one channel of events loses what is not taken at once, so a task of its own takes everything and sorts it into
//!   queues of ours.
//! - It adds whoever opened a session to its table and pings them every few minutes. We ping at once and go on around
//!   the table ([`REVALIDATE_EVERY`]), so that what the table hands out is alive, and every Pong is a vote for our
//!   address.
//! - Our record is made elsewhere ([`crate::LocalNode`]) and put into it; its own updates by vote are off.

use super::datagram::{DATAGRAMS_MAX, Datagram, Udp};
use discv5::{ConfigBuilder, Discv5, Enr, Event, ListenConfig, RateLimiterBuilder};
use enr::{CombinedKey, NodeId};
use rand::RngExt;
use starling_discovery::Record;
use starling_primitives::NodeKey;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::UdpSocket,
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior},
};

/// Records and votes that wait for the driver; more are lost, and found again.
const FOUND_MAX: usize = 512;
/// Fresh sessions that wait for their first ping; more are pinged when the table comes to them.
const FRESH_MAX: usize = 256;
/// A node of the table is pinged this often, one after the other. All of a full table in a quarter of an hour.
const REVALIDATE_EVERY: Duration = Duration::from_secs(3);
/// Pings under way; more wait.
const PINGS_MAX: usize = 16;
/// Packets that are let in: of all, of one address, of one node, each in a second. The crate's default of ten in all
/// is no more than one lookup; discv4 passes through the same gate.
const PACKETS_PER_SECOND: u64 = 1000;
const PACKETS_PER_ADDRESS: u64 = 100;
const PACKETS_PER_NODE: u64 = 50;

/// What discv5 tells the driver.
#[derive(Debug)]
pub(super) enum Found {
    /// A node of the network; alive if it answered us.
    Node { record: Record, is_alive: bool },
    /// A node says where our packets come from.
    Endpoint { voter: SocketAddr, seen: SocketAddr },
}

/// A running discv5.
pub(super) struct Service {
    inner: Arc<Discv5>,
}

/// discv5 did not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot start discv5: {0}")]
pub struct StartError(String);

/// How discv5 is run.
pub(super) struct Settings<'a> {
    pub(super) key: &'a NodeKey,
    pub(super) record: &'a Record,
    /// On loopback every node has one address, so limits by address are off.
    pub(super) on_loopback: bool,
    /// Time from one lookup to the next.
    pub(super) lookup_every: watch::Receiver<Duration>,
}

impl Service {
    /// Starts it on sockets that it shares. What it cannot read comes out as datagrams.
    pub(super) async fn start(
        udp: &Udp,
        settings: Settings<'_>,
    ) -> Result<(Self, mpsc::Receiver<Datagram>, mpsc::Receiver<Found>), StartError> {
        let wrong = |error: &dyn std::fmt::Display| StartError(error.to_string());
        let mut secret = settings.key.to_bytes().0;
        let key = CombinedKey::secp256k1_from_bytes(&mut secret).map_err(|error| wrong(&error))?;
        let enr = to_enr(settings.record).ok_or_else(|| wrong(&"the record cannot be read"))?;
        let sockets = ListenConfig::FromSockets { ipv4: udp.v4.clone(), ipv6: udp.v6.clone() };
        let mut config = ConfigBuilder::new(sockets);
        config.disable_enr_update();
        if !settings.on_loopback {
            let second = Duration::from_secs(1);
            let limiter = RateLimiterBuilder::new()
                .total_n_every(PACKETS_PER_SECOND, second)
                .ip_n_every(PACKETS_PER_ADDRESS, second)
                .node_n_every(PACKETS_PER_NODE, second)
                .build()
                .map_err(|error| wrong(&error))?;
            config.enable_packet_filter().filter_rate_limiter(Some(limiter)).ip_limit();
        }
        let mut discv5 = Discv5::new(enr, key, config.build()).map_err(|error| wrong(&error))?;
        discv5.start().await.map_err(|error| wrong(&format!("{error:?}")))?;
        let events = discv5.event_stream().await.map_err(|error| wrong(&format!("{error:?}")))?;
        let inner = Arc::new(discv5);
        let (datagrams, datagrams_out) = mpsc::channel(DATAGRAMS_MAX);
        let (found, found_out) = mpsc::channel(FOUND_MAX);
        let (fresh, fresh_out) = mpsc::channel(FRESH_MAX);
        tokio::spawn(drain(events, datagrams, found.clone(), fresh));
        tokio::spawn(revalidate(Arc::downgrade(&inner), fresh_out, found.clone()));
        tokio::spawn(look_around(Arc::downgrade(&inner), settings.lookup_every, found));
        Ok((Self { inner }, datagrams_out, found_out))
    }

    /// A node that may speak discv5; the table decides.
    pub(super) fn add(&self, record: &Record) {
        let reachable = record.udp4().is_some() || record.udp6().is_some();
        if let Some(enr) = to_enr(record).filter(|_| reachable) {
            // Full or filtered: the table knows better.
            let _ = self.inner.add_enr(enr);
        }
    }

    /// Nodes in the table.
    pub(super) fn table_size(&self) -> usize {
        self.inner.table_entries_id().len()
    }

    /// Our record has changed.
    pub(super) fn set_record(&self, record: &Record) {
        if let Some(enr) = to_enr(record) {
            *self.inner.external_enr().write() = enr;
        }
    }
}

fn to_enr(record: &Record) -> Option<Enr> {
    record.to_string().parse().ok()
}

fn to_record(enr: &Enr) -> Option<Record> {
    enr.to_base64().parse().ok()
}

/// Takes every event at once.
async fn drain(
    mut events: mpsc::Receiver<Event>,
    datagrams: mpsc::Sender<Datagram>,
    found: mpsc::Sender<Found>,
    fresh: mpsc::Sender<Enr>,
) {
    // Each `try_send` that finds its queue full loses something that the network says again.
    while let Some(event) = events.recv().await {
        match event {
            Event::UnrecognizedFrame(frame) => {
                let _ = datagrams.try_send(Datagram { from: frame.src_address, bytes: frame.packet });
            }
            Event::SessionEstablished(enr, _) => {
                let _ = fresh.try_send(enr);
            }
            Event::Discovered(enr) => tell(&found, &enr, false),
            Event::TalkRequest(request) => {
                // We speak no protocol over it, which an empty answer says.
                let _ = request.respond(Vec::new());
            }
            _ => {}
        }
    }
}

fn tell(found: &mpsc::Sender<Found>, enr: &Enr, is_alive: bool) {
    if let Some(record) = to_record(enr) {
        let _ = found.try_send(Found::Node { record, is_alive });
    }
}

/// Pings fresh sessions at once and the table in turn.
async fn revalidate(discv5: std::sync::Weak<Discv5>, mut fresh: mpsc::Receiver<Enr>, found: mpsc::Sender<Found>) {
    let mut tick = tokio::time::interval(REVALIDATE_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pings = JoinSet::new();
    let mut last = NodeId::new(&[0; 32]);
    loop {
        let enr = tokio::select! {
            _ = tick.tick() => None,
            enr = fresh.recv(), if pings.len() < PINGS_MAX => match enr {
                Some(enr) => Some(enr),
                None => return,
            },
            Some(pong) = pings.join_next() => {
                if let Ok(Some((enr, vote))) = pong {
                    tell(&found, &enr, true);
                    let _ = found.try_send(vote);
                }
                continue;
            }
        };
        let Some(discv5) = discv5.upgrade() else { return };
        let enr = enr.or_else(|| next_in_table(&discv5, &mut last));
        let reachable = |enr: &Enr| discv5.ip_mode().get_contactable_addr(enr).is_some();
        if let Some(enr) = enr.filter(|enr| pings.len() < PINGS_MAX && reachable(enr)) {
            pings.spawn(ping(&discv5, enr));
        }
    }
}

/// Asks whether a node is there; its Pong says how it sees us.
fn ping(discv5: &Discv5, enr: Enr) -> impl Future<Output = Option<(Enr, Found)>> + Send + 'static {
    let pong = discv5.send_ping(enr.clone());
    async move {
        let pong = pong.await.ok()?;
        let voter = enr.udp4_socket().map(SocketAddr::V4).or(enr.udp6_socket().map(SocketAddr::V6))?;
        Some((enr, Found::Endpoint { voter, seen: SocketAddr::new(pong.ip, pong.port) }))
    }
}

/// The node after the last one, by id, around and around.
fn next_in_table(discv5: &Discv5, last: &mut NodeId) -> Option<Enr> {
    let entries = discv5.table_entries_enr();
    let after = entries.iter().filter(|enr| enr.node_id().raw() > last.raw()).min_by_key(|enr| enr.node_id().raw());
    let next = after.or_else(|| entries.iter().min_by_key(|enr| enr.node_id().raw())).cloned()?;
    *last = next.node_id();
    Some(next)
}

/// Walks to random places of the network, more slowly when the driver wants fewer nodes.
async fn look_around(
    discv5: std::sync::Weak<Discv5>,
    mut every: watch::Receiver<Duration>,
    found: mpsc::Sender<Found>,
) {
    loop {
        {
            let Some(discv5) = discv5.upgrade() else { return };
            if !discv5.table_entries_id().is_empty() {
                let target = NodeId::new(&rand::rng().random());
                let lookup = discv5.find_node(target);
                drop(discv5);
                for enr in lookup.await.unwrap_or_default() {
                    tell(&found, &enr, true);
                }
            }
        }
        // Another pace counts from the last lookup on.
        let looked = Instant::now();
        loop {
            let pause = *every.borrow_and_update();
            tokio::select! {
                () = tokio::time::sleep(pause.saturating_sub(looked.elapsed())) => break,
                changed = every.changed() => if changed.is_err() { return },
            }
        }
    }
}

/// Asks one node for a Pong and its record, from a socket of our own.
pub(crate) async fn ask_v5(
    key: &NodeKey,
    own: &Record,
    socket: UdpSocket,
    node: &Record,
    time_max: Duration,
) -> Option<(Duration, Option<Record>)> {
    let v4 = socket.local_addr().ok()?.is_ipv4();
    let (v4, v6) = if v4 { (Some(socket), None) } else { (None, Some(socket)) };
    let (_every, lookup_every) = watch::channel(Duration::MAX);
    let settings = Settings { key, record: own, on_loopback: true, lookup_every };
    let (service, _datagrams, _found) = Service::start(&Udp::new(v4, v6), settings).await.ok()?;
    let enr = to_enr(node)?;
    let started = std::time::Instant::now();
    tokio::time::timeout(time_max, service.inner.send_ping(enr.clone())).await.ok()?.ok()?;
    let round_trip = started.elapsed();
    let answer = tokio::time::timeout(time_max, service.inner.find_node_designated_peer(enr, vec![0])).await;
    let record = answer.ok().and_then(Result::ok).and_then(|records| records.first().and_then(to_record));
    Some((round_trip, record))
}
