//! What the journal reads back, and what it refuses to.

use super::{
    FOLDER, Journal, file_name,
    frame::{self, FileHeader, RecordKind},
    record::{decode_block, decode_body, encode_block},
    replay,
};
use crate::{
    BlockRecord, OpenError,
    disk::{Disk, simulated::SimulatedDisk},
    patch,
    rows::{Sections, StoredBranch, read_patch},
    schema::FORMAT_VERSION,
};
use proptest::prelude::*;
use starling_primitives::{
    Account, AccountDiff, Address, B256, BlockRef, BranchChanges, BranchRow, Bytes, Header, Nibbles, SlotDiff,
    StateDiff, StorageBranches, U256,
};
use std::sync::Arc;

/// A journal of three records, closed; its disk, and where each record starts and the last one ends.
fn written() -> (SimulatedDisk, Vec<usize>) {
    let disk = SimulatedDisk::fragile();
    let mut journal = Journal::create(Arc::new(disk.clone()), 1).expect("a journal");
    let mut places = Vec::new();
    for payload in [&b"one"[..], b"two, longer", b"three"] {
        let (written, ()) = journal.append(RecordKind::Head, |out| out.extend_from_slice(payload)).expect("written");
        places.push(written.at as usize);
        places.push(written.at as usize + written.bytes.len());
    }
    places.dedup();
    (disk, places)
}

fn read(disk: &SimulatedDisk) -> Result<(Vec<Vec<u8>>, Journal), OpenError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut payloads = Vec::new();
    let journal = replay::open(&disk, 1, &mut |record| {
        payloads.push(record.payload.to_vec());
        Ok(())
    })?;
    Ok((payloads, journal))
}

fn check_error(disk: &SimulatedDisk, words: &[&str]) {
    let message = read(disk).map(|(payloads, _)| payloads).expect_err("refused").to_string();
    assert!(words.iter().all(|word| message.contains(word)), "{message}");
}

#[test]
fn a_torn_tail_is_cut_wherever_it_is_torn() {
    let (disk, places) = written();
    for size in places[1]..places[3] {
        let disk = disk.kill();
        disk.open(&file_name(1), false).expect("a file").truncate(size as u64).expect("cut");
        let (payloads, mut journal) = read(&disk).expect("it opens");
        let whole = places[1..].iter().filter(|end| **end <= size).count();
        assert_eq!(payloads.len(), whole);
        journal.append(RecordKind::Head, |out| out.push(7)).expect("it goes on");
        assert_eq!(read(&disk).expect("it opens").0.len(), whole + 1);
    }
}

#[test]
fn preallocated_bytes_are_a_torn_tail() {
    let (disk, places) = written();
    disk.open(&file_name(1), false).expect("a file").truncate(places[3] as u64 + 4096).expect("grown");
    assert_eq!(read(&disk).expect("it opens").0.len(), 3);
}

#[test]
fn a_flipped_bit_before_a_valid_record_is_damage() {
    let (disk, places) = written();
    for at in places[1]..places[2] {
        let disk = disk.kill();
        disk.flip_bit(&file_name(1), at);
        check_error(&disk, &["journal/0000000001", &format!("bytes {} to {}", places[1], places[2]), "db verify"]);
    }
}

#[test]
fn a_damaged_file_header_is_damage() {
    for at in 0..frame::FILE_HEADER_SIZE_BYTES {
        let (disk, _) = written();
        disk.flip_bit(&file_name(1), at);
        check_error(&disk, &["header of journal/0000000001"]);
    }
}

#[test]
fn another_version_is_named() {
    for (version, words) in [(FORMAT_VERSION + 1, "newer program"), (0, "older program")] {
        let (disk, _) = written();
        let header = FileHeader { version, file_id: 1, lsn_first: 1, previous: 0 };
        disk.open(&file_name(1), false).expect("a file").write_at(&header.encode(), 0).expect("written");
        check_error(&disk, &[words, &format!("version {version}")]);
    }
}

