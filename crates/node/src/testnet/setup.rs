//! Making a network: keys, genesis, folders.

use super::folder::{Member, Network, Settings};
use crate::{
    cli::UpArgs,
    failure::{Context, Failure},
    p2p::key::load_or_create,
};
use alloy_primitives::hex;
use serde_json::{Value, json};
use starling_chainspec::ChainSpec;
use starling_primitives::Address;
use std::{fs, path::Path};

/// Bytes before and after the signers in a genesis' extra data: what a signer may fill, and the place of a seal.
const VANITY_BYTES: usize = 32;
const SEAL_BYTES: usize = 65;
/// Chain id of a network under proof of stake; those of sealers have 94225 and 94226.
const STAKE_CHAIN_ID: u64 = 94_227;

/// Writes a new network into its folder.
pub(super) fn create(args: &UpArgs) -> Result<Network, Failure> {
    if args.pos {
        super::consensus::check()?;
    }
    let sealers = if args.pos { 0 } else { args.sealers };
    if sealers > args.nodes {
        return Err(Failure::usage(format_args!("{sealers} of {} nodes cannot seal", args.nodes))
            .remedy("lower --sealers or raise --nodes"));
    }
    let dir = &args.folder.dir;
    let members: Vec<_> = (1..=args.nodes).map(|number| Member::at(dir, number)).collect();
    let mut signers = Vec::new();
    for member in &members {
        fs::create_dir_all(&member.dir).context(format_args!("cannot make {}", member.dir.display()))?;
        if member.number <= sealers {
            let key = load_or_create(&member.sealer_key())?;
            signers.push(Address::from_raw_public_key(key.public().as_slice()));
        }
    }
    let genesis = if args.pos { stake_genesis()? } else { genesis(&args.profile, args.period, signers)? };
    let chain_id = genesis["config"]["chainId"].as_u64().unwrap_or_default();
    let settings =
        Settings { chain_id, period: args.period, pos: args.pos, any_ports: args.any_ports, addr: args.addr };
    write(&dir.join("genesis.json"), &genesis)?;
    // Last: a folder without it holds no network.
    write(&dir.join("network.json"), &json!(settings))?;
    Ok(Network { dir: dir.clone(), settings, members })
}

/// The profile's genesis with these signers. Accounts and forks stay as they are.
fn genesis(profile: &str, period: u64, mut signers: Vec<Address>) -> Result<Value, Failure> {
    let spec = ChainSpec::named(profile).ok_or_else(|| Failure::new(format_args!("no profile {profile}")))?;
    let mut genesis: Value = serde_json::from_str(&spec.genesis_json()).context("the profile's genesis")?;
    signers.sort_unstable();
    let mut extra = vec![0; VANITY_BYTES];
    signers.iter().for_each(|signer| extra.extend_from_slice(signer.as_slice()));
    extra.resize(extra.len() + SEAL_BYTES, 0);
    genesis["extraData"] = hex::encode_prefixed(extra).into();
    genesis["config"]["clique"]["period"] = period.into();
    Ok(genesis)
}

/// The development network's genesis without what makes it seal by itself, and without the later blob schedules, which the
/// consensus client does not have.
fn stake_genesis() -> Result<Value, Failure> {
    let spec = ChainSpec::named("dev").ok_or_else(|| Failure::new("no profile dev"))?;
    let mut genesis: Value = serde_json::from_str(&spec.genesis_json()).context("the profile's genesis")?;
    let left_out = ["dev", "bpo1Time", "bpo2Time"];
    if let Some(config) = genesis["config"].as_object_mut() {
        config.retain(|name, _| !left_out.contains(&name.as_str()));
        config.insert("chainId".into(), STAKE_CHAIN_ID.into());
    }
    if let Some(schedule) = genesis["config"]["blobSchedule"].as_object_mut() {
        schedule.retain(|name, _| !name.starts_with("bpo"));
    }
    Ok(genesis)
}

fn write(path: &Path, value: &Value) -> Result<(), Failure> {
    fs::write(path, format!("{value:#}\n")).context(format_args!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use starling_chainspec::Consensus;

    #[test]
    fn under_stake_nobody_seals_and_every_fork_to_osaka_is_there() {
        let text = stake_genesis().expect("a genesis").to_string();
        let spec = ChainSpec::from_genesis_json("made", &text).expect("a genesis");
        let merged = Consensus::Ethereum { terminal_total_difficulty: Some(alloy_primitives::U256::ZERO) };
        assert_eq!(spec.consensus, merged);
        assert_eq!(spec.chain_id, STAKE_CHAIN_ID);
        let genesis: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(genesis["config"]["osakaTime"], 0);
        assert!(genesis["config"]["bpo1Time"].is_null());
    }

    #[test]
    fn a_genesis_names_its_signers_in_order() {
        for profile in ["testnet", "testnet-geth"] {
            let [low, high] = [Address::repeat_byte(1), Address::repeat_byte(2)];
            let text = genesis(profile, 7, vec![high, low]).expect("a profile").to_string();
            let spec = ChainSpec::from_genesis_json("made", &text).expect("a genesis");
            assert!(matches!(spec.consensus, Consensus::Clique { period: 7, .. }), "{profile}");
            let extra = &spec.genesis_header.extra_data;
            assert_eq!(extra[VANITY_BYTES..VANITY_BYTES + 40], [low.0.0, high.0.0].concat());
            assert_eq!(extra.len(), VANITY_BYTES + 40 + SEAL_BYTES);
        }
    }
}
