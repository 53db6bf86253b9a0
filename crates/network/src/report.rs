//! What the tasks tell the manager, and what it orders them.

use starling_peers::{ConnectionId, DropReason, Offence};
use starling_primitives::PeerId;
use std::net::{IpAddr, SocketAddr};
use tokio::{net::TcpStream, sync::mpsc};

/// Reports that wait for the manager, which is never busy for long. Who reports waits for room.
pub(crate) const REPORTS_MAX: usize = 1024;
/// Orders that a session gets at most: to go on, and to end; more are not given.
pub(crate) const ORDERS_MAX: usize = 4;

/// From a task to the manager.
#[derive(Debug)]
pub(crate) enum Report {
    /// A connection came in.
    Accepted { stream: TcpStream, from: SocketAddr },
    /// The peer proved its key.
    Identified { connection: ConnectionId, id: PeerId },
    /// Status is exchanged.
    Ready { connection: ConnectionId },
    /// The connection is over.
    Closed { connection: ConnectionId, reason: DropReason },
    /// A host name was looked up.
    Resolved { id: PeerId, ips: Vec<IpAddr> },
    /// A peer did something wrong that does not end the session by itself.
    Offence { id: PeerId, offence: Offence },
}

/// From the manager to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Go on with Status.
    Keep,
    /// End.
    Drop(DropReason),
}

/// A session's line to the manager.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) connection: ConnectionId,
    pub(crate) reports: mpsc::Sender<Report>,
    pub(crate) orders: mpsc::Receiver<Order>,
}

impl Line {
    /// Reports; a manager that is gone has stopped, and so will the session.
    pub(crate) async fn report(&self, report: Report) {
        let _ = self.reports.send(report).await;
    }

    /// The next order; a manager that is gone orders the end. Safe to cancel.
    pub(crate) async fn order(&mut self) -> Order {
        self.orders.recv().await.unwrap_or(Order::Drop(DropReason::Stopping))
    }
}
