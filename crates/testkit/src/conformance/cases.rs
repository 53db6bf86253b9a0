//! What becomes of a case, and the tally of one member's.

use super::{archive::Member, options::Selection};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All that the case says holds.
    Passed,
    /// Something does not.
    Failed(Failure),
    /// Not run, for a reason that a reader accepts.
    Skipped(&'static str),
    /// Differs, and must: the case pins a draft of rules that changed before they went live. The group of reasons.
    Differs(&'static str),
    /// Asks for what is not built yet.
    Later(&'static str),
}

/// What was expected, and what came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failure {
    /// Where in the case: `block 3`, or nothing.
    pub at: String,
    /// What the case says.
    pub expected: String,
    /// What came.
    pub got: String,
}

impl From<String> for Failure {
    fn from(got: String) -> Self {
        Self { got, ..Self::default() }
    }
}

impl From<Failure> for Verdict {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl<E: Into<Failure>> From<Result<(), E>> for Verdict {
    fn from(result: Result<(), E>) -> Self {
        result.map_or_else(|failure| Self::Failed(failure.into()), |()| Self::Passed)
    }
}

/// A case that was looked at.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// `archive/member::name`, what `--only` takes.
    pub id: String,
    /// The rules it was run under; empty for cases of no fork.
    pub fork: String,
    /// What became of it.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
    /// Whether it ran on a database on disk, through the chain's own thread.
    pub on_disk: bool,
}

/// Runs the cases of one member, those that are wanted, and keeps what became of them.
#[derive(Debug)]
pub struct Cases<'a> {
    prefix: String,
    selection: &'a Selection,
    on_disk: bool,
    outcomes: Vec<Outcome>,
}

impl<'a> Cases<'a> {
    /// The cases of a member.
    pub fn of(member: &Member, selection: &'a Selection) -> Self {
        let prefix = format!("{}/{}::", member.archive, member.path);
        Self { prefix, selection, on_disk: false, outcomes: Vec::new() }
    }

    /// Whether the case of that name will be run: worth asking where its set-up is dear.
    pub fn wants(&self, name: &str) -> bool {
        self.selection.wants(&self.prefix, name)
    }

    /// Whether engine cases go through HTTP.
    pub fn over_http(&self) -> bool {
        self.selection.over_http
    }

    /// Runs a case, unless the selection leaves it out. A panic is a failure.
    pub fn case<V: Into<Verdict>>(&mut self, name: &str, fork: &str, run: impl FnOnce() -> V) {
        if !self.wants(name) {
            return;
        }
        let started = Instant::now();
        let verdict = match catch_unwind(AssertUnwindSafe(run)) {
            Ok(verdict) => verdict.into(),
            Err(panic) => Verdict::Failed(Failure::from(format!("a panic: {}", words(&*panic)))),
        };
        self.outcomes.push(Outcome {
            id: format!("{}{name}", self.prefix),
            fork: fork.into(),
            verdict,
            took: started.elapsed(),
            on_disk: self.on_disk,
        });
    }

    /// [`Cases::case`] for one that may run on disk: `run` is told whether it shall.
    pub fn case_on<V: Into<Verdict>>(&mut self, name: &str, fork: &str, run: impl FnOnce(bool) -> V) {
        let on_disk = self.selection.is_on_disk(&self.prefix, name);
        self.on_disk = on_disk;
        self.case(name, fork, || run(on_disk));
        self.on_disk = false;
    }

    /// What became of them.
    pub fn into_outcomes(self) -> Vec<Outcome> {
        self.outcomes
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without words")
}
