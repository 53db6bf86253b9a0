//! The bytes on disk, frozen. A change here is a new format version.

use crate::{
    blocks::{BlockFiles, Changes},
    disk::{Disk, read_vec, simulated::SimulatedDisk},
    journal::{
        Journal,
        frame::{FileHeader, RecordKind},
        record::{Body, encode_block, encode_head},
    },
    schema::{self, BlockPlace, FileOffset, Meta},
    *,
};
use starling_primitives::{
    Account, AccountDiff, Address, B256, BlockRef, BranchChanges, BranchRow, Bytes, Header, Nibbles, SlotDiff,
    StateDiff, StorageBranches, U256, keccak256,
};
use std::sync::Arc;

fn check(what: &str, bytes: &[u8], expected: &str) {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, expected, "{what}");
}

fn hash(byte: u8) -> B256 {
    B256::repeat_byte(byte)
}

fn head() -> HeadRecord {
    HeadRecord { head: BlockRef::new(7, hash(7)), safe: Some(BlockRef::new(5, hash(5))), finalized: None }
}

fn record() -> BlockRecord {
    let before = Account { nonce: 1, balance: U256::from(1000), ..Account::default() };
    let after = Account { nonce: 300, storage_root: hash(0xaa), code_hash: hash(0xbb), ..before };
    let slots = vec![SlotDiff { key: hash(3), before: U256::ZERO, after: U256::from(258) }];
    let address = Address::repeat_byte(9);
    let account = AccountDiff { key: hash(2), address, before: Some(before), after: Some(after), wiped: true, slots };
    let row = |path: &[u8], before, after| BranchRow { path: Nibbles::from_nibbles(path), before, after };
    let (old, new) = (Bytes::from_static(b"a row as it was before"), Bytes::from_static(b"a row as it is now, longer"));
    let rows = vec![
        row(&[1, 15], None, Some(Bytes::from_static(b"row"))),
        row(&[2], Some(old), Some(new)),
        row(&[], None, None),
    ];
    BlockRecord {
        block: BlockRef::new(7, hash(7)),
        header: Header { number: 7, ..Header::default() },
        rlp: Bytes::from_static(b"rlp"),
        tx_hashes: vec![hash(4)],
        senders: vec![address],
        receipts: Bytes::from_static(b"receipts"),
        total_difficulty: Some(U256::from(131_072)),
        access_list: Some(Bytes::from_static(b"list")),
        diff: StateDiff { accounts: vec![account], codes: vec![(hash(0xbb), Bytes::from_static(b"code"))] },
        branches: BranchChanges { accounts: rows.clone(), storages: vec![StorageBranches { account: hash(2), rows }] },
    }
}

#[test]
fn tables() {
    let account = Account { nonce: 300, balance: U256::from(1000), storage_root: hash(1), code_hash: hash(2) };
    let plain = Account { nonce: 0, balance: U256::ZERO, ..Account::default() };
    let full = schema::account_value(Some(&(account, 200)));
    check(
        "account",
        &full,
        "0702020202020202020202020202020202020202020202020202020202020202020101010101010101010101010101010101010101010101010101010101010101c801ac020203e8",
    );
    check("plain account", &schema::account_value(Some(&(plain, 0))), "000000");
    check("no account", &schema::account_value(None), "");
    let row = schema::account_row(&(plain, 0), &Address::repeat_byte(7));
    check("account row", &row, "0000000707070707070707070707070707070707070707");
    assert_eq!(schema::decode_account_row_address(&row), Ok(Address::repeat_byte(7)));
    check(
        "slot key",
        &schema::storage_key(258, &hash(1)),
        "00000000000001020101010101010101010101010101010101010101010101010101010101010101",
    );
    check("branch key", &schema::storage_branch_key(258, &[1, 15]), "0000000000000102010f");
    check(
        "account history",
        &schema::account_history_key(&hash(1), 258),
        "01010101010101010101010101010101010101010101010101010101010101010000000000000102",
    );
    check(
        "slot history",
        &schema::storage_history_key(1, &hash(2), 258),
        "000000000000000102020202020202020202020202020202020202020202020202020202020202020000000000000102",
    );
    check("dead storage", &schema::dead_storage_key(258, 3), "00000000000001020000000000000003");
    check("transaction", &schema::transaction_value(258, 3), "020100000000000003000000");
    let start = FileOffset { file: 1, offset: 258 };
    check("block place", &BlockPlace { start, length: 3 }.encode(), "01000000020100000000000003000000");
    let meta = Meta {
        frontier: BlockRef::new(3, hash(3)),
        head: head(),
        journal_first: 2,
        blocks_end: start,
        storage_id_next: 4,
        history_from: 1,
    };
    check(
        "meta",
        keccak256(meta.encode()).as_slice(),
        "8cc4861b3b2a1ad0253072704ef5ee128c4b7982b62fd6d195d78ce0b17052ae",
    );
    assert_eq!(Meta::decode(&meta.encode()), Ok(meta));
    let names: String = Table::ALL.iter().map(|table| table.name()).collect();
    check("names", keccak256(names).as_slice(), "1f9c689baf0d81f17d588f6033b23de34c646cbaa5390516023f62dfb67dd78b");
}

