//! The rows of one block's layer, as one run of bytes: what the journal holds is what a lookup reads.
//!
//! ```text
//! u32 n  transaction hashes   32 bytes each
//! u32 n  accounts             key 32 · address 20 · flags 1 · [before] · [after] · u32 n · slots
//!            slots            key 32 · before · after
//! u32 n  codes                hash 32 · u32 length · bytes
//! u32 n  account branches     path length 1 · path, a byte a nibble · u32 ordinal or GONE
//! u32 n  storage branches     account 32 · u32 n · as above
//! ```
//!
//! All lists are sorted by key, since [`StateDiff`] and [`BranchChanges`] are. The bytes of branch rows stand apart:
//! in the journal as [`crate::patch`]es, in memory whole. A row's ordinal is its place among those that are not gone.
//!
//! ```text
//! patches  (n + 1) × u32, where each patch starts and the last one ends · patches
//! ```

use crate::{
    codec::{Malformed, Reader, put_account, put_amount, put_bytes},
    patch,
};
use starling_primitives::{
    Account, AccountDiff, Address, B256, BranchChanges, BranchRow, Bytes, Nibbles, ReadError, SlotDiff, StateDiff, U256,
};
use std::ops::Range;

/// Stands for an ordinal where a branch row is gone.
const GONE: u32 = u32::MAX;
const HAD_BEFORE: u8 = 1;
const HAS_AFTER: u8 = 2;
const WIPED: u8 = 4;
/// Most bytes that one account, slot or the head of a branch row take up; reads from a file ask for as many.
pub(crate) const ROW_HEAD_SIZE_BYTES_MAX: usize = 320;

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Transaction,
    Account,
    Slot,
    Code,
    AccountBranch,
    StorageBranch,
}

/// A row's key. `group` is the account's key for slots and storage branches, else empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key<'a> {
    pub(crate) kind: Kind,
    pub(crate) group: &'a [u8],
    pub(crate) row: &'a [u8],
}

/// A row found while scanning: its key and where it and its group start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found<'a> {
    pub(crate) key: Key<'a>,
    pub(crate) row: u32,
    pub(crate) group: u32,
    /// For accounts: whether the storage it had is gone.
    pub(crate) wiped: bool,
}

/// An account row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccountRow {
    pub(crate) key: B256,
    pub(crate) address: Address,
    pub(crate) before: Option<Account>,
    pub(crate) after: Option<Account>,
    pub(crate) wiped: bool,
    slots: u32,
}

/// A path of a branch row as stored: a byte a nibble.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PathBytes {
    bytes: [u8; 64],
    length: u8,
}

impl PathBytes {
    pub(crate) fn new(path: &Nibbles) -> Self {
        let mut bytes = [0; 64];
        let mut length = 0;
        for (to, nibble) in bytes.iter_mut().zip(path.iter()) {
            *to = nibble;
            length += 1;
        }
        Self { bytes, length }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// Appends a block's rows.
pub(crate) fn encode(out: &mut Vec<u8>, tx_hashes: &[B256], diff: &StateDiff, branches: &BranchChanges) {
    put_count(out, tx_hashes.len());
    for hash in tx_hashes {
        out.extend_from_slice(hash.as_slice());
    }
    put_count(out, diff.accounts.len());
    for account in &diff.accounts {
        encode_account(out, account);
    }
    put_count(out, diff.codes.len());
    for (hash, code) in &diff.codes {
        out.extend_from_slice(hash.as_slice());
        put_bytes(out, code);
    }
    let mut ordinals = 0..GONE;
    put_branches(out, &branches.accounts, &mut ordinals);
    put_count(out, branches.storages.len());
    for storage in &branches.storages {
        out.extend_from_slice(storage.account.as_slice());
        put_branches(out, &storage.rows, &mut ordinals);
    }
}

/// A block's branch rows that are not gone, in the order of their ordinals: before and after.
fn kept_branches(branches: &BranchChanges) -> impl Iterator<Item = (Option<&Bytes>, &Bytes)> + Clone {
    let storages = branches.storages.iter().flat_map(|storage| &storage.rows);
    let rows = branches.accounts.iter().chain(storages);
    rows.filter_map(|row| Some((row.before.as_ref(), row.after.as_ref()?)))
}

/// A block's branch rows as its layer holds them: as in the journal, but all whole.
pub(crate) fn whole_branches(branches: &BranchChanges) -> Bytes {
    let size_bytes: usize = kept_branches(branches).map(|(_, row)| 4 + 1 + row.len()).sum();
    let mut out = Vec::with_capacity(4 + size_bytes);
    put_patches(&mut out, kept_branches(branches).map(|(_, row)| (None, row)));
    out.into()
}

/// Appends a block's branch rows as the journal holds them.
pub(crate) fn encode_patches(out: &mut Vec<u8>, branches: &BranchChanges) {
    put_patches(out, kept_branches(branches));
}

fn put_patches<'a>(out: &mut Vec<u8>, rows: impl Iterator<Item = (Option<&'a Bytes>, &'a Bytes)> + Clone) {
    let start = out.len();
    let mut place = start;
    let mut note_place = |out: &mut Vec<u8>| {
        let at = (out.len() - start) as u32;
        out[place..place + 4].copy_from_slice(&at.to_le_bytes());
        place += 4;
    };
    out.resize(start + 4 * (rows.clone().count() + 1), 0);
    for (before, row) in rows {
        note_place(out);
        patch::encode(out, before.map(|before| &before[..]), row);
    }
    note_place(out);
}

/// Reads one of a block's patches; `read` gives so many bytes from a place of what [`encode_patches`] wrote.
pub(crate) fn read_patch<T: AsRef<[u8]>>(
    ordinal: u32,
    read: impl Fn(usize, usize) -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    let places = read(4 * ordinal as usize, 8)?;
    let (start, length) = place(places.as_ref()).map_err(|error| ReadError::Damaged(error.to_string()))?;
    read(start, length)
}

/// Start and length from two neighbouring places.
fn place(bytes: &[u8]) -> Result<(usize, usize), Malformed> {
    let reader = &mut Reader::new(bytes);
    let (start, end) = (reader.u32()?, reader.u32()?);
    Ok((start as usize, end.checked_sub(start).ok_or(Malformed("places of branch rows"))? as usize))
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&(count as u32).to_le_bytes());
}

