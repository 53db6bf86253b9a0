//! Drives discv4 and the DNS lists, listens to discv5, and hands candidates to the manager.

use super::{
    datagram::{DATAGRAMS_MAX, Datagram, Udp},
    lists::Lists,
    names::Names,
    v5::{Found, Service, Settings, StartError},
};
use crate::{
    ChainStatus, LocalNode,
    handle::Question,
    local::Seen,
    manager::{Ended, Outcome},
    resolve::Resolver,
};
use rand::{SeedableRng, rngs::StdRng};
use starling_chainspec::ForkId;
use starling_discovery::{
    Candidates, EndpointVotes, Node, NodeDb, NodeUrl, Record, Source,
    discv4::{Action, Config, Discv4},
    dns::TreeUrl,
};
use starling_primitives::NodeKey;
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::{mpsc, watch};

/// The wall clock is read again this often, since it may be set; and what has become old is forgotten.
const CLOCK_EVERY: Duration = Duration::from_secs(60);
/// Nodes of the database that are greeted at the start.
const SEEDS_MAX: usize = 30;
/// Former peers of the database that are proposed at the start.
const FORMER_PEERS_MAX: usize = 50;
/// While discv5 knows fewer nodes, those that discv4 finds are shown to it.
const V5_TABLE_SMALL: usize = 32;

/// What the driver is made of.
pub(crate) struct Parts {
    pub(crate) key: NodeKey,
    pub(crate) local: Arc<LocalNode>,
    pub(crate) udp: Udp,
    pub(crate) v4: bool,
    pub(crate) v5: bool,
    pub(crate) on_loopback: bool,
    pub(crate) bootnodes: Vec<NodeUrl>,
    pub(crate) lists: Vec<TreeUrl>,
    pub(crate) resolver: Option<Resolver>,
    pub(crate) database: NodeDb,
    pub(crate) peers_wanted: usize,
    /// Our chain; a boot node has none and knows nodes of all.
    pub(crate) status: Option<watch::Receiver<ChainStatus>>,
    pub(crate) candidates: mpsc::Sender<Node>,
    pub(crate) outcomes: mpsc::Receiver<Outcome>,
    pub(crate) questions: mpsc::Receiver<Question>,
}

/// The task that finds nodes.
pub(crate) struct Driver {
    // who we are
    local: Arc<LocalNode>,
    votes: EndpointVotes,
    status: Option<watch::Receiver<ChainStatus>>,
    // who finds
    udp: Udp,
    discv4: Option<Discv4>,
    discv5: Option<Service>,
    lists: Lists,
    names: Names,
    // what is found
    candidates: Candidates,
    database: NodeDb,
    to_manager: mpsc::Sender<Node>,
    // what comes in
    outcomes: mpsc::Receiver<Outcome>,
    questions: mpsc::Receiver<Question>,
    datagrams: mpsc::Receiver<Datagram>,
    found: mpsc::Receiver<Found>,
    /// The pace of lookups, which discv5 listens to.
    lookup_every: watch::Sender<Duration>,
}

impl Driver {
    /// Starts discv5 and gets everything ready to run.
    pub(crate) async fn start(parts: Parts) -> Result<Self, StartError> {
        let now = Instant::now();
        let mut candidates = Candidates::new(parts.local.id(), parts.peers_wanted, now);
        let interval = candidates.lookup_interval(now);
        let (lookup_every, every) = watch::channel(interval);
        let record = parts.local.record();
        let (discv5, datagrams, found) = if parts.v5 {
            let settings =
                Settings { key: &parts.key, record: &record, on_loopback: parts.on_loopback, lookup_every: every };
            let (service, datagrams, found) = Service::start(&parts.udp, settings).await?;
            (Some(service), datagrams, found)
        } else {
            let (sender, datagrams) = mpsc::channel(DATAGRAMS_MAX);
            parts.udp.read(&sender);
            (None, datagrams, mpsc::channel(1).1)
        };
        let mut rng = StdRng::from_rng(&mut rand::rng());
        let names = Names::new(&parts.bootnodes, parts.resolver.as_ref());
        let bootnodes: Vec<_> = parts.bootnodes.iter().filter_map(NodeUrl::node).collect();
        let seeds = parts.database.seeds(SEEDS_MAX, &mut rng);
        if let Some(discv5) = &discv5 {
            bootnodes
                .iter()
                .chain(&seeds)
                .filter_map(|node| node.record.as_ref())
                .for_each(|record| discv5.add(record));
        }
        // Refused ones are ours, or take no connections.
        let offer = |candidates: &mut Candidates, source, node| {
            let _ = candidates.offer(source, node, now);
        };
        parts.database.former_peers(FORMER_PEERS_MAX).into_iter().for_each(|node| {
            offer(&mut candidates, Source::Database, node);
        });
        bootnodes.iter().cloned().for_each(|node| offer(&mut candidates, Source::Bootnode, node));
        let discv4 = parts.v4.then(|| {
            let config = Config { key: parts.key, record, bootnodes, lookup_interval: interval };
            let mut discv4 = Discv4::new(config, now, unix(), StdRng::from_rng(&mut rng));
            discv4.add_nodes(seeds, now);
            discv4
        });
        Ok(Self {
            local: parts.local,
            votes: EndpointVotes::new(),
            status: parts.status,
            udp: parts.udp,
            discv4,
            discv5,
            lists: Lists::new(parts.lists, parts.resolver, rng, now),
            names,
            candidates,
            database: parts.database,
            to_manager: parts.candidates,
            outcomes: parts.outcomes,
            questions: parts.questions,
            datagrams,
            found,
            lookup_every,
        })
    }