#[test]
fn journal() {
    let header = FileHeader { version: 1, file_id: 2, lsn_first: 3, previous: 4 };
    check("file header", &header.encode(), "535441524c4a4e4c010000002c9cd6100200000000000000030000000000000004000000");
    assert_eq!(FileHeader::decode(&header.encode()), Some(header));
    let mut journal = Journal::create(Arc::new(SimulatedDisk::default()), 1).expect("a journal");
    let (written, ()) = journal.append(RecordKind::Head, |out| encode_head(out, &head())).expect("written");
    check(
        "head record",
        written.bytes,
        "52000000907442fa00000000020000000100000000000000010000000000000007000000000000000707070707070707070707070707070707070707070707070707070707070707010500000000000000050505050505050505050505050505050505050505050505050505050505050500",
    );
    let mut bytes = Vec::new();
    let parts = encode_block(&mut bytes, &record());
    check(
        "rows",
        keccak256(&bytes[parts.rows]).as_slice(),
        "33353f1ebbd4f36fa0759ede871462fdc0ed2e6a3e33ed1935ec1726a16e2eb2",
    );
    check(
        "patches",
        keccak256(&bytes[parts.patches]).as_slice(),
        "271bb86c0df2cc08903599f3b3d24627bb9036a2ce28890141406d938b2e44a7",
    );
    check(
        "body",
        keccak256(&bytes[parts.body]).as_slice(),
        "0e4dd6461620b656225c7668a4e89f664c90a10a667e7ae827a7a96e7e8d5862",
    );
    check(
        "block record",
        keccak256(&bytes).as_slice(),
        "5b566741152c9bdb767543acf317916c7d26c0bebfb384d47577e4c12d4a88c2",
    );
}

#[test]
fn block_files() {
    let disk = SimulatedDisk::default();
    let files = BlockFiles::new(Arc::new(disk.clone()));
    let mut writer = files.writer(FileOffset { file: 0, offset: 0 });
    let record = record();
    let body =
        Body { rlp: record.rlp, senders: record.senders, receipts: record.receipts, access_list: record.access_list };
    let changes = Changes { storage_id_next: 5, accounts: vec![(hash(2), vec![hash(3)])] };
    let place = writer.append(7, &body, &changes).expect("appended");
    let file = disk.open("blocks/0000000000", false).expect("a file");
    let bytes = read_vec(&*file, 0, place.length as usize).expect("read");
    check("entry", keccak256(&bytes).as_slice(), "c207b1c9956edcc44dca6529015e9bc0433da2f44454083090962af9ad689681");
    assert_eq!(files.body(7, place).expect("read"), body);
    assert_eq!(files.changes(7, place).expect("read"), changes);
    assert!(files.body(8, place).is_err(), "another block's place");
    for at in 0..bytes.len() {
        let disk = disk.clone();
        disk.flip_bit("blocks/0000000000", at);
        assert!(files.verify(7, place).is_err(), "a flipped bit at {at}");
        disk.flip_bit("blocks/0000000000", at);
    }
}
