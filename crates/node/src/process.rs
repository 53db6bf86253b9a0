//! What the process asks of the system, set explicitly at its start.

use crate::failure::{Context, Failure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::time::Instant;

/// Stack of threads that run the EVM or sort out its data: calls nest 1024 deep, and each level takes stack.
pub(crate) const STACK_SIZE_BYTES: usize = 16 << 20;

/// Fewer open files than this do not run a node: database, block files, 500 connections on two ports.
const OPEN_FILES_MIN: u64 = 2048;

/// Threads whose panic leaves the written state in doubt: the process ends before another write.
const WRITERS: [&str; 4] = ["chain", "journal", "background", "importer"];

/// Raises the limit of open files as far as the system allows.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    match getrlimit(Resource::Nofile).current {
        Some(files) if files < OPEN_FILES_MIN => {
            tracing::warn!(files, wanted = OPEN_FILES_MIN, "few open files are allowed; raise `ulimit -n`");
        }
        _ => {}
    }
}

/// Waits until a deadline; without one, forever.
pub(crate) async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// Ends the process when a thread that writes panics; other panics stay what they are.
pub(crate) fn end_at_writer_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        let thread = std::thread::current();
        if thread.name().is_some_and(|name| WRITERS.iter().any(|writer| name.starts_with(writer))) {
            eprintln!("error: a thread that writes has failed; the process ends before another write. Start it again");
            std::process::abort();
        }
    }));
}

/// How many threads may compute at once.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A pool of worker threads.
pub(crate) fn pool(name: &'static str) -> Result<rayon::ThreadPool, Failure> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(cores())
        .thread_name(move |index| format!("{name}-{index}"))
        .stack_size(STACK_SIZE_BYTES)
        .build()
        .context(format_args!("cannot start the {name} threads"))
}
