//! Genesis files against the hashes that the world knows.

use alloy_primitives::{B256, b256};
use alloy_rlp::Decodable;
use starling_chainspec::{ChainSpec, state_root};
use starling_primitives::Block;
use starling_testkit::fixtures;

/// A built-in network's hash, and the constants it carries against its accounts.
fn check_built_in(name: &str, hash: B256) {
    let spec = ChainSpec::named(name).unwrap();
    assert_eq!(spec.genesis_header.state_root, state_root(&spec.genesis_state), "{name}: state root");
    assert_eq!(spec.genesis_hash(), hash, "{name}: hash");
}

#[test]
fn built_in_networks_have_their_hashes() {
    check_built_in("mainnet", b256!("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"));
    check_built_in("sepolia", b256!("25a5cc106eea7138acab33231d7160d69cb777ee0c2c553fcddf5138993e6dd9"));
    check_built_in("hoodi", b256!("bbe312868b376a3001692a646dd2d7d1e4406380dfd86b98aa8a34d1557c971b"));
    check_built_in("dev", b256!("b6faa553be9bea6f7aa3ba83bd5265d0e44029575984736ee7eb535e5c7aab16"));
    check_built_in("testnet", b256!("fc1509e6470bbb0b8c8457b01ff75e308e03269bb347a3c33f1c0665dd0b905c"));
    check_built_in("testnet-geth", b256!("6cb6547101ef81f637caff3f3c92e6e9ce496de5cf320dec510efb98b7e0c95a"));
}

#[test]
fn genesis_files_lead_to_the_first_block() {
    for folder in ["rpc-compat", "devp2p-chain/geth-ethtest", "devp2p-chain/hive-sync"] {
        let Some(genesis) = fixtures::read(&format!("{folder}/genesis.json")) else { continue };
        let Some(chain) = fixtures::read_bytes(&format!("{folder}/chain.rlp")) else { continue };
        let spec = ChainSpec::from_genesis_json("custom", &genesis).unwrap();
        let first = Block::decode(&mut chain.as_slice()).unwrap();
        assert_eq!(spec.genesis_hash(), first.header.parent_hash, "{folder}");
    }
}

#[test]
fn original_genesis_files_of_public_networks_parse() {
    for name in ["mainnet", "sepolia", "hoodi"] {
        let Some(genesis) = fixtures::read(&format!("era/{name}-genesis.json")) else { continue };
        let spec = ChainSpec::from_genesis_json(name, &genesis).unwrap();
        assert_eq!(spec.genesis_hash(), ChainSpec::named(name).unwrap().genesis_hash(), "{name}");
    }
}

/// Header fields of the newest forks, as geth 1.17.10's `init` makes them of the same file.
#[test]
fn amsterdam_at_genesis_has_geths_hash() {
    let dev = ChainSpec::named("dev").unwrap().genesis_json();
    let amsterdam = dev.replace(r#""bpo2Time":0,"#, r#""bpo2Time":0,"amsterdamTime":0,"#);
    let spec = ChainSpec::from_genesis_json("custom", &amsterdam).unwrap();
    let expected = b256!("37fec98679b6936fb3e65d6a57be232943d1a812bb1f57b6fc1140ef1c47a925");
    assert_eq!(spec.genesis_hash(), expected);
}

#[test]
fn what_is_dumped_reads_back() {
    for name in ["sepolia", "hoodi", "dev", "testnet", "testnet-geth"] {
        let spec = ChainSpec::named(name).unwrap();
        let read = ChainSpec::from_genesis_json(name, &spec.genesis_json()).unwrap();
        assert_eq!(read.genesis_hash(), spec.genesis_hash(), "{name}");
        assert_eq!(read.config_json(), spec.config_json(), "{name}");
        let stored = ChainSpec::from_config_json(name, &spec.config_json(), spec.genesis_header.clone()).unwrap();
        assert_eq!(stored.config_json(), spec.config_json(), "{name}");
        assert_eq!((stored.forks, stored.consensus), (spec.forks, spec.consensus), "{name}");
    }
}
