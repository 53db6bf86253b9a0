//! Files of blocks: what is read, what is written, and what is refused with file and byte.

use alloy_primitives::U256;
use starling_node::formats::{
    BlockFile, RawBlock,
    e2store::{
        ACCUMULATOR, BLOCK_INDEX, COMPRESSED_BODY, COMPRESSED_HEADER, COMPRESSED_RECEIPTS, DYNAMIC_BLOCK_INDEX,
        EntryReader, TOTAL_DIFFICULTY, VERSION, VERSION_ENTRY, frame, unframe, write_entry,
    },
    era1::{Era1Writer, file_name},
    list_of, peek_block, split_block,
};
use starling_testkit::fixtures;
use std::{io::Write, path::Path};

const ERA1_FILES: [&str; 3] =
    ["era/mainnet-00000-5ec1ffb8.era1", "era/mainnet-00001-a5364e9a.era1", "era/sepolia-00000-643a00f7.era1"];

/// All blocks of a file, or the words of the first error.
fn read(bytes: &[u8]) -> Result<Vec<RawBlock>, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let blocks = BlockFile::open(file.path()).and_then(Iterator::collect);
    blocks.map_err(|error| error.to_string().replace(&file.path().display().to_string(), "FILE"))
}

fn read_path(path: &Path) -> Vec<RawBlock> {
    BlockFile::open(path).unwrap().collect::<Result<_, _>>().unwrap()
}

fn refuse(what: &str, bytes: &[u8], why: &str) {
    let refused = read(bytes).map(|blocks| blocks.len());
    assert!(refused.as_ref().is_err_and(|refused| refused.contains(why)), "{what}: want {why:?}, got {refused:?}");
}

/// A block with a header of that number and an empty body.
fn block(number: u64) -> Vec<u8> {
    let header = alloy_consensus::Header { number, difficulty: U256::from(number + 1), ..Default::default() };
    list_of(&[&alloy_rlp::encode(&header), &[0xc0], &[0xc0]]).to_vec()
}

/// An era1 file of a few such blocks.
fn era1(first: u64, count: u64) -> Vec<u8> {
    let mut writer = Era1Writer::new(Vec::new(), first).unwrap();
    for number in first..first + count {
        writer.push(&block(number), &[0xc0], U256::from(number)).unwrap();
    }
    writer.finish().unwrap().1
}

/// Entries of a file, and the file from such entries.
fn entries(bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut reader = EntryReader::new(bytes, &"FILE".into(), 0);
    let mut entries = Vec::new();
    while let Some(head) = reader.head().unwrap() {
        entries.push((head.kind, reader.data(head).unwrap()));
    }
    entries
}

fn file(entries: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, data) in entries {
        write_entry(&mut out, *kind, data).unwrap();
    }
    out
}

/// An ere file of a few such blocks: headers, bodies, index.
fn ere(first: u64, count: u64) -> Vec<u8> {
    let mut out = Vec::new();
    write_entry(&mut out, VERSION, &[]).unwrap();
    let blocks: Vec<_> = (first..first + count).map(block).collect();
    let mut offsets = vec![(0, 0); blocks.len()];
    for (block, offset) in blocks.iter().zip(&mut offsets) {
        offset.0 = out.len() as u64;
        write_entry(&mut out, COMPRESSED_HEADER, &frame(split_block(block).unwrap().0).unwrap()).unwrap();
    }
    for (block, offset) in blocks.iter().zip(&mut offsets) {
        offset.1 = out.len() as u64;
        let body = list_of(&[split_block(block).unwrap().1]);
        write_entry(&mut out, COMPRESSED_BODY, &frame(&body).unwrap()).unwrap();
    }
    let at = out.len() as u64;
    let mut index = first.to_le_bytes().to_vec();
    for (header, body) in offsets {
        index.extend(header.wrapping_sub(at).to_le_bytes());
        index.extend(body.wrapping_sub(at).to_le_bytes());
    }
    index.extend(2u64.to_le_bytes());
    index.extend(count.to_le_bytes());
    write_entry(&mut out, DYNAMIC_BLOCK_INDEX, &index).unwrap();
    out
}

