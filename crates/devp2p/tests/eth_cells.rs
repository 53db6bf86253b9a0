//! What eth/72 adds: masks of columns, cells, and their limits. The frozen bytes are those of the packet types of geth
//! 1.17.10 (`eth/protocols/eth`), encoded by its own RLP.

use alloy_primitives::{B256, Bytes, b256};
use alloy_rlp::Header;
use sha2::{Digest, Sha256};
use starling_devp2p::eth::*;

const DEADC0DE: B256 = b256!("00000000000000000000000000000000000000000000000000000000deadc0de");
const FEEDBEEF: B256 = b256!("00000000000000000000000000000000000000000000000000000000feedbeef");
const V72: EthVersion = EthVersion::V72;

fn check(id: u8, bytes: &Bytes, message: EthMessage) {
    let mut out = Vec::new();
    assert_eq!(message.encode(V72, &mut out), Ok(id));
    assert_eq!(&out, bytes, "{message:?}");
    assert_eq!(EthMessage::decode(V72, id, bytes), Ok(message));
}

/// A mask with a column at either end and one between.
fn mask() -> CellMask {
    CellMask::of([0, 9, 127])
}

/// A cell of one byte's value.
fn cell(value: u8) -> [u8; CELL_BYTES] {
    [value; CELL_BYTES]
}

