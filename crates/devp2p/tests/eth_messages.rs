//! Messages of `eth`: frozen bytes, every version both ways, and every limit.

use alloy_primitives::{B256, Bytes, U256, b256, bytes};
use alloy_rlp::{Encodable, Header};
use starling_devp2p::eth::*;

const DEADC0DE: B256 = b256!("00000000000000000000000000000000000000000000000000000000deadc0de");
const FEEDBEEF: B256 = b256!("00000000000000000000000000000000000000000000000000000000feedbeef");
const V68: EthVersion = EthVersion::V68;
const V69: EthVersion = EthVersion::V69;
const V70: EthVersion = EthVersion::V70;
const V71: EthVersion = EthVersion::V71;
const V72: EthVersion = EthVersion::V72;

fn request(request: Request) -> EthMessage {
    EthMessage::Request { id: 1111, request }
}

fn response(response: Response) -> EthMessage {
    EthMessage::Response { id: 1111, response }
}

fn encoded(version: EthVersion, message: &EthMessage) -> (u8, Bytes) {
    let mut out = vec![0xee];
    let id = message.encode(version, &mut out).unwrap_or_else(|error| panic!("{error}: {message:?}"));
    assert_eq!(out.remove(0), 0xee, "encode appends");
    (id, out.into())
}

/// The message has these bytes in these versions, and they read as the message.
fn check(versions: &[EthVersion], id: u8, hex: &str, message: EthMessage) {
    let expect: Bytes = hex.parse().unwrap();
    for version in versions {
        assert_eq!(encoded(*version, &message), (id, expect.clone()), "{version} {message:?}");
        assert_eq!(EthMessage::decode(*version, id, &expect).as_ref(), Ok(&message), "{version}");
    }
}

/// The bytes are refused, with that error.
fn refused(version: EthVersion, id: u8, payload: &[u8], expect: EthError) {
    assert_eq!(EthMessage::decode(version, id, &payload.to_vec().into()), Err(expect), "{version} {id:#x}");
}

/// An RLP list of these items.
fn list(items: &[&[u8]]) -> Vec<u8> {
    let payload = items.concat();
    let mut out = Vec::new();
    Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend_from_slice(&payload);
    out
}

#[test]
fn bytes_of_requests_are_those_of_the_specification() {
    // The first four are test cases of EIP-2481.
    let headers = |start| request(Request::BlockHeaders(GetBlockHeaders { start, limit: 5, skip: 5, reverse: false }));
    check(
        &EthVersion::ALL,
        0x03,
        "e8820457e4a000000000000000000000000000000000000000000000000000000000deadc0de050580",
        headers(HashOrNumber::Hash(DEADC0DE)),
    );
    check(&EthVersion::ALL, 0x03, "ca820457c682270f050580", headers(HashOrNumber::Number(9999)));
    let hashes = "f842a000000000000000000000000000000000000000000000000000000000deadc0dea000000000000000000000000000000000000000000000000000000000feedbeef";
    let both = vec![DEADC0DE, FEEDBEEF];
    check(&EthVersion::ALL, 0x05, &format!("f847820457{hashes}"), request(Request::BlockBodies(both.clone())));
    check(&EthVersion::ALL, 0x09, &format!("f847820457{hashes}"), request(Request::PooledTransactions(both.clone())));
    let receipts = |first_block_receipt_index| {
        request(Request::Receipts(GetReceipts { first_block_receipt_index, hashes: both.clone() }))
    };
    check(&[V68, V69], 0x0f, &format!("f847820457{hashes}"), receipts(0));
    check(&[V70], 0x0f, &format!("f848820457{}{hashes}", "80"), receipts(0));
    check(&[V70, V71, V72], 0x0f, &format!("f84a820457{}{hashes}", "8203e8"), receipts(1000));
    check(&[V71, V72], 0x12, &format!("f847820457{hashes}"), request(Request::BlockAccessLists(both.clone())));
}

#[test]
fn bytes_of_responses_are_those_of_the_specification() {
    let items = vec![bytes!("c20102"), bytes!("c0")];
    check(&EthVersion::ALL, 0x04, "c8820457c4c20102c0", response(Response::BlockHeaders(items.clone())));
    check(&EthVersion::ALL, 0x06, "c8820457c4c20102c0", response(Response::BlockBodies(items.clone())));
    let transactions = vec![bytes!("c20102"), bytes!("8202ff")];
    check(&EthVersion::ALL, 0x0a, "ca820457c6c201028202ff", response(Response::PooledTransactions(transactions)));
    let receipts =
        |last_block_incomplete| response(Response::Receipts(Receipts { last_block_incomplete, lists: items.clone() }));
    check(&[V68, V69], 0x10, "c8820457c4c20102c0", receipts(false));
    check(&[V70], 0x10, "c982045780c4c20102c0", receipts(false));
    check(&[V70, V71, V72], 0x10, "c982045701c4c20102c0", receipts(true));
    // An empty list is one of a block, the empty string stands for none.
    let lists = vec![bytes!("c20102"), bytes!("c0"), NO_ACCESS_LIST];
    check(&[V71, V72], 0x13, "c9820457c5c20102c080", response(Response::BlockAccessLists(lists)));
}

