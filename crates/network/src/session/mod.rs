//! A task a connection: from the socket to the last goodbye.
//!
//! ```text
//! dial ─┐
//!       ├─► RLPx, Hello ─ Identified ─► (manager: Keep) ─► Status both ways ─ Ready ─► messages ─► goodbye ─ Closed
//! accept┘
//! ```
//!
//! The protocol is devp2p's [`Session`], a plain value; [`pump::Pump`] moves bytes between it and a stream. A session
//! that the owner cannot keep up with stops reading, so TCP slows the peer down. One that the peer does not read from
//! is ended after [`starling_devp2p::session::WRITE_TIMEOUT`].

mod ending;
mod pump;
mod status;

use crate::{
    event::{NetworkEvent, PeerEvents},
    outbox::Outbox,
    report::{Line, Order, Report},
    shared::{Peer, Shared},
};
use ending::{Ending, reason_of};
use parking_lot::RwLock;
use pump::{Pump, Step};
use starling_devp2p::{
    Established, Hello, Message, Session,
    eth::{EthMessage, EthVersion, request_id},
    session::Offer,
};
use starling_peers::{Direction, DropReason, Offence};
use starling_primitives::{NodeKey, PeerId};
use std::{net::SocketAddr, sync::Arc, time::Instant};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

/// How long a peer may take to accept a TCP connection.
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(15);

/// Which peer at which end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) direction: Direction,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) remote: SocketAddr,
}

/// Connects to a peer and lives until the connection is over.
pub(crate) async fn dial(shared: Arc<Shared>, mut line: Line, id: PeerId, remote: SocketAddr) {
    let connected = tokio::select! {
        connected = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(remote)) => {
            connected.ok().and_then(Result::ok).ok_or(DropReason::Unreachable)
        }
        order = line.order() => Err(match order {
            Order::Drop(reason) => reason,
            Order::Keep => DropReason::Unreachable,
        }),
    };
    match connected {
        Ok(stream) => {
            let offer = offer(&shared);
            let session = Session::dial(&shared.key, id, &offer, Instant::now(), &mut rand::rng());
            let ends = Ends { direction: Direction::Outbound, local: stream.local_addr().ok(), remote };
            match session {
                Ok(session) => run(shared, line, tuned(stream), session, ends).await,
                Err(_) => closed(&line, DropReason::UnexpectedIdentity).await,
            }
        }
        Err(reason) => closed(&line, reason).await,
    }
}

/// Answers a connection that came in and lives until it is over.
pub(crate) async fn accept(shared: Arc<Shared>, line: Line, stream: TcpStream, remote: SocketAddr) {
    let session = Session::accept(&shared.key, &offer(&shared), Instant::now(), &mut rand::rng());
    let ends = Ends { direction: Direction::Inbound, local: stream.local_addr().ok(), remote };
    run(shared, line, tuned(stream), session, ends).await;
}

/// Connects only to hear a peer's Hello; in words why there is none.
pub(crate) async fn greet(
    key: &NodeKey,
    offer: Offer,
    id: PeerId,
    remote: SocketAddr,
    mut line: Line,
) -> Result<Hello, String> {
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(remote)).await;
    let stream = connected.map_err(|_| "no connection in time")?.map_err(|error| error.to_string())?;
    let session =
        Session::dial(key, id, &offer, Instant::now(), &mut rand::rng()).map_err(|error| error.to_string())?;
    let mut pump = Pump::new(stream, session);
    loop {
        match pump.step(&mut line).await {
            Ok(Step::Established(established)) => {
                pump.say_goodbye(DropReason::Removed).await;
                return Ok(established.hello);
            }
            Ok(Step::Message(_) | Step::Ordered(_)) => {}
            Err(ending) => return Err(ending.detail.unwrap_or_else(|| ending.reason.to_string())),
        }
    }
}

fn tuned(stream: TcpStream) -> TcpStream {
    // Messages are written whole: waiting for more only adds delay. A socket that refuses is as good without.
    let _ = stream.set_nodelay(true);
    stream
}

fn offer(shared: &Shared) -> Offer {
    let protocols = shared.status.borrow().protocols();
    Offer { client_id: shared.client_id.clone(), protocols, listen_port: 0 }
}

async fn closed(line: &Line, reason: DropReason) {
    line.report(Report::Closed { connection: line.connection, reason }).await;
}

/// Drives a session over any stream to its end.
pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    shared: Arc<Shared>,
    line: Line,
    stream: S,
    session: Session,
    ends: Ends,
) {
    let mut task = Task { shared, line, pump: Pump::new(stream, session), ends };
    let ending = match task.live().await {
        Ok(never) => match never {},
        Err(ending) => ending,
    };
    tracing::debug!(
        connection = task.line.connection.0,
        remote = %ends.remote,
        reason = ending.reason.label(),
        detail = ending.detail.as_deref().unwrap_or_default(),
        "connection ends"
    );
    task.pump.say_goodbye(ending.reason).await;
    closed(&task.line, ending.reason).await;
}

