//! Answers to peers: from the chain as it stands, on the query workers, a few at a time.

use crate::gossip::pooled;
use starling_chain::ChainHandle;
use starling_devp2p::eth::{EthMessage, EthVersion, Request, Response};
use starling_network::{Charge, NetworkHandle};
use starling_primitives::PeerId;
use starling_rpc::QueryPool;
use starling_sync::serve::{self, REQUESTS_MAX, REQUESTS_PER_PEER_MAX};
use starling_txpool::PoolHandle;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::Semaphore;

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
}

impl Server {
    pub(crate) fn new(chain: ChainHandle, pool: PoolHandle, network: NetworkHandle, workers: QueryPool) -> Self {
        Self { chain, pool, network, workers, all: Arc::new(Semaphore::new(REQUESTS_MAX)), peers: HashMap::new() }
    }

    /// A peer is there.
    pub(crate) fn join(&mut self, peer: PeerId, version: EthVersion) {
        let permits = Arc::new(Semaphore::new(REQUESTS_PER_PEER_MAX));
        self.peers.insert(peer, Served { version, permits });
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
        let (chain, network, workers) = (self.chain.clone(), self.network.clone(), self.workers.clone());
        let pool = self.pool.clone();
        tokio::spawn(async move {
            let _charge = charge;
            // Closed: the peer is gone.
            let Ok(_own) = permits.acquire().await else { return };
            if !network.room(&peer).await {
                return;
            }
            let Ok(_turn) = all.acquire().await else { return };
            let answer = workers.run(move || answer(&chain, &pool, version, &request)).await;
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
    if let Request::PooledTransactions(hashes) = request {
        return Some(Response::PooledTransactions(pooled(pool, hashes)));
    }
    match serve::answer(&chain.view(), version, request) {
        Ok(response) => response,
        Err(error) => {
            tracing::warn!(%error, "a peer's request cannot be answered");
            None
        }
    }
}
