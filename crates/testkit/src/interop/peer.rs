//! A peer under the test's control: one blocking connection, spoken by the session of `starling-devp2p`.
//!
//! What it says of its chain it has from the node itself: its Status is the node's own, changed where a test wants to.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use alloy_primitives::{B256, Bytes, hex};
use rand::SeedableRng;
use rand::rngs::StdRng;
use starling_devp2p::eth::{EthMessage, EthVersion, GetBlockHeaders, HashOrNumber, Request, Response, Status};
use starling_devp2p::{CloseCause, Event, Message, Offer, Protocol, Session};
use starling_primitives::{NodeKey, PeerId};

use crate::Outcome;

/// How long a connection may take until Status was exchanged.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;

/// Whom to call.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its public key.
    pub id: PeerId,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Target {
    /// The node that an enode URL names.
    pub fn parse(enode: &str) -> Outcome<Self> {
        let parse = || {
            let (id, place) = enode.strip_prefix("enode://")?.split_once('@')?;
            let address = place.split('?').next()?.parse().ok()?;
            Some(Self {
                id: PeerId::from_slice(&hex::decode(id).ok().filter(|id| id.len() == PeerId::len_bytes())?),
                address,
            })
        };
        parse().ok_or_else(|| format!("not an enode with an address: {enode}"))
    }
}

/// What came next.
#[derive(Debug)]
pub enum Incoming {
    /// A message.
    Message(EthMessage),
    /// The end of the connection.
    Closed(Closed),
    /// Nothing in the time given.
    Silence,
}

/// How a connection ended.
#[derive(Debug)]
pub enum Closed {
    /// By a reason that one of the two gave.
    For(CloseCause),
    /// Without one.
    Bare,
}

/// An open connection that has exchanged Status.
pub struct Peer {
    stream: TcpStream,
    session: Session,
    /// The version of eth that both speak.
    pub version: EthVersion,
    /// What the node said of itself.
    pub status: Status,
    requests: u64,
}

impl Peer {
    /// Connects, and answers the node's Status with its own, changed by `edit`.
    pub fn connect(
        target: &Target,
        versions: &[EthVersion],
        seed: u64,
        edit: impl FnOnce(&mut Status),
    ) -> Outcome<Result<Self, Closed>> {
        let mut rng = StdRng::seed_from_u64(seed);
        let key = NodeKey::random(&mut rng);
        let offer = Offer {
            client_id: "starling-testkit".into(),
            protocols: versions.iter().copied().map(unbounded).collect(),
            listen_port: 0,
        };
        let stream = TcpStream::connect_timeout(&target.address, CONNECT_TIMEOUT)
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .map_err(|error| format!("connecting to {}: {error}", target.address))?;
        let session = Session::dial(&key, target.id, &offer, Instant::now(), &mut rng)
            .map_err(|error| format!("the node's key: {error}"))?;
        let mut wire = Wire { stream, session };
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        let version = match wire.next(deadline)? {
            Some(Event::Established(established)) => established.protocols.iter().find_map(version_of),
            Some(Event::Closed(cause)) => return Ok(Err(Closed::For(cause))),
            Some(Event::Message(_)) | None => return Ok(Err(Closed::Bare)),
        };
        let version = version.ok_or("no version of eth was agreed on")?;
        let mut status = match wire.next(deadline)? {
            Some(Event::Message(message)) => match decode(version, &message)? {
                EthMessage::Status(status) => status,
                other => return Err(format!("the first message is not Status: {other:?}")),
            },
            Some(Event::Closed(cause)) => return Ok(Err(Closed::For(cause))),
            Some(Event::Established(_)) | None => return Ok(Err(Closed::Bare)),
        };
        let theirs = status.clone();
        edit(&mut status);
        let Wire { stream, session } = wire;
        let mut peer = Self { stream, session, version, status: theirs, requests: 0 };
        peer.send(&EthMessage::Status(status))?;
        Ok(Ok(peer))
    }

