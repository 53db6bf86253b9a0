//! The chain that a case's blocks are offered to: the one that blocks from peers, files and consensus clients go to.

use alloy_primitives::B256;
use starling_chain::{Chain, ChainConfig, ChainCore, ChainHandle, ImportOutcome, SetHeadOutcome};
use starling_chainspec::ChainSpec;
use starling_primitives::{BlockRef, Bytes};
use starling_state::{ChainView, genesis_record};
use starling_storage::{Database, GenesisRecord, StorageConfig};
use starling_validation::PreparedBlock;
use std::sync::Arc;
use tempfile::TempDir;

/// A chain at work.
pub(super) enum Door {
    /// Called directly, its database in memory.
    Direct(Box<ChainCore>),
    /// On a thread of its own, behind its mailbox, its database on disk if there is a folder.
    Mailbox(Box<Mailbox>),
}

/// A chain on a thread of its own.
pub(super) struct Mailbox {
    handle: ChainHandle,
    chain: Option<Chain>,
    /// Goes last: the database lies in it.
    _folder: Option<TempDir>,
}

/// Makes the chain of a case, at its genesis.
///
/// # Errors
/// In words: the genesis accounts have another root than the header says, or the machine gives no room.
pub(super) fn open(spec: Arc<ChainSpec>, check_seal: bool, place: Place) -> Result<Door, String> {
    let block = genesis_record(&spec).map_err(|error| error.to_string())?;
    let genesis = GenesisRecord { block, config: Bytes::from_static(b"{}") };
    let (storage, folder) = match place {
        Place::Disk => {
            let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
            let storage = StorageConfig { disk_free_bytes_min: 0, ..StorageConfig::at(folder.path().join("db")) };
            (storage, Some(folder))
        }
        Place::Memory | Place::MemoryMailbox => (StorageConfig::memory(), None),
    };
    let db = Database::create(storage, genesis).map_err(|error| error.to_string())?;
    let config = ChainConfig { check_seal, ..ChainConfig::default() };
    let core = ChainCore::open(spec, db, config).map_err(|error| error.to_string())?;
    if place == Place::Memory {
        return Ok(Door::Direct(Box::new(core)));
    }
    let (chain, handle) = starling_chain::spawn(core).map_err(|error| format!("no thread: {error}"))?;
    Ok(Door::Mailbox(Box::new(Mailbox { handle, chain: Some(chain), _folder: folder })))
}

/// Where a case's chain lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Called directly, in memory.
    Memory,
    /// Behind its mailbox, in memory.
    MemoryMailbox,
    /// Behind its mailbox, on disk.
    Disk,
}

impl Door {
    /// Offers a block. After the merge every valid block becomes the head; before, the heaviest chain leads.
    ///
    /// # Errors
    /// When the chain itself fails, which no block may cause.
    pub(super) fn offer(&mut self, block: Arc<PreparedBlock>) -> Result<ImportOutcome, String> {
        match self {
            Self::Direct(core) => core.import_as_head(block).map_err(|error| error.to_string()),
            Self::Mailbox(mailbox) => {
                let (hash, stake) = (block.hash, mailbox.handle.spec().is_proof_of_stake(&block.block.header));
                let outcome = block_on(mailbox.handle.import(block)).map_err(|error| error.to_string())?;
                if stake && matches!(outcome, ImportOutcome::Valid | ImportOutcome::Known) {
                    match block_on(mailbox.handle.set_head(hash, B256::ZERO, B256::ZERO)) {
                        Ok(SetHeadOutcome::Done) => {}
                        other => return Err(format!("the block is valid and did not become the head: {other:?}")),
                    }
                }
                Ok(outcome)
            }
        }
    }

    /// The chain as it stands.
    pub(super) fn view(&self) -> Arc<ChainView> {
        match self {
            Self::Direct(core) => core.view(),
            Self::Mailbox(mailbox) => mailbox.handle.view(),
        }
    }

    /// The head.
    pub(super) fn head(&self) -> BlockRef {
        match self {
            Self::Direct(core) => core.head(),
            Self::Mailbox(mailbox) => mailbox.handle.view().head(),
        }
    }

    /// The way to a chain on its own thread; none to one that is called directly.
    pub(super) fn handle(&self) -> Option<&ChainHandle> {
        match self {
            Self::Direct(_) => None,
            Self::Mailbox(mailbox) => Some(&mailbox.handle),
        }
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        // The thread must be gone before the folder is.
        drop(self.chain.take().map(Chain::stop));
    }
}

/// Waits for the chain's thread.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime without drivers needs nothing of the machine").block_on(future)
}