#[test]
fn bytes_of_gossip_are_those_of_the_specification() {
    let transactions = vec![bytes!("c20102"), bytes!("8202ff")];
    check(&EthVersion::ALL, 0x02, "c6c201028202ff", EthMessage::Transactions(transactions));
    check(
        &[V68, V69, V70, V71],
        0x08,
        "e802c4831e8480e1a000000000000000000000000000000000000000000000000000000000deadc0de",
        EthMessage::NewPooledTransactionHashes(PooledHashes {
            types: vec![2],
            sizes: vec![2_000_000],
            hashes: vec![DEADC0DE],
            mask: None,
        }),
    );
    let range = BlockRange { earliest: 0, latest: 600, latest_hash: FEEDBEEF };
    check(
        &[V69, V70, V71, V72],
        0x11,
        "e580820258a000000000000000000000000000000000000000000000000000000000feedbeef",
        EthMessage::BlockRangeUpdate(range),
    );
    let block = NewBlock { block: bytes!("c3c0c0c0"), total_difficulty: U256::from(131_072) };
    check(&[V68], 0x07, "c8c3c0c0c083020000", EthMessage::NewBlock(block));
    check(
        &[V68],
        0x01,
        "e5e4a000000000000000000000000000000000000000000000000000000000deadc0de8204d2",
        EthMessage::NewBlockHashes(vec![BlockId { hash: DEADC0DE, number: 1234 }]),
    );
}

#[test]
fn messages_of_other_versions_neither_go_nor_come() {
    let range = EthMessage::BlockRangeUpdate(BlockRange { earliest: 0, latest: 0, latest_hash: FEEDBEEF });
    let hashes = EthMessage::NewBlockHashes(Vec::new());
    let mut out = Vec::new();
    assert_eq!(range.encode(V68, &mut out), Err(NotInVersion { version: V68, id: 0x11 }));
    assert_eq!(hashes.encode(V69, &mut out), Err(NotInVersion { version: V69, id: 0x01 }));
    assert!(out.is_empty());
    let unknown = |version, id| refused(version, id, &[0xc0], EthError::UnknownMessage { version, id });
    unknown(V68, 0x11);
    [V68, V69, V70]
        .into_iter()
        .flat_map(|version| [(version, 0x12), (version, 0x13)])
        .for_each(|(v, id)| unknown(v, id));
    for version in EthVersion::ALL {
        let gone: &[u8] = if version == V68 { &[] } else { &[0x01, 0x07] };
        let later: &[u8] = if version < V72 { &[0x14, 0x15] } else { &[] };
        gone.iter().chain(later).chain(&[0x0b, 0x0d, 0x0e, 0x16, 0xff]).for_each(|id| unknown(version, *id));
    }
}

#[test]
fn answers_beyond_the_limit_are_refused_and_hashes_beyond_it_are_not_read() {
    let many = |count: usize, item: &[u8]| list(&vec![item; count]);
    let answer = |count, item: &[u8]| list(&[&[0x01], &many(count, item)]);
    let too_many = |what, max| EthError::TooMany { what, max };
    for (id, what) in [(0x04, "headers"), (0x06, "bodies"), (0x10, "receipt lists")] {
        assert!(EthMessage::decode(V69, id, &answer(1024, &[0xc0]).into()).is_ok());
        refused(V69, id, &answer(1025, &[0xc0]), too_many(what, 1024));
    }
    assert!(EthMessage::decode(V71, 0x13, &answer(1024, &[0x80]).into()).is_ok());
    refused(V71, 0x13, &answer(1025, &[0x80]), too_many("access lists", 1024));
    refused(V70, 0x0a, &answer(5001, &[0xc0]), too_many("transactions", 5000));
    assert!(EthMessage::decode(V70, 0x02, &many(5000, &[0xc0]).into()).is_ok());
    refused(V70, 0x02, &many(5001, &[0xc0]), too_many("transactions", 5000));
    let block_id = list(&[&[0xa0], FEEDBEEF.as_slice(), &[0x01]]);
    assert!(EthMessage::decode(V68, 0x01, &many(256, &block_id).into()).is_ok());
    refused(V68, 0x01, &many(257, &block_id), too_many("block hashes", 256));

    let hash = [&[0xa0], FEEDBEEF.as_slice()].concat();
    let asked = |id, version| match EthMessage::decode(version, id, &answer(3000, &hash).into()).unwrap() {
        EthMessage::Request {
            request:
                Request::BlockBodies(hashes) | Request::PooledTransactions(hashes) | Request::BlockAccessLists(hashes),
            ..
        } => hashes.len(),
        EthMessage::Request { request: Request::Receipts(receipts), .. } => receipts.hashes.len(),
        other => panic!("{other:?}"),
    };
    let lengths = [asked(0x05, V68), asked(0x0f, V69), asked(0x09, V70), asked(0x12, V71)];
    assert_eq!(lengths, [1024, 1024, 256, 1024]);
}