    /// Sends a message.
    pub fn send(&mut self, message: &EthMessage) -> Outcome {
        let mut payload = Vec::new();
        let id = message.encode(self.version, &mut payload).map_err(|error| error.to_string())?;
        self.send_raw(id, &payload)
    }

    /// Sends any bytes under a message id of eth.
    pub fn send_raw(&mut self, id: u8, payload: &[u8]) -> Outcome {
        self.session.send(&unbounded(self.version), id, payload, Instant::now()).map_err(|error| error.to_string())?;
        flush(&mut self.stream, &mut self.session)
    }

    /// Writes bytes that belong to no frame.
    pub fn spoil(&mut self, bytes: &[u8]) -> Outcome {
        self.stream.write_all(bytes).map_err(|error| error.to_string())
    }

    /// The next thing that the node says.
    pub fn next(&mut self, timeout: Duration) -> Outcome<Incoming> {
        let deadline = Instant::now() + timeout;
        let event = next(&mut self.stream, &mut self.session, deadline)?;
        Ok(match event {
            Some(Event::Message(message)) => Incoming::Message(decode(self.version, &message)?),
            Some(Event::Closed(cause)) => Incoming::Closed(Closed::For(cause)),
            Some(Event::Established(_)) => return Err("the session was opened twice".into()),
            None if Instant::now() < deadline => Incoming::Closed(Closed::Bare),
            None => Incoming::Silence,
        })
    }

    /// Asks, and waits for the answer; whatever else comes meanwhile is left aside.
    pub fn ask(&mut self, request: Request, timeout: Duration) -> Outcome<Response> {
        self.requests += 1;
        let asked = self.requests;
        self.send(&EthMessage::Request { id: asked, request })?;
        let deadline = Instant::now() + timeout;
        loop {
            match self.next(deadline.saturating_duration_since(Instant::now()))? {
                Incoming::Message(EthMessage::Response { id, response }) if id == asked => return Ok(response),
                Incoming::Message(_) => {}
                Incoming::Closed(closed) => return Err(format!("the connection ended: {closed:?}")),
                Incoming::Silence => return Err(format!("no answer in {timeout:?}")),
            }
        }
    }
}

/// A version of eth whose messages may be of any length: what is too long is the node's to say.
fn unbounded(version: EthVersion) -> Protocol {
    Protocol { message_bytes_max: usize::MAX, ..version.protocol() }
}

fn version_of(spoken: &Protocol) -> Option<EthVersion> {
    EthVersion::ALL.into_iter().find(|version| unbounded(*version) == *spoken)
}

/// The two ends of a connection before it has a version.
struct Wire {
    stream: TcpStream,
    session: Session,
}

impl Wire {
    fn next(&mut self, deadline: Instant) -> Outcome<Option<Event>> {
        next(&mut self.stream, &mut self.session, deadline)
    }
}