fn encode_account(out: &mut Vec<u8>, account: &AccountDiff) {
    out.extend_from_slice(account.key.as_slice());
    out.extend_from_slice(account.address.as_slice());
    // an account that is gone has lost its storage, whether execution said so or not
    let wiped = account.wiped || account.after.is_none();
    let flags = (u8::from(account.before.is_some()) * HAD_BEFORE)
        | (u8::from(account.after.is_some()) * HAS_AFTER)
        | (u8::from(wiped) * WIPED);
    out.push(flags);
    for side in [&account.before, &account.after].into_iter().flatten() {
        put_account(out, side, 0);
    }
    put_count(out, account.slots.len());
    for slot in &account.slots {
        out.extend_from_slice(slot.key.as_slice());
        put_amount(out, &slot.before);
        put_amount(out, &slot.after);
    }
}

fn put_branches(out: &mut Vec<u8>, rows: &[BranchRow], ordinals: &mut Range<u32>) {
    put_count(out, rows.len());
    for row in rows {
        out.push(row.path.len() as u8);
        out.extend_from_slice(PathBytes::new(&row.path).as_slice());
        match &row.after {
            Some(_) => out.extend_from_slice(&ordinals.next().unwrap_or(GONE).to_le_bytes()),
            None => out.extend_from_slice(&GONE.to_le_bytes()),
        }
    }
}

/// Reads an account row, up to its slots.
pub(crate) fn account(reader: &mut Reader<'_>) -> Result<AccountRow, Malformed> {
    let (key, address, flags) = (reader.hash()?, reader.address()?, reader.u8()?);
    if flags & !(HAD_BEFORE | HAS_AFTER | WIPED) != 0 {
        return Err(Malformed("account row"));
    }
    let before = if flags & HAD_BEFORE != 0 { Some(reader.account()?.0) } else { None };
    let after = if flags & HAS_AFTER != 0 { Some(reader.account()?.0) } else { None };
    Ok(AccountRow { key, address, before, after, wiped: flags & WIPED != 0, slots: reader.u32()? })
}

/// Reads a slot row: key, value before, value after.
pub(crate) fn slot(reader: &mut Reader<'_>) -> Result<SlotDiff, Malformed> {
    Ok(SlotDiff { key: reader.hash()?, before: reader.amount()?, after: reader.amount()? })
}

/// Reads a branch row: its path, and its ordinal or none if it is gone.
pub(crate) fn branch<'a>(reader: &mut Reader<'a>) -> Result<StoredBranch<'a>, Malformed> {
    let length = reader.u8()?;
    let path = reader.take(length.into())?;
    let ordinal = reader.u32()?;
    Ok((path, (ordinal != GONE).then_some(ordinal)))
}

