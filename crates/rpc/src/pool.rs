//! Threads for work that must not run on the runtime's: reading the disk, running the EVM, hashing.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::oneshot;

/// Bytes of each thread's stack; rayon's work stealing nests jobs on it.
const STACK_BYTES: usize = 8 << 20;

/// A named pool of threads with a bounded queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct QueryPool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    name: &'static str,
    threads: Arc<rayon::ThreadPool>,
    /// Jobs that run or wait.
    jobs: AtomicUsize,
    jobs_max: usize,
}

/// Why a job has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// As many jobs as may be are running or waiting; this one was not taken. Waiting helps.
    #[error("too many requests: the {pool} pool holds {limit} jobs at most; try again later")]
    Full {
        /// The pool's name.
        pool: &'static str,
        /// Its bound.
        limit: usize,
    },
    /// The job panicked; the log says where.
    #[error("internal error: the method handler crashed")]
    Panicked,
}

impl QueryPool {
    /// A pool of `threads` threads named after it, with at most `jobs_max` jobs running or waiting.
    pub fn new(name: &'static str, threads: usize, jobs_max: usize) -> std::io::Result<Self> {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(move |index| format!("{name}-{index}"))
            .stack_size(STACK_BYTES)
            .build()
            .map_err(std::io::Error::other)?;
        Ok(Self::over(name, Arc::new(threads), jobs_max))
    }

    /// A bounded queue before threads that others use as well.
    pub fn over(name: &'static str, threads: Arc<rayon::ThreadPool>, jobs_max: usize) -> Self {
        Self { shared: Arc::new(Shared { name, threads, jobs: AtomicUsize::new(0), jobs_max }) }
    }

    /// Runs a job and waits for its result without holding a runtime thread. A job whose asker is gone
    /// before it starts is dropped.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, PoolError> {
        let slot = Slot::take(&self.shared)?;
        let (sender, receiver) = oneshot::channel();
        self.shared.threads.spawn(move || {
            let _slot = slot;
            if sender.is_closed() {
                return;
            }
            // The panic hook has logged it; the caller gets an error instead of an answer.
            if let Ok(value) = catch_unwind(AssertUnwindSafe(job)) {
                let _ = sender.send(value);
            }
        });
        receiver.await.map_err(|_| PoolError::Panicked)
    }
}

/// A place in the queue, given back when the job is over.
struct Slot(Arc<Shared>);

impl Slot {
    fn take(shared: &Arc<Shared>) -> Result<Self, PoolError> {
        let taken = shared.jobs.fetch_add(1, Ordering::Relaxed);
        // Made before the check, so that dropping it undoes the count.
        let slot = Self(shared.clone());
        if taken >= shared.jobs_max {
            return Err(PoolError::Full { pool: shared.name, limit: shared.jobs_max });
        }
        Ok(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.jobs.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn runs_refuses_and_survives_a_panic() {
        let pool = QueryPool::new("test", 1, 2).unwrap();
        assert_eq!(pool.run(|| 1 + 1).await, Ok(2));
        assert_eq!(pool.run(|| panic!("as intended")).await, Err::<(), _>(PoolError::Panicked));

        let (release, gate) = mpsc::channel::<()>();
        let running = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(move || gate.recv().is_ok()).await }
        });
        let waiting = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(|| 7).await }
        });
        while pool.shared.jobs.load(Ordering::Relaxed) < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(pool.run(|| 0).await, Err(PoolError::Full { pool: "test", limit: 2 }));
        release.send(()).unwrap();
        assert_eq!(running.await.unwrap(), Ok(true));
        assert_eq!(waiting.await.unwrap(), Ok(7));
        assert_eq!(pool.run(|| 3).await, Ok(3));
    }
}
