//! The one loop that does what [`Peers`] decides.

use crate::{
    ChainStatus,
    handle::{Command, DropRecord, Overview},
    report::{Line, ORDERS_MAX, Order, Report},
    resolve::Resolver,
    session,
    shared::Shared,
};
use starling_devp2p::eth::{BlockRange, EthMessage, EthVersion};
use starling_discovery::Node;
use starling_peers::{ConnectionId, DropReason, PeerAction, PeerEvent, Peers};
use starling_primitives::PeerId;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    net::TcpStream,
    sync::{mpsc, watch},
    task::{AbortHandle, JoinSet},
};

/// A new range is told to peers after so many blocks, as geth does, or when the head has gone back.
const RANGE_UPDATE_EVERY_BLOCKS: u64 = 32;
/// Outcomes that wait for discovery.
pub(crate) const OUTCOMES_MAX: usize = 256;
/// At the stop, sessions have this long to say goodbye.
const GOODBYE_TIME_MAX: Duration = Duration::from_millis(500);

/// Everything the loop owns.
pub(crate) struct Manager {
    pub(crate) shared: Arc<Shared>,
    pub(crate) peers: Peers,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) candidates: mpsc::Receiver<Node>,
    /// Tells discovery how the dials of its candidates went.
    pub(crate) outcomes: mpsc::Sender<Outcome>,
    pub(crate) resolver: Option<Resolver>,
    pub(crate) reports: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
    pub(crate) sessions: HashMap<ConnectionId, Session>,
    pub(crate) tasks: JoinSet<()>,
    /// The range that peers were last told.
    pub(crate) told: BlockRange,
    /// The tasks that take connections.
    pub(crate) listeners: Vec<AbortHandle>,
}

/// A connection as the manager sees it.
pub(crate) struct Session {
    orders: mpsc::Sender<Order>,
    /// A stream that came in and was not admitted yet.
    waiting: Option<(TcpStream, SocketAddr, Line)>,
    peer: Option<PeerId>,
}

/// What became of a candidate.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    /// Connected.
    Connected(PeerId),
    /// Gone again, or never reached.
    Ended(PeerId, Ended),
}

/// How a connection with a candidate ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It had been a peer.
    AfterReady,
    /// It never became one.
    BeforeReady,
}

impl Manager {
    /// Runs until a command says stop, or every handle is gone.
    pub(crate) async fn run(mut self, mut status: watch::Receiver<ChainStatus>) {
        loop {
            self.act();
            let deadline = self.peers.next_deadline(Instant::now());
            let wants_candidates = self.peers.candidates_wanted() > 0;
            tokio::select! {
                Some(report) = self.reports.1.recv() => self.report(report),
                command = self.commands.recv() => match command {
                    Some(Command::Stop(done)) => {
                        self.stop().await;
                        let _ = done.send(());
                        return;
                    }
                    Some(command) => self.command(command),
                    None => return self.stop().await,
                },
                Some(node) = self.candidates.recv(), if wants_candidates => self.candidate(&node),
                Ok(()) = status.changed() => self.status_changed(&status.borrow_and_update().clone()),
                () = sleep_until(deadline) => self.peers.handle_deadline(Instant::now()),
                Some(_) = self.tasks.join_next() => {}
            }
        }
    }

    fn handle(&mut self, event: PeerEvent) {
        self.peers.handle(event, Instant::now());
    }

    /// Does everything that was decided.
    fn act(&mut self) {
        while let Some(action) = self.peers.poll() {
            match action {
                PeerAction::Dial { connection, id, addr } => self.dial(connection, id, addr),
                PeerAction::Resolve { id, host } => self.resolve(id, host),
                PeerAction::Admit { connection } => self.admit(connection),
                PeerAction::Keep { connection } => self.order(connection, Order::Keep),
                PeerAction::Drop { connection, reason } => self.drop_connection(connection, reason),
            }
        }
    }

    fn dial(&mut self, connection: ConnectionId, id: PeerId, addr: SocketAddr) {
        let line = self.open(connection, Some(id));
        self.tasks.spawn(session::dial(self.shared.clone(), line, id, addr));
    }

    fn admit(&mut self, connection: ConnectionId) {
        let waiting = self.sessions.get_mut(&connection).and_then(|session| session.waiting.take());
        if let Some((stream, from, line)) = waiting {
            self.tasks.spawn(session::accept(self.shared.clone(), line, stream, from));
        }
    }

    fn drop_connection(&mut self, connection: ConnectionId, reason: DropReason) {
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        if session.waiting.take().is_some() {
            // Nothing was said yet: the socket closes without a word.
            self.closed(connection, reason);
        } else {
            self.order(connection, Order::Drop(reason));
        }
    }

    fn order(&mut self, connection: ConnectionId, order: Order) {
        if let Some(session) = self.sessions.get(&connection) {
            // Full only for a session that has been told to end.
            let _ = session.orders.try_send(order);
        }
    }

