//! Who has been written, who has been synced: the journal thread's half of the commit point.

use crate::disk::DiskFile;
use parking_lot::{Condvar, Mutex};
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

/// A record is synced at most this long after it was written.
const SYNC_DELAY: Duration = Duration::from_millis(100);

/// The journal's synced end.
#[derive(Debug)]
pub(crate) struct Syncer {
    state: Mutex<State>,
    /// Told when there is something to sync, or to stop.
    work: Condvar,
    /// Held by whoever is syncing.
    syncing: Mutex<()>,
}

#[derive(Debug)]
struct State {
    /// The file that holds the last record. Files before it are synced.
    file: Arc<dyn DiskFile>,
    written: u64,
    synced: u64,
    stopped: bool,
    failed: bool,
}

impl State {
    fn is_synced(&self) -> bool {
        self.written == self.synced
    }
}

impl Syncer {
    /// All records so far are synced.
    pub(crate) fn new(file: Arc<dyn DiskFile>, lsn: u64) -> Self {
        let state = State { file, written: lsn, synced: lsn, stopped: false, failed: false };
        Self { state: Mutex::new(state), work: Condvar::new(), syncing: Mutex::new(()) }
    }

    /// A record was written; in which file. Files before it are synced.
    pub(crate) fn written(&self, file: Arc<dyn DiskFile>, lsn: u64) {
        let mut state = self.state.lock();
        state.file = file;
        state.written = lsn;
        self.work.notify_one();
    }

    /// Waits until a record is synced, by syncing it: who waits has no use for the journal thread's delay.
    pub(crate) fn wait_for(&self, lsn: u64) -> io::Result<()> {
        let _syncing = self.syncing.lock();
        if self.state.lock().synced >= lsn { Ok(()) } else { self.sync_now() }
    }

    /// Syncs what has been written; the caller holds `syncing`.
    fn sync_now(&self) -> io::Result<()> {
        let (file, written) = {
            let state = self.state.lock();
            if state.failed {
                return Err(io::Error::other("an earlier sync failed"));
            }
            (state.file.clone(), state.written)
        };
        let result = file.sync();
        let mut state = self.state.lock();
        match &result {
            Ok(()) => state.synced = state.synced.max(written),
            // after a failed sync the system may have dropped the pages: trying again would prove nothing
            Err(_) => state.failed = true,
        }
        result
    }

    /// Nothing will be synced any more.
    pub(crate) fn fail(&self) {
        self.state.lock().failed = true;
        self.work.notify_all();
    }

    /// Ends [`Syncer::run`], after a last sync.
    pub(crate) fn stop(&self) {
        self.state.lock().stopped = true;
        self.work.notify_all();
    }

    /// The journal thread: syncs what was written, some time after. Ends when told to stop, or with the error.
    pub(crate) fn run(&self) -> io::Result<()> {
        loop {
            let stopped = {
                let mut state = self.state.lock();
                while state.is_synced() && !state.stopped && !state.failed {
                    self.work.wait(&mut state);
                }
                if state.failed {
                    return Ok(());
                }
                let until = Instant::now() + SYNC_DELAY;
                while !state.stopped && !self.work.wait_until(&mut state, until).timed_out() {}
                state.stopped
            };
            let _syncing = self.syncing.lock();
            let behind = !self.state.lock().is_synced();
            if behind {
                self.sync_now()?;
            }
            if stopped {
                return Ok(());
            }
        }
    }
}