fn list_of(values: impl IntoIterator<Item = u8>) -> Bytes {
    let cells: Vec<_> = values.into_iter().map(cell).collect();
    encode_cells(cells.iter())
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
fn announcements_and_requests_are_those_of_geth() {
    let announced = |types, sizes, hashes, mask| {
        EthMessage::NewPooledTransactionHashes(PooledHashes { types, sizes, hashes, mask: Some(mask) })
    };
    let hex = |text: &str| text.parse::<Bytes>().unwrap();
    check(
        0x08,
        &hex(
            "f85d820203c478821964f842a000000000000000000000000000000000000000000000000000000000deadc0dea000000000000000000000000000000000000000000000000000000000feedbeef90ffffffffffffffffffffffffffffffff",
        ),
        announced(vec![2, 3], vec![120, 6500], vec![DEADC0DE, FEEDBEEF], CellMask::ALL),
    );
    let without = "c178e1a000000000000000000000000000000000000000000000000000000000deadc0de";
    let message = announced(vec![2], vec![120], vec![DEADC0DE], CellMask::EMPTY);
    check(0x08, &hex(&format!("f602{without}9000000000000000000000000000000000")), message.clone());
    // The EIP would have the empty string there, and nothing at all is no message of this version.
    assert_eq!(EthMessage::decode(V72, 0x08, &hex(&format!("e602{without}80"))), Ok(message));
    assert!(EthMessage::decode(V72, 0x08, &hex(&format!("e502{without}"))).is_err());
    assert!(EthMessage::decode(EthVersion::V71, 0x08, &hex(&format!("e602{without}80"))).is_err());
    check(
        0x14,
        &hex(
            "f858820457f842a000000000000000000000000000000000000000000000000000000000deadc0dea000000000000000000000000000000000000000000000000000000000feedbeef9001020000000000000000000000000080",
        ),
        EthMessage::Request {
            id: 1111,
            request: Request::Cells(GetCells { hashes: vec![DEADC0DE, FEEDBEEF], mask: mask() }),
        },
    );
}

#[test]
fn cells_are_those_of_geth() {
    let response = |hashes, lists| {
        let response = Response::Cells(Cells { hashes, lists, mask: mask() });
        EthMessage::Response { id: 1111, response }
    };
    check(0x15, &"d6820457c0c09001020000000000000000000000000080".parse().unwrap(), response(vec![], vec![]));
    // Two blobs and three columns of the first transaction, one blob of the second.
    let message = response(vec![DEADC0DE, FEEDBEEF], vec![list_of(1..=6), list_of(1..=3)]);
    let mut out = Vec::new();
    message.encode(V72, &mut out).unwrap();
    assert_eq!(out.len(), 18_559);
    let digest = b256!("545a93880bff6103ae2e5a4091c8f8a79b0769e93a6c093bb70302e435d5b849");
    assert_eq!(B256::from_slice(&Sha256::digest(&out)), digest);
    check(0x15, &out.into(), message);
}

#[test]
fn a_list_of_cells_gives_them_back() {
    let values = [3, 1, 2];
    let list = list_of(values);
    let cells: Vec<_> = cells_of(&list).unwrap().collect();
    assert_eq!(cells, values.map(cell).iter().collect::<Vec<_>>());
    assert_eq!(cells_of(&[0xc0]).unwrap().len(), 0);
    let mut short = list.to_vec();
    short[4] = 0x07;
    for bad in [&list[1..], &list[..list.len() - 1], &[&list[..], &[0]].concat(), &short, &[], &[0x80], &[0xc1, 0x80]] {
        assert!(cells_of(bad).is_none());
    }
}

#[test]
fn limits_hold() {
    let hash = [&[0xa0], FEEDBEEF.as_slice()].concat();
    let hashes = |count| list(&vec![&hash[..]; count]);
    let mask_item = alloy_rlp::encode(mask());
    // Hashes beyond the limit of a request are not read.
    let asked = list(&[&[0x01], &hashes(200), &mask_item]);
    match EthMessage::decode(V72, 0x14, &asked.into()) {
        Ok(EthMessage::Request { request: Request::Cells(request), .. }) => assert_eq!(request.hashes.len(), 64),
        other => panic!("{other:?}"),
    }
    let answer = |hash_count: usize, lists: &[&[u8]]| -> Result<EthMessage, EthError> {
        let payload = list(&[&[0x01], &hashes(hash_count), &list(lists), &mask_item]);
        EthMessage::decode(V72, 0x15, &payload.into())
    };
    let nothing: &[u8] = &[0xc0];
    let too_many = Err(EthError::TooMany { what: "transactions with cells", max: 64 });
    assert!(answer(64, &[nothing; 64]).is_ok());
    assert_eq!(answer(65, &[nothing; 65]), too_many);
    assert_eq!(answer(64, &[nothing; 65]), too_many);
    assert_eq!(answer(65, &[nothing; 64]), too_many);
    assert_eq!(answer(2, &[nothing]), Err(EthError::UnevenLists { lists: 1, hashes: 2 }));
    // Three columns were said.
    assert!(answer(1, &[&list_of(1..=6)]).is_ok());
    assert_eq!(answer(1, &[&list_of(1..=4)]), Err(EthError::UnevenCells { cells: 4, columns: 3 }));
    // Cells of another length, and what is no list of cells.
    let bad = |item: &[u8]| assert!(matches!(answer(1, &[item]), Err(EthError::Rlp { id: 0x15, .. })), "{item:?}");
    bad(&list(&[&alloy_rlp::encode([1u8; 2047].as_slice())]));
    bad(&list(&[&alloy_rlp::encode([1u8; 2049].as_slice())]));
    bad(&list(&[&[0x80]]));
    bad(&[0x80]);
    // Of no column there are no cells, however the mask says so.
    for no_column in [&alloy_rlp::encode(CellMask::EMPTY)[..], &[0x80]] {
        let of = |lists: &[u8]| {
            let payload = list(&[&[0x01], &hashes(1), &list(&[lists]), no_column]);
            EthMessage::decode(V72, 0x15, &payload.into())
        };
        assert!(of(nothing).is_ok());
        assert_eq!(of(&list_of([1])), Err(EthError::UnevenCells { cells: 1, columns: 0 }));
    }
    // A mask of fifteen bytes, and one more item.
    let short = list(&[&[0x01], &hashes(1), &[0x8f; 16]]);
    let long = list(&[&[0x01], &hashes(1), &mask_item, &[0x01]]);
    assert!([short, long].into_iter().all(|bytes| EthMessage::decode(V72, 0x14, &bytes.into()).is_err()));
}
