//! A chain of proof of authority for one run: its keys, its genesis, the files that a sealer reads.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use alloy_primitives::{Address, U256, hex};
use serde_json::{Value, json};
use starling_chainspec::clique_seal_hash;
use starling_primitives::{Header, NodeKey, recover_peer};

use crate::Outcome;
use crate::fixtures::repository;

/// Bytes before and after the signers in a genesis' extra data.
const VANITY_BYTES: usize = 32;
const SEAL_BYTES: usize = 65;

/// What an account has at first: a thousand ether, in wei.
const BALANCE: u128 = 1_000_000_000_000_000_000_000;

/// Our profile: today's contracts run on it.
pub const TESTNET: &str = "testnet";
/// What geth 1.13.15 accepts.
pub const TESTNET_GETH: &str = "testnet-geth";

/// A profile's genesis with these signers and so many seconds from block to block; `accounts` have ether beside those
/// of the profile.
pub fn genesis(profile: &str, signers: &[NodeKey], period_s: u64, accounts: &[NodeKey]) -> Outcome<Value> {
    let mut genesis = crate::interop::geth::read_json(&repository().join(format!("genesis/{profile}.json")))?;
    let mut signers: Vec<_> = signers.iter().map(address).collect();
    signers.sort_unstable();
    let mut extra = vec![0; VANITY_BYTES];
    signers.iter().for_each(|signer| extra.extend_from_slice(signer.as_slice()));
    extra.resize(extra.len() + SEAL_BYTES, 0);
    genesis["extraData"] = hex::encode_prefixed(extra).into();
    genesis["config"]["clique"]["period"] = period_s.into();
    for account in accounts {
        genesis["alloc"][address(account).to_string()] = json!({ "balance": U256::from(BALANCE) });
    }
    Ok(genesis)
}

/// Writes a key as `--sealer` takes it; the path.
pub fn sealer_file(folder: &Path, key: &NodeKey, index: usize) -> Outcome<String> {
    let path = folder.join(format!("sealer-{index}.key"));
    write(&path, &key.to_hex())?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path.display().to_string())
}

/// The account of a key.
pub fn address(key: &NodeKey) -> Address {
    Address::from_raw_public_key(key.public().as_slice())
}

/// Who sealed a header; none if nobody can have.
pub fn signer(header: &Header) -> Option<Address> {
    let seal = header.extra_data.len().checked_sub(SEAL_BYTES).and_then(|at| header.extra_data.get(at..))?;
    let public = recover_peer(&clique_seal_hash(header)?, seal.try_into().ok()?).ok()?;
    Some(Address::from_raw_public_key(public.as_slice()))
}

/// Writes a file.
pub(crate) fn write(path: &Path, text: &str) -> Outcome {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