    /// Runs until the manager is gone.
    pub(crate) async fn run(mut self) {
        let mut clock = tokio::time::interval(CLOCK_EVERY);
        let to_manager = self.to_manager.clone();
        loop {
            self.act();
            let deadline = self.next_deadline();
            let has_candidate = !self.candidates.is_empty();
            tokio::select! {
                Some(datagram) = self.datagrams.recv() => self.datagram(&datagram),
                Some(found) = self.found.recv() => self.found(found),
                slot = to_manager.reserve(), if has_candidate => match slot {
                    Ok(slot) => self.propose(slot),
                    Err(_) => return,
                },
                outcome = self.outcomes.recv() => match outcome {
                    Some(outcome) => self.outcome(outcome),
                    None => return,
                },
                Some(question) = self.questions.recv() => self.question(question),
                Some((name, texts)) = self.lists.answer() => self.lists.handle(&name, texts, Instant::now()),
                Some(node) = self.names.next() => self.named(node),
                Some(fork_id) = next_fork_id(&mut self.status) => self.fork_id(fork_id),
                _ = clock.tick() => self.clock(),
                () = sleep_until(deadline) => self.advance(),
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let discv4 = self.discv4.as_ref().and_then(Discv4::next_deadline);
        discv4.into_iter().chain(self.lists.next_deadline()).min()
    }

    fn advance(&mut self) {
        let now = Instant::now();
        if let Some(discv4) = &mut self.discv4 {
            discv4.advance(now);
        }
        self.lists.advance(now);
    }

    /// Does and tells what was decided, and sets the pace.
    fn act(&mut self) {
        while let Some(action) = self.discv4.as_mut().and_then(Discv4::poll) {
            match action {
                Action::Send { to, bytes } => self.udp.send(to, &bytes),
                Action::Found(node) => self.node(Source::Discv4, node),
                Action::Endpoint { voter, seen } => self.vote(voter, seen),
                Action::Pinged { .. } | Action::RecordAnswered { .. } | Action::LookupDone { .. } => {}
            }
        }
        while let Some(record) = self.lists.found() {
            if let Some(node) = Node::from_record(record) {
                self.node(Source::Dns, node);
            }
        }
        let now = Instant::now();
        let interval = self.candidates.lookup_interval(now);
        self.lists.set_wanted(self.candidates.is_hungry());
        let changed = self.lookup_every.send_if_modified(|every| std::mem::replace(every, interval) != interval);
        if changed && let Some(discv4) = &mut self.discv4 {
            discv4.set_lookup_interval(interval, now);
        }
    }

    fn datagram(&mut self, datagram: &Datagram) {
        if let Some(discv4) = &mut self.discv4 {
            // Neither protocol can read it: noise.
            let _ = discv4.handle(datagram.from, &datagram.bytes, Instant::now());
        }
    }

    /// A boot node whose name has an address now.
    fn named(&mut self, node: Node) {
        let now = Instant::now();
        // Refused if it is known already, or takes no connections.
        let _ = self.candidates.offer(Source::Bootnode, node.clone(), now);
        if let Some(discv4) = &mut self.discv4 {
            discv4.add_nodes([node], now);
        }
    }

    fn found(&mut self, found: Found) {
        match found {
            Found::Node { record, is_alive } => {
                if let Some(node) = Node::from_record(record) {
                    if is_alive {
                        self.database.found(&node, unix().as_secs());
                    }
                    self.node(Source::Discv5, node);
                }
            }
            Found::Endpoint { voter, seen } => self.vote(voter, seen),
        }
    }

    fn node(&mut self, source: Source, node: Node) {
        if source == Source::Discv4 {
            self.database.found(&node, unix().as_secs());
            if let (Some(discv5), Some(record)) = (&self.discv5, &node.record)
                && discv5.table_size() < V5_TABLE_SMALL
            {
                discv5.add(record);
            }
        }
        let on_our_chain = |record: &Record| match record.fork_id() {
            Some(fork_id) => self.fits(fork_id),
            None => true,
        };
        if node.record.as_ref().is_none_or(on_our_chain) {
            // Refused ones are known, or of no use for RLPx.
            let _ = self.candidates.offer(source, node, Instant::now());
        }
    }

    fn propose(&mut self, slot: mpsc::Permit<'_, Node>) {
        let forks = self.status.as_ref().map(|status| status.borrow().forks.clone());
        let fits = |fork_id: &ForkId| forks.as_ref().is_none_or(|forks| forks.validate(*fork_id).is_ok());
        if let Some(candidate) = self.candidates.next(Instant::now(), fits) {
            slot.send(candidate.node);
        }
    }

    fn vote(&mut self, voter: SocketAddr, seen: SocketAddr) {
        let now = Instant::now();
        self.votes.vote(voter, seen, now);
        let seen = Seen { v4: self.votes.endpoint4(now), v6: self.votes.endpoint6(now) };
        if seen != self.local.seen() && self.local.set_seen(seen) {
            tracing::info!(enode = %self.local.enode(), "others agree on our address");
            self.announce();
        }
    }

    fn outcome(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Connected(id) => {
                self.candidates.connected(id);
                self.database.connected(&id, unix().as_secs());
            }
            Outcome::Ended(id, ended) => {
                self.candidates.disconnected(id, Instant::now());
                if ended == Ended::BeforeReady {
                    self.database.failed(&id);
                }
            }
        }
    }

    fn question(&mut self, question: Question) {
        match question {
            // Who asked may have given up.
            Question::Database(answer) => {
                let text = self.database.take_changed().then(|| self.database.to_json());
                let _ = answer.send(text);
            }
        }
    }

    fn fits(&self, fork_id: ForkId) -> bool {
        self.status.as_ref().is_none_or(|status| status.borrow().forks.validate(fork_id).is_ok())
    }

    /// Our chain may have passed a fork.
    fn fork_id(&mut self, fork_id: ForkId) {
        if self.local.set_fork_id(fork_id) {
            self.announce();
        }
    }

    /// Our record has changed.
    fn announce(&mut self) {
        let record = self.local.record();
        if let Some(discv5) = &self.discv5 {
            discv5.set_record(&record);
        }
        if let Some(discv4) = &mut self.discv4 {
            discv4.set_record(record);
        }
    }

    fn clock(&mut self) {
        if let Some(discv4) = &mut self.discv4 {
            discv4.set_clock(Instant::now(), unix());
        }
        self.database.expire(unix().as_secs());
        let gauge = |protocol, nodes: usize| metrics::gauge!("discovery_nodes", "in" => protocol).set(nodes as f64);
        gauge("discv5", self.discv5.as_ref().map_or(0, Service::table_size));
        gauge("discv4", self.discv4.as_ref().map_or(0, |discv4| discv4.table().len()));
        gauge("database", self.database.len());
        gauge("candidates", self.candidates.len());
    }
}

/// The fork id after the next change of our chain; never without a chain. Safe to cancel.
async fn next_fork_id(status: &mut Option<watch::Receiver<ChainStatus>>) -> Option<ForkId> {
    match status {
        Some(status) => {
            status.changed().await.ok()?;
            Some(status.borrow_and_update().fork_id())
        }
        None => std::future::pending().await,
    }
}

/// Time since 1970.
pub(crate) fn unix() -> Duration {
    // A clock before 1970 is as good as one at 1970: both are wrong.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
