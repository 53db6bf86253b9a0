//! The RustSec database as a snapshot: one Markdown file an advisory, its facts in a TOML block at the top.

use std::io::Read;
use std::path::PathBuf;

use semver::{Version, VersionReq};
use serde::Deserialize;
use starling_testkit::fixtures::repository;

/// The most that one advisory may hold, in bytes.
const ADVISORY_BYTES_MAX: u64 = 1 << 20;

/// All advisories about crates, withdrawn ones left out.
pub(crate) struct Snapshot {
    /// When the newest file of the snapshot was written, as a date.
    pub(crate) date: String,
    pub(crate) advisories: Vec<Advisory>,
}

/// One advisory.
pub(crate) struct Advisory {
    pub(crate) id: String,
    pub(crate) title: String,
    package: String,
    /// What it is if it is no vulnerability: `unmaintained`, `unsound`, `notice`.
    pub(crate) informational: Option<String>,
    /// Versions that are well: patched, or never affected.
    well: Vec<VersionReq>,
}

#[derive(Deserialize)]
struct Facts {
    advisory: Head,
    versions: Versions,
}

#[derive(Deserialize)]
struct Head {
    id: String,
    package: String,
    informational: Option<String>,
    withdrawn: Option<toml::Value>,
}

#[derive(Deserialize)]
struct Versions {
    #[serde(default)]
    patched: Vec<VersionReq>,
    #[serde(default)]
    unaffected: Vec<VersionReq>,
}

impl Snapshot {
    /// The snapshot that `STARLING_ADVISORIES` names, or the one beside the repository; none if neither is there.
    pub(crate) fn find() -> Option<Self> {
        let path = match std::env::var_os("STARLING_ADVISORIES") {
            Some(named) => PathBuf::from(named),
            None => Some(repository().join("../shared/reference/rustsec-advisories.tar.zst"))
                .filter(|path| path.is_file())?,
        };
        let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Some(Self::read(file).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// The advisories that affect a version of a package.
    pub(crate) fn concerning(&self, name: &str, version: &Version) -> impl Iterator<Item = &Advisory> {
        self.advisories.iter().filter(move |advisory| advisory.affects(name, version))
    }

    fn read(compressed: impl Read) -> std::io::Result<Self> {
        let mut archive = tar::Archive::new(zstd::Decoder::new(compressed)?);
        let (mut newest_s, mut advisories) = (0, Vec::new());
        for entry in archive.entries()? {
            let entry = entry?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            newest_s = entry.header().mtime()?.max(newest_s);
            let path = entry.path()?.to_string_lossy().into_owned();
            if path.contains("crates/") && path.ends_with(".md") {
                let mut text = String::new();
                entry.take(ADVISORY_BYTES_MAX).read_to_string(&mut text)?;
                advisories.extend(Advisory::parse(&text).unwrap_or_else(|error| panic!("{path}: {error}")));
            }
        }
        Ok(Self { date: date(newest_s), advisories })
    }
}

impl Advisory {
    /// None if it was withdrawn.
    fn parse(text: &str) -> Result<Option<Self>, String> {
        let block = text.split("```toml").nth(1).and_then(|rest| rest.split("\n```").next()).ok_or("no TOML block")?;
        let facts: Facts = toml::from_str(block).map_err(|error| error.to_string())?;
        let title = text.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or_default().to_string();
        let head = facts.advisory;
        let well = [facts.versions.patched, facts.versions.unaffected].concat();
        let advisory = Self { id: head.id, title, package: head.package, informational: head.informational, well };
        Ok(head.withdrawn.is_none().then_some(advisory))
    }

    fn affects(&self, name: &str, version: &Version) -> bool {
        self.package == name && !self.well.iter().any(|range| range.matches(version))
    }
}

/// A time in seconds since 1970 as `YEAR-MONTH-DAY` (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn date(time_s: u64) -> String {
    let days = time_s / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

#[test]
fn ranges_are_read_as_the_database_means_them() {
    let text = "```toml\n[advisory]\nid = \"X\"\npackage = \"p\"\n[versions]\npatched = [\"^1.0.4\", \">= 1.2.3, < 2.0\", \">= 3\"]\n\
                unaffected = [\"< 0.5\"]\n```\n\n# Title\n";
    let advisory = Advisory::parse(text).expect("an advisory").expect("not withdrawn");
    assert_eq!(advisory.title, "Title");
    for (version, affected) in
        [("0.4.9", false), ("0.5.0", true), ("1.0.3", true), ("1.0.4", false), ("2.0.0", true), ("3.1.0", false)]
    {
        assert_eq!(advisory.affects("p", &version.parse().expect("a version")), affected, "{version}");
    }
    assert!(!advisory.affects("q", &Version::new(2, 0, 0)));
    assert_eq!(
        (date(0), date(951_782_400), date(1_787_270_400)),
        ("1970-01-01".into(), "2000-02-29".into(), "2026-08-21".into())
    );
}
