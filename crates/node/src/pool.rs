//! The life of the pool: its journal in the datadir, and the head that it follows.

use crate::{
    cli::PoolArgs,
    datadir::{Datadir, write_whole},
    failure::{Context, Failure},
};
use parking_lot::Mutex;
use starling_chain::ChainHandle;
use starling_primitives::{BlockRef, ReadError};
use starling_state::{BlockId, ChainView};
use starling_txpool::{BlobStore, JournalRecord, PoolHandle, read_journal};
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::broadcast::error::RecvError;

/// How often the pool is looked through for what has waited too long, and its journal for what is out of date.
const TIDY_INTERVAL: Duration = Duration::from_secs(60);
/// The journal is written anew when it is twice what it was, and this much longer.
const JOURNAL_SLACK_BYTES: u64 = 1 << 20;
/// Blocks that are looked at for the block where two chains part.
const PART_DEPTH_MAX: u64 = 1_024;

/// Opens the pool with what its journal holds.
pub(crate) fn open(
    args: &PoolArgs,
    datadir: &Datadir,
    chain: &ChainHandle,
) -> Result<(PoolHandle, Arc<Journal>), Failure> {
    let path = datadir.transactions_journal();
    let (journal, records) =
        Journal::open(&path).context(format_args!("cannot open the journal of transactions {}", path.display()))?;
    let journal = Arc::new(journal);
    let keep = journal.clone();
    let view = chain.view();
    let folder = datadir.blobs();
    let blobs = BlobStore::open(&folder).context(format_args!("cannot open the folder {}", folder.display()))?;
    let keep = move |records: &[JournalRecord]| keep.append(records);
    let pool = PoolHandle::with_blobs(args.config(), starling_execution::intrinsic_gas, &view, keep, blobs);
    let restored = pool.restore(records, &view);
    journal.rewrite(&pool).context(format_args!("cannot write {}", path.display()))?;
    if restored > 0 {
        tracing::info!(restored, "transactions of the last run are in the pool again");
    }
    Ok((pool, journal))
}

/// Lets the pool follow the chain, until the runtime stops.
pub(crate) async fn follow(pool: PoolHandle, journal: Arc<Journal>, chain: ChainHandle) {
    let mut events = chain.events();
    let mut tidy = tokio::time::interval(TIDY_INTERVAL);
    let mut head = pool.head_block();
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(_) | Err(RecvError::Lagged(_)) => {
                    let (pool, view) = (pool.clone(), chain.view());
                    if view.head() == head {
                        continue;
                    }
                    head = view.head();
                    let moved = tokio::task::spawn_blocking(move || move_head(&pool, &view)).await;
                    match moved {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => tracing::warn!(%error, "the pool does not see the new head"),
                        // At the stop of the node.
                        Err(error) if error.is_cancelled() => {}
                        Err(error) => tracing::error!(%error, "following the head failed"),
                    }
                }
                Err(RecvError::Closed) => return,
            },
            _ = tidy.tick() => {
                let (pool, journal) = (pool.clone(), journal.clone());
                let _ = tokio::task::spawn_blocking(move || {
                    pool.expire();
                    if let Err(error) = journal.tidy(&pool) {
                        tracing::warn!(%error, "cannot write the journal of transactions anew");
                    }
                }).await;
            }
        }
        let status = pool.status();
        metrics::gauge!("txpool_pending").set(status.pending as f64);
        metrics::gauge!("txpool_queued").set(status.queued as f64);
        metrics::gauge!("txpool_size_bytes").set(status.size_bytes as f64);
    }
}

fn move_head(pool: &PoolHandle, view: &ChainView) -> Result<(), ReadError> {
    let common = common_with(view, pool.head_block())?;
    pool.head_moved(view, common)
}

/// The last block that a view's chain shares with the one that ended in `old`.
fn common_with(view: &ChainView, old: BlockRef) -> Result<BlockRef, ReadError> {
    let mut at = old;
    for _ in 0..PART_DEPTH_MAX {
        if at.number <= view.head().number && view.is_canonical(at)? {
            return Ok(at);
        }
        let Some(header) = view.header(BlockId::Hash(at.hash))? else { break };
        let Some(number) = at.number.checked_sub(1) else { break };
        at = BlockRef { number, hash: header.parent_hash };
    }
    Ok(view.frontier())
}

/// The file in which accepted transactions of our own RPC are kept.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    file: File,
    bytes: u64,
    /// What it had when it was last written anew.
    bytes_anew: u64,
}

impl Journal {
    /// Opens the file, or makes it, with the records that it holds. A torn record at its end is cut off.
    fn open(path: &Path) -> io::Result<(Self, Vec<JournalRecord>)> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let (records, whole) = read_journal(&bytes);
        if whole < bytes.len() {
            tracing::warn!(path = %path.display(), lost_bytes = bytes.len() - whole, "the journal of transactions ends in a torn record");
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        file.set_len(whole as u64)?;
        let written = Written { file, bytes: whole as u64, bytes_anew: whole as u64 };
        Ok((Self { path: path.to_path_buf(), written: Mutex::new(written) }, records))
    }

    /// Writes records: from here on they survive the death of the process.
    fn append(&self, records: &[JournalRecord]) -> io::Result<()> {
        let mut bytes = Vec::new();
        records.iter().for_each(|record| record.encode(&mut bytes));
        let mut written = self.written.lock();
        let before = written.bytes;
        if let Err(error) = written.file.write_all(&bytes) {
            // Half a record would hide all that follow.
            written.file.set_len(before)?;
            return Err(error);
        }
        written.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Writes the file anew if most of it is out of date.
    fn tidy(&self, pool: &PoolHandle) -> io::Result<()> {
        let due = {
            let written = self.written.lock();
            written.bytes > 2 * written.bytes_anew + JOURNAL_SLACK_BYTES
        };
        if due { self.rewrite(pool) } else { Ok(()) }
    }

    /// Writes the file anew with what the pool holds.
    fn rewrite(&self, pool: &PoolHandle) -> io::Result<()> {
        pool.with_journal(|records| {
            let mut bytes = Vec::new();
            records.iter().for_each(|record| record.encode(&mut bytes));
            let mut written = self.written.lock();
            write_whole(&self.path, &bytes)?;
            written.file = OpenOptions::new().append(true).open(&self.path)?;
            written.bytes = bytes.len() as u64;
            written.bytes_anew = written.bytes;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use starling_primitives::Bytes;

    #[test]
    fn a_torn_end_is_cut_off_and_records_follow() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("transactions.journal");
        let record = |byte| JournalRecord::Accepted { bytes: Bytes::from(vec![byte; 40]), private: false };
        let (journal, none) = Journal::open(&path).unwrap();
        assert!(none.is_empty());
        journal.append(&[record(1)]).unwrap();
        journal.append(&[record(2)]).unwrap();
        drop(journal);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        let (journal, one) = Journal::open(&path).unwrap();
        assert_eq!(one, [record(1)]);
        journal.append(&[record(3)]).unwrap();
        assert_eq!(Journal::open(&path).unwrap().1, [record(1), record(3)]);
    }
}
