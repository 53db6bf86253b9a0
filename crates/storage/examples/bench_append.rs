//! What one append costs, in CPU time of the thread that calls it: blocks of 1,400 transfers among 200,000 accounts,
//! on disk. Linux only.
//!
//! `cargo run --release -p starling-storage --example bench_append`

use starling_primitives::{
    Account, AccountDiff, Address, B256, BlockRef, BranchChanges, BranchRow, Bytes, Header, Nibbles, StateDiff, U256,
    keccak256,
};
use starling_storage::{BlockRecord, Database, GenesisRecord, Record, StorageConfig};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const ACCOUNTS: u64 = 200_000;
const TRANSACTIONS: u64 = 1_400;
const BLOCKS: u64 = 128;
/// Deepest rows: sixteen children each down to here, some 200,000 leaves in all.
const DEPTH: usize = 4;
/// Bytes of a row with sixteen children.
const ROW_SIZE_BYTES: usize = 535;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let genesis = block(0, B256::ZERO, &mut BTreeMap::new());
    let mut parent = genesis.block.hash;
    let record = GenesisRecord { block: genesis, config: Bytes::from_static(b"{}") };
    let database = Database::create(StorageConfig::at(folder.path()), record).expect("a database");
    let mut rows = BTreeMap::new();
    let mut times: Vec<Duration> = Vec::new();
    for number in 1..=BLOCKS {
        let record = block(number, parent, &mut rows);
        parent = record.block.hash;
        let record = Record::Block(Arc::new(record));
        let started = cpu_time();
        database.append(record).expect("appended");
        times.push(cpu_time() - started);
    }
    let bytes = database.stats().expect("stats").unflushed_bytes / BLOCKS;
    println!("{bytes} bytes a record");
    for divisor in [1, 4, 16, 64] {
        let of = |(number, _): &(u64, &Duration)| number % divisor == 0 && number % (4 * divisor) != 0;
        let chosen: Vec<Duration> = (1..).zip(&times).filter(of).map(|(_, time)| *time).collect();
        let mean = chosen.iter().sum::<Duration>() / chosen.len() as u32;
        println!("{} heights divisible by {divisor} alone: {mean:.1?}", chosen.len());
    }
    println!("all: {:.1?}", times.iter().sum::<Duration>() / times.len() as u32);
}

/// The kernel counts by the tick, so only sums mean something.
fn cpu_time() -> Duration {
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    Duration::from_nanos(counted.split(' ').next().and_then(|ns| ns.parse().ok()).expect("a number"))
}

/// A block that changes two accounts a transaction, and one child in every row on the way to each.
fn block(number: u64, parent_hash: B256, rows: &mut BTreeMap<Vec<u8>, Bytes>) -> BlockRecord {
    let (mut accounts, mut changed) = (BTreeMap::new(), BTreeMap::new());
    for change in 0..2 * TRANSACTIONS {
        let picked = keccak256(U256::from((number << 32) | change).to_be_bytes::<32>());
        let address = Address::left_padding_from(
            &(u64::from_be_bytes(picked[..8].try_into().expect("eight")) % ACCOUNTS).to_be_bytes(),
        );
        let key = keccak256(address);
        let account = Account { nonce: number, balance: U256::from(change) << 60, ..Account::default() };
        let before = Account { nonce: number - number.min(1), ..account };
        accounts.insert(
            key,
            AccountDiff { key, address, before: Some(before), after: Some(account), wiped: false, slots: Vec::new() },
        );
        for depth in 0..=DEPTH {
            let path: Vec<u8> = Nibbles::unpack(key).iter().take(depth).collect();
            let child = usize::from(Nibbles::unpack(key).iter().nth(depth).unwrap_or_default());
            let row = changed
                .entry(path)
                .or_insert_with_key(|path| rows.get(path).map_or(vec![0xa0; ROW_SIZE_BYTES], |row| row.to_vec()));
            row[7 + 33 * child + 1..][..32].copy_from_slice(picked.as_slice());
        }
    }
    let branches = changed.into_iter().map(|(path, row)| {
        let after = Bytes::from(row);
        let before = rows.insert(path.clone(), after.clone());
        BranchRow { path: Nibbles::from_nibbles(path), before, after: Some(after) }
    });
    let branches = BranchChanges { accounts: branches.collect(), storages: Vec::new() };
    let header = Header { number, parent_hash, ..Header::default() };
    BlockRecord {
        block: BlockRef::new(number, header.hash_slow()),
        rlp: vec![7; 110 * TRANSACTIONS as usize].into(),
        tx_hashes: (0..TRANSACTIONS).map(|tx| keccak256((number << 32 | tx).to_be_bytes())).collect(),
        senders: vec![Address::ZERO; TRANSACTIONS as usize],
        receipts: vec![7; 8 * TRANSACTIONS as usize].into(),
        total_difficulty: None,
        access_list: None,
        diff: StateDiff { accounts: accounts.into_values().collect(), codes: Vec::new() },
        branches,
        header,
    }
}
