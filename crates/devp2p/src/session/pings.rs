use std::time::{Duration, Instant};

/// How many pings may come at once. Test tools send ten within a second, others one in fifteen.
const BURST: u32 = 32;
/// How often one more may come.
const REFILL: Duration = Duration::from_millis(125);

/// How many pings a peer may still send.
pub(super) struct PingBudget {
    left: u32,
    counted: Instant,
}

impl PingBudget {
    pub(super) fn new(now: Instant) -> Self {
        Self { left: BURST, counted: now }
    }

    /// Takes one; false when there is none.
    pub(super) fn spend(&mut self, now: Instant) -> bool {
        let gained = now.saturating_duration_since(self.counted).as_millis() / REFILL.as_millis();
        let gained = u32::try_from(gained).unwrap_or(BURST).min(BURST);
        if gained > 0 {
            self.left = (self.left + gained).min(BURST);
            self.counted = now;
        }
        self.left.checked_sub(1).map(|left| self.left = left).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_eight_in_a_second() {
        let start = Instant::now();
        let mut budget = PingBudget::new(start);
        let passed = (0..100).filter(|_| budget.spend(start)).count();
        assert_eq!(passed, 32);
        let later = |ms| start + Duration::from_millis(ms);
        assert!(!budget.spend(later(100)) && budget.spend(later(125)) && !budget.spend(later(200)));
        assert_eq!((0..100).filter(|_| budget.spend(later(1_200))).count(), 8);
        assert_eq!((0..100).filter(|_| budget.spend(later(1_000_000))).count(), 32);
    }
}
