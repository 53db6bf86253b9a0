//! How fast a peer answers: how much to ask it for, and how long to wait.
//!
//! Every answer measures the peer: its round trip, and its items per second of each kind. A peer is asked for
//! as much as it can send in the time that a usual peer takes for an answer, and all are given three times that
//! time. Slow lines so get small requests instead of time-outs, and quick ones are kept busy.

use std::time::Duration;

/// Shortest and longest time in which an answer is expected.
pub(crate) const ROUND_TRIP_MIN: Duration = Duration::from_secs(2);
pub(crate) const ROUND_TRIP_MAX: Duration = Duration::from_secs(20);
/// How many expected times pass before a request is given up.
const TIMEOUT_ROUND_TRIPS: u32 = 3;
/// However slow all peers are, no request waits longer.
const TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// What a peer is taken for before it has answered.
const ROUND_TRIP_FIRST: Duration = Duration::from_secs(3);
/// Weight of a new measurement.
const WEIGHT: f64 = 0.25;
/// By this factor more is asked for than was measured, else a peer could never show that it is faster.
const STRETCH: f64 = 1.25;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Headers,
    Bodies,
}

/// The measurements of one peer.
#[derive(Debug, Clone)]
pub(crate) struct Rates {
    round_trip: Duration,
    /// Items per second, by kind.
    throughput: [f64; 2],
}

impl Default for Rates {
    fn default() -> Self {
        // A first request of some dozen bodies and some hundred headers.
        Self { round_trip: ROUND_TRIP_FIRST, throughput: [128.0, 24.0] }
    }
}

impl Rates {
    /// An answer with `items` came `elapsed` after it was asked for.
    pub(crate) fn answered(&mut self, kind: Kind, items: usize, elapsed: Duration) {
        self.round_trip = mix(self.round_trip.as_secs_f64(), elapsed.as_secs_f64());
        let measured = items as f64 / elapsed.as_secs_f64().max(0.001);
        let throughput = &mut self.throughput[kind as usize];
        *throughput += (measured - *throughput) * WEIGHT;
    }

    /// No answer came in time.
    pub(crate) fn timed_out(&mut self, kind: Kind) {
        self.round_trip = (self.round_trip * 2).min(ROUND_TRIP_MAX);
        self.throughput[kind as usize] /= 4.0;
    }

    /// How many items to ask for, at least one, if an answer is expected within `target`.
    pub(crate) fn capacity(&self, kind: Kind, target: Duration) -> usize {
        1 + (self.throughput[kind as usize] * target.as_secs_f64() * STRETCH) as usize
    }

    /// Items per second.
    pub(crate) fn throughput(&self, kind: Kind) -> f64 {
        self.throughput[kind as usize]
    }
}

fn mix(old: f64, new: f64) -> Duration {
    Duration::from_secs_f64(old + (new - old) * WEIGHT)
}

/// The time in which an answer is expected of any peer: the median of theirs, within bounds.
pub(crate) fn expected_round_trip<'a>(peers: impl Iterator<Item = &'a Rates>) -> Duration {
    let mut times: Vec<_> = peers.map(|rates| rates.round_trip).collect();
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or(ROUND_TRIP_FIRST);
    median.clamp(ROUND_TRIP_MIN, ROUND_TRIP_MAX)
}

/// After which time a request is given up.
pub(crate) fn timeout(expected: Duration) -> Duration {
    (expected * TIMEOUT_ROUND_TRIPS).min(TIMEOUT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers at a steady pace, then what is asked for.
    fn check(items_a_second: f64, answers: usize, expect: std::ops::RangeInclusive<usize>) {
        let mut rates = Rates::default();
        for _ in 0..answers {
            let items = rates.capacity(Kind::Bodies, ROUND_TRIP_MIN);
            let elapsed = Duration::from_secs_f64(0.1 + items as f64 / items_a_second);
            rates.answered(Kind::Bodies, items, elapsed);
        }
        let capacity = rates.capacity(Kind::Bodies, ROUND_TRIP_MIN);
        assert!(expect.contains(&capacity), "{capacity} at {items_a_second}/s");
    }

    #[test]
    fn asks_for_what_fits_the_time() {
        check(5.0, 30, 2..=14);
        check(100.0, 30, 150..=260);
        check(1000.0, 40, 1500..=2600);
    }

    #[test]
    fn waits_longer_for_slow_peers_but_not_forever() {
        let mut slow = Rates::default();
        assert_eq!(timeout(expected_round_trip([&slow].into_iter())), Duration::from_secs(9));
        for _ in 0..10 {
            slow.timed_out(Kind::Bodies);
        }
        assert_eq!(timeout(expected_round_trip([&slow].into_iter())), TIMEOUT_MAX);
        assert_eq!(slow.capacity(Kind::Bodies, ROUND_TRIP_MIN), 1);
        assert_eq!(expected_round_trip(std::iter::empty()), ROUND_TRIP_FIRST);
    }
}