/// The next event; nothing when the time is over, or before it when the stream ended without a reason.
fn next(stream: &mut TcpStream, session: &mut Session, deadline: Instant) -> Outcome<Option<Event>> {
    let mut bytes = vec![0; READ_BYTES];
    let mut rest: Vec<u8> = Vec::new();
    loop {
        // Frames that arrived are opened one by one, and only then is there room for what did not fit.
        if let Some(event) = session.poll() {
            feed(session, &mut rest);
            flush(stream, session)?;
            debug_assert!(rest.is_empty(), "a message leaves room for the next read");
            return Ok(Some(event));
        }
        flush(stream, session)?;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        stream.set_read_timeout(Some(left)).map_err(|error| error.to_string())?;
        match stream.read(&mut bytes) {
            Ok(0) => return Ok(None),
            Ok(count) => rest.extend_from_slice(&bytes[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(None),
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                return Ok(None);
            }
            Err(error) => return Err(format!("reading: {error}")),
        }
        feed(session, &mut rest);
    }
}

fn feed(session: &mut Session, rest: &mut Vec<u8>) {
    let taken = session.receive(rest, Instant::now());
    rest.drain(..taken);
}

fn flush(stream: &mut TcpStream, session: &mut Session) -> Outcome {
    while !session.output().is_empty() {
        match stream.write(session.output()) {
            Ok(0) => return Ok(()),
            Ok(count) => session.output_sent(count, Instant::now()),
            // The reading side says how it ended.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => return Ok(()),
            Err(error) => return Err(format!("writing: {error}")),
        }
    }
    Ok(())
}

fn decode(version: EthVersion, message: &Message) -> Outcome<EthMessage> {
    EthMessage::decode(version, message.id, &message.payload).map_err(|error| error.to_string())
}

/// A chain's blocks, as they travel.
#[derive(Debug)]
pub struct Blocks {
    /// Hash of each block, from block 1.
    pub hashes: Vec<B256>,
    /// Header of each block, RLP.
    pub headers: Vec<Bytes>,
    /// Body of each block, RLP.
    pub bodies: Vec<Bytes>,
}

impl Blocks {
    /// Reads a file of RLP blocks.
    pub fn read(path: &std::path::Path) -> Outcome<Self> {
        let file = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut blocks = Self { hashes: Vec::new(), headers: Vec::new(), bodies: Vec::new() };
        let mut rest = file.as_slice();
        while !rest.is_empty() {
            blocks.push(&mut rest).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(blocks)
    }

    fn push(&mut self, rest: &mut &[u8]) -> alloy_rlp::Result<()> {
        let block = alloy_rlp::Header::decode_bytes(rest, true)?;
        let mut after = block;
        let header = alloy_rlp::Header::decode(&mut after)?;
        let header_bytes = block.len() - after.len() + header.payload_length;
        let (header, parts) = block.split_at_checked(header_bytes).ok_or(alloy_rlp::Error::InputTooShort)?;
        let mut body = Vec::new();
        alloy_rlp::Header { list: true, payload_length: parts.len() }.encode(&mut body);
        body.extend_from_slice(parts);
        self.hashes.push(alloy_primitives::keccak256(header));
        self.headers.push(header.to_vec().into());
        self.bodies.push(body.into());
        Ok(())
    }

    /// Where a block stands.
    pub fn position(&self, hash: &B256) -> Option<usize> {
        self.hashes.iter().position(|known| known == hash)
    }

    /// Claims these blocks in a Status: the last one is the head.
    pub fn claim(&self, status: &mut Status) {
        let Some(head) = self.hashes.last() else { return };
        match status {
            Status::V68(status) => status.head = *head,
            Status::V69(status) => {
                status.range.latest = self.hashes.len() as u64;
                status.range.latest_hash = *head;
            }
        }
    }

    /// The headers that a peer with these blocks sends.
    pub fn answer_headers(&self, request: &GetBlockHeaders) -> Vec<Bytes> {
        let first = match request.start {
            HashOrNumber::Hash(hash) => self.position(&hash),
            HashOrNumber::Number(number) => usize::try_from(number).ok().and_then(|number| number.checked_sub(1)),
        };
        let step = usize::try_from(request.skip).unwrap_or(usize::MAX).saturating_add(1);
        let mut next = first;
        let mut headers = Vec::new();
        while let Some(index) = next
            && (headers.len() as u64) < request.limit
            && let Some(header) = self.headers.get(index)
        {
            headers.push(header.clone());
            next = if request.reverse { index.checked_sub(step) } else { index.checked_add(step) };
        }
        headers
    }

    /// The bodies that a peer with these blocks sends.
    pub fn answer_bodies(&self, hashes: &[B256]) -> Vec<Bytes> {
        hashes.iter().filter_map(|hash| self.bodies.get(self.position(hash)?)).cloned().collect()
    }
}
