//! One budget of memory, `--memory`, and the shares of it.
//!
//! The budget bounds the caches and buffers that Starling fills by itself, in anonymous bytes. The page cache
//! in which MDBX and block files are read is the kernel's, and is given up whenever others need it.

use crate::size::{Size, human};
use std::fs;

/// Fewer bytes than this do not run a node.
pub(crate) const BUDGET_SIZE_BYTES_MIN: u64 = 256 << 20;

/// What is taken if neither machine nor cgroup says how much there is.
const MACHINE_SIZE_BYTES_DEFAULT: u64 = 4 << 30;

/// Shares of the budget in 256ths, largest first. They make up the whole. The database's is what a flush may
/// hold in dirty pages, which storage bounds at 64 MiB: the share of the smallest budget.
const SHARES: [(&str, u64); 6] =
    [("layers", 76), ("database", 64), ("state cache", 48), ("import", 32), ("queries", 20), ("reserve", 16)];

const WHOLE: u64 = 256;

const _: () = {
    let (mut sum, mut i) = (0, 0);
    while i < SHARES.len() {
        sum += SHARES[i].1;
        i += 1;
    }
    assert!(sum == WHOLE, "the shares of --memory make up the whole");
};

/// The budget cut into its shares, each a bound in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemoryBudget {
    /// The whole.
    pub total_size_bytes: u64,
}

impl MemoryBudget {
    /// The budget that was asked for, or a quarter of the machine or cgroup.
    pub(crate) fn new(asked: Option<Size>) -> Self {
        let total = asked.map_or_else(|| machine_size_bytes() / 4, |size| size.0);
        Self { total_size_bytes: total.max(BUDGET_SIZE_BYTES_MIN) }
    }

    /// State changes above the flushed frontier, which the journal holds as well.
    pub(crate) fn layers_size_bytes(&self) -> u64 {
        self.share("layers")
    }

    /// Accounts, slots and trie rows of the importer's last block.
    pub(crate) fn state_cache_size_bytes(&self) -> u64 {
        self.share("state cache")
    }

    /// Blocks that are decoded ahead of execution.
    pub(crate) fn import_size_bytes(&self) -> u64 {
        self.share("import")
    }

    /// Answers that are being made for JSON-RPC.
    pub(crate) fn queries_size_bytes(&self) -> u64 {
        self.share("queries")
    }

    /// Says the shares to those who look closely.
    pub(crate) fn log(&self) {
        for (name, size_bytes) in self.table() {
            tracing::debug!("memory for {name}: {}", human(size_bytes));
        }
    }

    fn table(&self) -> impl Iterator<Item = (&'static str, u64)> {
        SHARES.iter().map(|(name, _)| (*name, self.share(name)))
    }

    fn share(&self, of: &str) -> u64 {
        let part = SHARES.iter().find(|(name, _)| *name == of).map_or(0, |(_, part)| *part);
        self.total_size_bytes / WHOLE * part
    }
}

/// Memory of the machine, or of the cgroup if that has less.
fn machine_size_bytes() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim();
        line.strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    });
    let cgroups = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let cgroup = cgroups.iter().find_map(|path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    machine.into_iter().chain(cgroup).min().unwrap_or(MACHINE_SIZE_BYTES_DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_make_up_the_whole() {
        for total in [0, BUDGET_SIZE_BYTES_MIN, 5 << 30] {
            let budget = MemoryBudget::new(Some(Size(total)));
            let sum: u64 = budget.table().map(|(_, size)| size).sum();
            assert!(sum <= budget.total_size_bytes && budget.total_size_bytes - sum < WHOLE, "{total}: {sum}");
            assert!(budget.table().all(|(_, size)| size > 0));
        }
        assert!(MemoryBudget::new(None).total_size_bytes >= BUDGET_SIZE_BYTES_MIN);
    }
}
