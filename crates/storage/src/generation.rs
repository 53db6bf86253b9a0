//! The tables as of one frontier: what a view falls through to below the layers.
//!
//! The read transaction is opened by the flush that made the frontier, right after its commit, so tables and
//! frontier cannot disagree, and every view of the generation shares it. It is closed for good once the generation
//! was succeeded and its last view's deadline has passed: a forgotten view cannot keep the file from being reused.
//!
//! Reading at a block N below the frontier: the first history row of a key behind N tells its value at N; without
//! one, the current row does. Slots are read under the storage id that was valid at N.

use crate::{
    blocks::{BlockFiles, Changes},
    codec::{Malformed, untrimmed},
    schema::{
        BlockPlace, Meta, Table, account_history_key, decode_account_row_address, decode_account_value,
        decode_transaction_value, key_number, storage_branch_key, storage_history_key, storage_key,
    },
    tables::{Rows, Store, TableError, get_vec, get_with, seek},
    undo,
};
use alloy_primitives::map::B256Map;
use alloy_rlp::Decodable;
use parking_lot::{Mutex, RwLock};
use starling_primitives::{Account, Address, B256, BlockRef, Bytes, Header, ReadError, StateDiff, U256};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Storage ids remembered a generation; forgotten all at once past that.
const IDS_MAX: usize = 65_536;
const ID_SHARDS: usize = 16;

/// A row of the accounts table: account and storage id, 0 for none.
pub(crate) type AccountWithId = (Account, u64);

/// The tables as of one frontier.
#[derive(Debug)]
pub(crate) struct Generation {
    pub(crate) frontier: BlockRef,
    pub(crate) meta: Meta,
    pub(crate) blocks: Arc<BlockFiles>,
    rows: RwLock<Option<Arc<dyn Rows + Send + Sync>>>,
    /// Storage ids as of the frontier, by account: a slot then costs one read, not two.
    ids: [Mutex<B256Map<u64>>; ID_SHARDS],
    opened: Instant,
    /// When the last view given out so far expires, in milliseconds after `opened`.
    deadline_ms: AtomicU64,
}

impl Generation {
    /// Opens the tables as of now; the caller is the one who writes them.
    pub(crate) fn open(store: &dyn Store, meta: Meta, blocks: Arc<BlockFiles>) -> Result<Self, TableError> {
        Ok(Self {
            frontier: meta.frontier,
            meta,
            blocks,
            rows: RwLock::new(Some(store.snapshot()?)),
            ids: Default::default(),
            opened: Instant::now(),
            deadline_ms: AtomicU64::new(0),
        })
    }

    /// Keeps the generation readable for some time from now.
    pub(crate) fn keep_for(&self, time: Duration) {
        let until = (self.opened.elapsed() + time).as_millis() as u64;
        self.deadline_ms.fetch_max(until, Ordering::Relaxed);
    }

    /// Whether every view given out has expired.
    pub(crate) fn is_expired(&self) -> bool {
        self.opened.elapsed().as_millis() as u64 > self.deadline_ms.load(Ordering::Relaxed)
    }

    /// Ends all reading.
    pub(crate) fn close(&self) {
        *self.rows.write() = None;
    }

    pub(crate) fn rows(&self) -> Result<Arc<dyn Rows + Send + Sync>, ReadError> {
        self.rows.read().clone().ok_or(ReadError::Expired { block: self.frontier.number })
    }

    fn error(&self, error: TableError) -> ReadError {
        match error {
            TableError::Damaged(what) => ReadError::Damaged(what),
            other => ReadError::Io(other.to_string()),
        }
    }

    fn get<T>(
        &self,
        table: Table,
        key: &[u8],
        decode: &dyn Fn(&[u8]) -> Result<T, Malformed>,
    ) -> Result<Option<T>, ReadError> {
        get_with(&*self.rows()?, table, key, decode).map_err(|error| self.error(error))
    }

    /// The first history value of a key behind a block.
    fn history_after(&self, table: Table, key_at: &[u8], key_length: usize) -> Result<Option<Vec<u8>>, ReadError> {
        let found = seek(&*self.rows()?, table, key_at, &key_at[..key_length]).map_err(|error| self.error(error))?;
        Ok(found.map(|(_, value)| value))
    }

    /// An account after a block at or below the frontier.
    pub(crate) fn account_at(&self, key: &B256, number: u64) -> Result<Option<AccountWithId>, ReadError> {
        if number < self.frontier.number {
            let history = account_history_key(key, number + 1);
            if let Some(value) = self.history_after(Table::AccountHistory, &history, 32)? {
                return decode_account_value(&value).map_err(|error| self.error(error.into()));
            }
        }
        Ok(self.get(Table::Accounts, key.as_slice(), &decode_account_value)?.flatten())
    }

