//! Answers to peers: from the chain as it stands, on the query workers, a few at a time.

use super::pooled::{Pace, cells, pooled};
use starling_chain::ChainHandle;
use starling_devp2p::eth::{EthMessage, EthVersion, Request, Response};
use starling_network::{Charge, NetworkHandle};
use starling_primitives::PeerId;
use starling_rpc::QueryPool;
use starling_sync::serve::{self, REQUESTS_MAX, REQUESTS_PER_PEER_MAX};
use starling_txpool::PoolHandle;
use std::{collections::HashMap, sync::Arc, time::Instant};
use tokio::sync::{Mutex, Semaphore};

/// Serves requests. Those of one peer that are worked on or wait for its outbox are few; the rest waits in the queue of
/// the network, which holds so many bytes of each peer and then reads no more from it.
pub(crate) struct Server {
    chain: ChainHandle,
    pool: PoolHandle,
    network: NetworkHandle,
    workers: QueryPool,
    all: Arc<Semaphore>,
    peers: HashMap<PeerId, Served>,
}

struct Served {
    version: EthVersion,
    permits: Arc<Semaphore>,
    /// Of answers that cost a processor much: held while one is made, so that a peer has one at a time.
    pace: Arc<Mutex<Pace>>,
}

impl Server {
    pub(crate) fn new(chain: ChainHandle, pool: PoolHandle, network: NetworkHandle, workers: QueryPool) -> Self {
        Self { chain, pool, network, workers, all: Arc::new(Semaphore::new(REQUESTS_MAX)), peers: HashMap::new() }
    }

    /// A peer is there.
    pub(crate) fn join(&mut self, peer: PeerId, version: EthVersion) {
        let permits = Arc::new(Semaphore::new(REQUESTS_PER_PEER_MAX));
        let pace = Arc::new(Mutex::new(Pace::new(Instant::now())));
        self.peers.insert(peer, Served { version, permits, pace });
    }

    /// A peer is gone; what it asked for is not answered any more.
    pub(crate) fn leave(&mut self, peer: &PeerId) {
        if let Some(served) = self.peers.remove(peer) {
            served.permits.close();
        }
    }

    /// Answers a request as soon as its turn has come.
    pub(crate) fn request(&self, peer: PeerId, id: u64, request: Request, charge: Charge) {
        let Some(served) = self.peers.get(&peer) else { return };
        let (version, permits, all) = (served.version, served.permits.clone(), self.all.clone());
        let pace = served.pace.clone();
        let (chain, network, workers) = (self.chain.clone(), self.network.clone(), self.workers.clone());
        let pool = self.pool.clone();
        tokio::spawn(async move {
            let _charge = charge;
            // Closed: the peer is gone.
            let Ok(_own) = permits.acquire().await else { return };
            if !network.room(&peer).await {
                return;
            }
            // A transaction is sent without its blobs, but read with them.
            let mut pace = match request {
                Request::Cells(_) => Some(pace.lock().await),
                Request::PooledTransactions(_) if version.has_cells() => Some(pace.lock().await),
                _ => None,
            };
            if let Some(pace) = &pace {
                tokio::time::sleep_until(pace.begin_at().into()).await;
            }
            let Ok(_turn) = all.acquire().await else { return };
            let timed = move || {
                let begun = Instant::now();
                (answer(&chain, &pool, version, &request), begun.elapsed())
            };
            let answer = workers.run(timed).await.map(|(answer, time)| {
                if let Some(pace) = &mut pace {
                    pace.took(time, Instant::now());
                }
                answer
            });
            match answer {
                Ok(Some(response)) => {
                    // A peer that is gone meanwhile needs no answer.
                    let _ = network.send(&peer, &EthMessage::Response { id, response });
                }
                Ok(None) => {}
                Err(error) => tracing::debug!(%peer, %error, "a request is not answered"),
            }
        });
    }
}

fn answer(chain: &ChainHandle, pool: &PoolHandle, version: EthVersion, request: &Request) -> Option<Response> {
    match request {
        Request::PooledTransactions(hashes) => {
            return Some(Response::PooledTransactions(pooled(pool, version, hashes)));
        }
        Request::Cells(request) => return Some(Response::Cells(cells(pool, request))),
        _ => {}
    }
    match serve::answer(&chain.view(), version, request) {
        Ok(response) => response,
        Err(error) => {
            tracing::warn!(%error, "a peer's request cannot be answered");
            None
        }
    }
}
