//! TCP connections between nodes: RLPx and Status as so many round trips, then messages in order.
//!
//! ```text
//! dials ── SYN ─────────► Incoming ─► Admit
//!       ◄─ ack, Hello ──              (two round trips)
//!  Identified ─► Keep ─── Status ───► Identified ─► Keep
//!       ◄──────────────── Status ───
//!  Ready                              Ready
//! ```

use super::world::{Event, World};
use super::{inhabitant::Does, talk::Message};
use rand::RngExt;
use starling_peers::{ConnectionId, DropReason, PeerEvent};
use starling_primitives::PeerId;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// A dial that nobody answers is given up after this time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// A connection on which nothing comes any more is given up after this time.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// What a handshake weighs.
const HANDSHAKE_BYTES: usize = 500;

/// Names a connection of the world.
pub(super) type LineId = u64;
/// 0 is who dialed.
pub(super) type Side = usize;

/// A connection.
pub(super) struct Line {
    /// The dialing node and the dialed one.
    pub(super) nodes: [usize; 2],
    connections: [Option<ConnectionId>; 2],
    /// Whether each side has exchanged what it must.
    kept: [bool; 2],
    told: [bool; 2],
    /// What was sent to each side last arrives then: TCP keeps the order.
    arrives: [Instant; 2],
}

/// What happens on a connection.
pub(super) enum LineEvent {
    /// The first packet of a dial reaches the other node.
    Knock,
    /// A side knows who the other is.
    Identified(Side),
    /// The other's Status reaches a side.
    Status(Side),
    /// A message reaches a side.
    Message(Side, Message),
    /// A side learns that it is over.
    Closed(Side, DropReason),
}

impl World {
    pub(super) fn carry_out(&mut self, index: usize, does: Does) {
        match does {
            Does::Datagram { to, bytes } => self.send_datagram(index, to, bytes),
            Does::Dial { connection, addr } => self.dial(index, connection, addr),
            Does::Admit { connection } => self.admit(index, connection),
            Does::Keep { connection } => self.keep(index, connection),
            Does::Drop { connection, reason } => self.hang_up(index, connection, reason),
            Does::Say { peer, message } => self.say(index, &peer, message),
            Does::Has { hash } => {
                let now = self.now;
                self.seen.entry(hash).or_default().entry(index).or_insert(now);
            }
        }
    }

    fn dial(&mut self, index: usize, connection: ConnectionId, addr: SocketAddr) {
        let id = self.rng.random();
        let other = self.at(addr);
        let line = Line {
            nodes: [index, other.unwrap_or(index)],
            connections: [Some(connection), None],
            kept: [false; 2],
            told: [false; 2],
            arrives: [self.now; 2],
        };
        self.lines.insert(id, line);
        self.nodes[index].lines.insert(connection, (id, 0));
        if other.is_some_and(|other| self.nodes[other].settings.reachable && !self.is_cut(index, other)) {
            self.send(id, 1, HANDSHAKE_BYTES, LineEvent::Knock);
        } else {
            self.schedule(self.now + CONNECT_TIMEOUT, Event::Line(id, LineEvent::Closed(0, DropReason::Unreachable)));
        }
    }

    /// Something on its way to a side.
    fn send(&mut self, id: LineId, to: Side, size_bytes: usize, event: LineEvent) {
        let delay = self.delay(size_bytes);
        let now = self.now;
        let Some(line) = self.lines.get_mut(&id) else { return };
        let at = line.arrives[to].max(now + delay);
        line.arrives[to] = at;
        let [one, other] = line.nodes;
        if !self.is_cut(one, other) {
            self.schedule(at, Event::Line(id, event));
        }
    }

    pub(super) fn line_event(&mut self, id: LineId, event: LineEvent) {
        let now = self.now;
        match event {
            LineEvent::Knock => self.knock(id),
            LineEvent::Closed(side, reason) => self.closed(id, side, reason),
            LineEvent::Identified(side) => {
                let Some((index, connection)) = self.end(id, side) else { return };
                let other = self.lines[&id].nodes[1 - side];
                let name = self.nodes[other].node.id;
                self.nodes[index].peer_event(PeerEvent::Identified { connection, id: name }, now);
                self.settle(index);
            }
            LineEvent::Status(side) => {
                if let Some(line) = self.lines.get_mut(&id) {
                    line.told[side] = true;
                    self.ready(id, side);
                }
            }
            LineEvent::Message(side, message) => {
                let Some((index, connection)) = self.end(id, side) else { return };
                let other = self.lines[&id].nodes[1 - side];
                let from = self.nodes[other].node.id;
                self.nodes[index].message(from, connection, message, now);
                self.settle(index);
            }
        }
    }

