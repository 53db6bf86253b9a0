//! Reading the journal back at the start.
//!
//! A torn tail (bad bytes in the last file, no valid record behind them) is cut and said so. Anything else that
//! does not parse is damage: nothing is changed, and the error names the range.

use super::{
    FOLDER, Journal, JournalFile, file_name,
    frame::{self, FILE_HEADER_SIZE_BYTES, FileHeader, RecordKind},
};
use crate::{
    OpenError,
    disk::{Disk, DiskFile, read_vec},
    schema::FORMAT_VERSION,
};
use std::{collections::VecDeque, io, sync::Arc};
use tracing::warn;

/// A record read back.
pub(crate) struct Replayed<'a> {
    pub(crate) lsn: u64,
    pub(crate) kind: RecordKind,
    pub(crate) payload: &'a [u8],
    pub(crate) file: Arc<dyn DiskFile>,
    /// Where the payload starts in the file.
    pub(crate) payload_at: u64,
}

/// What was found besides records.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Records read.
    pub(crate) records: u64,
    /// Bytes at the end of the last file that are no record.
    pub(crate) torn_bytes: u64,
    /// Files before the first one that is needed.
    pub(crate) orphans: Vec<u64>,
}

struct Chain {
    files: VecDeque<JournalFile>,
    /// End of the last record in the last file.
    end: u64,
    lsn_last: u64,
    crc_last: u32,
    /// A last file whose making was interrupted.
    unborn: Option<u64>,
}

