//! What peers are told about our chain, kept current as the head moves.

use starling_chain::{ChainEvent, ChainHandle};
use starling_chainspec::Fork;
use starling_devp2p::eth::{BlockRange, EthVersion};
use starling_network::{ChainStatus, NetworkHandle};
use starling_primitives::ReadError;
use starling_state::ChainView;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::sync::{Notify, broadcast::error::RecvError};

/// Whether somebody trusted has named a head. Then the chain is one of proof of stake, however low our own head still
/// is, and every version of `eth` is offered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    told: Arc<AtomicBool>,
    changed: Arc<Notify>,
}

impl Told {
    /// Somebody has.
    pub(crate) fn set(&self) {
        if !self.told.swap(true, Ordering::Relaxed) {
            self.changed.notify_one();
        }
    }

    fn get(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }
}

/// What the operator says about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer {
    /// The network that peers must be on.
    pub(crate) network_id: u64,
    /// Whether eth/72 is offered too.
    pub(crate) cells: bool,
}

/// The chain as a view shows it.
pub(crate) fn of(view: &ChainView, offer: Offer, told: &Told) -> Result<ChainStatus, ReadError> {
    let (spec, head) = (view.spec(), view.head_header());
    let total_difficulty = view.total_difficulty(view.head())?;
    let terminal = spec.consensus.terminal_total_difficulty();
    let reached = total_difficulty.zip(terminal).is_some_and(|(total, terminal)| total >= terminal);
    let is_merged = spec.consensus.is_proof_of_stake(head) || reached || (told.get() && terminal.is_some());
    Ok(ChainStatus {
        network_id: offer.network_id,
        genesis: spec.genesis_hash(),
        forks: spec.fork_filter(head.number, head.timestamp),
        range: BlockRange { earliest: 0, latest: view.head().number, latest_hash: view.head().hash },
        // After the merge nothing is added any more; what the chain weighed then is its terminal difficulty or a
        // little more, and nobody compares it.
        total_difficulty: total_difficulty.or(terminal).unwrap_or_default(),
        is_merged,
        // Before Osaka blobs have no proofs of cells, and eth/72 has no form for others.
        version_max: match offer.cells && spec.fork_of(head) >= Fork::Osaka {
            true => EthVersion::V72,
            false => EthVersion::SETTLED,
        },
    })
}

/// Tells the network whenever the head moves, until the chain has stopped.
pub(crate) async fn follow(chain: ChainHandle, network: NetworkHandle, offer: Offer, told: Told) {
    let mut events = chain.events();
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(ChainEvent::HeadMoved { .. }) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            () = told.changed.notified() => {}
        }
        match of(&chain.view(), offer, &told) {
            Ok(status) => network.set_status(status),
            Err(error) => tracing::warn!(%error, "peers are not told of the new head"),
        }
    }
}