#[test]
fn an_unknown_kind_is_named_with_the_version() {
    let (disk, places) = written();
    let file = disk.open(&file_name(1), false).expect("a file");
    let mut bytes = crate::disk::read_vec(&*file, 0, places[3]).expect("read");
    let last = &mut bytes[places[2]..];
    last[12] = 5;
    let crc = crc32fast::hash(&last[8..]);
    last[4..8].copy_from_slice(&crc.to_le_bytes());
    file.write_at(&bytes, 0).expect("written");
    check_error(&disk, &["record 3 is of kind 5", "version 2"]);
}

#[test]
fn files_continue_each_other() {
    let (disk, _) = written();
    let (_, mut journal) = read(&disk).expect("it opens");
    journal.roll().expect("a second file");
    journal.append(RecordKind::Head, |out| out.push(4)).expect("written");
    journal.roll().expect("a third file");
    assert_eq!(read(&disk).expect("it opens").0.len(), 4);
    // a torn file that others follow cannot come from a crash
    let torn = disk.kill();
    let second = torn.open(&file_name(2), false).expect("a file");
    second.truncate(second.size().expect("size") - 1).expect("cut");
    check_error(&torn, &["journal/0000000002"]);
    let missing = disk.kill();
    missing.remove(&file_name(2)).expect("removed");
    check_error(&missing, &["journal/0000000002 is missing"]);
    // the making of the last file was interrupted
    let unborn = disk.kill();
    unborn.open(&file_name(3), false).expect("a file").truncate(9).expect("cut");
    let (payloads, mut journal) = read(&unborn).expect("it opens");
    assert_eq!((payloads.len(), journal.roll().expect("a third file")), (4, 3));
    // files that are not needed go
    assert_eq!(journal.first_file_needed(4), 2);
    journal.delete_before(2).expect("deleted");
    assert_eq!(unborn.list(FOLDER).expect("names"), ["0000000002", "0000000003"]);
}

fn hash() -> impl Strategy<Value = B256> {
    any::<[u8; 32]>().prop_map(B256::from)
}

fn amount() -> impl Strategy<Value = U256> {
    (any::<[u64; 4]>(), 0..256usize).prop_map(|(limbs, shift)| U256::from_limbs(limbs) >> shift)
}

fn account() -> impl Strategy<Value = Account> {
    let roots = (prop::option::of(hash()), prop::option::of(hash()));
    (any::<u64>(), amount(), roots).prop_map(|(nonce, balance, (root, code))| {
        let empty = Account::default();
        let (storage_root, code_hash) = (root.unwrap_or(empty.storage_root), code.unwrap_or(empty.code_hash));
        Account { nonce, balance, storage_root, code_hash }
    })
}

fn slots() -> impl Strategy<Value = Vec<SlotDiff>> {
    let slots = prop::collection::btree_map(hash(), (amount(), amount()), 0..4);
    slots.prop_map(|map| map.into_iter().map(|(key, (before, after))| SlotDiff { key, before, after }).collect())
}

fn diff() -> impl Strategy<Value = StateDiff> {
    let sides = (prop::option::of(account()), prop::option::of(account()));
    let one = (any::<[u8; 20]>(), sides, any::<bool>(), slots());
    let accounts = prop::collection::btree_map(hash(), one, 0..6).prop_map(|map| {
        let account = |(key, (address, (before, after), wiped, slots)): (_, (_, (_, Option<Account>), _, _))| {
            // what is gone is wiped: the stored form says so, whatever the caller said
            let wiped = wiped || after.is_none();
            AccountDiff { key, address: Address::from(address), before, after, wiped, slots }
        };
        map.into_iter().map(account).collect()
    });
    let codes = prop::collection::btree_map(hash(), bytes(200), 0..3).prop_map(|map| map.into_iter().collect());
    (accounts, codes).prop_map(|(accounts, codes)| StateDiff { accounts, codes })
}

fn bytes(size_max: usize) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..size_max).prop_map(Bytes::from)
}

fn branch_rows() -> impl Strategy<Value = Vec<BranchRow>> {
    let path = prop::collection::vec(0..16u8, 0..=64).prop_map(Nibbles::from_nibbles);
    let sides = (prop::option::of(bytes(600)), prop::option::of(bytes(600)));
    let row = |(path, (before, after))| BranchRow { path, before, after };
    prop::collection::btree_map(path, sides, 0..6).prop_map(move |map| map.into_iter().map(row).collect())
}

