//! The door with its threads: bounds, deadlines, readers beside a flush, and what opening refuses.

use super::model::{Block, Random, check_state};
use crate::{
    Database, FRONTIER_LAG_MIN_BLOCKS, GenesisRecord, HeadRecord, OpenError, Record, StorageConfig, WriteError,
    schema::FORMAT_VERSION,
};
use starling_primitives::{Bytes, ReadError};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

fn genesis(random: &mut Random) -> (Arc<Block>, GenesisRecord) {
    let block = Block::random(random, None);
    let record = GenesisRecord { block: block.record.clone(), config: Bytes::from_static(b"{\"chainId\":1}") };
    (block, record)
}

fn append(database: &Database, block: &Block) {
    database.append(Record::Block(Arc::new(block.record.clone()))).expect("appended");
}

fn set_head(database: &Database, block: &Block) -> crate::Lsn {
    let head = HeadRecord { head: block.at, safe: None, finalized: None };
    database.append(Record::Head(head)).expect("head")
}

/// Appends random blocks on top of one, making each the head if asked to.
fn grow(database: &Database, random: &mut Random, parent: &Arc<Block>, blocks: usize, heads: bool) -> Arc<Block> {
    let mut tip = parent.clone();
    for _ in 0..blocks {
        tip = Block::random(random, Some(&tip));
        append(database, &tip);
        if heads {
            set_head(database, &tip);
        }
    }
    tip
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what} does not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_head_that_does_not_move_keeps_memory_bounded() {
    let mut random = Random(1);
    let (block, record) = genesis(&mut random);
    let dir = tempfile::tempdir().expect("a folder");
    let bound = 128 << 10;
    let config = StorageConfig { layer_size_bytes_max: bound, disk_free_bytes_min: 0, ..StorageConfig::at(dir.path()) };
    let unbounded = StorageConfig { layer_size_bytes_max: u64::MAX, ..config.clone() };
    let database = Database::create(config, record).expect("a database");
    let tip = grow(&database, &mut random, &block, 600, false);
    let bounded = database.stats().expect("stats");
    assert_eq!((bounded.layers, bounded.head, bounded.frontier), (600, block.at, block.at));
    for number in [1, 2, 100, 599, 600] {
        let ancestor = tip.ancestor(number);
        check_state(&database.view(ancestor.at.hash).expect("a view"), &ancestor);
    }
    database.close();
    let database = Database::open(unbounded).expect("opened again");
    assert!(bounded.layer_bytes < database.stats().expect("stats").layer_bytes * 3 / 4, "rows stay in the journal");
    set_head(&database, &tip);
    database.advance(tip.at, true).expect("flushed");
    check_state(&database.view(tip.at.hash).expect("a view"), &tip);
    assert_eq!(database.verify(0, &mut |_, _| {}).expect("verified"), Vec::<String>::new());
}

#[test]
fn over_its_bounds_it_flushes_by_itself_while_readers_read() {
    let mut random = Random(2);
    let (block, record) = genesis(&mut random);
    let dir = tempfile::tempdir().expect("a folder");
    let bound = 200 << 10;
    let config =
        StorageConfig { journal_size_bytes_max: bound, disk_free_bytes_min: 0, ..StorageConfig::at(dir.path()) };
    let database = Database::create(config.clone(), record).expect("a database");
    let (done, latest) = (AtomicBool::new(false), parking_lot::Mutex::new(block.clone()));
    let tip = std::thread::scope(|scope| {
        for seed in 0..2 {
            let (database, done, latest) = (database.clone(), &done, &latest);
            scope.spawn(move || {
                let mut random = Random(seed);
                while !done.load(Ordering::Relaxed) {
                    let head = latest.lock().clone();
                    // a slow reader's head may have been flushed past by now
                    let Ok(view) = database.view(head.at.hash) else { continue };
                    let number = random.below(head.at.number + 1);
                    check_state(&view.at(number).expect("state is kept"), &head.ancestor(number));
                }
            });
        }
        let mut tip = block.clone();
        for _ in 0..500 {
            tip = grow(&database, &mut random, &tip, 1, true);
            *latest.lock() = tip.clone();
            let stats = database.stats().expect("stats");
            assert!(stats.unflushed_bytes < bound * 3, "held back at twice the bound");
        }
        done.store(true, Ordering::Relaxed);
        tip
    });
    wait_until("a flush", || database.stats().expect("stats").frontier.number > 300);
    let stats = database.stats().expect("stats");
    assert!(stats.frontier.number + FRONTIER_LAG_MIN_BLOCKS <= tip.at.number);
    assert!(stats.to_string().starts_with(&format!("head {}", tip.at)));
    drop(database);
    let database = Database::open(config).expect("opened again");
    assert_eq!(database.head().head, tip.at);
    check_state(&database.view(tip.at.hash).expect("a view"), &tip);
    assert_eq!(database.verify(0, &mut |_, _| {}).expect("verified"), Vec::<String>::new());
}

