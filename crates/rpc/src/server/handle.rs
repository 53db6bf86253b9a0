use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};
use tokio::{sync::watch, task::JoinHandle, time::timeout};

/// How long a stopping server waits for calls in flight before it leaves them.
const STOP_TIMEOUT: Duration = Duration::from_millis(800);

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The address cannot be listened on.
    #[error("cannot listen on {addr} for {what}: {error}; choose another port, or stop what uses it")]
    Listen {
        /// Which server.
        what: &'static str,
        /// Where.
        addr: SocketAddr,
        /// The system's word.
        error: std::io::Error,
    },
    /// An origin in the list is not one.
    #[error("{origin:?} is no origin; write one like https://example.org, or *")]
    Origin {
        /// What was written.
        origin: String,
    },
    /// Another process answers on the socket.
    #[error("{path} is in use by a running node; stop it, or choose another --ipcpath", path = .0.display())]
    SocketInUse(PathBuf),
    /// The socket's path is taken by something that is no socket.
    #[error("{path} exists and is no socket; move it away, or choose another --ipcpath", path = .0.display())]
    NotASocket(PathBuf),
    /// The socket cannot be made.
    #[error("cannot make the socket {path}: {error}", path = path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// The system's word.
        error: std::io::Error,
    },
}

/// A running server. Dropping it stops the server without waiting.
pub struct ServerHandle {
    address: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle").field("address", &self.address).finish_non_exhaustive()
    }
}

impl ServerHandle {
    /// A server whose task ends soon after the watched value turns true (or its sender is gone).
    pub(super) fn new(address: Option<SocketAddr>, stop: watch::Sender<bool>, task: JoinHandle<()>) -> Self {
        Self { address, stop, task }
    }

    /// Where it listens; none on a socket file.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Takes no more calls, lets those in flight end for less than a second, then leaves them.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        if timeout(STOP_TIMEOUT, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

/// Waits until the server is told to stop.
pub(super) async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
