//! Blobs through the shared pool: proofs, the disk, and the ways back from it.

mod cells;

use super::*;
use crate::{
    BlobStore, JournalRecord, Origin, PoolConfig, PoolHandle,
    testing::{CHAIN_ID, FEE_CAP, address, sign},
};
use alloy_consensus::{SidecarBuilder, SignableTransaction, SimpleCoder, TxEip1559, TxEip4844};
use alloy_eips::{eip2718::Encodable2718, eip4844::BlobTransactionSidecar};
use starling_chainspec::{ChainSpec, Consensus};
use starling_primitives::{Address, IntrinsicGas, PeerId, impersonation};
use starling_state::{ChainView, CliqueSnapshots};
use starling_storage::{Database, GenesisRecord, StorageConfig};
use std::path::Path;

/// A chain of one block, rich in the keys 1 to 3.
struct Chain {
    spec: Arc<ChainSpec>,
    database: Database,
}

impl Chain {
    fn new(forks: &str) -> Self {
        let accounts: Vec<String> =
            (1..4).map(|key| format!("\"{}\": {{ \"balance\": \"0x56bc75e2d63100000\" }}", address(key))).collect();
        let genesis = format!(
            "{{ \"config\": {{ \"chainId\": {CHAIN_ID}, \"homesteadBlock\": 0, \"eip150Block\": 0, \"eip155Block\": 0,
                \"eip158Block\": 0, \"byzantiumBlock\": 0, \"constantinopleBlock\": 0, \"petersburgBlock\": 0,
                \"istanbulBlock\": 0, \"berlinBlock\": 0, \"londonBlock\": 0, \"shanghaiTime\": 0, \"cancunTime\": 0,
                {forks} \"terminalTotalDifficulty\": 0 }},
              \"difficulty\": \"0x0\", \"gasLimit\": \"0x1c9c380\", \"alloc\": {{ {} }} }}",
            accounts.join(", ")
        );
        let spec = Arc::new(ChainSpec::from_genesis_json("test", &genesis).expect("a genesis"));
        let block = starling_state::genesis_record(&spec).expect("its state");
        let record = GenesisRecord { block, config: Bytes::from_static(b"{}") };
        let database = Database::create(StorageConfig::memory(), record).expect("a database");
        Self { spec, database }
    }

    fn view(&self) -> ChainView {
        let view = self.database.view(self.spec.genesis_hash()).expect("a view");
        ChainView::new(self.spec.clone(), view, None, None, CliqueSnapshots::default()).expect("a chain")
    }

    fn pool(&self, folder: &Path) -> PoolHandle {
        let intrinsic = |_, _: &Transaction, _: Address| IntrinsicGas { cost: 21_000, floor: 21_000 };
        let store = BlobStore::open(folder).expect("a folder");
        PoolHandle::with_blobs(PoolConfig::default(), intrinsic, &self.view(), |_| Ok(()), store)
    }
}

const OSAKA: &str = "\"pragueTime\": 0, \"osakaTime\": 0,";

fn sidecar(text: &[u8]) -> BlobTransactionSidecar {
    SidecarBuilder::<SimpleCoder>::from_slice(text).build_4844().expect("a sidecar")
}

fn transaction(key: u8, nonce: u64, sidecar: &BlobTransactionSidecar) -> Transaction {
    let tx = TxEip4844 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: FEE_CAP,
        max_priority_fee_per_gas: 1_000_000_000,
        max_fee_per_blob_gas: 1_000_000_000,
        to: Address::repeat_byte(0x11),
        blob_versioned_hashes: sidecar.versioned_hashes().collect(),
        ..Default::default()
    };
    sign(tx, key)
}

fn travelling(tx: &Transaction, sidecar: BlobTransactionSidecar) -> Bytes {
    join(tx, &BlobTransactionSidecarVariant::Eip4844(sidecar)).expect("a transaction with blobs")
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).expect("a folder").count()
}

