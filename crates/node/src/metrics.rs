//! The metrics port: `/livez`, `/readyz` with reasons, `/metrics` for Prometheus.
//!
//! A page is read every few seconds by one scraper, so this is a small server of its own: GET only, one request
//! a connection, everything bounded.

use crate::failure::{Context, Failure};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use starling_chain::ChainHandle;
use starling_rpc::NodeStatus;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
};

/// Connections at a time; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 32;
/// A request that is longer is not one of ours.
const REQUEST_SIZE_BYTES_MAX: usize = 8 << 10;
/// A client that is slower is hung up on.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(10);
/// Histograms are condensed this often, or they grow.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// Bounds of all histograms of seconds: from a cheap call to a long import.
const SECONDS_BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// What the pages are made from.
#[derive(Clone)]
pub(crate) struct Exporter {
    recorder: PrometheusHandle,
    chain: ChainHandle,
    status: Arc<dyn Fn() -> NodeStatus + Send + Sync>,
}

impl Exporter {
    /// Starts recording. Once a process, before anything counts.
    pub(crate) fn recorder() -> Result<PrometheusHandle, Failure> {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("seconds".into()), &SECONDS_BUCKETS)
            .context("cannot record metrics")?;
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        ::metrics::set_global_recorder(recorder).context("cannot record metrics")?;
        Ok(handle)
    }

    /// Pages over a recorder, a chain and a node's state.
    pub(crate) fn new(
        recorder: PrometheusHandle,
        chain: ChainHandle,
        status: Arc<dyn Fn() -> NodeStatus + Send + Sync>,
    ) -> Self {
        Self { recorder, chain, status }
    }

    /// Listens until the task is aborted.
    pub(crate) async fn serve(self, addr: SocketAddr) -> Result<(SocketAddr, JoinHandle<()>), Failure> {
        let listener = TcpListener::bind(addr).await.map_err(|error| {
            Failure::new(format_args!("cannot listen on {addr} for metrics: {error}"))
                .remedy("choose another --metrics.port, or stop what uses it")
        })?;
        let addr = listener.local_addr().failed()?;
        Ok((addr, tokio::spawn(self.accept(listener))))
    }

    async fn accept(self, listener: TcpListener) {
        let free = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut upkeep = tokio::time::interval(UPKEEP_EVERY);
        loop {
            tokio::select! {
                _ = upkeep.tick() => self.recorder.run_upkeep(),
                connection = listener.accept() => self.admit(connection, &free).await,
            }
        }
    }

    async fn admit(&self, connection: std::io::Result<(TcpStream, SocketAddr)>, free: &Arc<Semaphore>) {
        let (Ok((stream, _)), Ok(permit)) = (connection, free.clone().acquire_owned().await) else { return };
        let exporter = self.clone();
        tokio::spawn(async move {
            let _permit = permit;
            // A client that breaks off or dawdles is its own problem.
            let _ = tokio::time::timeout(CONNECTION_TIME_MAX, exporter.answer(stream)).await;
        });
    }

    async fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut request = Vec::new();
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            if request.len() > REQUEST_SIZE_BYTES_MAX || stream.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        }
        let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let mut words = line.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (status, body) = match (method, path.split('?').next().unwrap_or_default()) {
            ("GET" | "HEAD", "/livez") => ("200 OK", "ok\n".into()),
            ("GET" | "HEAD", "/readyz") => readiness(&(self.status)()),
            ("GET" | "HEAD", "/metrics") => ("200 OK", self.render()),
            ("GET" | "HEAD", _) => ("404 Not Found", "there are /livez, /readyz and /metrics\n".into()),
            _ => ("405 Method Not Allowed", "GET only\n".into()),
        };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {length}\r\n\
             connection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        if method != "HEAD" {
            stream.write_all(body.as_bytes()).await?;
        }
        stream.shutdown().await
    }

    fn render(&self) -> String {
        let view = self.chain.view();
        let number = |at: Option<starling_primitives::BlockRef>| at.map_or(0.0, |at| at.number as f64);
        ::metrics::gauge!("chain_head_number").set(number(Some(view.head())));
        ::metrics::gauge!("chain_head_timestamp_seconds").set(view.head_header().timestamp as f64);
        ::metrics::gauge!("chain_safe_number").set(number(view.safe()));
        ::metrics::gauge!("chain_finalized_number").set(number(view.finalized()));
        ::metrics::gauge!("storage_frontier_number").set(number(Some(view.frontier())));
        ::metrics::gauge!("node_ready").set(f64::from((self.status)().not_ready.is_empty()));
        metrics_process::Collector::default().collect();
        self.recorder.render()
    }
}

fn readiness(status: &NodeStatus) -> (&'static str, String) {
    match status.not_ready.is_empty() {
        true => ("200 OK", "ok\n".into()),
        false => ("503 Service Unavailable", format!("not ready: {}\n", status.not_ready.join("; "))),
    }
}
