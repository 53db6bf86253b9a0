//! How far it is, how fast it goes, and what it waits for.

use std::{
    fmt,
    time::{Duration, Instant},
};

/// At most this often [`crate::SyncAction::Progress`] is given.
pub const PROGRESS_PERIOD: Duration = Duration::from_secs(8);
/// A longer time left is not told: the rate is that of a standstill.
const TIME_LEFT_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Weight of the last period in the rate.
const WEIGHT: f64 = 0.3;

/// What a sync waits for at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitsFor {
    /// Nothing: the head that was named is reached.
    Nothing,
    /// Somebody to name a head: a consensus client or `--sync.target`.
    Target,
    /// Anyone to ask.
    Peers,
    /// A peer that has the head.
    Head,
    /// Headers down to a known block, or up to a peer's head.
    Headers,
    /// Bodies.
    Bodies,
    /// The importer.
    Import,
    /// Room on the disk, or whatever else keeps the chain from importing.
    Chain,
}

/// Where a sync stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// The head when it began.
    pub starting: u64,
    /// The head.
    pub current: u64,
    /// The highest block that is known of; the head when nothing is.
    pub highest: u64,
    /// Imported blocks a second, of late.
    pub blocks_per_second: f64,
    /// Peers that can be asked.
    pub peers: usize,
    /// At this rate; none if it is not known.
    pub time_left: Option<Duration>,
    /// What it waits for.
    pub waits_for: WaitsFor,
}

/// Measures the rate.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub(crate) starting: u64,
    since: Option<(Instant, u64)>,
    blocks_per_second: f64,
}

impl Meter {
    /// A round begins at this head.
    pub(crate) fn start(&mut self, head: u64, now: Instant) {
        *self = Self { starting: head, since: Some((now, head)), blocks_per_second: 0.0 };
    }

    /// Measures a period that has passed. False if it has not.
    pub(crate) fn measure(&mut self, head: u64, now: Instant) -> bool {
        let Some((since, from)) = self.since else { return false };
        let elapsed = now.saturating_duration_since(since);
        if elapsed < PROGRESS_PERIOD {
            return false;
        }
        let rate = head.saturating_sub(from) as f64 / elapsed.as_secs_f64();
        let is_first = self.blocks_per_second == 0.0;
        self.blocks_per_second =
            if is_first { rate } else { self.blocks_per_second + (rate - self.blocks_per_second) * WEIGHT };
        self.since = Some((now, head));
        true
    }

    /// When the next period ends.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.since.map(|(since, _)| since + PROGRESS_PERIOD)
    }

    pub(crate) fn blocks_per_second(&self) -> f64 {
        self.blocks_per_second
    }

    pub(crate) fn time_left(&self, blocks: u64) -> Option<Duration> {
        let seconds = blocks as f64 / self.blocks_per_second;
        Duration::try_from_secs_f64(seconds).ok().filter(|left| *left < TIME_LEFT_MAX)
    }
}

impl fmt::Display for WaitsFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Target => "a consensus client, or --sync.target, to name the head",
            Self::Peers => "peers",
            Self::Head => "a peer that has the head",
            Self::Headers => "headers",
            Self::Bodies => "bodies",
            Self::Import => "the import of blocks",
            Self::Chain => "the chain to take blocks again",
        })
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {} of {}, {:.1} blocks/s", self.current, self.highest, self.blocks_per_second)?;
        write!(f, ", {} peers, waits for {}", self.peers, self.waits_for)?;
        match self.time_left {
            Some(left) => write!(f, ", {} s left", left.as_secs()),
            None => Ok(()),
        }
    }
}
