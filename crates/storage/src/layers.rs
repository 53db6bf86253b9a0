//! Layers: what each block above the frontier changed, and indexes over runs of them.
//!
//! A [`Layer`] is one block's rows, never changed. A [`Span`] is an index over one layer or over a run of 4, 16, 64,
//! 256 consecutive ones; it names rows by place and holds none itself: 17 bytes a row. A lookup asks the spans of its
//! chain, newest first.
//!
//! `wiped` stops the walk: a row of an account's storage that is older than the account's last wipe is gone.
//!
//! Branch rows are whole in the newest layers of blocks that came since the start. Of older ones, and of those replayed,
//! only [`crate::patch`]es are at hand: a reader goes on to the layer below until it has a whole row to put them on.
//! What changes often is found whole, what changes seldom has few patches.

use crate::{
    codec::{Malformed, Reader},
    disk::{DiskFile, read_vec},
    index::{self, Entry, Index},
    journal::record::BlockParts,
    patch,
    rows::{self, AccountRow, Key, Kind, ROW_HEAD_SIZE_BYTES_MAX},
};
use starling_primitives::{Account, B256, BlockRef, Bytes, Header, ReadError, U256};
use std::{borrow::Cow, ops::Range, sync::Arc};

/// What a layer takes besides its rows: header, places, the tree's entry.
const LAYER_OVERHEAD_BYTES: usize = 1024;

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

/// A branch row of a layer.
#[derive(Debug)]
pub(crate) enum BranchBytes<'a> {
    Whole(Cow<'a, [u8]>),
    /// What to make of the row in the layer below.
    Patch(Cow<'a, [u8]>),
}

impl<'a> BranchBytes<'a> {
    fn new(patch: Cow<'a, [u8]>) -> Result<Self, Malformed> {
        Ok(match patch::is_whole(&patch)? {
            true => Self::Whole(match patch {
                Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[1..]),
                Cow::Owned(bytes) => Cow::Owned(bytes[1..].into()),
            }),
            false => Self::Patch(patch),
        })
    }

    /// The row of an ordinal among a layer's.
    pub(crate) fn of(branches: &'a [u8], ordinal: u32) -> Result<Self, ReadError> {
        let cut = |start: usize, length: usize| {
            let bytes = branches.get(start..).and_then(|bytes| bytes.get(..length));
            bytes.map(Cow::Borrowed).ok_or_else(|| ReadError::Damaged("place of a branch row".into()))
        };
        let patch = rows::read_patch(ordinal, cut)?;
        Self::new(patch).map_err(|error| ReadError::Damaged(error.to_string()))
    }
}

/// What one block changed. The block's body stays in the journal.
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
    rows: Option<Arc<[u8]>>,
    /// Branch rows in memory, likewise.
    branches: Option<Bytes>,
    stored_rows: Extent,
    stored_patches: Extent,
}

/// Where a layer's record lies.
pub(crate) struct Place {
    pub(crate) lsn: u64,
    pub(crate) record_size_bytes: u64,
    pub(crate) file: Arc<dyn DiskFile>,
    /// Where the bytes start that `parts` are parts of.
    pub(crate) at: u64,
    pub(crate) parts: BlockParts,
}

impl Layer {
    /// `branches` are whole or as they stand in the journal.
    pub(crate) fn new(
        block: BlockRef,
        header: Header,
        total_difficulty: Option<U256>,
        rows: &[u8],
        branches: Bytes,
        place: Place,
    ) -> Self {
        let extent = |range: &Range<usize>| Extent {
            file: place.file.clone(),
            at: place.at + range.start as u64,
            length: range.len(),
        };
        Self {
            block,
            header: Arc::new(header),
            total_difficulty,
            lsn: place.lsn,
            record_size_bytes: place.record_size_bytes,
            body: extent(&place.parts.body),
            changed_keys: 0,
            rows: Some(rows.into()),
            branches: Some(branches),
            stored_rows: extent(&place.parts.rows),
            stored_patches: extent(&place.parts.patches),
        }
    }

    pub(crate) fn parent(&self) -> B256 {
        self.header.parent_hash
    }

    /// Bytes of memory that the layer holds, indexes apart.
    pub(crate) fn memory_bytes(&self) -> usize {
        let rows = self.rows.as_ref().map_or(0, |rows| rows.len());
        LAYER_OVERHEAD_BYTES + rows + self.branches.as_ref().map_or(0, |branches| branches.len())
    }

    /// Whether its rows are in memory.
    pub(crate) fn is_held(&self) -> bool {
        self.rows.is_some()
    }

    /// Whether its branch rows are in memory.
    pub(crate) fn holds_branches(&self) -> bool {
        self.branches.is_some()
    }

    /// The same layer, its rows left in the journal.
    pub(crate) fn spilled(&self) -> Self {
        Self { rows: None, ..self.without_branches() }
    }

    /// The same layer, its branch rows left in the journal.
    pub(crate) fn without_branches(&self) -> Self {
        Self { branches: None, ..self.clone() }
    }

    /// All its rows.
    pub(crate) fn rows(&self) -> Result<Arc<[u8]>, ReadError> {
        match &self.rows {
            Some(rows) => Ok(rows.clone()),
            None => Ok(self.stored_rows.read_all()?.into()),
        }
    }

