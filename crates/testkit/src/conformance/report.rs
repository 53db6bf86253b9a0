//! The table of what was run, and the failures in full.

use super::cases::{Outcome, Verdict};
use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    time::Duration,
};

/// What became of all cases.
#[derive(Debug, Default)]
pub struct Report {
    /// By archive and by the fork's place in time and name.
    rows: BTreeMap<(String, (usize, String)), Row>,
    /// Differing cases by their group.
    differing: BTreeMap<(String, &'static str), usize>,
    /// Skipped and later ones by their reason.
    left_out: BTreeMap<(String, &'static str), usize>,
    /// In the order in which they came.
    failures: Vec<Outcome>,
}

/// A line of the table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Row {
    /// All that the case says holds.
    pub passed: usize,
    /// Something does not.
    pub failed: usize,
    /// Not run, for a reason.
    pub skipped: usize,
    /// Ask for what is not built yet.
    pub later: usize,
    /// Pin a draft of rules that changed.
    pub differs: usize,
    /// How many of them ran on disk through the chain's thread.
    pub on_disk: usize,
    /// Time of the workers together.
    pub time: Duration,
}

impl Report {
    /// Adds what became of a member's cases.
    pub fn add(&mut self, archive: &str, outcomes: Vec<Outcome>) {
        for outcome in outcomes {
            let fork = (place_of(&outcome.fork), outcome.fork.clone());
            let row = self.rows.entry((archive.into(), fork)).or_default();
            row.time += outcome.took;
            row.on_disk += usize::from(outcome.on_disk);
            match &outcome.verdict {
                Verdict::Passed => row.passed += 1,
                Verdict::Skipped(why) => {
                    row.skipped += 1;
                    *self.left_out.entry((archive.into(), why)).or_default() += 1;
                }
                Verdict::Later(why) => {
                    row.later += 1;
                    *self.left_out.entry((archive.into(), why)).or_default() += 1;
                }
                Verdict::Differs(group) => {
                    row.differs += 1;
                    *self.differing.entry((archive.into(), group)).or_default() += 1;
                }
                Verdict::Failed(_) => {
                    row.failed += 1;
                    self.failures.push(outcome);
                }
            }
        }
    }

    /// All lines in one.
    pub fn total(&self) -> Row {
        self.rows.values().fold(Row::default(), Row::plus)
    }

    /// The failures in full, at most `max`, with the command that runs each by itself.
    pub fn failures(&self, max: usize) -> String {
        let mut text = String::new();
        for outcome in self.failures.iter().take(max) {
            let Verdict::Failed(failure) = &outcome.verdict else { continue };
            let place = if failure.at.is_empty() { String::new() } else { format!(", {}", failure.at) };
            let _ = writeln!(text, "\nFAILED {} ({}{place})", outcome.id, outcome.fork);
            if !failure.expected.is_empty() {
                let _ = writeln!(text, "  expected: {}", failure.expected);
            }
            let _ = writeln!(text, "  got:      {}", failure.got);
            let _ = writeln!(text, "  alone:    make conformance FLAGS=\"--only '{}'\"", outcome.id);
        }
        if self.failures.len() > max {
            let _ = writeln!(text, "\n… and {} more failures (--failures N shows more)", self.failures.len() - max);
        }
        text
    }
}

impl Row {
    fn plus(self, other: &Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
            later: self.later + other.later,
            differs: self.differs + other.differs,
            on_disk: self.on_disk + other.on_disk,
            time: self.time + other.time,
        }
    }

    /// How many cases there are.
    pub fn cases(&self) -> usize {
        self.passed + self.failed + self.skipped + self.later + self.differs
    }

    fn line(&self, archive: &str, fork: &str) -> String {
        let Self { passed, failed, skipped, later, differs, on_disk, time } = self;
        let seconds = time.as_secs_f64();
        format!(
            "{archive:33} {fork:30} {passed:>7} {failed:>6} {skipped:>7} {later:>6} {differs:>7} {on_disk:>7} {seconds:>8.1}"
        )
    }
}

/// The table: a line an archive and fork, a line an archive, a line for all.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = ["passed", "failed", "skipped", "later", "differs", "on disk", "core s"];
        let [passed, failed, skipped, later, differs, on_disk, time] = columns;
        writeln!(
            f,
            "{:33} {:30} {passed:>7} {failed:>6} {skipped:>7} {later:>6} {differs:>7} {on_disk:>7} {time:>8}",
            "archive", "fork"
        )?;
        let mut archives: BTreeMap<&str, Row> = BTreeMap::new();
        for ((archive, (_, fork)), row) in &self.rows {
            let whole = archives.entry(archive).or_default();
            *whole = whole.plus(row);
            writeln!(f, "{}", row.line(archive, if fork.is_empty() { "–" } else { fork }))?;
        }
        writeln!(f)?;
        for (archive, row) in &archives {
            writeln!(f, "{}", row.line(archive, "all"))?;
        }
        writeln!(f, "{}", self.total().line("all", ""))?;
        for (title, groups) in [("left out", &self.left_out), ("differs", &self.differing)] {
            for ((archive, why), count) in groups {
                writeln!(f, "{title}: {count} of {archive}: {why}")?;
            }
        }
        Ok(())
    }
}

/// The order in which the forks came; a transition stands behind the fork that it begins with.
fn place_of(network: &str) -> usize {
    let (first, transition) = network.split_once("To").map_or((network, 0), |(first, _)| (first, 1));
    super::network::fork_of(first).map_or(0, |fork| fork as usize * 2 + 2 + transition)
}
