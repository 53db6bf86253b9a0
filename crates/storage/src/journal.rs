//! The journal is the commit point: what stands in it has happened.
//!
//! Append-only files `journal/N`, each of bounded size, hold [`frame`]d [`record`]s in arrival order. A record
//! is appended by one write; SIGKILL loses nothing from then on. Power loss is what [`Journal::sync`] is for.
//!
//! Rules:
//! - Files are not preallocated: a file's size grows only behind its data, so that a power cut leaves a prefix,
//!   and "bad bytes with a valid record behind them" can only be damage.
//! - A file is synced before the first record of the next one is written: only the last file can have a torn tail.
//! - File ids rise and are never reused; together with the checksum chain, no stale byte ever parses.

pub(crate) mod frame;
pub(crate) mod record;
pub(crate) mod replay;
#[cfg(test)]
mod tests;

use crate::{
    disk::{Disk, DiskFile},
    schema::FORMAT_VERSION,
};
use frame::{FileHeader, RecordKind};
use std::{collections::VecDeque, io, sync::Arc};

/// Folder of the journal files.
pub(crate) const FOLDER: &str = "journal";
/// A file that has grown past this many bytes takes no more records. Small beside the
/// journal's bound, so that deleting whole files frees most of what a flush made superfluous.
const FILE_SIZE_BYTES_MAX: u64 = 8 << 20;
/// The buffer in which records are built is given back past this many bytes.
const BUFFER_SIZE_BYTES_KEPT: usize = 8 << 20;

/// The name of a journal file.
pub(crate) fn file_name(file_id: u64) -> String {
    format!("{FOLDER}/{file_id:010}")
}

/// One journal file.
#[derive(Debug, Clone)]
pub(crate) struct JournalFile {
    pub(crate) id: u64,
    pub(crate) handle: Arc<dyn DiskFile>,
    /// Its last record's number; below its first one's if it is empty.
    lsn_last: u64,
}

/// A record as just written.
#[derive(Debug)]
pub(crate) struct Written<'a> {
    pub(crate) lsn: u64,
    /// The whole record; offsets into it are offsets into the file from `at`.
    pub(crate) bytes: &'a [u8],
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) at: u64,
}

/// The writing end. Touched only by whoever holds the engine's writer lock.
#[derive(Debug)]
pub(crate) struct Journal {
    disk: Arc<dyn Disk>,
    /// Oldest first; the last one is written to.
    files: VecDeque<JournalFile>,
    size: u64,
    lsn_last: u64,
    crc_last: u32,
    buffer: Vec<u8>,
}

impl Journal {
    /// Starts a journal with an empty, synced file.
    pub(crate) fn create(disk: Arc<dyn Disk>, file_id: u64) -> io::Result<Self> {
        let mut journal = Self { disk, files: VecDeque::new(), size: 0, lsn_last: 0, crc_last: 0, buffer: Vec::new() };
        journal.start_file(file_id)?;
        Ok(journal)
    }

    /// The number of the last record.
    pub(crate) fn lsn_last(&self) -> u64 {
        self.lsn_last
    }

    /// The file that is being written to.
    pub(crate) fn current(&self) -> &Arc<dyn DiskFile> {
        &self.files[self.files.len() - 1].handle
    }

    /// The id of the file that is being written to.
    fn current_id(&self) -> u64 {
        self.files[self.files.len() - 1].id
    }

    /// Appends a record whose payload `encode` appends to a buffer. On an error nothing of it is left in the file,
    /// or, if even that fails, [`AppendError::Broken`] says so.
    pub(crate) fn append<T>(
        &mut self,
        kind: RecordKind,
        encode: impl FnOnce(&mut Vec<u8>) -> T,
    ) -> Result<(Written<'_>, T), AppendError> {
        if self.size > FILE_SIZE_BYTES_MAX {
            self.roll().map_err(AppendError::Refused)?;
        }
        frame::begin(&mut self.buffer);
        let encoded = encode(&mut self.buffer);
        if u32::try_from(self.buffer.len()).is_err() {
            return Err(AppendError::Refused(io::Error::other("a record of more than 4 GiB")));
        }
        let lsn = self.lsn_last + 1;
        let file_id = self.current_id();
        let crc = frame::seal(&mut self.buffer, kind, file_id, lsn, self.crc_last);
        let file = self.current().clone();
        if let Err(error) = file.write_at(&self.buffer, self.size) {
            // half a record must not stay before the next one
            return match file.truncate(self.size) {
                Ok(()) => Err(AppendError::Refused(error)),
                Err(_) => Err(AppendError::Broken(error)),
            };
        }
        let at = self.size;
        self.size += self.buffer.len() as u64;
        (self.lsn_last, self.crc_last) = (lsn, crc);
        if let Some(current) = self.files.back_mut() {
            current.lsn_last = lsn;
        }
        Ok((Written { lsn, bytes: &self.buffer, file, at }, encoded))
    }

    /// Gives back the memory of an unusually large record.
    pub(crate) fn shrink(&mut self) {
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_SIZE_BYTES_KEPT);
    }

    /// Ends the current file and starts the next.
    pub(crate) fn roll(&mut self) -> io::Result<u64> {
        self.current().sync()?;
        let file_id = self.current_id() + 1;
        self.start_file(file_id)?;
        Ok(file_id)
    }

    fn start_file(&mut self, file_id: u64) -> io::Result<()> {
        let handle = self.disk.open(&file_name(file_id), true)?;
        let header =
            FileHeader { version: FORMAT_VERSION, file_id, lsn_first: self.lsn_last + 1, previous: self.crc_last };
        let bytes = header.encode();
        handle.truncate(0)?;
        handle.write_at(&bytes, 0)?;
        handle.sync()?;
        self.disk.sync_folder(FOLDER)?;
        self.size = bytes.len() as u64;
        self.files.push_back(JournalFile { id: file_id, handle, lsn_last: self.lsn_last });
        Ok(())
    }

    /// The first file that holds a record numbered `lsn` or later.
    pub(crate) fn first_file_needed(&self, lsn: u64) -> u64 {
        self.files.iter().find(|file| file.lsn_last >= lsn).map_or_else(|| self.current_id(), |file| file.id)
    }

    /// Deletes the files before one. Nobody needs them any more.
    pub(crate) fn delete_before(&mut self, file_id: u64) -> io::Result<()> {
        while let Some(file) = self.files.front().filter(|file| file.id < file_id) {
            self.disk.remove(&file_name(file.id))?;
            self.files.pop_front();
        }
        Ok(())
    }

    /// Bytes in all files.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.files.iter().filter_map(|file| file.handle.size().ok()).sum()
    }
}

/// Why a record was not appended.
#[derive(Debug)]
pub(crate) enum AppendError {
    /// Nothing was written.
    Refused(io::Error),
    /// The file's end is in doubt: no record may follow.
    Broken(io::Error),
}