#[test]
fn era1_files_are_written_as_they_were_read() {
    for name in ERA1_FILES {
        let Some(path) = fixtures::find(name) else { continue };
        let bytes = std::fs::read(&path).unwrap();
        let blocks = read_path(&path);
        let mut parts =
            entries(&bytes).into_iter().filter(|(kind, _)| [COMPRESSED_RECEIPTS, TOTAL_DIFFICULTY].contains(kind));
        let first = peek_block(&blocks[0].rlp).unwrap().0;
        let mut writer = Era1Writer::new(Vec::new(), first).unwrap();
        for block in &blocks {
            let receipts = unframe(&parts.next().unwrap().1, 1 << 20).unwrap();
            let total_difficulty = U256::from_le_slice(&parts.next().unwrap().1);
            writer.push(&block.rlp, &receipts, total_difficulty).unwrap();
        }
        let (root, written) = writer.finish().unwrap();
        assert!(written == bytes, "{name} differs");
        let (network, _) = name.trim_start_matches("era/").split_once('-').unwrap();
        assert_eq!(format!("era/{}", file_name(network, first / 8192, &root)), name);
    }
}

#[test]
fn ere_sample_is_read() {
    let Some(path) = fixtures::find("era/sepolia-00000-deadbeef-noreceipts.ere") else { return };
    let blocks = read_path(&path);
    assert_eq!(blocks.len(), 1);
    assert_eq!((peek_block(&blocks[0].rlp).unwrap().0, blocks[0].offset), (0, 8));
}

#[test]
fn rlp_streams_are_read_to_the_byte() {
    let Some(path) = fixtures::find("rpc-compat/chain.rlp") else { return };
    let blocks = read_path(&path);
    assert_eq!(blocks.len(), 54);
    let bytes: Vec<u8> = blocks.iter().flat_map(|block| block.rlp.to_vec()).collect();
    assert!(bytes == std::fs::read(&path).unwrap());
    let numbers: Vec<_> = blocks.iter().map(|block| peek_block(&block.rlp).unwrap().0).collect();
    assert_eq!(numbers, (1..=54).collect::<Vec<_>>());
}