#[test]
fn old_proofs_are_renewed_and_blobs_outlive_the_node() {
    let (chain, folder) = (Chain::new(OSAKA), tempfile::tempdir().expect("a folder"));
    let blobs = sidecar(b"some text");
    let tx = transaction(1, 0, &blobs);
    let envelope = travelling(&tx, blobs.clone());
    assert_eq!(hash(&envelope), Some(*tx.tx_hash()));
    let hashes: Vec<B256> = blobs.versioned_hashes().collect();
    let check = |pool: &PoolHandle| {
        let pooled = pool.get(tx.tx_hash()).expect("in the pool");
        let network = pooled.network_bytes().expect("its file");
        assert_eq!(pooled.size_bytes, network.len());
        assert_eq!(hash(&network), Some(*tx.tx_hash()));
        let (same, sidecar) = split(&network).expect("it comes apart");
        assert_eq!(same, tx);
        assert!(matches!(&sidecar, BlobTransactionSidecarVariant::Eip7594(new) if new.blobs == blobs.blobs));
        let found = pool.blobs_by_versioned_hash(&[B256::ZERO, hashes[0]]);
        assert!(found[0].is_none());
        assert_eq!(
            found[1].as_ref().map(|(sidecar, index)| (&sidecar.blobs()[*index], *index)),
            Some((&blobs.blobs[0], 0))
        );
    };

    let pool = chain.pool(folder.path());
    pool.submit(&envelope, Origin::Local, &chain.view()).expect("taken in");
    assert_eq!(pool.submit(&envelope, Origin::Local, &chain.view()).expect_err("twice"), Refusal::Known(*tx.tx_hash()));
    check(&pool);
    let journal = pool.with_journal(|records| records);
    assert!(matches!(&journal[..], [JournalRecord::Accepted { bytes, .. }] if bytes.len() < 1000), "without blobs");
    for records in [journal, Vec::new()] {
        let pool = chain.pool(folder.path());
        assert_eq!(pool.restore(records, &chain.view()), 1);
        check(&pool);
    }
    let pool = chain.pool(folder.path());
    pool.restore(Vec::new(), &chain.view());
    assert!(pool.remove(tx.tx_hash()));
    assert_eq!(files(folder.path()), 0);
}

#[test]
fn wrong_blobs_are_refused_and_leave_nothing() {
    let (chain, folder) = (Chain::new(OSAKA), tempfile::tempdir().expect("a folder"));
    let pool = chain.pool(folder.path());
    let blobs = sidecar(b"some text");
    let check = |change: &dyn Fn(&mut BlobTransactionSidecar), expect: &str| {
        let mut wrong = blobs.clone();
        change(&mut wrong);
        let envelope = travelling(&transaction(1, 0, &blobs), wrong);
        let refusal = pool.submit(&envelope, Origin::Local, &chain.view()).expect_err("refused").to_string();
        assert!(refusal.starts_with(expect), "{refusal}, not {expect}");
        assert_eq!((files(folder.path()), pool.status().pending), (0, 0));
    };
    let other = sidecar(b"some other text");
    check(&|wrong| wrong.proofs = other.proofs.clone(), "KZG verification error");
    check(&|wrong| wrong.blobs = other.blobs.clone(), "KZG verification error");
    check(&|wrong| wrong.commitments = other.commitments.clone(), "blob 0: computed hash does not match");
    check(&|wrong| wrong.proofs.clear(), "invalid number of blobs");
    check(&|wrong| wrong.blobs.clear(), "invalid number of blobs");
    let bare = alloy_eips::eip2718::Encodable2718::encoded_2718(&transaction(1, 0, &blobs));
    let refusal = pool.submit(&bare, Origin::Local, &chain.view()).expect_err("refused");
    assert_eq!(refusal.to_string(), "missing sidecar in blob transaction");
    // What is not wanted anyway is refused before its proofs are looked at.
    let poor = travelling(
        &transaction(9, 0, &blobs),
        BlobTransactionSidecar { proofs: other.proofs.clone(), ..blobs.clone() },
    );
    let refusal = pool.submit(&poor, Origin::Local, &chain.view()).expect_err("refused");
    assert!(matches!(refusal, Refusal::Funds { .. }), "{refusal}");
}

#[test]
fn before_osaka_proofs_are_of_blobs_and_before_cancun_nothing_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let chain = Chain::new("\"pragueTime\": 0,");
    let pool = chain.pool(folder.path());
    let blobs = sidecar(b"some text");
    let tx = transaction(1, 0, &blobs);
    let new = BlobTransactionSidecarVariant::Eip4844(blobs.clone()).try_convert_into_eip7594().expect("new proofs");
    let taken = pool.submit(&join(&tx, &new).expect("an envelope"), Origin::Local, &chain.view()).expect("taken in");
    assert_eq!(taken.tx.sidecar().as_deref(), Some(&BlobTransactionSidecarVariant::Eip4844(blobs)));
    let none =
        PoolHandle::new(PoolConfig::default(), |_, _, _| IntrinsicGas { cost: 0, floor: 0 }, &chain.view(), |_| Ok(()));
    let bytes = taken.tx.network_bytes().expect("its file");
    assert_eq!(none.submit(&bytes, Origin::Local, &chain.view()).expect_err("no place for blobs"), Refusal::Blobs);
}

