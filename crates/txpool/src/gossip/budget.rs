use std::time::{Duration, Instant};

/// Signature recoveries that a peer may waste at once: some seconds of one core at 30 µs each.
const BURST: usize = 8_192;
/// Time in which it may waste one more.
const REFILL_EVERY: Duration = Duration::from_millis(4);

/// How many signature recoveries a peer may still cost.
#[derive(Debug)]
pub(super) struct Budget {
    left: usize,
    refilled_at: Instant,
}

impl Budget {
    pub(super) fn new(now: Instant) -> Self {
        Self { left: BURST, refilled_at: now }
    }

    /// How many are left.
    pub(super) fn left(&mut self, now: Instant) -> usize {
        let passed = now.saturating_duration_since(self.refilled_at);
        let more = usize::try_from(passed.as_millis() / REFILL_EVERY.as_millis()).unwrap_or(BURST).min(BURST);
        if more > 0 {
            self.left = (self.left + more).min(BURST);
            self.refilled_at = now;
        }
        self.left
    }

    /// Takes as many as there are, `wanted` at most.
    pub(super) fn take(&mut self, wanted: usize, now: Instant) -> usize {
        let taken = wanted.min(self.left(now));
        self.left -= taken;
        taken
    }

    /// So many were not wasted after all.
    pub(super) fn give_back(&mut self, unused: usize) {
        self.left = (self.left + unused).min(BURST);
    }
}
