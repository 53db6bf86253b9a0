//! Sorted tables under two kinds: MDBX on disk ([`crate::mdbx`]), maps in memory ([`MemoryStore`]).

use crate::{codec::Malformed, disk::simulated::SimulatedDisk, schema::Table};
use parking_lot::Mutex;
use starling_primitives::ReadError;
use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

/// Rows deleted at a time by [`delete_range`]: bounds the memory of a sweep.
const DELETE_CHUNK_ROWS: usize = 4096;

/// A table could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum TableError {
    /// No room on the disk or in the map.
    #[error("the disk is full")]
    Full,
    /// A key or a value is longer than a page allows.
    #[error("a row of table {0} is too long")]
    TooLong(&'static str),
    /// A value does not decode, or is missing.
    #[error("{0}")]
    Damaged(String),
    /// The caller asked to stop.
    #[error("stopped")]
    Stopped,
    /// Anything else.
    #[error("{0}")]
    Io(String),
}

impl From<Malformed> for TableError {
    fn from(error: Malformed) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<ReadError> for TableError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Damaged(what) => Self::Damaged(what),
            other => Self::Io(other.to_string()),
        }
    }
}

impl From<std::io::Error> for TableError {
    fn from(error: std::io::Error) -> Self {
        if crate::disk::is_full(&error) { Self::Full } else { Self::Io(error.to_string()) }
    }
}

/// A row that is written, or deleted where there is no value.
pub(crate) type Write<'a> = (&'a [u8], Option<&'a [u8]>);

/// A row that was read: key and value.
pub(crate) type Row = (Vec<u8>, Vec<u8>);

/// Tables that can be read, all as of one moment. Reads may come from several threads at once.
pub(crate) trait Rows: Debug {
    /// Shows a row's value to `visit`; whether there is one.
    fn get(&self, table: Table, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool, TableError>;
    /// Shows rows from a key on, in order, as long as `visit` says so.
    fn walk(&self, table: Table, from: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), TableError>;
}

/// A set of changes that happens as a whole or not at all. Dropped without [`Batch::commit`], nothing happened.
pub(crate) trait Batch: Rows {
    /// Writes and deletes rows; quickest when they are sorted.
    fn write<'a>(&mut self, table: Table, rows: &mut dyn Iterator<Item = Write<'a>>) -> Result<(), TableError>;
    /// Makes the changes durable.
    fn commit(self: Box<Self>) -> Result<(), TableError>;
}

/// Where tables are kept.
pub(crate) trait Store: Send + Sync + Debug {
    /// The tables as of the last commit.
    fn snapshot(&self) -> Result<Arc<dyn Rows + Send + Sync>, TableError>;
    /// Starts a set of changes; there is one at a time.
    fn batch(&self) -> Result<Box<dyn Batch + '_>, TableError>;
    /// Rows and bytes of a table.
    fn size(&self, table: Table) -> Result<(u64, u64), TableError>;
}

/// A row's value.
pub(crate) fn get_vec<R: Rows + ?Sized>(rows: &R, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
    let mut value = None;
    rows.get(table, key, &mut |bytes| value = Some(bytes.to_vec()))?;
    Ok(value)
}

/// A row's value, decoded where it lies.
pub(crate) fn get_with<R: Rows + ?Sized, T>(
    rows: &R,
    table: Table,
    key: &[u8],
    decode: &dyn Fn(&[u8]) -> Result<T, Malformed>,
) -> Result<Option<T>, TableError> {
    let mut value = None;
    rows.get(table, key, &mut |bytes| value = Some(decode(bytes)))?;
    let damaged = |error| TableError::Damaged(format!("table {}: {error}", table.name()));
    value.transpose().map_err(damaged)
}

