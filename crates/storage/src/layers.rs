//! Layers: what each block above the frontier changed, and indexes over runs of them.
//!
//! A [`Layer`] is one block's rows as the journal holds them, never changed. A [`Span`] is a hash index over one
//! layer or over a run of 4, 16, 64, 256 consecutive ones; it names rows by place and holds none itself, so a
//! merged span costs some 16 bytes a distinct key. A lookup asks the spans of its chain, newest first.
//!
//! `wiped` stops the walk: a row of an account's storage that is older than the account's last wipe is gone.

use crate::{
    codec::{Malformed, Reader},
    disk::{DiskFile, read_vec},
    rows::{self, AccountRow, Found, KINDS, Key, Kind, ROW_HEAD_SIZE_BYTES_MAX},
};
use alloy_primitives::map::{B256Map, DefaultHashBuilder};
use hashbrown::HashTable;
use starling_primitives::{Account, B256, BlockRef, Bytes, Header, ReadError, U256};
use std::{
    borrow::Cow,
    hash::{BuildHasher, Hasher},
    ops::Range,
    sync::{Arc, LazyLock},
};

/// One seed for all spans, so that merging keeps hashes; random, so that nobody can aim at buckets.
static HASHER: LazyLock<DefaultHashBuilder> = LazyLock::new(DefaultHashBuilder::default);
/// What a layer takes besides its rows: header, places, the tree's entry.
const LAYER_OVERHEAD_BYTES: usize = 1024;
/// What an index entry takes: itself and a control byte, at the table's usual load.
const ENTRY_SIZE_BYTES: usize = size_of::<Entry>() + 1;

/// Some bytes of a journal file.
#[derive(Debug, Clone)]
pub(crate) struct Extent {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) at: u64,
    pub(crate) length: usize,
}

impl Extent {
    pub(crate) fn read(&self, range: Range<usize>) -> Result<Vec<u8>, ReadError> {
        read_vec(&*self.file, self.at + range.start as u64, range.len())
            .map_err(|error| ReadError::Io(error.to_string()))
    }

    pub(crate) fn read_all(&self) -> Result<Vec<u8>, ReadError> {
        self.read(0..self.length)
    }
}

/// What one block changed. Rows are [`rows`]; the block's body stays in the journal.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    pub(crate) block: BlockRef,
    pub(crate) header: Arc<Header>,
    pub(crate) total_difficulty: Option<U256>,
    /// Its record in the journal: number and length.
    pub(crate) lsn: u64,
    pub(crate) record_size_bytes: u64,
    pub(crate) body: Extent,
    /// Accounts and slots that it changed.
    pub(crate) changed_keys: usize,
    /// Rows in memory; none once they are read back from the journal instead.
    held: Option<Arc<[u8]>>,
    stored: Extent,
}

/// Where a layer's record lies.
pub(crate) struct Place {
    pub(crate) lsn: u64,
    pub(crate) record_size_bytes: u64,
    pub(crate) rows: Extent,
    pub(crate) body: Extent,
}

impl Layer {
    pub(crate) fn new(
        block: BlockRef,
        header: Header,
        total_difficulty: Option<U256>,
        rows: &[u8],
        place: Place,
    ) -> Self {
        Self {
            block,
            header: Arc::new(header),
            total_difficulty,
            lsn: place.lsn,
            record_size_bytes: place.record_size_bytes,
            body: place.body,
            changed_keys: 0,
            held: Some(rows.into()),
            stored: place.rows,
        }
    }

    pub(crate) fn parent(&self) -> B256 {
        self.header.parent_hash
    }

    /// Bytes of memory that the layer holds, indexes apart.
    pub(crate) fn memory_bytes(&self) -> usize {
        LAYER_OVERHEAD_BYTES + self.held.as_ref().map_or(0, |held| held.len())
    }

    /// Whether its rows are in memory.
    pub(crate) fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// The same layer, its rows left in the journal.
    pub(crate) fn spilled(&self) -> Self {
        Self { held: None, ..self.clone() }
    }

    /// All its rows.
    pub(crate) fn rows(&self) -> Result<Arc<[u8]>, ReadError> {
        match &self.held {
            Some(held) => Ok(held.clone()),
            None => Ok(self.stored.read_all()?.into()),
        }
    }

    /// At most `length` bytes of its rows.
    fn rows_at(&self, at: u32, length: usize) -> Result<Cow<'_, [u8]>, ReadError> {
        let start = (at as usize).min(self.stored.length);
        let range = start..start.saturating_add(length).min(self.stored.length);
        match &self.held {
            Some(held) => Ok(Cow::Borrowed(&held[range])),
            None => self.stored.read(range).map(Cow::Owned),
        }
    }

    fn is_row(&self, entry: &Entry, key: &Key<'_>) -> Result<bool, ReadError> {
        let group_fits = key.group.is_empty() || *self.rows_at(entry.group, key.group.len())? == *key.group;
        if !group_fits {
            return Ok(false);
        }
        if matches!(key.kind, Kind::AccountBranch | Kind::StorageBranch) {
            let stored = self.rows_at(entry.row, 1 + key.row.len())?;
            return Ok(stored
                .split_first()
                .is_some_and(|(len, path)| usize::from(*len) == key.row.len() && path == key.row));
        }
        Ok(*self.rows_at(entry.row, key.row.len())? == *key.row)
    }
}

