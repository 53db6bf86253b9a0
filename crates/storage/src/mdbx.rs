//! Tables in MDBX. The only file that names the binding.
//!
//! Default kind (not WRITEMAP: sparse files would turn a full disk into SIGBUS), durable, exclusive, own checks of
//! key and value lengths, since dev and release builds of the binding differ there. A snapshot is a few read
//! transactions on the same version, each behind a lock of its own, so that several threads can read at once; a
//! transaction and its cursors are only used under its lock.

use crate::{
    schema::Table,
    tables::{Batch, Rows, Store, TableError, Write},
};
use parking_lot::{Mutex, MutexGuard};
use signet_libmdbx::{
    Database, DatabaseFlags, Environment, EnvironmentFlags, Geometry, MdbxError, Mode, ReadError, SyncMode, WriteFlags,
    sys::{EnvironmentKind, PageSize},
    tx::aliases::{RoTxUnsync, RwTxUnsync},
};
use std::{borrow::Cow, fmt, path::Path, sync::Arc};

/// Longest key that a 4 KiB page takes.
const KEY_SIZE_BYTES_MAX: usize = 2022;
/// Longest value: far above any row of ours, far below what the library takes.
const VALUE_SIZE_BYTES_MAX: usize = 256 << 20;
/// Most that the file may grow to. Only address space.
const MAP_SIZE_BYTES_MAX: usize = 4 << 40;
/// The file grows by this much at a time; sparse until written.
const GROWTH_STEP_BYTES: isize = 256 << 20;
/// Pages that a write transaction keeps in memory before it writes them out: 64 MiB.
const DIRTY_PAGES_MAX: u64 = 16_384;
/// Reader slots: a few for every generation that some view still looks at.
const READERS_MAX: u64 = 4096;
/// Read transactions of a snapshot: so many threads read at once without waiting.
const SNAPSHOT_READERS: usize = 4;
/// The lock file's message when another process has the database open (EAGAIN, EACCES, EBUSY by system).
const BUSY_CODES: [i32; 3] = [11, 13, 16];

/// The tables of a folder.
pub(crate) struct MdbxStore {
    env: Environment,
    databases: [Option<Database>; Table::ALL.len()],
}

impl fmt::Debug for MdbxStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MdbxStore").finish_non_exhaustive()
    }
}

impl MdbxStore {
    /// Opens the folder's file, or makes it. Tables that are missing stay so until [`MdbxStore::create_tables`].
    pub(crate) fn open(folder: &Path) -> Result<Self, TableError> {
        let mut builder = Environment::builder();
        builder
            .set_max_dbs(64)
            .set_max_readers(READERS_MAX)
            .set_geometry(Geometry {
                size: Some(0..MAP_SIZE_BYTES_MAX),
                growth_step: Some(GROWTH_STEP_BYTES),
                shrink_threshold: Some(0),
                page_size: Some(PageSize::Set(4096)),
            })
            .set_kind(EnvironmentKind::Default)
            .set_rp_augment_limit(256 * 1024)
            .set_txn_dp_limit(DIRTY_PAGES_MAX)
            .set_flags(EnvironmentFlags {
                no_rdahead: true,
                coalesce: true,
                exclusive: true,
                mode: Mode::ReadWrite { sync_mode: SyncMode::Durable },
                ..Default::default()
            });
        let env = builder.open(folder).map_err(open_error)?;
        let mut store = Self { env, databases: [None; Table::ALL.len()] };
        store.open_tables()?;
        Ok(store)
    }

    fn open_tables(&mut self) -> Result<(), TableError> {
        let tx = self.env.begin_ro_unsync().map_err(error)?;
        for table in Table::ALL {
            self.databases[table as usize] = match tx.open_db(Some(table.name())) {
                Ok(database) => Some(database),
                Err(MdbxError::NotFound) => None,
                Err(other) => return Err(error(other)),
            };
        }
        // a handle lives on only if the transaction that opened it ends well
        tx.commit().map_err(error)
    }

    /// Makes the tables.
    pub(crate) fn create_tables(&mut self) -> Result<(), TableError> {
        let tx = self.env.begin_rw_unsync().map_err(error)?;
        for table in Table::ALL {
            let database = tx.create_db(Some(table.name()), DatabaseFlags::empty()).map_err(error)?;
            self.databases[table as usize] = Some(database);
        }
        tx.commit().map_err(error)
    }
}

impl Store for MdbxStore {
    fn snapshot(&self) -> Result<Arc<dyn Rows + Send + Sync>, TableError> {
        let transactions = self.env.begin_ro_unsync_multi(SNAPSHOT_READERS).map_err(error)?;
        let transactions = transactions.into_iter().map(Mutex::new).collect();
        Ok(Arc::new(Snapshot { transactions, databases: self.databases }))
    }

