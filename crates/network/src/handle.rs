//! What the owner of the network can ask of it, from any thread.

use crate::{
    ChainStatus,
    local::LocalNode,
    outbox::SendFailure,
    shared::{Peer, Shared},
};
use starling_devp2p::{
    Capability,
    eth::{BlockRange, EthMessage, EthVersion, Status},
};
use starling_discovery::{Enode, Record};
use starling_peers::{ConnectionId, Direction, Drop, DropReason, Merit, NamedPeers, Offence, PeerCounts, PeerEvent};
use starling_primitives::PeerId;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot};

/// Commands that wait for the manager. Who commands from a task waits for room; a command from elsewhere that finds
/// none is dropped, which the function says.
pub(crate) const COMMANDS_MAX: usize = 1024;

/// Reaches a running network. Cheap to clone.
#[derive(Debug, Clone)]
pub struct NetworkHandle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) local: Arc<LocalNode>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) questions: mpsc::Sender<Question>,
}

/// From a handle to the manager.
#[derive(Debug)]
pub(crate) enum Command {
    Peers(PeerEvent),
    Drops(oneshot::Sender<Overview>),
    Named(oneshot::Sender<NamedPeers>),
    Stop(oneshot::Sender<()>),
}

/// From a handle to discovery.
#[derive(Debug)]
pub(crate) enum Question {
    /// The database of nodes as text, if it has changed.
    Database(oneshot::Sender<Option<String>>),
}

/// The network has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the network has stopped")]
pub struct Stopped;

/// A connected peer, as it is shown to people.
#[derive(Debug, Clone)]
pub struct PeerSnapshot {
    /// Who.
    pub id: PeerId,
    /// By which connection.
    pub connection: ConnectionId,
    /// Who opened it.
    pub direction: Direction,
    /// Our end.
    pub local: Option<SocketAddr>,
    /// Its end; the port is where it listens only if we dialed it.
    pub remote: SocketAddr,
    /// Name and version of its program, by its own word.
    pub client_id: String,
    /// What it speaks.
    pub capabilities: Vec<Capability>,
    /// What we speak with it.
    pub version: EthVersion,
    /// What it said of its chain at first.
    pub status: Status,
    /// What it said it can serve last; eth/68 does not say.
    pub range: Option<BlockRange>,
    /// How long it has been a peer.
    pub connected: Duration,
    /// What waits to be sent to it, in bytes.
    pub queued_bytes: usize,
}

/// Why peers were dropped, and how many there are.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    /// Connections by kind.
    pub counts: PeerCounts,
    /// Drops by reason since the start.
    pub drops: Vec<(DropReason, u64)>,
    /// The last drops, newest first.
    pub recent: Vec<DropRecord>,
    /// Banned peers, and for how long yet.
    pub banned: Vec<(PeerId, Duration)>,
}

/// One drop and how long ago it was.
#[derive(Debug, Clone)]
pub struct DropRecord {
    /// What happened.
    pub drop: Drop,
    /// How long ago.
    pub ago: Duration,
}

impl NetworkHandle {
    /// Queues a message for a peer. An answer to a request that was sent so comes as an event; nobody waits for it
    /// here.
    pub fn send(&self, peer: &PeerId, message: &EthMessage) -> Result<(), SendFailure> {
        self.shared.peer(peer).ok_or(SendFailure::NotConnected)?.outbox.push(message)
    }

    /// Waits until a peer has read most of what was sent to it; false if it is not connected. Who serves waits here,
    /// so that a peer that asks and does not read costs nothing but its own patience.
    pub async fn room(&self, peer: &PeerId) -> bool {
        let Some(peer) = self.shared.peer(peer) else { return false };
        peer.outbox.room().await;
        true
    }

    /// The peers, in no order.
    pub fn peers(&self) -> Vec<PeerSnapshot> {
        self.shared.peers().iter().map(|peer| snapshot(peer)).collect()
    }

    /// How many peers there are.
    pub fn peer_count(&self) -> usize {
        self.shared.peer_count()
    }