#[test]
fn osaka_renews_the_proofs_of_what_waits() {
    let folder = tempfile::tempdir().expect("a folder");
    let blobs = sidecar(b"some text");
    let tx = transaction(1, 0, &blobs);
    let before = Chain::new("\"pragueTime\": 0,");
    before.pool(folder.path()).submit(&travelling(&tx, blobs), Origin::Local, &before.view()).expect("taken in");
    let (after, bytes_before) =
        (Chain::new(OSAKA), BlobStore::open(folder.path()).expect("a folder").read(tx.tx_hash()));
    let pool = after.pool(folder.path());
    assert_eq!(pool.restore(Vec::new(), &after.view()), 1);
    pool.expire();
    let pooled = pool.get(tx.tx_hash()).expect("in the pool");
    assert!(matches!(pooled.sidecar().as_deref(), Some(BlobTransactionSidecarVariant::Eip7594(_))));
    assert_eq!(pooled.size_bytes, pooled.network_bytes().map_or(0, |bytes| bytes.len()));
    assert!(Some(pooled.size_bytes) > bytes_before.map(|bytes| bytes.len()));
    assert_eq!(pool.status().blob_bytes, pooled.size_bytes);
}

#[test]
fn a_restart_takes_back_more_of_an_account_than_it_may_bring() {
    let folder = tempfile::tempdir().expect("a folder");
    let (chain, blobs) = (Chain::new(OSAKA), sidecar(b"some text"));
    // As a deep reorganisation leaves them: each was taken in when there was room.
    let count = PoolConfig::default().account_blob_txs_max as u64 + 5;
    let store = BlobStore::open(folder.path()).expect("a folder");
    let txs: Vec<_> = (0..count).map(|nonce| transaction(1, nonce, &blobs)).collect();
    for tx in &txs {
        let hashes: Vec<B256> = blobs.versioned_hashes().collect();
        store.put(*tx.tx_hash(), &travelling(tx, blobs.clone()), &hashes).expect("written");
    }
    drop(store);
    let pool = chain.pool(folder.path());
    assert_eq!(pool.restore(Vec::new(), &chain.view()), count as usize);
    // A new one is one too many.
    let next = transaction(1, count, &blobs);
    let refusal = pool.submit(&travelling(&next, blobs), Origin::Local, &chain.view()).expect_err("refused");
    assert!(matches!(refusal, Refusal::AccountBlobs { .. }), "{refusal}");
}

#[test]
fn unsigned_transactions_of_a_development_chain_come_from_its_own_node_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut chain = Chain::new(OSAKA);
    Arc::get_mut(&mut chain.spec).expect("nobody else has it").consensus = Consensus::Dev;
    let (pool, view) = (chain.pool(folder.path()), chain.view());
    let nobody = |refused: Result<_, Refusal>| match refused {
        Err(Refusal::Sender(error)) => assert_eq!(error.why, "nobody signed it"),
        other => panic!("{other:?}"),
    };
    let blobs = sidecar(b"some text");
    let signed = transaction(1, 0, &blobs);
    let unsigned: Transaction =
        signed.as_eip4844().expect("blobs").tx().clone().into_signed(impersonation(&address(1))).into();
    nobody(pool.submit(&travelling(&unsigned, blobs), Origin::Local, &view));
    let plain = TxEip1559 {
        chain_id: CHAIN_ID,
        gas_limit: 21_000,
        max_fee_per_gas: FEE_CAP,
        max_priority_fee_per_gas: 1_000_000_000,
        ..Default::default()
    };
    let plain: Transaction = plain.into_signed(impersonation(&address(1))).into();
    nobody(pool.submit(&plain.encoded_2718(), Origin::Local, &view));
    nobody(pool.submit_tx(plain.clone(), Origin::Peer(PeerId::ZERO), &view));
    assert_eq!(pool.submit_tx(plain, Origin::Local, &view).expect("its own node may").tx.sender, address(1));
}

#[test]
fn included_blobs_stay_until_they_are_final() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(BlobStore::open(folder.path()).expect("a folder"));
    let hashes = [1u8, 2, 3].map(B256::repeat_byte);
    for hash in hashes {
        store.put(hash, &[1, 2, 3], &[hash]).expect("written");
    }
    store.include(&hashes[0], 5);
    store.include(&hashes[1], 6);
    store.finalize(Some(5), 10);
    assert_eq!((store.read(&hashes[0]), files(folder.path())), (None, 2));
    assert_eq!(store.read(&hashes[1]), Some(Bytes::from_static(&[1, 2, 3])));
    // A reorg brings the second one back, and finality does not concern it any more.
    assert_eq!(store.take_up(hashes[1]).expect("kept").size_bytes(), 3);
    store.finalize(Some(9), 10);
    assert_eq!(files(folder.path()), 2);
    store.include(&hashes[1], 20);
    store.finalize(None, 275);
    assert_eq!(files(folder.path()), 2);
    store.finalize(None, 276);
    assert_eq!((files(folder.path()), store.hashes()), (1, vec![hashes[2]]));
    // A start finds what is there, but not what was half written.
    std::fs::write(folder.path().join("half.new"), b"x").expect("written");
    let store = BlobStore::open(folder.path()).expect("a folder");
    assert_eq!((store.hashes(), files(folder.path())), (vec![hashes[2]], 1));
}
