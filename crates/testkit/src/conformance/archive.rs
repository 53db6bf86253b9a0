//! Members of archives as a stream: nothing is unpacked to disk, one member is in memory at a time.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

/// Largest window that the archives were packed with, as a power of two: zstd's default limit.
const WINDOW_LOG_MAX: u32 = 27;

/// A file of an archive.
#[derive(Debug, Clone)]
pub struct Member {
    /// The archive's name, without its ending.
    pub archive: Arc<str>,
    /// The file's path in it.
    pub path: String,
    /// The file.
    pub bytes: Vec<u8>,
}

/// The name of an archive: its file name without `.tar.zst`; none if it is no archive.
pub fn name_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.strip_suffix(".tar.zst")
}

/// Walks an archive's files in their order and hands over those whose path is `wanted`, until `each` says to stop.
pub fn walk(path: &Path, wanted: impl Fn(&str) -> bool, mut each: impl FnMut(Member) -> bool) -> io::Result<()> {
    let archive: Arc<str> = name_of(path).unwrap_or_default().into();
    let mut decoder = zstd::Decoder::new(File::open(path)?)?;
    decoder.window_log_max(WINDOW_LOG_MAX)?;
    let mut tar = tar::Archive::new(decoder);
    for entry in tar.entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry.path()?.to_string_lossy().trim_start_matches("./").to_owned();
        if !wanted(&path) {
            continue;
        }
        let mut bytes = Vec::with_capacity(usize::try_from(entry.size()).unwrap_or_default());
        entry.read_to_end(&mut bytes)?;
        if !each(Member { archive: archive.clone(), path, bytes }) {
            break;
        }
    }
    Ok(())
}
