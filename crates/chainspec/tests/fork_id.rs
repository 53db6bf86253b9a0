//! Fork ids against the published vectors.

use alloy_primitives::B256;
use serde_json::Value;
use starling_chainspec::{Activation, ChainSpec, Fork, ForkHash, ForkId, ForkIdError};
use starling_testkit::fixtures;

fn vectors() -> Option<Value> {
    Some(serde_json::from_str(&fixtures::read("vectors/forkid.json")?).unwrap())
}

fn fork_hash(value: &Value) -> ForkHash {
    ForkHash(value.as_str().unwrap().parse::<alloy_primitives::FixedBytes<4>>().unwrap().0)
}

fn check_ids(name: &str, spec: &ChainSpec, network: &Value) {
    let genesis: B256 = network["genesisHash"].as_str().unwrap().parse().unwrap();
    assert_eq!(spec.genesis_hash(), genesis, "{name}");
    for case in network["cases"].as_array().unwrap() {
        let id = spec.fork_id(case["head"].as_u64().unwrap(), case["time"].as_u64().unwrap());
        let expected = ForkId { hash: fork_hash(&case["hash"]), next: case["next"].as_u64().unwrap() };
        assert_eq!(id, expected, "{name}: {case}");
    }
}

#[test]
fn built_in_networks_announce_the_published_ids() {
    let Some(vectors) = vectors() else { return };
    for name in ["mainnet", "sepolia", "hoodi"] {
        check_ids(name, &ChainSpec::named(name).unwrap(), &vectors["networks"][name]);
    }
}

fn check_rules(spec: &ChainSpec, cases: &Value) {
    for case in cases.as_array().unwrap() {
        let filter = spec.fork_filter(case["head"].as_u64().unwrap(), case["time"].as_u64().unwrap());
        let remote = ForkId { hash: fork_hash(&case["remoteHash"]), next: case["remoteNext"].as_u64().unwrap() };
        let verdict = match filter.validate(remote) {
            Ok(()) => "accept",
            Err(ForkIdError::RemoteStale { .. }) => "reject-remote-stale",
            Err(ForkIdError::LocalIncompatibleOrStale { .. }) => "reject-incompatible-or-stale",
        };
        assert_eq!(verdict, case["expect"].as_str().unwrap(), "{case}");
    }
}

#[test]
fn foreign_ids_are_accepted_and_refused_by_the_rule() {
    let Some(vectors) = vectors() else { return };
    let mainnet = ChainSpec::named("mainnet").unwrap();
    check_rules(&mainnet, &vectors["validation"]["mainnet"]["cases"]);
    let mut petersburg = mainnet;
    petersburg.forks.retain(|(fork, _)| *fork <= Fork::Petersburg);
    check_rules(&petersburg, &vectors["validation"]["petersburgMainnet"]["cases"]);
}

#[test]
fn points_at_genesis_do_not_count() {
    let dev = ChainSpec::named("dev").unwrap();
    let id = ForkId { hash: ForkHash::from(dev.genesis_hash()), next: 0 };
    assert_eq!(dev.fork_id(0, 0), id);
    let mut late = dev;
    late.genesis_header.timestamp = 100;
    late.forks.push((Fork::Amsterdam, Activation::Time(100)));
    assert_eq!(late.fork_id(0, 100).next, 0);
}

/// The schedules of `networks.json`, which the ids follow from.
#[test]
fn built_in_networks_have_the_published_schedules() {
    let Some(networks) = fixtures::read("vectors/networks.json") else { return };
    let networks: Value = serde_json::from_str(&networks).unwrap();
    for name in ["mainnet", "sepolia", "hoodi"] {
        let (spec, published) = (ChainSpec::named(name).unwrap(), &networks["networks"][name]);
        assert_eq!(spec.chain_id, published["chainId"].as_u64().unwrap(), "{name}");
        let difficulty = spec.consensus.terminal_total_difficulty().unwrap().to_string();
        assert_eq!(difficulty, published["terminalTotalDifficulty"].as_str().unwrap(), "{name}");
        let contract = spec.deposit_contract.unwrap().to_string().to_lowercase();
        assert_eq!(contract, published["depositContract"].as_str().unwrap(), "{name}");
        let times = published["times"].as_object().unwrap();
        let found: Vec<_> = spec.time_forks().map(|(fork, time)| (fork.name(), time)).collect();
        assert_eq!(found.len(), times.len(), "{name}");
        for (fork, time) in found {
            assert_eq!(Some(time), times[fork].as_u64(), "{name}: {fork}");
        }
    }
    let mainnet = ChainSpec::named("mainnet").unwrap();
    for (fork, schedule) in networks["blobSchedule"].as_object().unwrap() {
        let ours = mainnet.blob_schedule_of(fork.parse().unwrap()).unwrap();
        let ours = [ours.target, ours.max, ours.base_fee_update_fraction];
        let theirs = ["target", "max", "baseFeeUpdateFraction"].map(|key| schedule[key].as_u64().unwrap());
        assert_eq!(ours, theirs, "{fork}");
    }
}