/// Reads all records from the file `first` on, and takes up writing behind the last one. Nothing is changed on
/// disk unless all of it reads well.
pub(crate) fn open(
    disk: &Arc<dyn Disk>,
    first: u64,
    visit: &mut dyn FnMut(Replayed<'_>) -> Result<(), OpenError>,
) -> Result<Journal, OpenError> {
    let (chain, scan) = read(disk, first, visit)?;
    clean(disk, &chain, &scan).map_err(io_error)?;
    Ok(Journal {
        disk: disk.clone(),
        files: chain.files,
        size: chain.end,
        lsn_last: chain.lsn_last,
        crc_last: chain.crc_last,
        buffer: Vec::new(),
    })
}

/// Reads all records from the file `first` on; changes nothing.
pub(crate) fn scan(
    disk: &Arc<dyn Disk>,
    first: u64,
    visit: &mut dyn FnMut(Replayed<'_>) -> Result<(), OpenError>,
) -> Result<Scan, OpenError> {
    read(disk, first, visit).map(|(_, scan)| scan)
}

fn read(
    disk: &Arc<dyn Disk>,
    first: u64,
    visit: &mut dyn FnMut(Replayed<'_>) -> Result<(), OpenError>,
) -> Result<(Chain, Scan), OpenError> {
    let names = disk.list(FOLDER).map_err(io_error)?;
    let ids: Vec<u64> = names.iter().filter_map(|name| name.parse().ok()).collect();
    let mut scan = Scan { orphans: ids.iter().copied().filter(|id| *id < first).collect(), ..Scan::default() };
    let ids: Vec<u64> = ids.into_iter().filter(|id| *id >= first).collect();
    let mut chain = Chain { files: VecDeque::new(), end: 0, lsn_last: 0, crc_last: 0, unborn: None };
    for (expected, id) in (first..).zip(&ids) {
        if *id != expected {
            return Err(damaged(format!("the journal file {} is missing", file_name(expected))));
        }
        read_file(disk, *id, Some(id) == ids.last(), &mut chain, &mut scan, visit)?;
    }
    if chain.files.is_empty() {
        return Err(damaged(format!("the journal file {} is missing", file_name(first))));
    }
    Ok((chain, scan))
}

fn read_file(
    disk: &Arc<dyn Disk>,
    id: u64,
    last: bool,
    chain: &mut Chain,
    scan: &mut Scan,
    visit: &mut dyn FnMut(Replayed<'_>) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    let name = file_name(id);
    let handle = disk.open(&name, false).map_err(io_error)?;
    let size = handle.size().map_err(io_error)?;
    let bytes = read_vec(&*handle, 0, usize::try_from(size).map_err(|_| damaged(format!("{name} is too long")))?);
    let bytes = bytes.map_err(io_error)?;
    let Some(header) = FileHeader::decode(&bytes) else {
        // the file was being made when the process died; the one before it was complete and synced by then
        if last && !chain.files.is_empty() && frame::find_behind(&bytes, 0, id, 0).is_none() {
            chain.unborn = Some(id);
            return Ok(());
        }
        return Err(damaged(format!("the header of {name} is not one")));
    };
    check_header(&header, id, chain, &name)?;
    (chain.lsn_last, chain.crc_last) = (header.lsn_first.saturating_sub(1), header.previous);
    let mut at = FILE_HEADER_SIZE_BYTES;
    while let Some(frame) = frame::next_frame(&bytes, at, id, chain.lsn_last + 1, chain.crc_last) {
        let kind = RecordKind::from_byte(frame.kind).ok_or(OpenError::UnknownRecord {
            lsn: frame.lsn,
            kind: frame.kind,
            supported: FORMAT_VERSION,
        })?;
        let payload_at = frame.payload_at as u64;
        visit(Replayed { lsn: frame.lsn, kind, payload: frame.payload, file: handle.clone(), payload_at })?;
        (chain.lsn_last, chain.crc_last) = (frame.lsn, frame.crc);
        scan.records += 1;
        at = frame.end();
    }
    if at < bytes.len() {
        check_tail(&bytes, at, id, last, chain.lsn_last, &name)?;
        scan.torn_bytes = (bytes.len() - at) as u64;
    }
    chain.end = at as u64;
    chain.files.push_back(JournalFile { id, handle, lsn_last: chain.lsn_last });
    Ok(())
}

fn check_header(header: &FileHeader, id: u64, chain: &Chain, name: &str) -> Result<(), OpenError> {
    if header.version != FORMAT_VERSION {
        return Err(crate::schema::version_error(header.version));
    }
    let follows =
        chain.files.is_empty() || (header.lsn_first == chain.lsn_last + 1 && header.previous == chain.crc_last);
    if header.file_id == id && follows {
        return Ok(());
    }
    Err(damaged(format!("{name} does not continue the journal after record {}", chain.lsn_last)))
}

/// Bad bytes: a torn tail is fine, anything else is damage.
fn check_tail(bytes: &[u8], at: usize, id: u64, last: bool, lsn_last: u64, name: &str) -> Result<(), OpenError> {
    let behind = frame::find_behind(bytes, at + 1, id, lsn_last + 1);
    let end = match (behind, last) {
        (None, true) => return Ok(()),
        (Some(end), _) => end,
        (None, false) => bytes.len(),
    };
    Err(damaged(format!("bytes {at} to {end} of {name} are not the record {} that was written there", lsn_last + 1)))
}

/// Cuts the torn tail and removes the files that nothing names.
fn clean(disk: &Arc<dyn Disk>, chain: &Chain, scan: &Scan) -> io::Result<()> {
    if let Some(current) = chain.files.back() {
        if scan.torn_bytes > 0 {
            let bytes = scan.torn_bytes;
            warn!(file = current.id, bytes, last = chain.lsn_last, "cut the journal's torn tail");
            current.handle.truncate(chain.end)?;
        }
        current.handle.sync()?;
    }
    for id in scan.orphans.iter().chain(&chain.unborn) {
        disk.remove(&file_name(*id))?;
    }
    disk.sync_folder(FOLDER)
}

fn damaged(what: String) -> OpenError {
    OpenError::Damaged { what }
}

fn io_error(error: io::Error) -> OpenError {
    OpenError::Io { path: FOLDER.into(), what: error.to_string() }
}
