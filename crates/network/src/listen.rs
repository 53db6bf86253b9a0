//! Sockets that take connections and packets.

use crate::report::Report;
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};
use tokio::{
    net::{TcpListener, UdpSocket},
    sync::mpsc,
};

/// Connections that the kernel holds until we look.
const BACKLOG: i32 = 128;
/// Wait after the kernel had no room for another connection: trying again at once would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The addresses to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// One address, or all of this machine, of both families.
    pub addr: Option<IpAddr>,
    /// Port for RLPx; 0 takes a free one.
    pub tcp_port: u16,
    /// Port for discovery; 0 takes a free one, none the same as for RLPx.
    pub udp_port: Option<u16>,
}

/// A port could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr} ({protocol}) for peers: {error}")]
pub struct ListenError {
    /// Where.
    pub addr: SocketAddr,
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// Why not.
    pub error: io::Error,
}

/// Open sockets, at least one of each kind.
pub(crate) struct Sockets {
    pub(crate) tcp: Vec<TcpListener>,
    pub(crate) udp4: Option<UdpSocket>,
    pub(crate) udp6: Option<UdpSocket>,
    pub(crate) listen: SocketAddr,
    pub(crate) udp_port: Option<u16>,
}

impl Sockets {
    /// Opens the ports. With all addresses a machine without IPv6 does without it. Inside a runtime only.
    pub(crate) fn open(listen: &Listen, discovers: bool) -> Result<Self, ListenError> {
        let first = listen.addr.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        let second = listen.addr.is_none().then_some(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        let mut sockets = Self {
            tcp: Vec::new(),
            udp4: None,
            udp6: None,
            listen: SocketAddr::new(first, listen.tcp_port),
            udp_port: None,
        };
        let tcp = tcp(SocketAddr::new(first, listen.tcp_port))?;
        sockets.listen = tcp.local_addr().unwrap_or(sockets.listen);
        sockets.tcp.push(tcp);
        if let Some(second) = second
            && let Ok(tcp) = self::tcp(SocketAddr::new(second, sockets.listen.port()))
        {
            sockets.tcp.push(tcp);
        }
        if discovers {
            let (udp4, udp6, addr) = open_udp(listen, sockets.listen.port())?;
            (sockets.udp4, sockets.udp6, sockets.udp_port) = (udp4, udp6, Some(addr.port()));
        }
        Ok(sockets)
    }
}

/// The sockets for discovery, over IPv4 and IPv6, and the address of the first. Without a port of its own it takes
/// `port`.
pub(crate) fn open_udp(
    listen: &Listen,
    port: u16,
) -> Result<(Option<UdpSocket>, Option<UdpSocket>, SocketAddr), ListenError> {
    let first = listen.addr.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let asked = SocketAddr::new(first, listen.udp_port.unwrap_or(port));
    let socket = udp(asked)?;
    let addr = socket.local_addr().unwrap_or(asked);
    Ok(match (first, listen.addr) {
        (IpAddr::V6(_), _) => (None, Some(socket), addr),
        (IpAddr::V4(_), Some(_)) => (Some(socket), None, addr),
        (IpAddr::V4(_), None) => {
            let second = udp(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), addr.port()));
            (Some(socket), second.ok(), addr)
        }
    })
}

fn tcp(addr: SocketAddr) -> Result<TcpListener, ListenError> {
    let open = || {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        // After a restart, old connections must not keep the port busy.
        socket.set_reuse_address(true)?;
        prepare(&socket, addr)?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    open().map_err(|error| ListenError { addr, protocol: "tcp", error })
}

fn udp(addr: SocketAddr) -> Result<UdpSocket, ListenError> {
    let open = || {
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        prepare(&socket, addr)?;
        UdpSocket::from_std(socket.into())
    };
    open().map_err(|error| ListenError { addr, protocol: "udp", error })
}

fn prepare(socket: &Socket, addr: SocketAddr) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    if addr.is_ipv6() {
        // The IPv4 socket has the same port.
        socket.set_only_v6(true)?;
    }
    socket.bind(&addr.into())
}

/// Takes connections and hands them to the manager until it is gone. A manager that is busy makes this wait, and then
/// the kernel's queue fills, and then strangers wait.
pub(crate) async fn accept(listener: TcpListener, reports: mpsc::Sender<Report>) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                let from = SocketAddr::new(from.ip().to_canonical(), from.port());
                if reports.send(Report::Accepted { stream, from }).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
