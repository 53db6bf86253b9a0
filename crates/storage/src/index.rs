//! Where the rows of a run of layers stand: entries sorted by the hashes of their keys.
//!
//! Hashes are spread evenly, so a directory over their first bits leads to a handful of entries. Merging runs through
//! sorted entries from front to end and touches no row: entries of one key all stay, the newest first, since the place
//! that they take is less than what it would cost to compare their keys.

use crate::{
    codec::Malformed,
    rows::{self, Key, Kind},
};
use alloy_primitives::map::{B256Map, DefaultHashBuilder};
use starling_primitives::B256;
use std::{
    hash::{BuildHasher, Hasher},
    sync::LazyLock,
};

/// One seed for all indexes, so that merging keeps hashes; random, so that nobody can aim at them.
static HASHER: LazyLock<DefaultHashBuilder> = LazyLock::new(DefaultHashBuilder::default);
/// Entries behind one entry of the directory, about.
const BUCKET_ENTRIES: usize = 4;

/// A row's place: which of the span's layers, and where in it the row and its group start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    hash: u32,
    pub(crate) row: u32,
    pub(crate) group: u32,
    pub(crate) layer: u16,
    pub(crate) kind: Kind,
}

/// The index of a span.
#[derive(Debug)]
pub(crate) struct Index {
    /// Sorted by hash; of equal ones the newest layer's first.
    entries: Box<[Entry]>,
    /// Where the entries start whose hashes begin with these bits, and where the last ones end.
    directory: Box<[u32]>,
    /// The newest layer that wiped an account's storage.
    wipes: B256Map<u16>,
}

/// A key's hash.
pub(crate) fn hash(key: &Key<'_>) -> u32 {
    let mut hasher = HASHER.build_hasher();
    hasher.write(key.group);
    hasher.write(key.row);
    // the upper half is mixed best
    (hasher.finish() >> 32) as u32
}

impl Index {
    fn new(entries: Vec<Entry>, wipes: B256Map<u16>) -> Self {
        let buckets = (entries.len() / BUCKET_ENTRIES).max(1).next_power_of_two();
        let mut directory = vec![0; buckets + 1].into_boxed_slice();
        for entry in &entries {
            directory[bucket(entry.hash, buckets) + 1] += 1;
        }
        let mut end = 0;
        for place in &mut directory {
            end += *place;
            *place = end;
        }
        Self { entries: entries.into(), directory, wipes }
    }

    /// The index of one block's rows, and how many accounts and slots are among them.
    pub(crate) fn of_rows(bytes: &[u8]) -> Result<(Self, usize), Malformed> {
        let (mut entries, mut wipes, mut changed_keys) = (Vec::new(), B256Map::default(), 0);
        rows::scan(bytes, &mut |found| {
            let Key { kind, row, .. } = found.key;
            entries.push(Entry { hash: hash(&found.key), row: found.row, group: found.group, layer: 0, kind });
            changed_keys += usize::from(matches!(kind, Kind::Account | Kind::Slot));
            if found.wiped {
                wipes.insert(B256::from_slice(row), 0);
            }
        })?;
        entries.sort_unstable_by_key(|entry| entry.hash);
        Ok((Self::new(entries, wipes), changed_keys))
    }

    /// One index over the indexes of consecutive runs of layers, oldest first, each with its number of layers.
    pub(crate) fn merge(parts: &[(&Self, usize)]) -> Self {
        let mut entries = Vec::with_capacity(parts.iter().map(|(part, _)| part.entries.len()).sum());
        let mut wipes = B256Map::default();
        let mut first: usize = parts.iter().map(|(_, layers)| layers).sum();
        for (part, layers) in parts.iter().rev() {
            first -= layers;
            let shift = |layer: u16| layer + first as u16;
            entries.extend(part.entries.iter().map(|entry| Entry { layer: shift(entry.layer), ..*entry }));
            for (account, layer) in &part.wipes {
                wipes.entry(*account).or_insert(shift(*layer));
            }
        }
        // stable, so the newest stays first; and it finds the sorted runs by itself
        entries.sort_by_key(|entry| entry.hash);
        Self::new(entries, wipes)
    }

    /// The entries of a hash, newest first.
    pub(crate) fn with_hash(&self, hash: u32) -> impl Iterator<Item = &Entry> {
        let bucket = bucket(hash, self.directory.len() - 1);
        let entries = &self.entries[self.directory[bucket] as usize..self.directory[bucket + 1] as usize];
        let start = entries.partition_point(|entry| entry.hash < hash);
        entries[start..].iter().take_while(move |entry| entry.hash == hash)
    }

    /// The newest layer that wiped an account's storage.
    pub(crate) fn wiped(&self, account: &B256) -> Option<u16> {
        if self.wipes.is_empty() { None } else { self.wipes.get(account).copied() }
    }

    /// Bytes of memory that the index holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.entries) + size_of_val(&*self.directory) + self.wipes.capacity() * 40
    }
}

/// The bucket of a hash, by its first bits; `buckets` is a power of two.
fn bucket(hash: u32, buckets: usize) -> usize {
    ((u64::from(hash) * buckets as u64) >> 32) as usize
}
