//! The UDP sockets.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tokio::{net::UdpSocket, sync::mpsc};

/// Datagrams that wait for discv4. When so many wait, new ones are lost, as UDP may lose them anyway.
pub(super) const DATAGRAMS_MAX: usize = 1024;
/// Longest datagram of either protocol is 1280 bytes; one byte more shows that it was longer.
const DATAGRAM_BYTES_MAX: usize = 1281;

/// What came in.
#[derive(Debug)]
pub(crate) struct Datagram {
    pub(crate) from: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

/// One socket for each family that we listen on.
#[derive(Debug, Clone)]
pub(crate) struct Udp {
    pub(crate) v4: Option<Arc<UdpSocket>>,
    pub(crate) v6: Option<Arc<UdpSocket>>,
}

impl Udp {
    pub(crate) fn new(v4: Option<UdpSocket>, v6: Option<UdpSocket>) -> Self {
        Self { v4: v4.map(Arc::new), v6: v6.map(Arc::new) }
    }

    /// Sends, or not: a full socket loses datagrams like any router.
    pub(super) fn send(&self, to: SocketAddr, bytes: &[u8]) {
        let socket = match to.ip() {
            IpAddr::V4(_) => &self.v4,
            IpAddr::V6(_) => &self.v6,
        };
        if let Some(socket) = socket {
            // Whether it arrives is for the protocol to find out.
            let _ = socket.try_send_to(bytes, to);
        }
    }

    /// Reads both sockets until nobody listens; for when discv5, which does the reading otherwise, is off.
    pub(super) fn read(&self, datagrams: &mpsc::Sender<Datagram>) {
        for socket in [&self.v4, &self.v6].into_iter().flatten() {
            tokio::spawn(read(socket.clone(), datagrams.clone()));
        }
    }
}

async fn read(socket: Arc<UdpSocket>, datagrams: mpsc::Sender<Datagram>) {
    let mut buffer = [0; DATAGRAM_BYTES_MAX];
    while !datagrams.is_closed() {
        // An error here is a message about an earlier datagram of ours that nobody took.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let _ = datagrams.try_send(Datagram { from, bytes: buffer[..length].to_vec() });
    }
}