    /// The storage id of an account after a block at or below the frontier, 0 for none.
    pub(crate) fn storage_id_at(&self, key: &B256, number: u64) -> Result<u64, ReadError> {
        if number != self.frontier.number {
            return Ok(self.account_at(key, number)?.map_or(0, |(_, id)| id));
        }
        let shard = &self.ids[usize::from(key[0]) % ID_SHARDS];
        if let Some(id) = shard.lock().get(key) {
            return Ok(*id);
        }
        let id = self.account_at(key, number)?.map_or(0, |(_, id)| id);
        let mut shard = shard.lock();
        if shard.len() >= IDS_MAX / ID_SHARDS {
            shard.clear();
        }
        shard.insert(*key, id);
        Ok(id)
    }

    /// A slot of an account after a block at or below the frontier.
    pub(crate) fn slot_at(&self, account: &B256, slot: &B256, number: u64) -> Result<U256, ReadError> {
        match self.storage_id_at(account, number)? {
            0 => Ok(U256::ZERO),
            id => self.slot_of_id(id, slot, number),
        }
    }

    /// A slot under a storage id after a block at or below the frontier.
    pub(crate) fn slot_of_id(&self, id: u64, slot: &B256, number: u64) -> Result<U256, ReadError> {
        if number < self.frontier.number {
            let history = storage_history_key(id, slot, number + 1);
            if let Some(value) = self.history_after(Table::StorageHistory, &history, 40)? {
                return untrimmed(&value).map_err(|error| self.error(error.into()));
            }
        }
        Ok(self.get(Table::Storage, &storage_key(id, slot), &untrimmed)?.unwrap_or_default())
    }

    /// What a block at or below the frontier changed.
    pub(crate) fn changes(&self, number: u64) -> Result<StateDiff, ReadError> {
        if number <= self.meta.history_from && number != 0 {
            return Err(self.not_kept(number));
        }
        undo::changes_of(self, number)
    }

    pub(crate) fn not_kept(&self, number: u64) -> ReadError {
        let from = self.meta.history_from;
        ReadError::NotKept { block: number, why: format!("state history begins at block {from}") }
    }

    /// The value of an account's history row of a block; none if that block did not change it.
    pub(crate) fn account_before(&self, key: &B256, number: u64) -> Result<Option<Option<AccountWithId>>, ReadError> {
        self.get(Table::AccountHistory, &account_history_key(key, number), &decode_account_value)
    }

    /// The value of a slot's history row of a block.
    pub(crate) fn slot_before(&self, id: u64, slot: &B256, number: u64) -> Result<Option<U256>, ReadError> {
        self.get(Table::StorageHistory, &storage_history_key(id, slot, number), &untrimmed)
    }

    pub(crate) fn account_branch(&self, path: &[u8]) -> Result<Option<Bytes>, ReadError> {
        self.get(Table::AccountBranches, path, &|bytes| Ok(Bytes::copy_from_slice(bytes)))
    }

    pub(crate) fn storage_branch(&self, account: &B256, path: &[u8]) -> Result<Option<Bytes>, ReadError> {
        match self.storage_id_at(account, self.frontier.number)? {
            0 => Ok(None),
            id => {
                let key = storage_branch_key(id, path);
                self.get(Table::StorageBranches, &key, &|bytes| Ok(Bytes::copy_from_slice(bytes)))
            }
        }
    }

    pub(crate) fn code(&self, hash: &B256) -> Result<Option<Bytes>, ReadError> {
        self.get(Table::Codes, hash.as_slice(), &|bytes| Ok(Bytes::copy_from_slice(bytes)))
    }

    pub(crate) fn address(&self, key: &B256) -> Result<Option<Address>, ReadError> {
        let current = self.get(Table::Accounts, key.as_slice(), &decode_account_row_address)?;
        if current.is_some() {
            return Ok(current);
        }
        self.get(Table::Addresses, key.as_slice(), &|bytes| Address::try_from(bytes).map_err(|_| Malformed("address")))
    }

    pub(crate) fn canonical_hash(&self, number: u64) -> Result<Option<B256>, ReadError> {
        self.get(Table::Headers, &number.to_be_bytes(), &|bytes| decode_header(bytes).map(|(hash, _)| hash))
    }

    pub(crate) fn number(&self, hash: &B256) -> Result<Option<u64>, ReadError> {
        self.get(Table::Numbers, hash.as_slice(), &|bytes| crate::codec::Reader::new(bytes).u64())
    }