#[test]
fn a_view_ends_at_its_deadline() {
    let mut random = Random(3);
    let (block, record) = genesis(&mut random);
    let database = Database::create(StorageConfig::memory(), record).expect("a database");
    let view = database.view_with_deadline(block.at.hash, Duration::from_millis(20)).expect("a view");
    check_state(&view, &block);
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(view.account(&super::model::key(0)), Err(ReadError::Expired { block: 0 }));
    let view = database.view(block.at.hash).expect("a view");
    drop(database);
    assert_eq!(view.account(&super::model::key(0)), Err(ReadError::Expired { block: 0 }), "its database is closed");
}

#[test]
fn a_nearly_full_disk_refuses_and_says_so() {
    let mut random = Random(4);
    let (block, record) = genesis(&mut random);
    let dir = tempfile::tempdir().expect("a folder");
    let config = StorageConfig { disk_free_bytes_min: u64::MAX, ..StorageConfig::at(dir.path()) };
    let database = Database::create(config, record).expect("a database");
    let child = Block::random(&mut random, Some(&block));
    let refused = database.append(Record::Block(Arc::new(child.record.clone())));
    assert!(matches!(refused, Err(WriteError::DiskFull { .. })), "{refused:?}");
    assert!(database.write_refused().is_some_and(|why| why.contains("bytes free")));
    check_state(&database.view(block.at.hash).expect("a view"), &block);
}

#[test]
fn a_block_without_a_parent_is_refused() {
    let mut random = Random(5);
    let (block, record) = genesis(&mut random);
    let database = Database::create(StorageConfig::memory(), record).expect("a database");
    let child = Block::random(&mut random, Some(&block));
    let orphan = Block::random(&mut random, Some(&child));
    let refused = database.append(Record::Block(Arc::new(orphan.record.clone())));
    assert!(matches!(refused, Err(WriteError::UnknownParent(hash)) if hash == child.at.hash), "{refused:?}");
    append(&database, &child);
    let lsn = set_head(&database, &child);
    database.sync(lsn).expect("synced");
    let again = database.append(Record::Block(Arc::new(child.record.clone()))).expect("known");
    assert!(again < lsn);
}

#[test]
fn configuration_and_history_can_be_changed() {
    let mut random = Random(6);
    let (block, record) = genesis(&mut random);
    let dir = tempfile::tempdir().expect("a folder");
    let config = StorageConfig { disk_free_bytes_min: 0, ..StorageConfig::at(dir.path()) };
    let database = Database::create(config.clone(), record).expect("a database");
    let tip = grow(&database, &mut random, &block, 30, true);
    database.advance(tip.ancestor(20).at, true).expect("flushed");
    assert_eq!(database.prune_history(5).expect("pruned"), 15);
    database.set_config(Bytes::from_static(b"{\"chainId\":2}")).expect("set");
    drop(database);
    let database = Database::open(config).expect("opened again");
    assert_eq!(database.config(), Bytes::from_static(b"{\"chainId\":2}"));
    let view = database.view(tip.at.hash).expect("a view");
    assert!(matches!(view.at(14), Err(ReadError::NotKept { block: 14, .. })));
    check_state(&view.at(15).expect("kept"), &tip.ancestor(15));
}

#[test]
fn what_cannot_be_opened_says_why() {
    let mut random = Random(7);
    let (_, record) = genesis(&mut random);
    let dir = tempfile::tempdir().expect("a folder");
    let config = StorageConfig { disk_free_bytes_min: 0, ..StorageConfig::at(dir.path()) };
    assert!(matches!(Database::open(config.clone()), Err(OpenError::Missing(_))));
    let database = Database::create(config.clone(), record.clone()).expect("a database");
    assert!(matches!(Database::open(config.clone()), Err(OpenError::Io { .. })), "one at a time");
    drop(database);
    assert!(matches!(Database::create(config.clone(), record), Err(OpenError::Exists(_))));
    set_version(dir.path(), 0);
    check_refused(&config, "version 0, this program reads version 2: an older program");
    set_version(dir.path(), 9);
    check_refused(&config, "version 9, this program reads version 2: a newer program");
    set_version(dir.path(), FORMAT_VERSION);
    drop(Database::open(config.clone()).expect("it was only the version"));
    Database::remove(dir.path()).expect("removed");
    assert!(matches!(Database::open(config), Err(OpenError::Missing(_))));
    assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 0);
}

fn set_version(dir: &Path, version: u32) {
    use crate::{mdbx::MdbxStore, schema, tables::Store};
    let store = MdbxStore::open(dir).expect("tables");
    let mut batch = store.batch().expect("a batch");
    let value = version.to_le_bytes();
    crate::flush::write_one(&mut *batch, crate::Table::Meta, schema::KEY_FORMAT, &value).expect("written");
    batch.commit().expect("committed");
}

fn check_refused(config: &StorageConfig, words: &str) {
    let message = Database::open(config.clone()).err().map(|error| error.to_string());
    assert!(message.as_ref().is_some_and(|message| message.contains(words)), "{message:?}");
}
