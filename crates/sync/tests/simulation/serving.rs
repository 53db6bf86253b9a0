//! What is answered, against the chain that is asked about.

use crate::chain::{Source, geth_ethtest, hive_sync, rpc_compat};
use starling_devp2p::eth::{
    EthVersion, GetBlockHeaders, GetReceipts, HashOrNumber, NO_ACCESS_LIST, Request, Response, decode_receipts,
};
use starling_primitives::{B256, Receipt, keccak256, receipts_root};
use starling_state::BlockId;
use starling_sync::serve;

const MAX: u64 = u64::MAX;

fn ask(source: &Source, version: EthVersion, request: Request) -> Response {
    serve::answer(&source.view(), version, &request).expect("readable").expect("about the chain")
}

/// Asks for headers; the numbers of those that come, each the canonical block's.
fn check_headers(source: &Source, start: HashOrNumber, (limit, skip, reverse): (u64, u64, bool), expect: &[u64]) {
    let request = GetBlockHeaders { start, limit, skip, reverse };
    let answer = ask(source, EthVersion::V69, Request::BlockHeaders(request));
    let numbers: Vec<_> = answer
        .items()
        .iter()
        .map(|rlp| source.view().find(BlockId::Hash(keccak256(rlp))).expect("readable").expect("a kept block").number)
        .collect();
    assert_eq!(numbers, expect, "{request:?}");
}

#[test]
fn headers_by_number_and_hash() {
    let Some(source) = rpc_compat() else { return };
    let number = HashOrNumber::Number;
    let hash = |number| HashOrNumber::Hash(source.hash(number));
    check_headers(source, number(3), (3, 0, false), &[3, 4, 5]);
    check_headers(source, number(3), (10, 0, true), &[3, 2, 1, 0]);
    check_headers(source, number(0), (3, 19, false), &[0, 20, 40]);
    check_headers(source, number(54), (3, 24, true), &[54, 29, 4]);
    check_headers(source, hash(50), (10, 1, false), &[50, 52, 54]);
    check_headers(source, hash(3), (10, 1, true), &[3, 1]);
    check_headers(source, number(54), (10, 0, false), &[54]);
    check_headers(source, number(0), (10, 0, true), &[0]);
    // Nothing to be had, and numbers that no chain reaches.
    check_headers(source, number(55), (10, 0, false), &[]);
    check_headers(source, number(MAX), (10, 0, false), &[]);
    check_headers(source, number(MAX), (10, 0, true), &[]);
    check_headers(source, HashOrNumber::Hash(B256::repeat_byte(1)), (10, 0, false), &[]);
    check_headers(source, number(3), (0, 0, false), &[]);
    check_headers(source, number(3), (10, MAX, false), &[3]);
    check_headers(source, number(3), (10, MAX - 1, true), &[3]);
    check_headers(source, number(3), (10, MAX - 3, false), &[3]);
    check_headers(source, hash(3), (10, MAX, true), &[3]);
    check_headers(source, number(52), (MAX, 0, false), &[52, 53, 54]);
}

#[test]
fn an_answer_holds_a_bounded_number_of_items() {
    let Some(source) = hive_sync() else { return };
    let request = GetBlockHeaders { start: HashOrNumber::Number(1), limit: MAX, skip: 0, reverse: false };
    assert_eq!(ask(source, EthVersion::V69, Request::BlockHeaders(request)).items().len(), serve::ITEMS_MAX);
    let hashes: Vec<_> = (1..=2000).map(|number| source.hash(number)).collect();
    let bodies = ask(source, EthVersion::V69, Request::BlockBodies(hashes.clone()));
    assert_eq!(bodies.items().len(), serve::ITEMS_MAX);
    // The same block again and again: the bytes end it.
    let biggest =
        hashes.iter().max_by_key(|hash| source.view().block(BlockId::Hash(**hash)).unwrap().unwrap().rlp.len());
    let again = ask(source, EthVersion::V69, Request::BlockBodies(vec![*biggest.unwrap(); serve::ITEMS_MAX]));
    let size: usize = again.items().iter().map(|item| item.len()).sum();
    assert!(size < serve::ANSWER_BYTES_SOFT + again.items()[0].len(), "{size}");
}

