//! The vector files that lie beside the archives: fork ids, networks, and examples of three EIPs. The other files
//! there are for the wire, and are read by the tests of `devp2p` and `discovery`.

use super::fields::{self, address, bytes, hash, same, same_debug, text, word};
use crate::conformance::{
    archive::Member,
    cases::{Cases, Failure, Verdict},
};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256};
use serde_json::Value;
use starling_chainspec::{ChainSpec, Fork, ForkHash, ForkId, ForkIdError};
use starling_primitives::{NodeKey, Transaction, recover_sender};

/// The files that are read here.
pub(super) const NAMES: [&str; 5] =
    ["forkid.json", "networks.json", "tx-eip155.json", "create2-eip1014.json", "address-eip55.json"];

const NOT_BUILT_IN: &str = "not a built-in network";

pub(super) fn run(member: &Member, cases: &mut Cases<'_>) -> Result<(), String> {
    let file: Value = fields::file(member)?;
    match member.path.as_str() {
        "forkid.json" => fork_ids(&file, cases),
        "networks.json" => networks(&file, cases),
        "tx-eip155.json" => cases.case("", "", || check_eip155(&file)),
        "create2-eip1014.json" => each(&file["cases"], cases, check_create2),
        "address-eip55.json" => each(&file["checksummed"], cases, check_checksum),
        other => return Err(format!("what is {other}?")),
    }
    Ok(())
}

fn each(list: &Value, cases: &mut Cases<'_>, check: fn(&Value) -> Result<(), Failure>) {
    for (index, case) in list.as_array().into_iter().flatten().enumerate() {
        cases.case(&index.to_string(), "", || check(case));
    }
}

fn plain(value: &Value, name: &str) -> Result<u64, String> {
    value[name].as_u64().ok_or_else(|| format!("no number named {name}"))
}

fn fork_hash(value: &Value, name: &str) -> Result<ForkHash, String> {
    let hash: FixedBytes<4> = text(value, name)?.parse().map_err(|error| format!("{name}: {error}"))?;
    Ok(ForkHash(hash.0))
}

fn fork_ids(file: &Value, cases: &mut Cases<'_>) {
    each(&file["encoding"], cases, |case| {
        let id = ForkId { hash: fork_hash(case, "hash")?, next: plain(case, "next")? };
        same("RLP", Bytes::from(alloy_rlp::encode(id)), bytes(case, "rlp")?)
    });
    for (name, network) in file["networks"].as_object().into_iter().flatten() {
        let spec = ChainSpec::named(name);
        for (index, case) in network["cases"].as_array().into_iter().flatten().enumerate() {
            cases.case(&format!("{name}/{index}"), "", || match &spec {
                None => Verdict::Skipped(NOT_BUILT_IN),
                Some(spec) => check_fork_id(spec, case).into(),
            });
        }
    }
    for (name, group) in file["validation"].as_object().into_iter().flatten() {
        for (index, case) in group["cases"].as_array().into_iter().flatten().enumerate() {
            cases.case(&format!("validation/{name}/{index}"), "", || check_foreign_id(name, case));
        }
    }
}

fn check_fork_id(spec: &ChainSpec, case: &Value) -> Result<(), Failure> {
    let expected = ForkId { hash: fork_hash(case, "hash")?, next: plain(case, "next")? };
    same_debug("fork id", spec.fork_id(plain(case, "head")?, plain(case, "time")?), expected)
}

fn check_foreign_id(local: &str, case: &Value) -> Result<(), Failure> {
    let mut spec = ChainSpec::named("mainnet").ok_or("no Mainnet".to_string())?;
    if local == "petersburgMainnet" {
        spec.forks.retain(|(fork, _)| *fork <= Fork::Petersburg);
    }
    let remote = ForkId { hash: fork_hash(case, "remoteHash")?, next: plain(case, "remoteNext")? };
    let verdict = match spec.fork_filter(plain(case, "head")?, plain(case, "time")?).validate(remote) {
        Ok(()) => "accept",
        Err(ForkIdError::RemoteStale { .. }) => "reject-remote-stale",
        Err(ForkIdError::LocalIncompatibleOrStale { .. }) => "reject-incompatible-or-stale",
    };
    same("verdict", verdict, text(case, "expect")?)
}

