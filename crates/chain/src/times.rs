use std::time::{Duration, Instant};

/// Where the importing thread's time went since the chain was opened, by phase.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImportTimes {
    /// Header and body against the ancestors.
    pub check: Duration,
    /// Transactions, system calls, receipts.
    pub execute: Duration,
    /// Storage roots and the state root.
    pub root: Duration,
    /// Journal, layer and cache.
    pub keep: Duration,
    /// Head, frontier and the published view.
    pub head: Duration,
}

impl std::ops::AddAssign for ImportTimes {
    fn add_assign(&mut self, other: Self) {
        self.check += other.check;
        self.execute += other.execute;
        self.root += other.root;
        self.keep += other.keep;
        self.head += other.head;
    }
}

/// A watch that is read once a phase.
#[derive(Debug)]
pub(crate) struct Watch(Instant);

impl Watch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Adds the time since the last reading to a phase.
    pub(crate) fn lap(&mut self, phase: &mut Duration) {
        let now = Instant::now();
        *phase += now - self.0;
        self.0 = now;
    }
}

impl std::fmt::Display for ImportTimes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { check, execute, root, keep, head } = self;
        write!(f, "check {check:.1?}, execute {execute:.1?}, root {root:.1?}, keep {keep:.1?}, head {head:.1?}")
    }
}