/// A row's place: which of the span's layers, and where in it the row and its group start.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// The key's hash, so that merging touches the rows of equal keys only.
    hash: u32,
    layer: u32,
    row: u32,
    group: u32,
}

#[derive(Debug, Default)]
struct Index {
    tables: [HashTable<Entry>; KINDS],
    /// The newest layer that wiped an account's storage.
    wipes: B256Map<u32>,
}

/// An index over consecutive layers.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    /// Oldest first.
    layers: Vec<Arc<Layer>>,
    index: Arc<Index>,
}

/// A row found in a span.
pub(crate) struct Hit<'a> {
    layer: &'a Layer,
    /// Its layer's place in the span.
    pub(crate) position: u32,
    row: u32,
}

fn hash(key: &Key<'_>) -> u32 {
    let mut hasher = HASHER.build_hasher();
    hasher.write(key.group);
    hasher.write(key.row);
    hasher.finish() as u32
}

/// A hash as the tables want it: bits of it at both ends.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A key with its hash: computed once, asked of every span.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HashedKey<'a> {
    key: Key<'a>,
    hash: u32,
}

impl<'a> HashedKey<'a> {
    pub(crate) fn new(kind: Kind, group: &'a [u8], row: &'a [u8]) -> Self {
        let key = Key { kind, group, row };
        Self { key, hash: hash(&key) }
    }
}

impl Span {
    /// The index over one block's rows; fills in how many keys the block changed.
    pub(crate) fn of_layer(mut layer: Layer) -> Result<Self, Malformed> {
        let rows = layer.held.clone().ok_or(Malformed("layer"))?;
        let mut counts = [0; KINDS];
        rows::scan(&rows, &mut |found| counts[found.key.kind as usize] += 1)?;
        let mut index = Index { tables: counts.map(HashTable::with_capacity), wipes: B256Map::default() };
        rows::scan(&rows, &mut |found| index.add(0, &found))?;
        layer.changed_keys = counts[Kind::Account as usize] + counts[Kind::Slot as usize];
        Ok(Self { layers: vec![Arc::new(layer)], index: Arc::new(index) })
    }

    /// One index over several consecutive spans, given oldest first; none if the rows of a layer are not held.
    pub(crate) fn merge(spans: &[Arc<Self>]) -> Option<Self> {
        let layers: Vec<Arc<Layer>> = spans.iter().flat_map(|span| span.layers.iter().cloned()).collect();
        let rows: Vec<&[u8]> = layers.iter().map(|layer| layer.held.as_deref()).collect::<Option<_>>()?;
        let mut index = Index::default();
        for (kind, table) in KIND_LIST.into_iter().zip(&mut index.tables) {
            // runs share most of their keys: half is a good guess, and growing is only time
            let keys: usize = spans.iter().map(|span| span.index.tables[kind as usize].len()).sum();
            table.reserve(keys / 2, |entry| spread(entry.hash));
        }
        let mut first = layers.len();
        for span in spans.iter().rev() {
            first -= span.layers.len();
            index.add_older(&span.index, first as u32, &rows);
        }
        for table in &mut index.tables {
            table.shrink_to_fit(|entry| spread(entry.hash));
        }
        Some(Self { layers, index: Arc::new(index) })
    }

    /// The layers, oldest first.
    pub(crate) fn layers(&self) -> &[Arc<Layer>] {
        &self.layers
    }

    pub(crate) fn oldest(&self) -> &Arc<Layer> {
        &self.layers[0]
    }

    pub(crate) fn newest(&self) -> &Arc<Layer> {
        &self.layers[self.layers.len() - 1]
    }

    /// The same span over layers that differ only in where their rows are.
    pub(crate) fn with_layers(&self, replace: &dyn Fn(&Arc<Layer>) -> Arc<Layer>) -> Self {
        Self { layers: self.layers.iter().map(replace).collect(), index: self.index.clone() }
    }

    /// Bytes of memory that the index holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        let entries: usize = self.index.tables.iter().map(HashTable::capacity).sum();
        entries * ENTRY_SIZE_BYTES * 8 / 7 + self.index.wipes.capacity() * 40 + self.layers.len() * 8
    }

    /// The newest row of a key.
    pub(crate) fn find(&self, key: &HashedKey<'_>) -> Result<Option<Hit<'_>>, ReadError> {
        let table = &self.index.tables[key.key.kind as usize];
        let mut failed = None;
        let found = table.find(spread(key.hash), |entry| {
            entry.hash == key.hash
                && match self.layers[entry.layer as usize].is_row(entry, &key.key) {
                    Ok(same) => same,
                    Err(error) => {
                        failed = Some(error);
                        false
                    }
                }
        });
        match failed {
            Some(error) => Err(error),
            None => Ok(found.map(|entry| self.hit(entry))),
        }
    }

    fn hit(&self, entry: &Entry) -> Hit<'_> {
        Hit { layer: &self.layers[entry.layer as usize], position: entry.layer, row: entry.row }
    }

    /// The place of the newest layer that wiped an account's storage.
    pub(crate) fn wiped(&self, account: &B256) -> Option<u32> {
        if self.index.wipes.is_empty() { None } else { self.index.wipes.get(account).copied() }
    }
}