    fn resolve(&mut self, id: PeerId, host: String) {
        let (resolver, reports) = (self.resolver.clone(), self.reports.0.clone());
        self.tasks.spawn(async move {
            let ips = match resolver {
                Some(resolver) => resolver.addresses(&host).await,
                None => Vec::new(),
            };
            let _ = reports.send(Report::Resolved { id, ips }).await;
        });
    }

    fn open(&mut self, connection: ConnectionId, peer: Option<PeerId>) -> Line {
        let (orders, receiver) = mpsc::channel(ORDERS_MAX);
        self.sessions.insert(connection, Session { orders, waiting: None, peer });
        Line { connection, reports: self.reports.0.clone(), orders: receiver }
    }

    fn report(&mut self, report: Report) {
        match report {
            Report::Accepted { stream, from } => {
                let connection = self.peers.next_connection();
                let line = self.open(connection, None);
                if let Some(session) = self.sessions.get_mut(&connection) {
                    session.waiting = Some((stream, from, line));
                }
                self.handle(PeerEvent::Incoming { connection, from });
            }
            Report::Identified { connection, id } => {
                if let Some(session) = self.sessions.get_mut(&connection) {
                    session.peer = Some(id);
                }
                self.handle(PeerEvent::Identified { connection, id });
            }
            Report::Ready { connection } => self.ready(connection),
            Report::Closed { connection, reason } => self.closed(connection, reason),
            Report::Resolved { id, ips } => self.handle(PeerEvent::Resolved { id, ips }),
            Report::Offence { id, offence } => self.handle(PeerEvent::Offence { id, offence }),
        }
    }

    fn ready(&mut self, connection: ConnectionId) {
        self.handle(PeerEvent::Ready { connection });
        if let Some(peer) = self.sessions.get(&connection).and_then(|session| session.peer) {
            self.tell_discovery(Outcome::Connected(peer));
        }
        self.count();
    }

    fn closed(&mut self, connection: ConnectionId, reason: DropReason) {
        let Some(session) = self.sessions.remove(&connection) else { return };
        let counts = self.peers.counts();
        self.handle(PeerEvent::Closed { connection, reason });
        metrics::counter!("p2p_drops_total", "reason" => reason.label()).increment(1);
        let was_ready = self.peers.counts() != counts;
        if let Some(peer) = session.peer {
            let ended = if was_ready { Ended::AfterReady } else { Ended::BeforeReady };
            self.tell_discovery(Outcome::Ended(peer, ended));
        }
        self.count();
    }

    fn count(&self) {
        let counts = self.peers.counts();
        metrics::gauge!("p2p_peers", "direction" => "inbound").set(counts.inbound as f64);
        metrics::gauge!("p2p_peers", "direction" => "outbound").set(counts.outbound as f64);
    }

    fn tell_discovery(&self, outcome: Outcome) {
        // Discovery that lags behind learns the next one; it only makes it propose somebody in vain.
        let _ = self.outcomes.try_send(outcome);
    }

    fn candidate(&mut self, node: &Node) {
        if let Some(addr) = node.tcp_addr() {
            self.handle(PeerEvent::Candidate { id: node.id, addr });
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Peers(event) => self.handle(event),
            Command::Drops(answer) => {
                let now = Instant::now();
                let drops = self.peers.drops();
                let recent = drops
                    .recent()
                    .map(|drop| DropRecord { drop: drop.clone(), ago: now.saturating_duration_since(drop.at) })
                    .collect();
                let overview = Overview {
                    counts: self.peers.counts(),
                    drops: drops.counts().collect(),
                    recent,
                    banned: self.peers.banned(now).map(|(peer, until)| (peer, until - now)).collect(),
                };
                let _ = answer.send(overview);
            }
            Command::Named(answer) => {
                let _ = answer.send(self.peers.named());
            }
            // Taken out in the loop, which alone can wait.
            Command::Stop(_) => {}
        }
    }

    fn status_changed(&mut self, status: &ChainStatus) {
        let range = status.range;
        let far = range.latest >= self.told.latest.saturating_add(RANGE_UPDATE_EVERY_BLOCKS);
        if far || range.latest < self.told.latest {
            self.told = range;
            let update = EthMessage::BlockRangeUpdate(range);
            for peer in self.shared.peers() {
                if peer.version >= EthVersion::V69 {
                    // A peer whose queue is full has worse trouble than an old range.
                    let _ = peer.outbox.push(&update);
                }
            }
        }
    }

    async fn stop(&mut self) {
        self.listeners.iter().for_each(AbortHandle::abort);
        self.handle(PeerEvent::Stop);
        self.act();
        let goodbyes = async { while self.tasks.join_next().await.is_some() {} };
        // Their last reports must not fill the queue while nobody reads it.
        self.reports.1.close();
        let _ = tokio::time::timeout(GOODBYE_TIME_MAX, goodbyes).await;
        self.tasks.abort_all();
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