struct Task<S> {
    shared: Arc<Shared>,
    line: Line,
    pump: Pump<S>,
    ends: Ends,
}

/// A session has no result but its end.
type Endless = Result<std::convert::Infallible, Ending>;

impl<S: AsyncRead + AsyncWrite + Unpin> Task<S> {
    async fn live(&mut self) -> Endless {
        let established = self.established().await?;
        let version = established.protocols.iter().find_map(EthVersion::of).ok_or(DropReason::NoSharedCapability)?;
        self.line.report(Report::Identified { connection: self.line.connection, id: established.remote }).await;
        let first = self.kept().await?;
        let status = self.exchange_status(version, first).await?;
        let peer = self.peer(established, version, status);
        self.line.report(Report::Ready { connection: peer.connection }).await;
        self.shared.join(peer.clone()).await;
        let Err(ending) = self.serve(&peer).await;
        self.shared.leave(&peer, ending.reason).await;
        Err(ending)
    }

    /// RLPx and Hello; devp2p bounds their time.
    async fn established(&mut self) -> Result<Established, Ending> {
        loop {
            match self.pump.step(&mut self.line).await? {
                Step::Established(established) => return Ok(established),
                Step::Ordered(Order::Drop(reason)) => return Err(reason.into()),
                Step::Ordered(Order::Keep) | Step::Message(_) => {}
            }
        }
    }

    /// Waits for the manager's word. The peer may be quicker and send its Status meanwhile: that is kept, and nothing
    /// more is read.
    async fn kept(&mut self) -> Result<Option<Message>, Ending> {
        let mut first = None;
        loop {
            let step = match first {
                None => self.pump.step(&mut self.line).await?,
                Some(_) => Step::Ordered(self.pump.flush_until_ordered(&mut self.line).await?),
            };
            match step {
                Step::Ordered(Order::Keep) => return Ok(first),
                Step::Ordered(Order::Drop(reason)) => return Err(reason.into()),
                Step::Message(message) => first = Some(message),
                Step::Established(_) => {}
            }
        }
    }

    fn peer(&self, established: Established, version: EthVersion, status: starling_devp2p::eth::Status) -> Arc<Peer> {
        Arc::new(Peer {
            id: established.remote,
            connection: self.line.connection,
            direction: self.ends.direction,
            local: self.ends.local,
            remote: self.ends.remote,
            client_id: established.hello.client_id,
            capabilities: established.hello.capabilities,
            version,
            range: RwLock::new(status.range()),
            status,
            outbox: Outbox::new(version),
            since: Instant::now(),
        })
    }

    /// Messages both ways until the end.
    async fn serve(&mut self, peer: &Peer) -> Endless {
        let events = self.shared.events.of_peer();
        loop {
            match self.pump.step_with(&mut self.line, &peer.outbox).await? {
                Step::Message(message) => self.deliver(peer, &events, message).await?,
                Step::Ordered(Order::Drop(reason)) => return Err(reason.into()),
                Step::Ordered(Order::Keep) | Step::Established(_) => {}
            }
        }
    }

    /// Judges a message by what can be said without knowing the chain, and hands it over.
    async fn deliver(&mut self, peer: &Peer, events: &PeerEvents, message: Message) -> Result<(), Ending> {
        if let Some(request) = request_id(message.id, &message.payload)
            && !peer.outbox.settle(request.map_err(|error| Ending::breach(&error))?, message.id)
        {
            // Not decoded at all: an answer that nobody asked for must not cost anything.
            self.line.report(Report::Offence { id: peer.id, offence: Offence::UnrequestedAnswer }).await;
            return Ok(());
        }
        let bytes = message.payload.len();
        let message =
            EthMessage::decode(peer.version, message.id, &message.payload).map_err(|error| Ending::breach(&error))?;
        match &message {
            EthMessage::Status(_) => return Err(Ending::breach(&"a second Status")),
            EthMessage::NewBlock(_) | EthMessage::NewBlockHashes(_) if self.shared.status.borrow().is_merged => {
                return Err(Ending::breach(&"a block announced on a chain that has merged"));
            }
            EthMessage::BlockRangeUpdate(range) => {
                range.check().map_err(|error| Ending::breach(&error))?;
                *peer.range.write() = Some(*range);
            }
            _ => {}
        }
        let room = self.pump.while_pumping(&mut self.line, &peer.outbox, events.room(bytes)).await?;
        if let Some((slot, charge)) = room {
            slot.send(NetworkEvent::Message { peer: peer.id, connection: peer.connection, message, charge });
        }
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pump<S> {
    /// Tells the peer why, as far as the protocol can, and lets it read that.
    async fn say_goodbye(&mut self, reason: DropReason) {
        if !reason.is_remote() {
            self.session().disconnect(reason.wire());
        }
        self.finish().await;
    }
}

impl From<starling_devp2p::CloseCause> for Ending {
    fn from(cause: starling_devp2p::CloseCause) -> Self {
        Self { reason: reason_of(&cause), detail: Some(cause.to_string()) }
    }
}