fn networks(file: &Value, cases: &mut Cases<'_>) {
    for (name, network) in file["networks"].as_object().into_iter().flatten() {
        cases.case(name, "", || match ChainSpec::named(name) {
            None => Verdict::Skipped(NOT_BUILT_IN),
            Some(spec) => check_network(&spec, network).into(),
        });
    }
    cases.case("blobSchedule", "", || check_blob_schedule(&file["blobSchedule"]));
}

fn check_network(spec: &ChainSpec, network: &Value) -> Result<(), Failure> {
    same("chain id", spec.chain_id, plain(network, "chainId")?)?;
    same("genesis hash", spec.genesis_hash(), hash(network, "genesisHash")?)?;
    same_debug(
        "terminal total difficulty",
        spec.consensus.terminal_total_difficulty(),
        Some(word(network, "terminalTotalDifficulty")?),
    )?;
    same_debug("deposit contract", spec.deposit_contract, Some(address(network, "depositContract")?))?;
    let times: Vec<_> = spec.time_forks().map(|(fork, time)| (fork.name().to_owned(), time)).collect();
    same("forks by time", times.len(), network["times"].as_object().map_or(0, |times| times.len()))?;
    for (fork, time) in times {
        same(&fork, time, plain(&network["times"], &fork)?)?;
    }
    Ok(())
}

fn check_blob_schedule(schedules: &Value) -> Result<(), Failure> {
    let spec = ChainSpec::named("mainnet").ok_or("no Mainnet".to_string())?;
    for (fork, expected) in schedules.as_object().into_iter().flatten() {
        let fork: Fork = fork.parse().map_err(|error| format!("{error}"))?;
        let schedule = spec.blob_schedule_of(fork).ok_or_else(|| format!("{fork} has no blobs"))?;
        same("target", schedule.target, plain(expected, "target")?)?;
        same("max", schedule.max, plain(expected, "max")?)?;
        same("update fraction", schedule.base_fee_update_fraction, plain(expected, "baseFeeUpdateFraction")?)?;
    }
    Ok(())
}

fn check_eip155(case: &Value) -> Result<(), Failure> {
    use alloy_consensus::{SignableTransaction as _, Transaction as _};
    let raw = bytes(case, "raw")?;
    let tx = Transaction::decode_2718_exact(&raw).map_err(|error| error.to_string())?;
    same("encoded again", Bytes::from(tx.encoded_2718()), raw)?;
    same_debug("chain id", tx.chain_id(), Some(plain(case, "chainId")?))?;
    same("nonce", tx.nonce(), plain(case, "nonce")?)?;
    let legacy = tx.as_legacy().ok_or("not a legacy transaction".to_string())?;
    same("signing data", Bytes::from(legacy.tx().encoded_for_signing()), bytes(case, "signingData")?)?;
    same("signing hash", legacy.signature_hash(), hash(case, "signingHash")?)?;
    same("r", legacy.signature().r(), word(case, "r")?)?;
    same("s", legacy.signature().s(), word(case, "s")?)?;
    let key = NodeKey::from_bytes(&hash(case, "privateKey")?).map_err(|error| error.to_string())?;
    let signer = Address::from_slice(&alloy_primitives::keccak256(key.public())[12..]);
    same("sender", recover_sender(&tx, true).map_err(|error| error.to_string())?, signer)?;
    let signature = key.sign_recoverable(&hash(case, "signingHash")?);
    same("r by signing", U256::from_be_slice(&signature[..32]), word(case, "r")?)?;
    same("v by signing", 35 + 2 * plain(case, "chainId")? + u64::from(signature[64]), plain(case, "v")?)
}

fn check_create2(case: &Value) -> Result<(), Failure> {
    let salt: B256 = hash(case, "salt")?;
    let created = address(case, "address")?.create2_from_code(salt, bytes(case, "initCode")?);
    same("address", created, address(case, "result")?)
}

fn check_checksum(case: &Value) -> Result<(), Failure> {
    let expected = case.as_str().ok_or("not a text".to_string())?;
    let parsed: Address = expected.parse().map_err(|error| format!("{error}"))?;
    same("address", parsed.to_checksum(None), expected.into())?;
    Address::parse_checksummed(expected.to_lowercase(), None)
        .map_or(Ok(()), |_| Err("a lost checksum passes".to_string().into()))
}
