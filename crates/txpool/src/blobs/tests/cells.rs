//! Cells are what KZG says, transactions come apart and together again, and liars are found out.

use super::super::cells::*;
use super::*;
use alloy_eips::eip4844::{AsCkzg, Blob, env_settings::EnvKzgSettings};
use starling_devp2p::eth::{CELL_BYTES, CellMask, cells_of, encode_cells};

/// More than one blob holds.
fn long_text() -> Vec<u8> {
    (0..150_000u32).map(|place| (place * 7 + place / 256) as u8).collect()
}

fn new_proofs(sidecar: BlobTransactionSidecar) -> BlobTransactionSidecarVariant {
    BlobTransactionSidecarVariant::Eip4844(sidecar).try_convert_into_eip7594().expect("new proofs")
}

fn wire(tx: &Transaction, sidecar: &BlobTransactionSidecarVariant) -> Bytes {
    join(tx, sidecar).expect("a transaction with blobs")
}

/// The cells of a list, in its order.
fn cells(list: &[u8]) -> Vec<[u8; CELL_BYTES]> {
    cells_of(list).expect("a list of cells").copied().collect()
}

#[test]
fn own_columns_are_the_blobs_bytes_and_the_others_are_computed() {
    // The blob of the vectors below: bytes that follow from their place, but for the first of each number.
    let mut first = Blob::ZERO;
    for (place, byte) in first.iter_mut().enumerate().filter(|(place, _)| place % 32 != 0) {
        *byte = (place / 32 + place) as u8;
    }
    let second = sidecar(b"some text").blobs[0];
    let computed =
        [first, second].map(|blob| EnvKzgSettings::Default.get().compute_cells(blob.as_ckzg()).expect("cells"));
    let check = |mask: CellMask| {
        let list = cells_list(&[first, second], mask).expect("cells");
        let expect: Vec<_> = mask
            .columns()
            .flat_map(|column| [0, 1].map(|blob: usize| computed[blob][column as usize].to_bytes()))
            .collect();
        assert_eq!(cells(&list), expect, "{mask}");
    };
    check(CellMask::DATA);
    check(CellMask::ALL);
    check(CellMask::of([0, 5, 63, 64, 100, 127]));
    check(CellMask::EMPTY);
    // keccak of what geth 1.17.10's `kzg4844.ComputeCells` makes of the first blob.
    let digest = |column: usize| keccak256(computed[0][column].to_bytes());
    for (column, expect) in [
        (0, "0xe16d1f4adc44585d19e066d7b535f29dfa92ab23b8d7817604464e8200944f0a"),
        (1, "0x476cd33fb10717fb00c445b84ea1ef9cf5f9e1e39b1bae4f00cebbd84ec82e56"),
        (63, "0xc92c381bb786ad99041ed3a1e7300b701fcd5cfc9e5533033579357bab877acb"),
        (64, "0x070aeb0a8d23302c385bd434a48d5757824d9cff2f00c53480fcbc7f135ae288"),
        (127, "0x14a28b3ef22cae6e001c9e29d14da11ba8c43a5f23760e09060ab9ab55631647"),
    ] {
        assert_eq!(digest(column).to_string(), expect, "column {column}");
    }
}

#[test]
fn what_was_stripped_is_whole_again_with_its_cells() {
    let blobs = new_proofs(sidecar(&long_text()));
    assert_eq!(blobs.blobs().len(), 2);
    let plain = sidecar(&long_text());
    let tx = transaction(1, 0, &plain);
    let whole = wire(&tx, &blobs);
    let bare = strip(&whole).expect("it has blobs");
    let mut emptied = blobs.clone();
    emptied.clear_eip7594_blobs();
    assert_eq!(bare, wire(&tx, &emptied));
    assert_eq!(sizes_bytes(&tx), (bare.len(), whole.len()));
    assert_eq!((hash(&bare), strip(&bare)), (Some(*tx.tx_hash()), None));
    // Proofs of blobs do not travel like this.
    assert_eq!(strip(&travelling(&tx, plain)), None);

    let stripped = Stripped::read(&bare).expect("as it must be");
    assert_eq!((stripped.hash(), stripped.blobs()), (*tx.tx_hash(), 2));
    // Half of the columns are enough, any half.
    for mask in [CellMask::DATA, CellMask::ALL, CellMask::of(64..128), CellMask::of((0..128).step_by(2))] {
        let list = cells_list(blobs.blobs(), mask).expect("cells");
        assert_eq!(stripped.with_cells(mask, &list), Ok(whole.clone()), "{mask}");
    }
    // The same mark for no blobs as in the EIP.
    let place = bare.len() - emptied.rlp_encoded_fields().len() + 1;
    let mut nothing = bare.to_vec();
    assert_eq!(std::mem::replace(&mut nothing[place], 0x80), 0xc0);
    assert_eq!(Stripped::read(&nothing.into()), Ok(stripped));
}

