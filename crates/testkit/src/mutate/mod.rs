//! Whether the conformance runner would notice: one rule of the protocol is changed, the runner built and run, and it
//! must fail. Then the next rule.
//!
//! It works in a copy of the last commit under `target/mutants`, never in the tree that people work in. Cases that fail
//! in the unchanged copy do not count.

mod rules;

use crate::{Outcome, fixtures};
pub use rules::{MUTATIONS, Mutation};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

/// What the runner is called with when nothing else is said: enough for every rule, minutes of work.
const RUNNER_FLAGS: [&str; 2] = ["--sample", "2%"];
/// Failures that are shown of what caught a mutation.
const SHOWN_MAX: usize = 2;

/// Changes the rules of these names, all if there are none, and runs the runner with these flags.
pub fn run(only: &[String], flags: &[String]) -> Outcome {
    let chosen: Vec<Mutation> = MUTATIONS
        .into_iter()
        .filter(|mutation| only.is_empty() || only.iter().any(|rule| rule == mutation.rule))
        .collect();
    if chosen.is_empty() {
        let rules = MUTATIONS.map(|mutation| mutation.rule);
        return Err(format!("no such rule; there are {}", rules.join(", ")));
    }
    let tree = Tree::of_last_commit()?;
    let flags: Vec<String> = if flags.is_empty() { RUNNER_FLAGS.map(str::to_owned).to_vec() } else { flags.to_vec() };
    let before = tree.failing(&flags)?;
    if !before.is_empty() {
        println!("{} cases fail without any change and do not count", before.len());
    }
    let mut missed = Vec::new();
    for mutation in chosen {
        let started = Instant::now();
        let restore = tree.change(&mutation)?;
        let failing = tree.failing(&flags);
        restore.undo()?;
        let caught: Vec<String> = failing?.difference(&before).cloned().collect();
        let seconds = started.elapsed().as_secs();
        println!("{:22} caught by {} cases, {seconds} s", mutation.rule, caught.len());
        for case in caught.iter().take(SHOWN_MAX) {
            println!("{:22} {case}", "");
        }
        if caught.is_empty() {
            missed.push(mutation.rule);
        }
    }
    if missed.is_empty() { Ok(()) } else { Err(format!("nothing noticed the change of {}", missed.join(", "))) }
}

/// A copy of the tree.
struct Tree {
    root: PathBuf,
    target: PathBuf,
}

impl Tree {
    fn of_last_commit() -> Outcome<Self> {
        let original = fixtures::repository();
        let original = original.canonicalize().map_err(|error| format!("{}: {error}", original.display()))?;
        let folder = original.join("target/mutants");
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let root = folder.join("tree");
        if !root.exists() {
            git(&folder, &["clone", "--quiet", "--shared", "--no-checkout", "../..", "tree"])?;
        }
        let head = git(&original, &["rev-parse", "HEAD"])?;
        git(&root, &["checkout", "--quiet", "--force", "--detach", head.trim()])?;
        Ok(Self { root, target: folder.join("build") })
    }

    fn change(&self, mutation: &Mutation) -> Outcome<Restore> {
        let path = self.root.join(mutation.file);
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", mutation.file))?;
        if text.matches(mutation.from).count() != 1 {
            return Err(format!("{}: {:?} does not stand once in {}", mutation.rule, mutation.from, mutation.file));
        }
        fs::write(&path, text.replace(mutation.from, mutation.to))
            .map_err(|error| format!("{}: {error}", mutation.file))?;
        Ok(Restore { path, text })
    }

    /// Builds the runner, runs it, and says which cases fail.
    fn failing(&self, flags: &[String]) -> Outcome<BTreeSet<String>> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        cargo.args(["build", "--quiet", "--locked", "--package", "starling-testkit", "--bin", "conformance"]);
        let built = cargo.output().map_err(|error| format!("cargo: {error}"))?;
        if !built.status.success() {
            return Err(format!("the copy does not build:\n{}", String::from_utf8_lossy(&built.stderr)));
        }
        let mut runner = Command::new(self.target.join("debug/conformance"));
        runner.current_dir(&self.root).env("STARLING_FIXTURES", fixtures::folder());
        runner.args(flags).args(["--failures", "1000000"]);
        let run = runner.output().map_err(|error| format!("conformance: {error}"))?;
        let text = String::from_utf8_lossy(&run.stdout);
        let failing: BTreeSet<String> =
            text.lines().filter_map(|line| line.strip_prefix("FAILED ")).map(str::to_owned).collect();
        if run.status.success() != failing.is_empty() {
            return Err(format!("conformance: {}\n{}", run.status, String::from_utf8_lossy(&run.stderr)));
        }
        Ok(failing)
    }
}

/// How a changed file was.
struct Restore {
    path: PathBuf,
    text: String,
}

impl Restore {
    fn undo(self) -> Outcome {
        fs::write(&self.path, self.text).map_err(|error| format!("{}: {error}", self.path.display()))
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Outcome<String> {
    let output = Command::new("git").current_dir(folder).args(arguments).output();
    let output = output.map_err(|error| format!("git: {error}"))?;
    if !output.status.success() {
        return Err(format!("git: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
