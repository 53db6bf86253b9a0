use super::{Blobs, split};
use alloy_eips::eip7594::BlobTransactionSidecarVariant;
use alloy_primitives::map::B256Map;
use parking_lot::Mutex;
use schnellru::{ByLength, LruMap};
use starling_primitives::{B256, Bytes, TxHash};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Sidecars that are kept in memory as well, at most about 0.8 MB each; for a new one the one that was not used longest
/// goes.
const CACHED_MAX: u32 = 64;
/// Blocks for which the blobs of included transactions are kept where nothing is ever final.
const LIMBO_BLOCKS_MAX: u64 = 256;

/// Blobs on disk: a folder with one file for each transaction, as it travels, named by its hash.
///
/// A file is written whole and then renamed, so that the death of the process leaves none that is torn. What the pool
/// may hold is bounded by the pool; blobs in limbo, included but not final, come on top: as many as blocks carry
/// until finality.
pub struct BlobStore {
    folder: PathBuf,
    state: Mutex<State>,
}

struct State {
    entries: B256Map<Entry>,
    by_versioned_hash: B256Map<(TxHash, usize)>,
    cached: LruMap<TxHash, Arc<BlobTransactionSidecarVariant>, ByLength>,
}

#[derive(Debug, Default)]
struct Entry {
    size_bytes: usize,
    versioned_hashes: Vec<B256>,
    /// The block that includes the transaction.
    limbo: Option<u64>,
}

impl std::fmt::Debug for BlobStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobStore").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl BlobStore {
    /// Opens the folder, or makes it. What is in it counts when it was told of by [`Self::index`].
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut entries = B256Map::default();
        for file in fs::read_dir(folder)? {
            let file = file?;
            match file.file_name().to_str().and_then(|name| name.parse::<B256>().ok()) {
                Some(hash) => {
                    let size_bytes = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
                    entries.insert(hash, Entry { size_bytes, ..Default::default() });
                }
                // What the death of the process left half written.
                None if file.path().extension().is_some_and(|end| end == "new") => fs::remove_file(file.path())?,
                None => {}
            }
        }
        let state =
            State { entries, by_versioned_hash: B256Map::default(), cached: LruMap::new(ByLength::new(CACHED_MAX)) };
        Ok(Self { folder: folder.to_path_buf(), state: Mutex::new(state) })
    }

    /// Keeps a transaction as it travels.
    pub(crate) fn put(&self, hash: TxHash, envelope: &[u8], versioned_hashes: &[B256]) -> io::Result<()> {
        let (path, new) = (self.path(&hash), self.folder.join(format!("{hash}.new")));
        fs::write(&new, envelope)?;
        fs::rename(&new, path)?;
        let mut state = self.state.lock();
        state.cached.remove(&hash);
        state.entries.insert(hash, Entry { size_bytes: envelope.len(), ..Default::default() });
        state.index(hash, versioned_hashes);
        Ok(())
    }

    /// Says which blobs a kept transaction has.
    pub(crate) fn index(&self, hash: TxHash, versioned_hashes: &[B256]) {
        self.state.lock().index(hash, versioned_hashes);
    }

    /// The blobs of a transaction, if they are kept; out of limbo, if they were there.
    pub(crate) fn take_up(self: &Arc<Self>, hash: TxHash) -> Option<Blobs> {
        let mut state = self.state.lock();
        let entry = state.entries.get_mut(&hash)?;
        entry.limbo = None;
        Some(Blobs { store: self.clone(), hash, size_bytes: entry.size_bytes })
    }

    /// A transaction is in a block: its blobs stay until that is final.
    pub(crate) fn include(&self, hash: &TxHash, block: u64) {
        if let Some(entry) = self.state.lock().entries.get_mut(hash) {
            entry.limbo = Some(block);
        }
    }

    /// Forgets included blobs up to a final block; where nothing is final, after many blocks.
    pub(crate) fn finalize(&self, finalized: Option<u64>, head: u64) {
        let up_to = finalized.unwrap_or_else(|| head.saturating_sub(LIMBO_BLOCKS_MAX));
        let is_over = |entry: &Entry| entry.limbo.is_some_and(|block| block <= up_to);
        let over: Vec<TxHash> =
            self.state.lock().entries.iter().filter(|(_, entry)| is_over(entry)).map(|(hash, _)| *hash).collect();
        over.iter().for_each(|hash| self.remove(hash));
    }

    /// Forgets a transaction's blobs.
    pub(crate) fn remove(&self, hash: &TxHash) {
        {
            let mut state = self.state.lock();
            let Some(entry) = state.entries.remove(hash) else { return };
            state.cached.remove(hash);
            for versioned_hash in entry.versioned_hashes {
                if state.by_versioned_hash.get(&versioned_hash).is_some_and(|(of, _)| of == hash) {
                    state.by_versioned_hash.remove(&versioned_hash);
                }
            }
        }
        if let Err(error) = fs::remove_file(self.path(hash)) {
            tracing::warn!(tx = %hash, %error, "cannot remove the file of a transaction's blobs");
        }
    }

    /// Every kept transaction that is not in limbo.
    pub(crate) fn hashes(&self) -> Vec<TxHash> {
        let state = self.state.lock();
        state.entries.iter().filter(|(_, entry)| entry.limbo.is_none()).map(|(hash, _)| *hash).collect()
    }

    /// A transaction as it travels.
    pub(crate) fn read(&self, hash: &TxHash) -> Option<Bytes> {
        if !self.state.lock().entries.contains_key(hash) {
            return None;
        }
        match fs::read(self.path(hash)) {
            Ok(bytes) => Some(bytes.into()),
            Err(error) => {
                tracing::warn!(tx = %hash, %error, "cannot read the file of a transaction's blobs");
                None
            }
        }
    }

    /// A transaction's blobs with their proofs.
    pub(crate) fn sidecar(&self, hash: &TxHash) -> Option<Arc<BlobTransactionSidecarVariant>> {
        if let Some(sidecar) = self.state.lock().cached.get(hash) {
            return Some(sidecar.clone());
        }
        let (_, sidecar) = split(&self.read(hash)?).ok()?;
        let sidecar = Arc::new(sidecar);
        self.state.lock().cached.insert(*hash, sidecar.clone());
        Some(sidecar)
    }

    /// A blob by its versioned hash: the sidecar that has it, and its place there.
    pub fn find(&self, versioned_hash: &B256) -> Option<(Arc<BlobTransactionSidecarVariant>, usize)> {
        let (hash, index) = *self.state.lock().by_versioned_hash.get(versioned_hash)?;
        Some((self.sidecar(&hash)?, index))
    }

    fn path(&self, hash: &TxHash) -> PathBuf {
        self.folder.join(hash.to_string())
    }
}

impl State {
    fn index(&mut self, hash: TxHash, versioned_hashes: &[B256]) {
        let Some(entry) = self.entries.get_mut(&hash) else { return };
        entry.versioned_hashes = versioned_hashes.to_vec();
        for (index, versioned_hash) in versioned_hashes.iter().enumerate() {
            self.by_versioned_hash.insert(*versioned_hash, (hash, index));
        }
    }
}
