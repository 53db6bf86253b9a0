//! Block files: what nobody looks up by key. Append-only, of bounded size, read by place.
//!
//! ```text
//! entry   number u64 · 5 × (length u32 · crc u32) · crc u32 of all before · columns, each snappy-compressed
//! columns block RLP · senders, 20 bytes each · receipts · access list, empty for none · changed keys ([`Changes`])
//! ```
//!
//! Bytes behind the end that Meta names are leftovers of a flush that did not happen; the next one writes over them.

use crate::{
    codec::{Malformed, Reader, put_varint},
    disk::{Disk, DiskFile, read_vec},
    journal::record::Body,
    schema::{BlockPlace, FileOffset},
    tables::TableError,
};
use parking_lot::Mutex;
use starling_primitives::{B256, Bytes, ReadError};
use std::{collections::BTreeMap, io, sync::Arc};

/// Folder of the block files.
pub(crate) const FOLDER: &str = "blocks";
/// A file that has grown past this many bytes takes no more blocks.
const FILE_SIZE_BYTES_MAX: u64 = 1 << 30;
/// Open files kept at hand.
const HANDLES_MAX: usize = 64;
/// Columns of an entry.
const COLUMNS: usize = 5;
const HEADER_SIZE_BYTES: usize = 8 + COLUMNS * 8 + 4;

/// A column of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Rlp,
    Senders,
    Receipts,
    AccessList,
    Changes,
}

/// The keys that a block changed, in order: what undoing, pruning and `changes` need besides the history rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// The next storage id to be given out after the block.
    pub(crate) storage_id_next: u64,
    /// Accounts, each with its changed slots.
    pub(crate) accounts: Vec<(B256, Vec<B256>)>,
}

impl Changes {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.storage_id_next);
        put_varint(&mut out, self.accounts.len() as u64);
        for (account, slots) in &self.accounts {
            out.extend_from_slice(account.as_slice());
            put_varint(&mut out, slots.len() as u64);
            slots.iter().for_each(|slot| out.extend_from_slice(slot.as_slice()));
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let reader = &mut Reader::new(bytes);
        let mut changes = Self { storage_id_next: reader.varint()?, accounts: Vec::new() };
        for _ in 0..reader.varint()? {
            let account = reader.hash()?;
            let slots = (0..reader.varint()?).map(|_| reader.hash()).collect::<Result<_, _>>()?;
            changes.accounts.push((account, slots));
        }
        if reader.is_empty() { Ok(changes) } else { Err(Malformed("changed keys")) }
    }
}

/// The block files of a database.
#[derive(Debug)]
pub(crate) struct BlockFiles {
    disk: Arc<dyn Disk>,
    handles: Mutex<BTreeMap<u32, Arc<dyn DiskFile>>>,
}

/// Appends blocks behind an end; nothing counts before Meta names the new end.
#[derive(Debug)]
pub(crate) struct BlockWriter<'a> {
    files: &'a BlockFiles,
    end: FileOffset,
}

fn file_name(file: u32) -> String {
    format!("{FOLDER}/{file:010}")
}

impl BlockFiles {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk, handles: Mutex::default() }
    }

    fn handle(&self, file: u32, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut handles = self.handles.lock();
        if let Some(handle) = handles.get(&file) {
            return Ok(handle.clone());
        }
        let handle = self.disk.open(&file_name(file), create)?;
        if handles.len() >= HANDLES_MAX {
            handles.pop_first();
        }
        handles.insert(file, handle.clone());
        Ok(handle)
    }

    pub(crate) fn writer(&self, end: FileOffset) -> BlockWriter<'_> {
        BlockWriter { files: self, end }
    }

    /// Cuts everything behind an end: leftovers of a flush that did not happen, or blocks rolled back.
    pub(crate) fn cut(&self, end: FileOffset) -> io::Result<()> {
        let names = self.disk.list(FOLDER)?;
        for file in names.iter().filter_map(|name| name.parse::<u32>().ok()).filter(|file| *file > end.file) {
            self.handles.lock().remove(&file);
            self.disk.remove(&file_name(file))?;
        }
        if let Ok(handle) = self.handle(end.file, false)
            && handle.size()? > end.offset
        {
            handle.truncate(end.offset)?;
        }
        Ok(())
    }

    /// Files and their bytes.
    pub(crate) fn sizes(&self) -> io::Result<(u64, u64)> {
        let (mut files, mut bytes) = (0, 0);
        for name in self.disk.list(FOLDER)? {
            files += 1;
            bytes += self.disk.open(&format!("{FOLDER}/{name}"), false)?.size()?;
        }
        Ok((files, bytes))
    }

    /// A block's columns but the last.
    pub(crate) fn body(&self, number: u64, place: BlockPlace) -> Result<Body, ReadError> {
        let columns = [Column::Rlp, Column::Senders, Column::Receipts, Column::AccessList];
        let [rlp, senders, receipts, access_list] = self.columns(number, place, columns)?;
        let senders = crate::journal::record::decode_senders(&senders).map_err(|error| damaged(number, error))?;
        let access_list = (!access_list.is_empty()).then(|| access_list.into());
        Ok(Body { rlp: rlp.into(), senders, receipts: receipts.into(), access_list })
    }

    /// One column of a block, read without the others.
    pub(crate) fn column(&self, number: u64, place: BlockPlace, column: Column) -> Result<Bytes, ReadError> {
        let failed = |error| damaged(number, error);
        let header = self.read(number, place, 0, HEADER_SIZE_BYTES)?;
        let found = find_column(&header, number, column).map_err(failed)?;
        if found.at.saturating_add(found.length) > place.length as usize {
            return Err(damaged(number, Malformed("length")));
        }
        let packed = self.read(number, place, found.at, found.length)?;
        unpack(&packed, found.crc).map(Bytes::from).map_err(failed)
    }

    /// The keys that a block changed.
    pub(crate) fn changes(&self, number: u64, place: BlockPlace) -> Result<Changes, ReadError> {
        Changes::decode(&self.column(number, place, Column::Changes)?).map_err(|error| damaged(number, error))
    }

    /// Reads a whole entry and looks at every checksum.
    pub(crate) fn verify(&self, number: u64, place: BlockPlace) -> Result<(Bytes, Changes), ReadError> {
        Ok((self.body(number, place)?.rlp, self.changes(number, place)?))
    }

    fn columns<const N: usize>(
        &self,
        number: u64,
        place: BlockPlace,
        wanted: [Column; N],
    ) -> Result<[Vec<u8>; N], ReadError> {
        let entry = self.read(number, place, 0, place.length as usize)?;
        let mut columns = std::array::from_fn(|_| Vec::new());
        for (to, column) in columns.iter_mut().zip(wanted) {
            *to = decode_column(&entry, number, column).map_err(|error| damaged(number, error))?;
        }
        Ok(columns)
    }

    /// Some bytes of a block's entry.
    fn read(&self, number: u64, place: BlockPlace, at: usize, length: usize) -> Result<Vec<u8>, ReadError> {
        let handle = self.handle(place.start.file, false);
        let bytes = handle.and_then(|handle| read_vec(&*handle, place.start.offset + at as u64, length));
        bytes.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => damaged(number, Malformed("place")),
            _ => ReadError::Io(error.to_string()),
        })
    }
}