/// The first row at or behind a key, if it begins with `prefix`.
pub(crate) fn seek<R: Rows + ?Sized>(
    rows: &R,
    table: Table,
    from: &[u8],
    prefix: &[u8],
) -> Result<Option<Row>, TableError> {
    let mut found = None;
    rows.walk(table, from, &mut |key, value| {
        found = key.starts_with(prefix).then(|| (key.to_vec(), value.to_vec()));
        false
    })?;
    Ok(found)
}

/// Deletes the rows from one key up to another.
pub(crate) fn delete_range(batch: &mut dyn Batch, table: Table, from: &[u8], to: &[u8]) -> Result<(), TableError> {
    loop {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        batch.walk(table, from, &mut |key, _| {
            let inside = key < to && keys.len() < DELETE_CHUNK_ROWS;
            if inside {
                keys.push(key.to_vec());
            }
            inside
        })?;
        if keys.is_empty() {
            return Ok(());
        }
        batch.write(table, &mut keys.iter().map(|key| (key.as_slice(), None)))?;
    }
}

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// All tables, each shared with the snapshots that still look at it.
#[derive(Debug, Clone, Default)]
struct Maps([Arc<Map>; Table::ALL.len()]);

/// Tables in memory. A commit is one step of the simulated disk: it happened as a whole, durably, or not at all.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryStore {
    maps: Arc<Mutex<Maps>>,
    disk: SimulatedDisk,
}

impl MemoryStore {
    pub(crate) fn new(disk: SimulatedDisk) -> Self {
        Self { maps: Arc::default(), disk }
    }

    /// The same tables on another disk: after a simulated crash.
    #[cfg(test)]
    pub(crate) fn on(&self, disk: SimulatedDisk) -> Self {
        Self { maps: Arc::new(Mutex::new(self.maps.lock().clone())), disk }
    }
}

#[derive(Debug)]
struct MemoryBatch<'a> {
    store: &'a MemoryStore,
    maps: Maps,
}

impl Rows for Maps {
    fn get(&self, table: Table, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool, TableError> {
        let value = self.0[table as usize].get(key);
        value.iter().for_each(|value| visit(value));
        Ok(value.is_some())
    }

    fn walk(&self, table: Table, from: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), TableError> {
        let bounds = (std::ops::Bound::Included(from), std::ops::Bound::Unbounded);
        for (key, value) in self.0[table as usize].range::<[u8], _>(bounds) {
            if !visit(key, value) {
                break;
            }
        }
        Ok(())
    }
}

impl Rows for MemoryBatch<'_> {
    fn get(&self, table: Table, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool, TableError> {
        self.maps.get(table, key, visit)
    }

    fn walk(&self, table: Table, from: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), TableError> {
        self.maps.walk(table, from, visit)
    }
}

impl Batch for MemoryBatch<'_> {
    fn write<'a>(&mut self, table: Table, rows: &mut dyn Iterator<Item = Write<'a>>) -> Result<(), TableError> {
        let map = Arc::make_mut(&mut self.maps.0[table as usize]);
        for (key, value) in rows {
            match value {
                Some(value) => drop(map.insert(key.to_vec(), value.to_vec())),
                None => drop(map.remove(key)),
            }
        }
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<(), TableError> {
        self.store.disk.step()?;
        *self.store.maps.lock() = self.maps;
        Ok(())
    }
}

impl Store for MemoryStore {
    fn snapshot(&self) -> Result<Arc<dyn Rows + Send + Sync>, TableError> {
        Ok(Arc::new(self.maps.lock().clone()))
    }

    fn batch(&self) -> Result<Box<dyn Batch + '_>, TableError> {
        Ok(Box::new(MemoryBatch { store: self, maps: self.maps.lock().clone() }))
    }

    fn size(&self, table: Table) -> Result<(u64, u64), TableError> {
        let map = self.maps.lock().0[table as usize].clone();
        let bytes: usize = map.iter().map(|(key, value)| key.len() + value.len()).sum();
        Ok((map.len() as u64, bytes as u64))
    }
}