/// Walks over all rows.
pub(crate) fn scan<'a>(bytes: &'a [u8], visit: &mut dyn FnMut(Found<'a>)) -> Result<(), Malformed> {
    let mut reader = Reader::new(bytes);
    let reader = &mut reader;
    let mut found = |kind, group: (usize, &'a [u8]), row: (usize, &'a [u8]), wiped| {
        let key = Key { kind, group: group.1, row: row.1 };
        visit(Found { key, row: row.0 as u32, group: group.0 as u32, wiped });
    };
    for _ in 0..reader.u32()? {
        let at = reader.offset();
        found(Kind::Transaction, (0, &[]), (at, reader.take(32)?), false);
    }
    for _ in 0..reader.u32()? {
        let at = reader.offset();
        let key = Reader::new_at(bytes, at).take(32)?;
        let row = account(reader)?;
        found(Kind::Account, (0, &[]), (at, key), row.wiped);
        for _ in 0..row.slots {
            let slot_at = reader.offset();
            let slot_key = Reader::new_at(bytes, slot_at).take(32)?;
            slot(reader)?;
            found(Kind::Slot, (at, key), (slot_at, slot_key), false);
        }
    }
    for _ in 0..reader.u32()? {
        let at = reader.offset();
        let hash = reader.take(32)?;
        reader.bytes()?;
        found(Kind::Code, (0, &[]), (at, hash), false);
    }
    for _ in 0..reader.u32()? {
        let at = reader.offset();
        found(Kind::AccountBranch, (0, &[]), (at, branch(reader)?.0), false);
    }
    for _ in 0..reader.u32()? {
        let at = reader.offset();
        let key = reader.take(32)?;
        for _ in 0..reader.u32()? {
            let row_at = reader.offset();
            found(Kind::StorageBranch, (at, key), (row_at, branch(reader)?.0), false);
        }
    }
    if reader.is_empty() { Ok(()) } else { Err(Malformed("layer rows")) }
}

/// A branch row as stored: its path, and its ordinal or none if it is gone.
pub(crate) type StoredBranch<'a> = (&'a [u8], Option<u32>);

/// The rows of a layer taken apart, borrowed where they are large: what a flush walks over.
#[derive(Debug, Default)]
pub(crate) struct Sections<'a> {
    pub(crate) tx_hashes: Vec<B256>,
    pub(crate) accounts: Vec<(AccountRow, Vec<SlotDiff>)>,
    pub(crate) codes: Vec<(B256, &'a [u8])>,
    pub(crate) account_branches: Vec<StoredBranch<'a>>,
    pub(crate) storage_branches: Vec<(B256, Vec<StoredBranch<'a>>)>,
}

impl<'a> Sections<'a> {
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut sections = Self::default();
        let reader = &mut Reader::new(bytes);
        for _ in 0..reader.u32()? {
            sections.tx_hashes.push(reader.hash()?);
        }
        for _ in 0..reader.u32()? {
            let row = account(reader)?;
            let slots = (0..row.slots).map(|_| slot(reader)).collect::<Result<_, _>>()?;
            sections.accounts.push((row, slots));
        }
        for _ in 0..reader.u32()? {
            sections.codes.push((reader.hash()?, reader.bytes()?));
        }
        for _ in 0..reader.u32()? {
            sections.account_branches.push(branch(reader)?);
        }
        for _ in 0..reader.u32()? {
            let account = reader.hash()?;
            let rows = (0..reader.u32()?).map(|_| branch(reader)).collect::<Result<_, _>>()?;
            sections.storage_branches.push((account, rows));
        }
        if reader.is_empty() { Ok(sections) } else { Err(Malformed("layer rows")) }
    }

    /// The state changes as the floors above know them.
    pub(crate) fn to_diff(&self) -> StateDiff {
        let accounts = self.accounts.iter().map(|(row, slots)| AccountDiff {
            key: row.key,
            address: row.address,
            before: row.before,
            after: row.after,
            wiped: row.wiped,
            slots: slots.clone(),
        });
        let codes = self.codes.iter().map(|(hash, code)| (*hash, Bytes::copy_from_slice(code)));
        StateDiff { accounts: accounts.collect(), codes: codes.collect() }
    }
}

/// A slot's value after the block.
pub(crate) fn slot_after(bytes: &[u8]) -> Result<U256, Malformed> {
    Ok(slot(&mut Reader::new(bytes))?.after)
}