#[test]
fn small_files_of_each_format_are_read() {
    let check = |what: &str, bytes: &[u8], numbers: &[u64]| {
        let blocks = read(bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
        let got: Vec<_> = blocks.iter().map(|block| peek_block(&block.rlp).unwrap().0).collect();
        assert_eq!(got, numbers, "{what}");
        assert!(blocks.iter().zip(numbers).all(|(got, number)| got.rlp == block(*number)), "{what}");
    };
    check("empty", &[], &[]);
    check("rlp", &[block(1), block(2)].concat(), &[1, 2]);
    check("era1", &era1(0, 3), &[0, 1, 2]);
    check("era1 without blocks", &era1(0, 0), &[]);
    check("ere", &ere(8192, 3), &[8192, 8193, 8194]);
}

#[test]
fn malformed_rlp_is_refused() {
    refuse(
        "a byte that begins no list",
        &[0x80],
        "FILE, byte 0: a block is an RLP list, and no list begins with byte 0x80",
    );
    refuse("the second block", &[block(1), vec![0x01]].concat(), &format!("FILE, byte {}: a block is", block(1).len()));
    refuse("cut off", &block(1)[..100], "FILE, byte 0: the block claims 498 bytes and the file ends after 97");
    refuse("cut off in the length", &[0xf9, 0x01], "the file ends within a block's length");
    refuse("leading zero", &[0xf9, 0x00, 0x01], "a block's length has leading zeros");
    refuse("2^64 bytes", &[0xff; 9], "a block of 18446744073709551615 bytes, more than");
}

#[test]
fn malformed_era1_is_refused() {
    let good = era1(0, 2);
    let parts = entries(&good);
    let with = |at: usize, kind: u16, data: Vec<u8>| {
        let mut parts = parts.clone();
        parts[at] = (kind, data);
        file(&parts)
    };
    let size: Vec<_> = parts.iter().map(|(_, data)| data.len() + 8).collect();
    let offset = |at: usize| size[..at].iter().sum::<usize>();

    refuse(
        "cut in a head",
        &good[..offset(1) + 5],
        &format!("FILE, byte {}: the file ends within an entry's head", offset(1)),
    );
    refuse("cut in data", &good[..offset(2) - 1], "claims");
    refuse("cut between entries", &good[..offset(2)], "the file ends where a body should come");
    refuse("cut between blocks", &good[..offset(5)], "the file ends where a block or the accumulator should come");
    let mut reserved = good.clone();
    reserved[offset(1) + 7] = 1;
    refuse("reserved", &reserved, &format!("FILE, byte {}: an entry's reserved bytes are not zero", offset(1)));
    refuse("no snappy", &with(1, COMPRESSED_HEADER, vec![1, 2, 3]), "compressed data is damaged");
    refuse("no header", &with(1, COMPRESSED_HEADER, frame(&[0xc0]).unwrap()), "the header does not decode");
    refuse("no body", &with(2, COMPRESSED_BODY, frame(&[0x80]).unwrap()), "the body is not one RLP list");
    refuse("two lists", &with(2, COMPRESSED_BODY, frame(&[0xc0, 0xc0]).unwrap()), "the body is not one RLP list");
    refuse("no receipts", &with(3, TOTAL_DIFFICULTY, vec![0; 32]), "entry of type 0x0006 where receipts should come");
    refuse("short difficulty", &with(4, TOTAL_DIFFICULTY, vec![0; 31]), "31 bytes where 32 belong");
    refuse(
        "wrong root",
        &with(9, ACCUMULATOR, vec![7; 32]),
        &format!("FILE, byte {}: accumulator root 0x0707", offset(9)),
    );
    refuse("no index", &file(&parts[..10]), "the file ends where the block index should come");
    refuse("short index", &with(10, BLOCK_INDEX, vec![0; 24]), "the block index does not fit 2 blocks");
    refuse(
        "tail",
        &[good.as_slice(), &VERSION_ENTRY].concat(),
        &format!("FILE, byte {}: bytes after the block index", good.len()),
    );
}

#[test]
fn malformed_ere_is_refused() {
    let good = ere(0, 2);
    let parts = entries(&good);
    let index_at = good.len() - parts[5].1.len() - 8;
    let with_word = |word: usize, value: u64| {
        let mut bytes = good.clone();
        bytes[index_at + 8 + word * 8..][..8].copy_from_slice(&value.to_le_bytes());
        bytes
    };
    refuse("number", &with_word(0, 5), "FILE, byte 8: block 0 where the index has block 5");
    refuse("outside", &with_word(1, 0), "outside the blocks");
    refuse("before the file", &with_word(1, 1 << 63), "outside the blocks");
    refuse(
        "no entry there",
        &with_word(2, 8u64.wrapping_sub(index_at as u64)),
        "no entry of type 0x0004 where the index names one",
    );
    refuse("cut", &good[..index_at], "this looks like an .ere file");
    let mut damaged = good.clone();
    damaged[8 + 8 + 20] ^= 0xff;
    refuse("damaged", &damaged, "FILE, byte 8: compressed data is damaged");
    let mut long = good.clone();
    long[8 + 2..8 + 6].copy_from_slice(&u32::MAX.to_le_bytes());
    refuse("too long", &long, "FILE, byte 8: entry of type 0x0003 claims 4294967295 bytes");
}

#[test]
fn every_cut_and_every_flip_is_an_error_or_a_file() {
    for good in [[block(1), block(2)].concat(), era1(0, 2), ere(0, 2)] {
        for cut in 0..good.len() {
            let _ = read(&good[..cut]);
        }
        for at in 0..good.len() {
            let mut flipped = good.clone();
            flipped[at] ^= 1 << (at % 8);
            let _ = read(&flipped);
        }
    }
}

#[test]
fn a_bomb_does_not_inflate() {
    let bomb = frame(&vec![0; 1 << 20]).unwrap();
    assert_eq!(unframe(&bomb, 1 << 20).unwrap().len(), 1 << 20);
    assert!(unframe(&bomb, (1 << 20) - 1).unwrap_err().contains("inflates past"));
}
