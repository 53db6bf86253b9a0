//! The tables: their names, keys and values. Changing a byte here is a new [`FORMAT_VERSION`].
//!
//! | table | key | value |
//! |---|---|---|
//! | Meta | `format`, `meta`, `config` | version u32 · [`Meta`] · JSON |
//! | Accounts | keccak(address) | account with storage id ([`crate::codec::put_account`]) ‖ address |
//! | Storage | id u64 ‖ keccak(slot) | amount without leading zeros |
//! | AccountBranches | path, a byte a nibble | opaque |
//! | StorageBranches | id u64 ‖ path | opaque |
//! | Codes | keccak(code) | code |
//! | Addresses | keccak(address) | address of an account that was destroyed |
//! | Headers | number u64 | hash ‖ header RLP |
//! | Numbers | hash | number u64 |
//! | Blocks | number u64 | [`BlockPlace`] |
//! | Transactions | hash | number u64 ‖ index u32 |
//! | Difficulty | hash | amount without leading zeros |
//! | AccountHistory | keccak(address) ‖ block u64 | account before that block, empty for none |
//! | StorageHistory | id u64 ‖ keccak(slot) ‖ block u64 | amount before that block |
//! | DeadStorage | block u64 ‖ id u64 | empty: the storage that block wiped |
//!
//! Integers in keys are big-endian so that keys sort, those in values little-endian like everything else.

use crate::{
    HeadRecord, OpenError,
    codec::{Malformed, Reader, put_account},
    journal::record::{block_ref, decode_head, encode_head, put_block_ref},
};
use starling_primitives::{Account, Address, B256, BlockRef};

/// Version of everything on disk: tables, journal, block files.
pub(crate) const FORMAT_VERSION: u32 = 2;

/// A table of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // the module's table says what each holds
pub enum Table {
    Meta,
    Accounts,
    Storage,
    AccountBranches,
    StorageBranches,
    Codes,
    Addresses,
    Headers,
    Numbers,
    Blocks,
    Transactions,
    Difficulty,
    AccountHistory,
    StorageHistory,
    DeadStorage,
}

impl Table {
    /// All tables, in the order of their numbers.
    pub const ALL: [Self; 15] = [
        Self::Meta,
        Self::Accounts,
        Self::Storage,
        Self::AccountBranches,
        Self::StorageBranches,
        Self::Codes,
        Self::Addresses,
        Self::Headers,
        Self::Numbers,
        Self::Blocks,
        Self::Transactions,
        Self::Difficulty,
        Self::AccountHistory,
        Self::StorageHistory,
        Self::DeadStorage,
    ];

    /// Its name on disk.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => "Meta",
            Self::Accounts => "Accounts",
            Self::Storage => "Storage",
            Self::AccountBranches => "AccountBranches",
            Self::StorageBranches => "StorageBranches",
            Self::Codes => "Codes",
            Self::Addresses => "Addresses",
            Self::Headers => "Headers",
            Self::Numbers => "Numbers",
            Self::Blocks => "Blocks",
            Self::Transactions => "Transactions",
            Self::Difficulty => "Difficulty",
            Self::AccountHistory => "AccountHistory",
            Self::StorageHistory => "StorageHistory",
            Self::DeadStorage => "DeadStorage",
        }
    }
}

/// Key of the format version in [`Table::Meta`].
pub(crate) const KEY_FORMAT: &[u8] = b"format";
/// Key of [`Meta`] in [`Table::Meta`].
pub(crate) const KEY_META: &[u8] = b"meta";
/// Key of the chain's configuration in [`Table::Meta`].
pub(crate) const KEY_CONFIG: &[u8] = b"config";

/// Where the database proper stands; replaced by every commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    /// Up to and with this block everything is in tables and block files.
    pub(crate) frontier: BlockRef,
    /// The last head record at the time of the commit.
    pub(crate) head: HeadRecord,
    /// The first journal file that is needed.
    pub(crate) journal_first: u64,
    /// End of the last block in the block files.
    pub(crate) blocks_end: FileOffset,
    /// The next storage id to be given out.
    pub(crate) storage_id_next: u64,
    /// The lowest block whose state history is kept.
    pub(crate) history_from: u64,
}

/// A place in the block files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileOffset {
    pub(crate) file: u32,
    pub(crate) offset: u64,
}

/// Where a block lies in the block files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockPlace {
    pub(crate) start: FileOffset,
    pub(crate) length: u32,
}