    /// All its branch rows, for [`BranchBytes::of`].
    pub(crate) fn branches(&self) -> Result<Bytes, ReadError> {
        match &self.branches {
            Some(branches) => Ok(branches.clone()),
            None => Ok(self.stored_patches.read_all()?.into()),
        }
    }

    /// A branch row by its ordinal.
    fn branch(&self, ordinal: u32) -> Result<BranchBytes<'_>, ReadError> {
        let patch = match &self.branches {
            Some(branches) => return BranchBytes::of(branches, ordinal),
            None => rows::read_patch(ordinal, |start, length| self.stored_patches.read(start..start + length))?,
        };
        BranchBytes::new(Cow::Owned(patch)).map_err(|error| self.damaged(error))
    }

    /// At most `length` bytes of its rows.
    fn rows_at(&self, at: u32, length: usize) -> Result<Cow<'_, [u8]>, ReadError> {
        let start = (at as usize).min(self.stored_rows.length);
        let range = start..start.saturating_add(length).min(self.stored_rows.length);
        match &self.rows {
            Some(rows) => Ok(Cow::Borrowed(&rows[range])),
            None => self.stored_rows.read(range).map(Cow::Owned),
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

    fn damaged(&self, error: Malformed) -> ReadError {
        ReadError::Damaged(format!("layer of block {}: {error}", self.block))
    }
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
    pub(crate) position: u16,
    row: u32,
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
        Self { key, hash: index::hash(&key) }
    }
}

impl Span {
    /// The index over one block's rows; fills in how many keys the block changed.
    pub(crate) fn of_layer(mut layer: Layer) -> Result<Self, Malformed> {
        let rows = layer.rows.clone().ok_or(Malformed("layer"))?;
        let (index, changed_keys) = Index::of_rows(&rows)?;
        layer.changed_keys = changed_keys;
        Ok(Self { layers: vec![Arc::new(layer)], index: Arc::new(index) })
    }

    /// One index over several consecutive spans, given oldest first.
    pub(crate) fn merge(spans: &[Arc<Self>]) -> Self {
        let layers: Vec<Arc<Layer>> = spans.iter().flat_map(|span| span.layers.iter().cloned()).collect();
        let parts: Vec<(&Index, usize)> = spans.iter().map(|span| (&*span.index, span.layers.len())).collect();
        Self { layers, index: Arc::new(Index::merge(&parts)) }
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
        self.index.memory_bytes() + self.layers.len() * 8
    }

    /// The newest row of a key.
    pub(crate) fn find(&self, key: &HashedKey<'_>) -> Result<Option<Hit<'_>>, ReadError> {
        for entry in self.index.with_hash(key.hash) {
            let layer = &self.layers[usize::from(entry.layer)];
            if entry.kind == key.key.kind && layer.is_row(entry, &key.key)? {
                return Ok(Some(Hit { layer, position: entry.layer, row: entry.row }));
            }
        }
        Ok(None)
    }

    /// The place of the newest layer that wiped an account's storage.
    pub(crate) fn wiped(&self, account: &B256) -> Option<u16> {
        self.index.wiped(account)
    }
}

impl Hit<'_> {
    /// The block below the one whose layer this is.
    pub(crate) fn parent(&self) -> B256 {
        self.layer.parent()
    }

    /// The account row.
    pub(crate) fn account(&self) -> Result<AccountRow, ReadError> {
        let bytes = self.layer.rows_at(self.row, ROW_HEAD_SIZE_BYTES_MAX)?;
        rows::account(&mut Reader::new(&bytes)).map_err(|error| self.layer.damaged(error))
    }

    /// The account after the block.
    pub(crate) fn account_after(&self) -> Result<Option<Account>, ReadError> {
        Ok(self.account()?.after)
    }

    /// The slot's value after the block.
    pub(crate) fn slot_after(&self) -> Result<U256, ReadError> {
        let bytes = self.layer.rows_at(self.row, ROW_HEAD_SIZE_BYTES_MAX)?;
        rows::slot_after(&bytes).map_err(|error| self.layer.damaged(error))
    }

    /// The branch row, none if the branch is gone.
    pub(crate) fn branch(&self) -> Result<Option<BranchBytes<'_>>, ReadError> {
        let head = self.layer.rows_at(self.row, ROW_HEAD_SIZE_BYTES_MAX)?;
        let (_, ordinal) = rows::branch(&mut Reader::new(&head)).map_err(|error| self.layer.damaged(error))?;
        ordinal.map(|ordinal| self.layer.branch(ordinal)).transpose()
    }

    /// The code.
    pub(crate) fn code(&self) -> Result<Bytes, ReadError> {
        let head = self.layer.rows_at(self.row, 36)?;
        let length = Reader::new_at(&head, 32).u32().map_err(|error| self.layer.damaged(error))? as usize;
        let bytes = self.layer.rows_at(self.row.saturating_add(36), length)?;
        if bytes.len() == length {
            Ok(Bytes::from(bytes.into_owned()))
        } else {
            Err(self.layer.damaged(Malformed("code")))
        }
    }

    /// Where the transaction stands: block number and index.
    pub(crate) fn transaction(&self) -> (u64, u32) {
        // a layer's rows begin with the count and the hashes in order
        (self.layer.block.number, (self.row - 4) / 32)
    }
}