#[test]
fn announcements_are_read_up_to_the_soft_limit_if_their_lists_agree() {
    let announced = |types: usize, sizes: usize, hashes: usize| {
        let hash = [&[0xa0], FEEDBEEF.as_slice()].concat();
        let mut strings = Vec::new();
        vec![2u8; types].as_slice().encode(&mut strings);
        list(&[&strings, &list(&vec![&[0x11][..]; sizes]), &list(&vec![&hash[..]; hashes])])
    };
    for count in [0, 1, 2, 4096, 5000] {
        let payload = announced(count, count, count);
        let Ok(EthMessage::NewPooledTransactionHashes(read)) = EthMessage::decode(V69, 0x08, &payload.into()) else {
            panic!("{count}")
        };
        let kept = count.min(4096);
        assert_eq!([read.types.len(), read.sizes.len(), read.hashes.len()], [kept; 3]);
    }
    for (types, sizes, hashes) in [(1, 0, 0), (0, 1, 0), (0, 0, 1), (3, 3, 2), (2, 3, 3), (4096, 5000, 5000)] {
        let payload = announced(types, sizes, hashes);
        assert!(
            matches!(
                EthMessage::decode(V68, 0x08, &payload.into()),
                Err(EthError::UnevenAnnouncement { types: t, hashes: h, .. }) if (t, h) == (types, hashes)
            ),
            "{types} {sizes} {hashes}"
        );
    }
    // A million one-byte sizes beside no hash are not read to their end.
    refused(V69, 0x08, &announced(0, 1_000_000, 0), EthError::UnevenAnnouncement { types: 0, sizes: 1, hashes: 0 });
}

#[test]
fn malformed_messages_are_refused() {
    let bad = |id: u8, hex: &str| {
        let payload: Bytes = hex.parse().unwrap();
        let error = EthMessage::decode(V70, id, &payload).expect_err(hex);
        assert!(matches!(error, EthError::Rlp { id: of, .. } if of == id), "{error}");
    };
    bad(0x04, "");
    bad(0x04, "80");
    bad(0x04, "c0"); // no request id
    bad(0x04, "c101"); // no list
    bad(0x04, "c201c001"); // bytes after the message
    bad(0x04, "c301c080"); // and inside it
    bad(0x04, "c301c101"); // a header that is no list
    bad(0x04, "c401c3c20180"); // cut off
    bad(0x04, "cb8901ffffffffffffffffc0"); // request id of nine bytes
    bad(0x0a, "c301c180"); // empty transaction
    bad(0x05, "c401c28180"); // a hash of one byte
    bad(0x05, "e301e1a1000000000000000000000000000000000000000000000000000000000000dead"); // of 33
    bad(0x10, "c301c0c0"); // list where the flag should be
    bad(0x10, "c30102c0"); // flag of two
    bad(0x11, "c28001"); // no hash
    bad(0x03, "c601c48805058000"); // a block named by five hundred and five
}

#[test]
fn the_id_of_an_answer_is_read_without_the_answer() {
    let check = |id, hex: &str, expect: Option<Option<u64>>| {
        let payload: Bytes = hex.parse().unwrap();
        assert_eq!(request_id(id, &payload).map(Result::ok), expect, "{id:#x} {hex}");
    };
    for id in [0x04, 0x06, 0x0a, 0x10] {
        check(id, "c8820457c4c20102c0", Some(Some(1111)));
        check(id, "c8820457ffffffffff", Some(Some(1111))); // what follows is not looked at
        check(id, "c8820457c4c20102c000", Some(None));
        check(id, "c0", Some(None));
    }
    for id in [0x00, 0x02, 0x03, 0x05, 0x08, 0x09, 0x0f, 0x11] {
        check(id, "c8820457c4c20102c0", None);
    }
}