    fn batch(&self) -> Result<Box<dyn Batch + '_>, TableError> {
        let tx = self.env.begin_rw_unsync().map_err(error)?;
        Ok(Box::new(WriteBatch { tx, databases: &self.databases }))
    }

    fn size(&self, table: Table) -> Result<(u64, u64), TableError> {
        let tx = self.env.begin_ro_unsync().map_err(error)?;
        let Some(database) = self.databases[table as usize] else { return Ok((0, 0)) };
        let stat = tx.db_stat(&database).map_err(error)?;
        let pages = stat.branch_pages() + stat.leaf_pages() + stat.overflow_pages();
        Ok((stat.entries() as u64, (pages * stat.page_size() as usize) as u64))
    }
}

struct Snapshot {
    transactions: Vec<Mutex<RoTxUnsync>>,
    databases: [Option<Database>; Table::ALL.len()],
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

impl Snapshot {
    /// A transaction that nobody uses, or the first when all are busy.
    fn lock(&self) -> MutexGuard<'_, RoTxUnsync> {
        self.transactions.iter().find_map(Mutex::try_lock).unwrap_or_else(|| self.transactions[0].lock())
    }
}

impl Rows for Snapshot {
    fn get(&self, table: Table, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool, TableError> {
        let Some(database) = self.databases[table as usize] else { return Ok(false) };
        let tx = self.lock();
        let value: Option<Cow<'_, [u8]>> = tx.get(database.dbi(), key).map_err(read_error)?;
        value.iter().for_each(|value| visit(value));
        Ok(value.is_some())
    }

    fn walk(&self, table: Table, from: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), TableError> {
        let Some(database) = self.databases[table as usize] else { return Ok(()) };
        let tx = self.lock();
        let mut cursor = tx.cursor(database).map_err(error)?;
        let mut row: Option<Row<'_>> = cursor.set_range(from).map_err(read_error)?;
        while let Some((key, value)) = row {
            if !visit(&key, &value) {
                break;
            }
            row = cursor.next().map_err(read_error)?;
        }
        Ok(())
    }
}

type Row<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

struct WriteBatch<'env> {
    tx: RwTxUnsync,
    databases: &'env [Option<Database>; Table::ALL.len()],
}

impl fmt::Debug for WriteBatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteBatch").finish_non_exhaustive()
    }
}

impl WriteBatch<'_> {
    fn database(&self, table: Table) -> Result<Database, TableError> {
        self.databases[table as usize].ok_or_else(|| TableError::Damaged(format!("no table {}", table.name())))
    }
}

impl Rows for WriteBatch<'_> {
    fn get(&self, table: Table, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool, TableError> {
        let database = self.database(table)?;
        let value: Option<Cow<'_, [u8]>> = self.tx.get(database.dbi(), key).map_err(read_error)?;
        value.iter().for_each(|value| visit(value));
        Ok(value.is_some())
    }

    fn walk(&self, table: Table, from: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), TableError> {
        let mut cursor = self.tx.cursor(self.database(table)?).map_err(error)?;
        let mut row: Option<Row<'_>> = cursor.set_range(from).map_err(read_error)?;
        while let Some((key, value)) = row {
            if !visit(&key, &value) {
                break;
            }
            row = cursor.next().map_err(read_error)?;
        }
        Ok(())
    }
}

impl Batch for WriteBatch<'_> {
    fn write<'a>(&mut self, table: Table, rows: &mut dyn Iterator<Item = Write<'a>>) -> Result<(), TableError> {
        let database = self.database(table)?;
        // one cursor: the next key of a sorted run is mostly on the page that it stands on
        let mut cursor = self.tx.cursor(database).map_err(error)?;
        for (key, value) in rows {
            let value_len = value.map_or(0, <[u8]>::len);
            if key.len() > KEY_SIZE_BYTES_MAX || value_len > VALUE_SIZE_BYTES_MAX {
                return Err(TableError::TooLong(table.name()));
            }
            match value {
                Some(value) => cursor.put(key, value, WriteFlags::UPSERT).map_err(error)?,
                None => drop(self.tx.del(database, key, None).map_err(error)?),
            }
        }
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<(), TableError> {
        self.tx.commit().map_err(error)
    }
}

fn error(error: MdbxError) -> TableError {
    match error {
        MdbxError::MapFull => TableError::Full,
        MdbxError::Other(code) if code == rustix::io::Errno::NOSPC.raw_os_error() => TableError::Full,
        other => TableError::Io(format!("database: {other}")),
    }
}

fn read_error(error_read: ReadError) -> TableError {
    match error_read {
        ReadError::Mdbx(cause) => error(cause),
        other => TableError::Damaged(other.to_string()),
    }
}

fn open_error(cause: MdbxError) -> TableError {
    match cause {
        MdbxError::Other(code) if BUSY_CODES.contains(&code) => {
            TableError::Io(format!("{} (is another process using it?)", std::io::Error::from_raw_os_error(code)))
        }
        other => error(other),
    }
}
