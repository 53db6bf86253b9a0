use crate::{BadBlock, ChainError, ImportOutcome, RefusedBlock, SetHeadOutcome, actor::Command};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use starling_chainspec::ChainSpec;
use starling_primitives::{B256, BlockRef};
use starling_state::ChainView;
use starling_storage::Database;
use starling_validation::PreparedBlock;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc, oneshot};

/// How many events a slow receiver may lag behind before it loses the oldest and is told so.
const EVENTS_MAX: usize = 256;

/// Something happened to the chain.
#[derive(Debug, Clone)]
pub enum ChainEvent {
    /// The head moved; [`ChainHandle::view`] shows the new chain.
    HeadMoved {
        /// The new head.
        head: BlockRef,
        /// The last block that the old and the new chain share.
        common: BlockRef,
    },
}

/// What the chain's one writer shows its readers.
#[derive(Debug)]
pub(crate) struct Shared {
    db: Database,
    published: ArcSwap<ChainView>,
    bad_blocks: Mutex<Vec<BadBlock>>,
    events: broadcast::Sender<ChainEvent>,
}

impl Shared {
    pub(crate) fn new(db: Database, view: ChainView) -> Self {
        Self {
            db,
            published: ArcSwap::from_pointee(view),
            bad_blocks: Mutex::default(),
            events: broadcast::Sender::new(EVENTS_MAX),
        }
    }

    pub(crate) fn publish(&self, view: ChainView, event: ChainEvent) {
        self.published.store(Arc::new(view));
        // No receivers is the ordinary case of `import`.
        let _ = self.events.send(event);
    }

    pub(crate) fn set_bad_blocks(&self, blocks: Vec<BadBlock>) {
        *self.bad_blocks.lock() = blocks;
    }

    /// The published chain over a fresh storage snapshot, since snapshots expire and heads may rest for long.
    pub(crate) fn view(&self) -> Arc<ChainView> {
        loop {
            let published = self.published.load_full();
            match self.db.view(published.head().hash) {
                Ok(view) => return Arc::new(published.renewed(view)),
                // The head moved on and its former place was given up in between: look again.
                Err(_) if !Arc::ptr_eq(&published, &self.published.load()) => {}
                // The published snapshot answers by itself why it cannot be read.
                Err(_) => return published,
            }
        }
    }
}

/// A way to the chain: readers take [`ChainHandle::view`], the others command. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ChainHandle {
    spec: Arc<ChainSpec>,
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
}

impl ChainHandle {
    pub(crate) fn new(spec: Arc<ChainSpec>, shared: Arc<Shared>, commands: mpsc::Sender<Command>) -> Self {
        Self { spec, shared, commands }
    }

    /// The chain's rules.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.spec
    }

    /// The chain as it stands. Never waits.
    pub fn view(&self) -> Arc<ChainView> {
        self.shared.view()
    }

    /// The last invalid blocks, newest first, at most 16.
    pub fn bad_blocks(&self) -> Vec<BadBlock> {
        self.shared.bad_blocks.lock().clone()
    }

    /// Events from now on. A receiver that lags loses the oldest and is told.
    pub fn events(&self) -> broadcast::Receiver<ChainEvent> {
        self.shared.events.subscribe()
    }

    /// Checks, executes and keeps a block. The head follows only before the merge, by total difficulty.
    pub async fn import(&self, block: Arc<PreparedBlock>) -> Result<ImportOutcome, ChainError> {
        self.ask(|reply| Command::Import { block, reply }).await
    }

    /// Moves head, safe and finalized; a zero hash leaves safe or finalized as they are.
    pub async fn set_head(&self, head: B256, safe: B256, finalized: B256) -> Result<SetHeadOutcome, ChainError> {
        self.ask(|reply| Command::SetHead { head, safe, finalized, reply }).await
    }

    /// Remembers a block that was refused before it came to the chain, and its descendants. Returns the nearest valid
    /// ancestor, if known; the zero hash stands for one from before the merge.
    pub async fn refuse_unseen(&self, refused: RefusedBlock) -> Result<Option<B256>, ChainError> {
        self.ask(|reply| Command::Refuse { refused, reply }).await
    }

    /// Goes back to a block of the canonical chain; the blocks above it are forgotten.
    pub async fn rewind(&self, to: u64) -> Result<BlockRef, ChainError> {
        self.ask(|reply| Command::Rewind { to, reply }).await
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, ChainError>>) -> Command,
    ) -> Result<T, ChainError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| ChainError::Closed)?;
        answer.await.map_err(|_| ChainError::Closed)?
    }
}
