//! Places where the crash tests make the process die: `STARLING_FAILPOINT=NAME:N` aborts at the N-th pass of NAME.

use std::sync::{
    LazyLock,
    atomic::{AtomicU64, Ordering},
};

/// A record is written, not synced.
pub(crate) const JOURNAL_WRITE: &str = "journal-write";
/// Some rows of a flush are written, not committed.
pub(crate) const FLUSH_WRITE: &str = "flush-write";
/// All rows of a flush are written, not committed.
pub(crate) const FLUSH_COMMIT: &str = "flush-commit";
/// A flush is committed, its journal files are still there.
pub(crate) const FLUSH_DELETE: &str = "flush-delete";

static WANTED: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
    let value = std::env::var("STARLING_FAILPOINT").ok()?;
    let (name, pass) = value.split_once(':')?;
    Some((name.to_owned(), pass.parse().ok()?))
});
static PASSES: AtomicU64 = AtomicU64::new(0);

/// Dies here if the environment says so.
pub(crate) fn pass(name: &str) {
    if let Some((wanted, number)) = &*WANTED
        && wanted == name
        && PASSES.fetch_add(1, Ordering::Relaxed) + 1 == *number
    {
        std::process::abort();
    }
}
