//! Whether the machine's clock can be trusted to date blocks: against the time that passes, and against the blocks of
//! other signers.
//!
//! A block is shown at its own timestamp. One that comes later was delayed, or its signer's clock is behind ours. Delays
//! differ from block to block, clocks do not: blocks that come late by the same time, again and again, say that the clocks
//! disagree. Nobody can say who is right; who does not seal does no harm.

use starling_builder::seal::CLOCK_SKEW_MAX;
use starling_primitives::BlockRef;
use std::time::{Duration, Instant};

/// How far the clock may move against the time that passes before it is not trusted any more.
const JUMP_MAX: Duration = Duration::from_secs(5);
/// By how much the lateness of blocks may differ and still be one clock's: links, and signers that wait out of turn.
const DRIFT_MAX: Duration = Duration::from_secs(5);
/// For how long blocks must come late by the same time. A node that catches up imports old blocks too, but then each is
/// less late than the one before it.
const STEADY_MIN: Duration = Duration::from_secs(15);

/// What is wrong with the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Nothing.
    None,
    /// It was moved since it was looked at last; its new time is taken for right from now on.
    Moved,
    /// It runs ahead of other signers' clocks.
    Ahead { by: Duration },
}

/// The clock, and what is known about it.
#[derive(Debug)]
pub(super) struct Clock {
    // against the time that passes
    started: Instant,
    at: Duration,
    // against others
    heard: Option<BlockRef>,
    late: Option<Late>,
}

/// Blocks that came late by the same time.
#[derive(Debug)]
struct Late {
    by: Duration,
    since: Instant,
    last: Instant,
}

impl Clock {
    /// A clock that is taken for right; `clock` is what it shows, since 1970.
    pub(super) fn new(now: Instant, clock: Duration) -> Self {
        Self { started: now, at: clock, heard: None, late: None }
    }

    /// Looks at it. `heard` is the head with its timestamp, if another signer made it.
    pub(super) fn check(&mut self, heard: Option<(BlockRef, Duration)>, now: Instant, clock: Duration) -> Doubt {
        if clock.abs_diff(self.at + now.duration_since(self.started)) > JUMP_MAX {
            *self = Self { heard: self.heard, ..Self::new(now, clock) };
            return Doubt::Moved;
        }
        if let Some((block, timestamp)) = heard.filter(|(block, _)| self.heard != Some(*block)) {
            self.heard = Some(block);
            self.came(clock.saturating_sub(timestamp), now);
        }
        match &self.late {
            Some(late) if late.last.duration_since(late.since) >= STEADY_MIN => Doubt::Ahead { by: late.by },
            _ => Doubt::None,
        }
    }

    /// A block came late by so much.
    fn came(&mut self, by: Duration, now: Instant) {
        match &mut self.late {
            _ if by <= CLOCK_SKEW_MAX => self.late = None,
            Some(late) if late.by.abs_diff(by) <= DRIFT_MAX => late.last = now,
            _ => self.late = Some(Late { by, since: now, last: now }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use starling_primitives::B256;

    const CLOCK: u64 = 1_000_000;

    /// Blocks of another signer: the second in which each comes, and how late it is then. What is found at the last.
    fn check(blocks: &[(u64, u64)], expected: Doubt) {
        let (start, mut doubt) = (Instant::now(), Doubt::None);
        let mut clock = Clock::new(start, Duration::from_secs(CLOCK));
        for (number, (at, late)) in blocks.iter().enumerate() {
            let block = BlockRef::new(number as u64, B256::with_last_byte(number as u8));
            let timestamp = Duration::from_secs(CLOCK + at - late);
            let now = start + Duration::from_secs(*at);
            doubt = clock.check(Some((block, timestamp)), now, Duration::from_secs(CLOCK + at));
        }
        assert_eq!(doubt, expected, "{blocks:?}");
    }

    #[test]
    fn a_clock_that_runs_ahead_is_noticed() {
        let ahead = |by| Doubt::Ahead { by: Duration::from_secs(by) };
        check(&[(1, 60), (3, 60), (9, 61), (16, 60)], ahead(60));
        // two signers: their turns come when ours is over
        check(&[(1, 60), (62, 61)], ahead(60));
        check(&[(1, 60), (16, 60), (20, 0)], Doubt::None);
        check(&[(1, 14), (16, 14)], Doubt::None);
    }

    #[test]
    fn delays_are_none_of_the_clocks_faults() {
        // a start after a long stop, a block of before it, then new ones
        check(&[(0, 3_600), (1, 3_598), (30, 0)], Doubt::None);
        // a signer that dies and comes back with the block that nobody saw, twice
        check(&[(1, 3_600), (60, 30)], Doubt::None);
        // catching up
        let catching_up: Vec<_> = (0..60).map(|second| (second, 600 - 10 * second)).collect();
        check(&catching_up, Doubt::None);
        // the same head, looked at again and again
        let mut clock = Clock::new(Instant::now(), Duration::from_secs(CLOCK));
        let head = Some((BlockRef::new(1, B256::ZERO), Duration::from_secs(CLOCK - 60)));
        for second in 0..60 {
            let now = clock.started + Duration::from_secs(second);
            assert_eq!(clock.check(head, now, Duration::from_secs(CLOCK + second)), Doubt::None);
        }
    }

    #[test]
    fn a_clock_that_is_moved_is_noticed_once() {
        let start = Instant::now();
        let mut clock = Clock::new(start, Duration::from_secs(CLOCK));
        let mut check = |second, shows, expected| {
            let doubt = clock.check(None, start + Duration::from_secs(second), Duration::from_secs(shows));
            assert_eq!(doubt, expected);
        };
        check(10, CLOCK + 13, Doubt::None);
        check(11, CLOCK + 71, Doubt::Moved);
        check(12, CLOCK + 72, Doubt::None);
        check(13, CLOCK + 13, Doubt::Moved);
        check(14, CLOCK + 14, Doubt::None);
    }
}