    /// How this node is reached.
    pub fn local(&self) -> &LocalNode {
        &self.local
    }

    /// What is told to peers from now on.
    pub fn set_status(&self, status: ChainStatus) {
        self.shared.status.send_replace(status);
    }

    /// What is told to peers now.
    pub fn status(&self) -> ChainStatus {
        self.shared.status.borrow().clone()
    }

    /// A peer did something wrong. Left out when the manager is that busy: offenders repeat themselves.
    pub fn penalise(&self, id: PeerId, offence: Offence) {
        let _ = self.commands.try_send(Command::Peers(PeerEvent::Offence { id, offence }));
    }

    /// A peer was useful. Left out when the manager is that busy.
    pub fn praise(&self, connection: ConnectionId, merit: Merit, amount: u32) {
        let _ = self.commands.try_send(Command::Peers(PeerEvent::Merit { connection, merit, amount }));
    }

    /// Ends the connection with a peer.
    pub async fn disconnect(&self, id: PeerId, reason: DropReason) -> Result<(), Stopped> {
        self.command(Command::Peers(PeerEvent::Disconnect { id, reason })).await
    }

    /// Connects to a peer, now and whenever the connection is lost.
    pub async fn add_static(&self, enode: Enode) -> Result<(), Stopped> {
        self.command(Command::Peers(PeerEvent::AddStatic(enode))).await
    }

    /// No more, and drops it.
    pub async fn remove_static(&self, id: PeerId) -> Result<(), Stopped> {
        self.command(Command::Peers(PeerEvent::RemoveStatic(id))).await
    }

    /// Lets a peer in whatever the limits say.
    pub async fn add_trusted(&self, id: PeerId) -> Result<(), Stopped> {
        self.command(Command::Peers(PeerEvent::AddTrusted(id))).await
    }

    /// No more; it stays connected.
    pub async fn remove_trusted(&self, id: PeerId) -> Result<(), Stopped> {
        self.command(Command::Peers(PeerEvent::RemoveTrusted(id))).await
    }

    /// Why peers were dropped, and how many there are.
    pub async fn overview(&self) -> Result<Overview, Stopped> {
        self.ask(Command::Drops).await
    }

    /// The peers that an operator named.
    pub async fn named(&self) -> Result<NamedPeers, Stopped> {
        self.ask(Command::Named).await
    }

    /// The database of known nodes as text, for the file that [`crate::NetworkConfig::database`] is read from; none if
    /// nothing has changed since it was asked for last, or there is no discovery.
    pub async fn node_database(&self) -> Option<String> {
        let (answer, wait) = oneshot::channel();
        self.questions.send(Question::Database(answer)).await.ok()?;
        wait.await.ok().flatten()
    }

    /// Says goodbye to every peer and stops; under a second.
    pub async fn stop(&self) {
        let (done, wait) = oneshot::channel();
        if self.command(Command::Stop(done)).await.is_ok() {
            // The manager may end before it answers; it has stopped then as well.
            let _ = wait.await;
        }
    }

    /// The record of this node.
    pub fn record(&self) -> Record {
        self.local.record()
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Stopped> {
        let (answer, wait) = oneshot::channel();
        self.command(question(answer)).await?;
        wait.await.map_err(|_| Stopped)
    }

    async fn command(&self, command: Command) -> Result<(), Stopped> {
        self.commands.send(command).await.map_err(|_| Stopped)
    }
}

fn snapshot(peer: &Peer) -> PeerSnapshot {
    PeerSnapshot {
        id: peer.id,
        connection: peer.connection,
        direction: peer.direction,
        local: peer.local,
        remote: peer.remote,
        client_id: peer.client_id.clone(),
        capabilities: peer.capabilities.clone(),
        version: peer.version,
        status: peer.status.clone(),
        range: *peer.range.read(),
        connected: peer.since.elapsed(),
        queued_bytes: peer.outbox.queued_bytes(),
    }
}