    /// The header of a canonical block.
    pub(crate) fn header(&self, block: BlockRef) -> Result<Option<Header>, ReadError> {
        let decode = |bytes: &[u8]| {
            let (hash, mut rlp) = decode_header(bytes)?;
            if hash != block.hash {
                return Ok(None);
            }
            Header::decode(&mut rlp).map(Some).map_err(|_| Malformed("header"))
        };
        Ok(self.get(Table::Headers, &block.number.to_be_bytes(), &decode)?.flatten())
    }

    /// Hash and header RLP of the canonical block of that number.
    pub(crate) fn header_rlp(&self, number: u64) -> Result<Option<(B256, Bytes)>, ReadError> {
        let decode = |bytes: &[u8]| decode_header(bytes).map(|(hash, rlp)| (hash, Bytes::copy_from_slice(rlp)));
        self.get(Table::Headers, &number.to_be_bytes(), &decode)
    }

    pub(crate) fn total_difficulty(&self, hash: &B256) -> Result<Option<U256>, ReadError> {
        self.get(Table::Difficulty, hash.as_slice(), &untrimmed)
    }

    pub(crate) fn transaction(&self, hash: &B256) -> Result<Option<(u64, u32)>, ReadError> {
        self.get(Table::Transactions, hash.as_slice(), &decode_transaction_value)
    }

    /// Where a canonical block lies in the block files.
    pub(crate) fn block_place(&self, number: u64) -> Result<Option<BlockPlace>, ReadError> {
        self.get(Table::Blocks, &number.to_be_bytes(), &BlockPlace::decode)
    }

    /// The keys that a canonical block changed.
    pub(crate) fn changed_keys(&self, number: u64) -> Result<Changes, ReadError> {
        let place = self.block_place(number)?;
        let place = place.ok_or_else(|| ReadError::Damaged(format!("no place for block {number}")))?;
        self.blocks.changes(number, place).map_err(|error| self.expired_or(error))
    }

    /// Block files may be cut under a closed generation: what does not read then has expired, not been damaged.
    pub(crate) fn expired_or(&self, error: ReadError) -> ReadError {
        self.rows().err().unwrap_or(error)
    }

    /// Accounts at the frontier from a key on, at most `limit`, in order.
    pub(crate) fn accounts_from(&self, from: &B256, limit: usize) -> Result<Vec<(B256, Account)>, ReadError> {
        let mut accounts = Vec::new();
        let mut broken = None;
        let visit = &mut |key: &[u8], value: &[u8]| {
            match (B256::try_from(key), decode_account_value(value)) {
                (Ok(key), Ok(Some((account, _)))) => accounts.push((key, account)),
                _ => broken = Some(ReadError::Damaged("a row of table Accounts".into())),
            }
            broken.is_none() && accounts.len() < limit
        };
        if limit > 0 {
            self.rows()?.walk(Table::Accounts, from.as_slice(), visit).map_err(|error| self.error(error))?;
        }
        broken.map_or(Ok(accounts), Err)
    }

    /// Slots of an account at the frontier from a key on, at most `limit`, in order.
    pub(crate) fn slots_from(&self, account: &B256, from: &B256, limit: usize) -> Result<Vec<(B256, U256)>, ReadError> {
        let id = self.storage_id_at(account, self.frontier.number)?;
        if id == 0 || limit == 0 {
            return Ok(Vec::new());
        }
        self.slots_of_id(id, from, limit)
    }

    /// Current slots under a storage id from a key on, at most `limit`, in order.
    pub(crate) fn slots_of_id(&self, id: u64, from: &B256, limit: usize) -> Result<Vec<(B256, U256)>, ReadError> {
        let mut slots = Vec::new();
        let mut broken = None;
        let visit = &mut |key: &[u8], value: &[u8]| {
            if key_number(key, 0) != Some(id) {
                return false;
            }
            match (B256::try_from(&key[8..]), untrimmed(value)) {
                (Ok(slot), Ok(value)) => slots.push((slot, value)),
                _ => broken = Some(ReadError::Damaged("a row of table Storage".into())),
            }
            broken.is_none() && slots.len() < limit
        };
        self.rows()?.walk(Table::Storage, &storage_key(id, from), visit).map_err(|error| self.error(error))?;
        broken.map_or(Ok(slots), Err)
    }

    /// The chain's configuration.
    pub(crate) fn config(&self) -> Result<Bytes, ReadError> {
        let rows = self.rows()?;
        let config = get_vec(&*rows, Table::Meta, crate::schema::KEY_CONFIG).map_err(|error| self.error(error))?;
        Ok(config.unwrap_or_default().into())
    }
}

/// Takes a row of the headers table apart: hash and header RLP.
pub(crate) fn decode_header(bytes: &[u8]) -> Result<(B256, &[u8]), Malformed> {
    let (hash, rlp) = bytes.split_at_checked(32).ok_or(Malformed("header"))?;
    Ok((B256::from_slice(hash), rlp))
}