#[test]
fn wrong_cells_make_no_transaction() {
    let (chain, folder) = (Chain::new(OSAKA), tempfile::tempdir().expect("a folder"));
    let (pool, view) = (chain.pool(folder.path()), chain.view());
    let blobs = new_proofs(sidecar(b"some text"));
    let tx = transaction(1, 0, &sidecar(b"some text"));
    let stripped = Stripped::read(&strip(&wire(&tx, &blobs)).expect("it has blobs")).expect("as it must be");
    let refused = |mask, list: &[u8]| {
        let refusal = stripped.with_cells(mask, list).and_then(|envelope| {
            pool.submit(&envelope, Origin::Peer(PeerId::ZERO), &view).map(|_| panic!("wrong cells were taken"))
        });
        assert!(matches!(&refusal, Err(Refusal::Sidecar(_))), "{refusal:?}");
        assert_eq!((files(folder.path()), pool.status().pending), (0, 0));
    };
    for mask in [CellMask::DATA, CellMask::of(32..96)] {
        let list = cells_list(blobs.blobs(), mask).expect("cells");
        let mut spoilt = cells(&list);
        spoilt[40][31] ^= 1;
        refused(mask, &encode_cells(spoilt.iter()));
        // Not a number of the field at all.
        spoilt[40] = [0xff; CELL_BYTES];
        refused(mask, &encode_cells(spoilt.iter()));
        // Cells of another blob, too few, too many, none.
        refused(mask, &cells_list(&sidecar(b"another text").blobs, mask).expect("cells"));
        refused(mask, &encode_cells(cells(&list)[1..].iter()));
        refused(mask, &cells_list(&[blobs.blobs()[0]; 2], mask).expect("cells"));
        refused(mask, &[0xc0]);
        refused(mask, &[]);
    }
    refused(CellMask::of(0..63), &cells_list(blobs.blobs(), CellMask::of(0..63)).expect("cells"));
}

#[test]
fn only_what_the_pool_would_take_is_worth_its_cells() {
    let (chain, folder) = (Chain::new(OSAKA), tempfile::tempdir().expect("a folder"));
    let (pool, view) = (chain.pool(folder.path()), chain.view());
    let plain = sidecar(b"some text");
    let blobs = new_proofs(plain.clone());
    let check = |key, sidecar: &BlobTransactionSidecarVariant| {
        let bare = strip(&wire(&transaction(key, 0, &plain), sidecar)).expect("it has blobs");
        let stripped = Stripped::read(&bare)?;
        pool.check_stripped(&stripped, Origin::Peer(PeerId::ZERO), &view)
    };
    assert_eq!(check(1, &blobs), Ok(()));
    assert!(matches!(check(9, &blobs), Err(Refusal::Funds { .. })));
    let sent = pool.submit(&wire(&transaction(1, 0, &plain), &blobs), Origin::Local, &view).expect("taken in");
    assert_eq!(check(1, &blobs), Err(Refusal::Known(sent.tx.hash)));
    assert_eq!(sent.tx.stripped_size_bytes(), strip(&sent.tx.network_bytes().expect("its file")).map(|b| b.len()));

    let wrong = |change: &dyn Fn(&mut Vec<_>, &mut Vec<_>), expect: &str| {
        let BlobTransactionSidecarVariant::Eip7594(mut wrong) = blobs.clone() else { unreachable!("new proofs") };
        change(&mut wrong.commitments, &mut wrong.cell_proofs);
        let refusal = check(2, &BlobTransactionSidecarVariant::Eip7594(wrong)).expect_err("refused");
        assert!(matches!(&refusal, Refusal::Sidecar(why) if why.starts_with(expect)), "{refusal:?}");
    };
    wrong(&|commitments, _| commitments[0] = Default::default(), "blob 0: computed hash does not match");
    wrong(&|commitments, _| commitments.clear(), "invalid number of blobs");
    wrong(&|_, proofs| proofs.truncate(127), "invalid number of blobs");
    let refuse = |bytes: Bytes, expect: &str| match Stripped::read(&bytes) {
        Err(Refusal::Sidecar(why)) => assert_eq!(why, expect),
        other => panic!("{other:?}"),
    };
    let tx = transaction(3, 0, &plain);
    refuse(wire(&tx, &blobs), "blobs in a transaction that must travel without");
    refuse(travelling(&tx, plain.clone()), "missing sidecar in blob transaction");
    refuse(tx.encoded_2718().into(), "missing sidecar in blob transaction");
    let none = BlobTransactionSidecar::default();
    refuse(wire(&transaction(3, 0, &none), &new_proofs(none)), "a blob transaction without blobs");
}