impl Meta {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_block_ref(&mut out, &self.frontier);
        encode_head(&mut out, &self.head);
        out.extend_from_slice(&self.journal_first.to_le_bytes());
        out.extend_from_slice(&self.blocks_end.file.to_le_bytes());
        out.extend_from_slice(&self.blocks_end.offset.to_le_bytes());
        out.extend_from_slice(&self.storage_id_next.to_le_bytes());
        out.extend_from_slice(&self.history_from.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let reader = &mut Reader::new(bytes);
        Ok(Self {
            frontier: block_ref(reader)?,
            head: decode_head(reader)?,
            journal_first: reader.u64()?,
            blocks_end: FileOffset { file: reader.u32()?, offset: reader.u64()? },
            storage_id_next: reader.u64()?,
            history_from: reader.u64()?,
        })
    }
}

impl BlockPlace {
    pub(crate) fn encode(&self) -> [u8; 16] {
        let mut out = [0; 16];
        out[..4].copy_from_slice(&self.start.file.to_le_bytes());
        out[4..12].copy_from_slice(&self.start.offset.to_le_bytes());
        out[12..].copy_from_slice(&self.length.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let reader = &mut Reader::new(bytes);
        let start = FileOffset { file: reader.u32()?, offset: reader.u64()? };
        Ok(Self { start, length: reader.u32()? })
    }
}

/// A current account's row.
pub(crate) fn account_row(account: &(Account, u64), address: &Address) -> Vec<u8> {
    let mut out = account_value(Some(account));
    out.extend_from_slice(address.as_slice());
    out
}

/// The address in what [`account_row`] wrote.
pub(crate) fn decode_account_row_address(bytes: &[u8]) -> Result<Address, Malformed> {
    bytes.last_chunk().map(Address::from).ok_or(Malformed("address"))
}

/// An account in the history; empty for no account.
pub(crate) fn account_value(account: Option<&(Account, u64)>) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    if let Some((account, storage_id)) = account {
        put_account(&mut out, account, *storage_id);
    }
    out
}

/// Reads what [`account_value`] wrote, alone or at the front of an [`account_row`].
pub(crate) fn decode_account_value(bytes: &[u8]) -> Result<Option<(Account, u64)>, Malformed> {
    if bytes.is_empty() { Ok(None) } else { Reader::new(bytes).account().map(Some) }
}

/// Key of a slot, or of a slot's history without its block.
pub(crate) fn storage_key(storage_id: u64, slot: &B256) -> [u8; 40] {
    concat(&[&storage_id.to_be_bytes(), slot.as_slice()])
}

/// Key of a storage branch row.
pub(crate) fn storage_branch_key(storage_id: u64, path: &[u8]) -> Vec<u8> {
    [&storage_id.to_be_bytes(), path].concat()
}

/// Key of an account's history at a block.
pub(crate) fn account_history_key(account: &B256, block: u64) -> [u8; 40] {
    concat(&[account.as_slice(), &block.to_be_bytes()])
}

/// Key of a slot's history at a block.
pub(crate) fn storage_history_key(storage_id: u64, slot: &B256, block: u64) -> [u8; 48] {
    concat(&[&storage_id.to_be_bytes(), slot.as_slice(), &block.to_be_bytes()])
}

/// Key of a wiped storage.
pub(crate) fn dead_storage_key(block: u64, storage_id: u64) -> [u8; 16] {
    concat(&[&block.to_be_bytes(), &storage_id.to_be_bytes()])
}

/// A transaction's place: block number and index.
pub(crate) fn transaction_value(number: u64, index: u32) -> [u8; 12] {
    concat(&[&number.to_le_bytes(), &index.to_le_bytes()])
}

/// Reads what [`transaction_value`] wrote.
pub(crate) fn decode_transaction_value(bytes: &[u8]) -> Result<(u64, u32), Malformed> {
    let reader = &mut Reader::new(bytes);
    Ok((reader.u64()?, reader.u32()?))
}

/// The `u64` that a key has at an offset.
pub(crate) fn key_number(key: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

fn concat<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut out = [0; N];
    let mut at = 0;
    for part in parts {
        out[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    out
}

/// The error for a database of another version.
pub(crate) fn version_error(found: u32) -> OpenError {
    let advice = if found < FORMAT_VERSION {
        "an older program wrote it; use that one, or remove the database and import again"
    } else {
        "a newer program wrote it; use that one"
    };
    OpenError::Version { found, supported: FORMAT_VERSION, advice }
}