#[test]
fn bodies_are_blocks_without_their_headers() {
    let Some(source) = rpc_compat() else { return };
    let mut hashes: Vec<_> = (0..=54).map(|number| source.hash(number)).collect();
    hashes.insert(7, B256::repeat_byte(7));
    let answer = ask(source, EthVersion::V69, Request::BlockBodies(hashes));
    // The unknown one is left out.
    assert_eq!(answer.items().len(), 55);
    for (number, body) in answer.items().iter().enumerate() {
        let block = source.view().block(BlockId::Number(number as u64)).unwrap().unwrap().block;
        assert_eq!(body.as_ref(), alloy_rlp::encode(&block.body), "block {number}");
    }
}

#[test]
fn an_access_list_that_is_missing_keeps_its_place() {
    let Some(source) = rpc_compat() else { return };
    // Blocks before Amsterdam have none.
    let hashes = vec![source.hash(1), B256::repeat_byte(7), source.hash(1)];
    let answer = ask(source, EthVersion::V71, Request::BlockAccessLists(hashes));
    assert_eq!(answer, Response::BlockAccessLists(vec![NO_ACCESS_LIST; 3]));
    assert!(ask(source, EthVersion::V71, Request::BlockAccessLists(Vec::new())).items().is_empty());
    let many = vec![B256::repeat_byte(7); serve::ITEMS_MAX + 1];
    let answer = ask(source, EthVersion::V71, Request::BlockAccessLists(many));
    assert_eq!(answer.items().len(), serve::ITEMS_MAX);
}

#[test]
fn receipts_in_the_form_of_each_version() {
    let Some(source) = rpc_compat() else { return };
    for (version, number) in
        EthVersion::ALL.into_iter().flat_map(|version| (0..=54).map(move |number| (version, number)))
    {
        let request = GetReceipts { first_block_receipt_index: 0, hashes: vec![source.hash(number)] };
        let Response::Receipts(answer) = ask(source, version, Request::Receipts(request)) else {
            panic!("another kind of answer")
        };
        let kept = source.view().block(BlockId::Number(number)).unwrap().unwrap();
        let stored_size = source.view().receipts_stored(kept.at).unwrap().unwrap().len();
        let blooms_size = kept.block.body.transactions.len() * 300;
        let Some(list) = answer.lists.first().filter(|_| !answer.last_block_incomplete) else {
            assert!(stored_size + blooms_size > serve::ANSWER_BYTES_MAX, "{version}, block {number}");
            continue;
        };
        let receipts = decode_receipts(version, list).expect("ours");
        assert_eq!(receipts_root(&receipts), kept.block.header.receipts_root, "{version}, block {number}");
    }
}

#[test]
fn receipts_longer_than_a_message_come_in_pages() {
    let Some(source) = geth_ethtest() else { return };
    // More than 10 MiB of logs.
    let hash = source.hash(11);
    let header = source.view().header(BlockId::Hash(hash)).unwrap().unwrap();
    let mut receipts: Vec<Receipt> = Vec::new();
    let mut pages = 0;
    loop {
        let request =
            GetReceipts { first_block_receipt_index: receipts.len() as u64, hashes: vec![hash, source.hash(12)] };
        let Response::Receipts(answer) = ask(source, EthVersion::V70, Request::Receipts(request)) else {
            panic!("another kind of answer")
        };
        let size: usize = answer.lists.iter().map(|item| item.len()).sum();
        assert!(size <= serve::ANSWER_BYTES_MAX);
        let page = decode_receipts(EthVersion::V70, &answer.lists[0]).expect("ours");
        assert!(!page.is_empty());
        receipts.extend(page);
        pages += 1;
        if !answer.last_block_incomplete {
            break;
        }
        assert_eq!(answer.lists.len(), 1, "nothing follows a part of a block");
    }
    assert!(pages > 1);
    assert_eq!(receipts_root(&receipts), header.receipts_root);
    // Versions without pages cannot send it at all.
    let request = GetReceipts { first_block_receipt_index: 0, hashes: vec![hash] };
    assert!(ask(source, EthVersion::V69, Request::Receipts(request)).items().is_empty());
}