fn damaged(number: u64, error: Malformed) -> ReadError {
    ReadError::Damaged(format!("block {number} in the block files: {error}"))
}

impl BlockWriter<'_> {
    /// Appends a block; where it lies.
    pub(crate) fn append(&mut self, number: u64, body: &Body, changes: &Changes) -> Result<BlockPlace, TableError> {
        if self.end.offset > FILE_SIZE_BYTES_MAX {
            self.files.handle(self.end.file, true)?.sync()?;
            self.end = FileOffset { file: self.end.file + 1, offset: 0 };
        }
        let entry = encode_entry(number, body, changes)?;
        let length = u32::try_from(entry.len()).map_err(|_| TableError::TooLong("block files"))?;
        self.files.handle(self.end.file, true)?.write_at(&entry, self.end.offset)?;
        let place = BlockPlace { start: self.end, length };
        self.end.offset += u64::from(length);
        Ok(place)
    }

    /// Makes what was appended survive a power cut; the end that Meta may name then.
    pub(crate) fn finish(self) -> Result<FileOffset, TableError> {
        self.files.handle(self.end.file, true)?.sync()?;
        self.files.disk.sync_folder(FOLDER)?;
        Ok(self.end)
    }
}

fn encode_entry(number: u64, body: &Body, changes: &Changes) -> Result<Vec<u8>, TableError> {
    let senders: Vec<u8> = body.senders.iter().flat_map(|sender| sender.0.0).collect();
    let access_list: &[u8] = body.access_list.as_ref().map_or(&[], |access_list| access_list);
    let changes = changes.encode();
    let columns: [&[u8]; COLUMNS] = [&body.rlp, &senders, &body.receipts, access_list, &changes];
    let mut snappy = snap::raw::Encoder::new();
    let mut header = number.to_le_bytes().to_vec();
    let mut bytes = Vec::new();
    for column in columns {
        let packed = snappy.compress_vec(column).map_err(|error| TableError::Io(error.to_string()))?;
        header.extend_from_slice(&(packed.len() as u32).to_le_bytes());
        header.extend_from_slice(&crc32fast::hash(&packed).to_le_bytes());
        bytes.extend_from_slice(&packed);
    }
    header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
    header.extend_from_slice(&bytes);
    Ok(header)
}

/// A column within its entry.
struct ColumnPlace {
    at: usize,
    length: usize,
    crc: u32,
}

fn find_column(entry: &[u8], number: u64, column: Column) -> Result<ColumnPlace, Malformed> {
    let header = entry.get(..HEADER_SIZE_BYTES - 4).ok_or(Malformed("header"))?;
    let crc = Reader::new_at(entry, HEADER_SIZE_BYTES - 4).u32()?;
    let reader = &mut Reader::new(header);
    if crc32fast::hash(header) != crc || reader.u64()? != number {
        return Err(Malformed("header"));
    }
    let mut at = HEADER_SIZE_BYTES;
    for _ in 0..column as usize {
        at = at.saturating_add(reader.u32()? as usize);
        reader.u32()?;
    }
    Ok(ColumnPlace { at, length: reader.u32()? as usize, crc: reader.u32()? })
}

fn decode_column(entry: &[u8], number: u64, column: Column) -> Result<Vec<u8>, Malformed> {
    let place = find_column(entry, number, column)?;
    unpack(Reader::new_at(entry, place.at).take(place.length)?, place.crc)
}

fn unpack(packed: &[u8], crc: u32) -> Result<Vec<u8>, Malformed> {
    if crc32fast::hash(packed) != crc {
        return Err(Malformed("checksum"));
    }
    snap::raw::Decoder::new().decompress_vec(packed).map_err(|_| Malformed("compression"))
}