fn branches() -> impl Strategy<Value = BranchChanges> {
    let storages = prop::collection::btree_map(hash(), branch_rows(), 0..3)
        .prop_map(|map| map.into_iter().map(|(account, rows)| StorageBranches { account, rows }).collect());
    (branch_rows(), storages).prop_map(|(accounts, storages)| BranchChanges { accounts, storages })
}

fn record() -> impl Strategy<Value = BlockRecord> {
    let body = (bytes(300), prop::collection::vec(any::<[u8; 20]>(), 0..4), bytes(300), prop::option::of(bytes(50)));
    let head = (any::<u64>(), hash(), prop::option::of(amount()), prop::collection::vec(hash(), 0..4));
    (head, body, diff(), branches()).prop_map(|(head, body, diff, branches)| BlockRecord {
        block: BlockRef::new(head.0, head.1),
        header: Header { number: head.0, parent_hash: head.1, ..Header::default() },
        total_difficulty: head.2,
        tx_hashes: head.3,
        rlp: body.0,
        senders: body.1.into_iter().map(Address::from).collect(),
        receipts: body.2,
        access_list: body.3,
        diff,
        branches,
    })
}

/// Holds branch rows read back against those written, each put on the row before it.
fn check_branches(read: &[StoredBranch<'_>], written: &[BranchRow], patches: &[u8]) {
    assert_eq!(read.len(), written.len());
    for ((path, ordinal), row) in read.iter().zip(written) {
        assert_eq!(Nibbles::from_nibbles(path), row.path);
        let patch = ordinal
            .map(|ordinal| read_patch(ordinal, |start, length| Ok(&patches[start..start + length])).expect("a patch"));
        let after = patch.map(|patch| match patch::is_whole(patch).expect("a form") {
            true => patch[1..].to_vec(),
            false => patch::apply(patch, row.before.as_ref().expect("a base")).expect("applied"),
        });
        assert_eq!(after.as_deref(), row.after.as_ref().map(|after| &after[..]));
    }
}

proptest! {
    #[test]
    fn block_records_come_back_as_they_went(record in record()) {
        let mut bytes = Vec::new();
        let parts = encode_block(&mut bytes, &record);
        let payload = decode_block(&bytes).expect("decoded");
        prop_assert_eq!(&payload.parts, &parts);
        prop_assert_eq!((payload.block, payload.total_difficulty), (record.block, record.total_difficulty));
        prop_assert_eq!(payload.header, record.header);
        let sections = Sections::decode(&bytes[parts.rows]).expect("decoded");
        prop_assert_eq!(sections.to_diff(), record.diff);
        check_branches(&sections.account_branches, &record.branches.accounts, &bytes[parts.patches.clone()]);
        for ((account, rows), storage) in sections.storage_branches.iter().zip(&record.branches.storages) {
            prop_assert_eq!(*account, storage.account);
            check_branches(rows, &storage.rows, &bytes[parts.patches.clone()]);
        }
        prop_assert_eq!(sections.storage_branches.len(), record.branches.storages.len());
        prop_assert_eq!(sections.tx_hashes, record.tx_hashes);
        let body = decode_body(&bytes[parts.body]).expect("decoded");
        prop_assert_eq!((body.rlp, body.senders), (record.rlp, record.senders));
        prop_assert_eq!((body.receipts, body.access_list), (record.receipts, record.access_list));
    }

    #[test]
    fn no_bytes_make_reading_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), record in record()) {
        let _ = (decode_block(&bytes), decode_body(&bytes), Sections::decode(&bytes));
        let mut whole = Vec::new();
        encode_block(&mut whole, &record);
        let cut = bytes.len().min(whole.len());
        whole[..cut].iter_mut().zip(&bytes).for_each(|(to, from)| *to ^= from & (from >> 4));
        let _ = decode_block(&whole).map(|payload| {
            let patches = &whole[payload.parts.patches];
            let read = |start: usize, length: usize| Ok(patches.get(start..).unwrap_or_default().get(..length).unwrap_or_default());
            let _ = (Sections::decode(&whole[payload.parts.rows]), read_patch(3, read));
        });
        bytes.truncate(20);
        let _ = frame::find_behind(&bytes, 0, 1, 0);
    }
}