impl Index {
    fn add(&mut self, layer: u32, found: &Found<'_>) {
        // within a layer each key stands once
        let entry = Entry { hash: hash(&found.key), layer, row: found.row, group: found.group };
        let table = &mut self.tables[found.key.kind as usize];
        table.insert_unique(spread(entry.hash), entry, |entry| spread(entry.hash));
        if found.wiped {
            self.wipes.insert(B256::from_slice(found.key.row), layer);
        }
    }

    /// Adds the entries of an older span whose first layer is the merged span's `first`.
    fn add_older(&mut self, older: &Self, first: u32, rows: &[&[u8]]) {
        for kind in KIND_LIST {
            let table = &mut self.tables[kind as usize];
            for entry in &older.tables[kind as usize] {
                let entry = Entry { layer: entry.layer + first, ..*entry };
                let same =
                    |other: &Entry| other.hash == entry.hash && key_at(rows, kind, other) == key_at(rows, kind, &entry);
                if table.find(spread(entry.hash), same).is_none() {
                    table.insert_unique(spread(entry.hash), entry, |entry| spread(entry.hash));
                }
            }
        }
        for (account, layer) in &older.wipes {
            self.wipes.entry(*account).or_insert(layer + first);
        }
    }
}

const KIND_LIST: [Kind; KINDS] =
    [Kind::Transaction, Kind::Account, Kind::Slot, Kind::Code, Kind::AccountBranch, Kind::StorageBranch];

/// The key of an indexed row. The rows were scanned when they were indexed, so nothing is out of bounds.
fn key_at<'a>(rows: &[&'a [u8]], kind: Kind, entry: &Entry) -> Key<'a> {
    let rows = rows[entry.layer as usize];
    let cut = |at: usize, length: usize| rows.get(at..at + length).unwrap_or_default();
    let (row, group) = (entry.row as usize, entry.group as usize);
    match kind {
        Kind::Transaction | Kind::Account | Kind::Code => Key { kind, group: &[], row: cut(row, 32) },
        Kind::Slot => Key { kind, group: cut(group, 32), row: cut(row, 32) },
        Kind::AccountBranch => Key { kind, group: &[], row: cut(row + 1, path_length(rows, row)) },
        Kind::StorageBranch => Key { kind, group: cut(group, 32), row: cut(row + 1, path_length(rows, row)) },
    }
}

fn path_length(rows: &[u8], at: usize) -> usize {
    rows.get(at).copied().unwrap_or_default().into()
}

impl Hit<'_> {
    /// The account row.
    pub(crate) fn account(&self) -> Result<AccountRow, ReadError> {
        let bytes = self.layer.rows_at(self.row, ROW_HEAD_SIZE_BYTES_MAX)?;
        rows::account(&mut Reader::new(&bytes)).map_err(|error| self.damaged(error))
    }

    /// The account after the block.
    pub(crate) fn account_after(&self) -> Result<Option<Account>, ReadError> {
        Ok(self.account()?.after)
    }

    /// The slot's value after the block.
    pub(crate) fn slot_after(&self) -> Result<U256, ReadError> {
        let bytes = self.layer.rows_at(self.row, ROW_HEAD_SIZE_BYTES_MAX)?;
        rows::slot_after(&bytes).map_err(|error| self.damaged(error))
    }

    /// The branch row, none if the branch is gone.
    pub(crate) fn branch(&self) -> Result<Option<Bytes>, ReadError> {
        let head = self.layer.rows_at(self.row, ROW_HEAD_SIZE_BYTES_MAX)?;
        let reader = &mut Reader::new(&head);
        let (_, length) = rows::branch_head(reader).map_err(|error| self.damaged(error))?;
        let Some(length) = length else { return Ok(None) };
        self.bytes_at(reader.offset(), length).map(Some)
    }

    /// The code.
    pub(crate) fn code(&self) -> Result<Bytes, ReadError> {
        let head = self.layer.rows_at(self.row, 36)?;
        let length = Reader::new_at(&head, 32).u32().map_err(|error| self.damaged(error))?;
        self.bytes_at(36, length as usize)
    }

    /// Where the transaction stands: block number and index.
    pub(crate) fn transaction(&self) -> (u64, u32) {
        // a layer's rows begin with the count and the hashes in order
        (self.layer.block.number, (self.row - 4) / 32)
    }

    fn bytes_at(&self, skip: usize, length: usize) -> Result<Bytes, ReadError> {
        let bytes = self.layer.rows_at(self.row.saturating_add(skip as u32), length)?;
        if bytes.len() == length { Ok(Bytes::from(bytes.into_owned())) } else { Err(self.damaged(Malformed("row"))) }
    }

    fn damaged(&self, error: Malformed) -> ReadError {
        ReadError::Damaged(format!("layer of block {}: {error}", self.layer.block))
    }
}