    /// Node and connection at a side, if that still lives.
    fn end(&self, id: LineId, side: Side) -> Option<(usize, ConnectionId)> {
        let line = self.lines.get(&id)?;
        Some((line.nodes[side], line.connections[side]?))
    }

    fn knock(&mut self, id: LineId) {
        let Some([from, index]) = self.lines.get(&id).map(|line| line.nodes) else { return };
        if !self.nodes[index].is_up {
            return self.send(id, 0, 0, LineEvent::Closed(0, DropReason::Unreachable));
        }
        let addr = SocketAddr::new(self.nodes[from].node.ip, self.rng.random_range(32_768..61_000));
        let connection = self.nodes[index].peers.next_connection();
        if let Some(line) = self.lines.get_mut(&id) {
            line.connections[1] = Some(connection);
        }
        self.nodes[index].lines.insert(connection, (id, 1));
        let now = self.now;
        self.nodes[index].peer_event(PeerEvent::Incoming { connection, from: addr }, now);
        self.settle(index);
    }

    fn admit(&mut self, index: usize, connection: ConnectionId) {
        let Some(&(id, _)) = self.nodes[index].lines.get(&connection) else { return };
        // SYN's answer, auth, ack with Hello: the dialer knows after one round trip more than this side's packet, and
        // this side when the dialer's Hello has come.
        let three = self.jittered() + self.delay(HANDSHAKE_BYTES) + self.delay(HANDSHAKE_BYTES);
        let four = three + self.delay(HANDSHAKE_BYTES);
        let now = self.now;
        if let Some(line) = self.lines.get_mut(&id) {
            line.arrives = [now + three, now + four];
        }
        self.schedule(now + three, Event::Line(id, LineEvent::Identified(0)));
        self.schedule(now + four, Event::Line(id, LineEvent::Identified(1)));
    }

    fn keep(&mut self, index: usize, connection: ConnectionId) {
        let Some(&(id, side)) = self.nodes[index].lines.get(&connection) else { return };
        if let Some(line) = self.lines.get_mut(&id) {
            line.kept[side] = true;
        }
        self.send(id, 1 - side, HANDSHAKE_BYTES, LineEvent::Status(1 - side));
        self.ready(id, side);
    }

    fn ready(&mut self, id: LineId, side: Side) {
        let ready = self.lines.get(&id).is_some_and(|line| line.kept[side] && line.told[side]);
        let Some((index, connection)) = self.end(id, side).filter(|_| ready) else { return };
        let other = self.lines[&id].nodes[1 - side];
        let (peer, now) = (self.nodes[other].node.id, self.now);
        self.nodes[index].ready(peer, connection, (id, side), now);
        self.settle(index);
    }

    fn say(&mut self, index: usize, peer: &PeerId, message: Message) {
        let Some(&(id, side)) = self.nodes[index].talking.get(peer) else { return };
        let size_bytes = message.size_bytes();
        self.send(id, 1 - side, size_bytes, LineEvent::Message(1 - side, message));
    }

    /// A node ends a connection.
    fn hang_up(&mut self, index: usize, connection: ConnectionId, reason: DropReason) {
        let Some(&(id, side)) = self.nodes[index].lines.get(&connection) else { return };
        let told = self.lines.get(&id).is_some_and(|line| line.arrives[1 - side] > self.now || line.kept[side]);
        let word = if told { DropReason::Remote(reason.wire()) } else { DropReason::ConnectionLost };
        self.send(id, 1 - side, 0, LineEvent::Closed(1 - side, word));
        self.schedule(self.now, Event::Line(id, LineEvent::Closed(side, reason)));
    }

    /// A node's end is gone with its process.
    pub(super) fn reset(&mut self, id: LineId, side: Side) {
        self.send(id, 1 - side, 0, LineEvent::Closed(1 - side, DropReason::ConnectionLost));
        if let Some(line) = self.lines.get_mut(&id) {
            line.connections[side] = None;
        }
        self.forget(id);
    }

    /// Nothing passes any more, and nobody says so.
    pub(super) fn fall_silent(&mut self, id: LineId) {
        for side in [0, 1] {
            self.schedule(self.now + READ_TIMEOUT, Event::Line(id, LineEvent::Closed(side, DropReason::Silent)));
        }
    }

    fn closed(&mut self, id: LineId, side: Side, reason: DropReason) {
        let Some((index, connection)) = self.end(id, side) else { return };
        if let Some(line) = self.lines.get_mut(&id) {
            line.connections[side] = None;
        }
        self.forget(id);
        let now = self.now;
        self.nodes[index].closed(connection, reason, now);
        self.settle(index);
    }

    fn forget(&mut self, id: LineId) {
        if self.lines.get(&id).is_some_and(|line| line.connections == [None; 2]) {
            self.lines.remove(&id);
        }
    }
}
