//! Whole chains of the fixtures through the import, block by block.

mod common;

use common::{fixture, open, prepare};
use starling_chain::ImportOutcome;
use starling_storage::StorageConfig;

fn check_import(folder: &str, head: &str) {
    let Some((genesis, blocks)) = fixture(folder) else { return };
    let mut chain = open(&genesis, StorageConfig::memory());
    for rlp in blocks {
        let block = prepare(&chain, rlp);
        let at = block.at();
        assert_eq!(chain.import_as_head(block.clone()).unwrap(), ImportOutcome::Valid, "{folder} {at}");
        assert_eq!(chain.head(), at, "{folder}");
        assert_eq!(chain.import(block).unwrap(), ImportOutcome::Known, "{folder} {at} again");
    }
    assert_eq!(chain.head().hash.to_string(), head, "{folder}");
}

#[test]
fn rpc_compat_through_every_fork() {
    check_import("rpc-compat", "0xd226371d0b1551adb03fb52b71f08e3e11247fe9b1af994768af8cdaa8e7dcd7");
}

#[test]
fn geth_ethtest() {
    check_import("devp2p-chain/geth-ethtest", "0x44e3809c9a3cda717f00aea3a9da336d149612c8d5657fbc0028176ef8d94d2a");
}

#[test]
fn hive_sync() {
    check_import("devp2p-chain/hive-sync", "0xd4a8090b9de16baae99540d32b02b4d970428fb1d07b4ea200bc6bb7894034a0");
}
