//! Fuzz harnesses for what a stranger or a torn disk may hand in; see `testkit`'s page on fuzzing.

use crate::{
    Origin, PoolConfig, Stripped, blobs, check,
    gossip::{decode_item, encode_item},
    read_journal,
    testing::address,
};
use starling_devp2p::eth::CellMask;
use starling_primitives::{Bytes, recover_sender};
use starling_testkit::fuzz::{corpus, run};
use std::time::Instant;

/// A transaction as a peer sends it: what is taken comes out as it went in.
#[test]
fn fuzz_transaction() {
    run("transaction", &corpus("crates/txpool/fuzz/transaction"), |input| {
        let item = Bytes::copy_from_slice(input);
        let Some(envelope) = decode_item(&item) else { return };
        let Ok(tx) = check::decode(&envelope, &PoolConfig::default()) else { return };
        let Ok(sender) = recover_sender(&tx, true) else { return };
        let tx = crate::PooledTx::new(tx, sender, None, Origin::Local, Instant::now());
        assert_eq!(tx.envelope(), envelope);
        assert_eq!(encode_item(&tx), Some(item));
        assert_eq!(tx.size_bytes, envelope.len());
    });
}

/// A transaction without its blobs, and bytes that are no cells of it.
#[test]
fn fuzz_stripped() {
    run("stripped", &corpus("crates/txpool/fuzz/stripped"), |input| {
        assert_eq!(blobs::strip(input), None, "nothing is so short that has blobs");
        let Ok(stripped) = Stripped::read(&Bytes::copy_from_slice(input)) else { return };
        assert!(stripped.blobs() > 0);
        for mask in [CellMask::EMPTY, CellMask::DATA, CellMask::ALL] {
            assert!(stripped.with_cells(mask, input).is_err());
        }
    });
}

#[test]
fn fuzz_journal() {
    run("journal", &corpus("crates/txpool/fuzz/journal"), |input| {
        let (records, whole) = read_journal(input);
        let mut again = Vec::new();
        records.iter().for_each(|record| record.encode(&mut again));
        // Words that are no text are replaced, so lengths may differ there; and nothing is read beyond the whole part.
        assert_eq!(read_journal(&input[..whole]).0, records);
        assert_eq!(read_journal(&again).0, records);
    });
}

#[test]
fn the_corpus_is_of_use() {
    for input in corpus("crates/txpool/fuzz/transaction") {
        let envelope = decode_item(&input.into()).expect("an item");
        let tx = check::decode(&envelope, &PoolConfig::default()).expect("a transaction");
        assert_eq!(recover_sender(&tx, true), Ok(address(1)));
    }
    for input in corpus("crates/txpool/fuzz/stripped") {
        assert_eq!(Stripped::read(&input.into()).expect("a transaction without its blobs").blobs(), 1);
    }
}
