//! One reader, a worker a core.

use super::{
    Options, Report,
    archive::{self, Member},
    blocks,
    cases::{Cases, Failure, Verdict},
    engine,
    options::Selection,
    state, vectors,
};
use crate::fixtures;
use crossbeam_channel::{Receiver, Sender};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Members that wait for a worker. A full queue makes the reader wait: most are below 1 MB, the largest has 7 MB.
const QUEUE_MEMBERS_MAX: usize = 32;
/// Bytes of each worker's stack: EVM calls nest deep, as on the chain's thread.
const STACK_SIZE_BYTES: usize = 16 << 20;
/// The folder of plain files that counts as one more archive.
const VECTORS: &str = "vectors";

/// What a worker does at once.
struct Job {
    format: Format,
    members: Vec<Member>,
}

/// How a member is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Format {
    /// Blocks, payloads or a transaction on a state: each case says by its fields which.
    Suite,
    /// Payloads on states that cases share, which are members of their own.
    EngineShared,
    /// Everything else.
    Vector(vectors::Format),
}

/// Runs what is asked for.
///
/// # Errors
/// In words: an archive is missing or unreadable, or the machine gives no threads. Cases that fail are no error.
pub fn run(options: &Options) -> Result<Report, String> {
    let sources = sources(&options.archives, &options.selection)?;
    let report = Mutex::new(Report::default());
    let (jobs, queue) = crossbeam_channel::bounded(QUEUE_MEMBERS_MAX);
    std::thread::scope(|scope| {
        for index in 0..options.threads {
            let (queue, report) = (queue.clone(), &report);
            // a pool of one thread: what the crates spread over the current pool stays on this worker
            let builder = rayon::ThreadPoolBuilder::new().num_threads(1).stack_size(STACK_SIZE_BYTES);
            let pool = builder.build().map_err(|error| format!("no thread: {error}"))?;
            let worker = std::thread::Builder::new().name(format!("worker-{index}"));
            let work = move || pool.install(|| work(&queue, &options.selection, report));
            worker.spawn_scoped(scope, work).map_err(|error| format!("no thread: {error}"))?;
        }
        drop(queue);
        sources.iter().try_for_each(|source| read(source, &options.selection, &jobs))?;
        drop(jobs);
        Ok::<_, String>(())
    })?;
    Ok(report.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// The archives that are asked for, and the folder of plain files.
pub(super) fn sources(archives: &[String], selection: &Selection) -> Result<Vec<PathBuf>, String> {
    let folder = fixtures::folder();
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut sources: Vec<_> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| !name_of(path).is_empty()).collect();
    sources.sort();
    let only = selection.only.as_deref().and_then(|only| only.split('/').next());
    for wanted in archives.iter().map(String::as_str).chain(only) {
        if !sources.iter().any(|source| name_of(source) == wanted) {
            return Err(format!(
                "no archive {wanted} in {}; `make fixtures` says where it is published",
                folder.display()
            ));
        }
    }
    let named = |name: &str| archives.is_empty() || archives.iter().any(|wanted| wanted == name);
    sources.retain(|source| named(name_of(source)) && only.is_none_or(|only| only == name_of(source)));
    Ok(sources)
}

/// The name of a source; empty for what is none.
fn name_of(path: &Path) -> &str {
    match archive::name_of(path) {
        Some(name) => name,
        None if path.file_name().is_some_and(|name| name == VECTORS) => VECTORS,
        None => "",
    }
}

/// Sends a source's members to the workers: each as it comes, or together those that need each other.
fn read(source: &Path, selection: &Selection, jobs: &Sender<Job>) -> Result<(), String> {
    let name = name_of(source);
    let mut together: BTreeMap<Format, Vec<Member>> = BTreeMap::new();
    let send = |job: Job| jobs.send(job).is_ok();
    let each = |member: Member| {
        let Some(format) = format_of(&member) else { return true };
        if format.is_whole() {
            together.entry(format).or_default().push(member);
            return true;
        }
        send(Job { format, members: vec![member] })
    };
    let read = if name == VECTORS { walk_folder(source, each) } else { walk(source, name, selection, each) };
    read.map_err(|error| format!("{}: {error}", source.display()))?;
    eprintln!("{name}: read");
    for (format, members) in together {
        send(Job { format, members });
    }
    Ok(())
}

fn walk(source: &Path, name: &str, selection: &Selection, each: impl FnMut(Member) -> bool) -> std::io::Result<()> {
    // with `--only` the others are passed over, but for those that it may need
    let wanted = |path: &str| selection.wants_member(name, path) || vectors::is_whole(name) || is_shared(path);
    archive::walk(source, wanted, each)
}

fn walk_folder(folder: &Path, mut each: impl FnMut(Member) -> bool) -> std::io::Result<()> {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    paths.sort();
    for path in paths.into_iter().filter(|path| path.is_file()) {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !each(Member { archive: Arc::from(VECTORS), path: file, bytes: std::fs::read(&path)? }) {
            break;
        }
    }
    Ok(())
}

fn format_of(member: &Member) -> Option<Format> {
    if is_shared(&member.path) {
        return member.path.ends_with(".json").then_some(Format::EngineShared);
    }
    if let Some(format) = vectors::format_by_name(&member.archive, &member.path) {
        return Some(Format::Vector(format));
    }
    if is_suite(&member.bytes) {
        return Some(Format::Suite);
    }
    vectors::format_of(&member.archive, &member.path, &member.bytes).map(Format::Vector)
}

/// Whether a file holds cases of blocks, of payloads or of a transaction on a state.
fn is_suite(file: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(file) else { return false };
    let has = |field: &str| text.contains(field);
    has("\"genesisBlockHeader\"") || (has("\"transaction\"") && has("\"post\"") && has("\"env\""))
}

fn is_shared(path: &str) -> bool {
    path.contains("blockchain_tests_engine_x/")
}

impl Format {
    /// Whether an archive's members of this format need each other.
    fn is_whole(self) -> bool {
        match self {
            Self::Suite => false,
            Self::EngineShared => true,
            Self::Vector(format) => format.whole(),
        }
    }
}

fn work(queue: &Receiver<Job>, selection: &Selection, report: &Mutex<Report>) {
    for job in queue {
        let Some(first) = job.members.first() else { continue };
        let archive = first.archive.clone();
        let outcomes = match job.format {
            Format::Suite => suite(first, selection, &BTreeMap::new()).into_outcomes(),
            Format::EngineShared => {
                let (states, files): (Vec<_>, Vec<_>) =
                    job.members.iter().partition(|member| member.path.contains("/pre_alloc/"));
                let shared = engine::shared_states(&states);
                files.iter().flat_map(|file| suite(file, selection, &shared).into_outcomes()).collect()
            }
            Format::Vector(format) => {
                let mut cases = Cases::of(first, selection);
                format.run(&job.members, &mut cases);
                cases.into_outcomes()
            }
        };
        report.lock().unwrap_or_else(PoisonError::into_inner).add(&archive, outcomes);
    }
}

/// Runs the cases of a file of the official suites.
fn suite<'a>(member: &Member, selection: &'a Selection, shared: &BTreeMap<String, engine::Shared>) -> Cases<'a> {
    let mut cases = Cases::of(member, selection);
    let mut json = serde_json::Deserializer::from_slice(&member.bytes);
    let read = json.deserialize_map(EachCase(|name: &str, case: &RawValue| {
        // the fields tell the kinds apart, and none of them stands deeper in a case of another kind
        let has = |field: &str| case.get().contains(field);
        if has("\"engineNewPayloads\"") {
            engine::run(name, case, shared, &mut cases);
        } else if has("\"blocks\"") {
            blocks::run(name, case, &mut cases);
        } else if has("\"post\"") && has("\"transaction\"") {
            state::run(name, case, &mut cases);
        } else {
            cases.case(name, "", || Verdict::Failed(Failure::from("a case of a format that is not known".to_owned())));
        }
    }));
    if let Err(error) = read {
        cases.case("", "", || Verdict::Failed(Failure::from(format!("the file does not read: {error}"))));
    }
    cases
}

/// Hands over the members of an object one by one, as text.
struct EachCase<F>(F);

impl<'de, F: FnMut(&str, &RawValue)> Visitor<'de> for EachCase<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of cases")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            (self.0)(&name, map.next_value::<&'de RawValue>()?);
        }
        Ok(())
    }
}
