//! Keys that sign: a signer's own, and those of the development chain, which everybody knows.

use crate::{
    datadir::Datadir,
    failure::{Context, Failure},
    p2p::key::load_from,
};
use alloy_primitives::{B256, b256};
use starling_chain::ChainHandle;
use starling_primitives::{Address, NodeKey, StateReader};
use starling_rpc::Signers;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The ten accounts that the field's development chains fund: those of the phrase "test test … junk" (BIP-39), first at
/// m/44'/60'/0'/0/0. `genesis/dev.json` gives them ether.
const DEV_KEYS: [B256; 10] = [
    b256!("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
    b256!("0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
    b256!("0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"),
    b256!("0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6"),
    b256!("0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a"),
    b256!("0x8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba"),
    b256!("0x92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e"),
    b256!("0x4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356"),
    b256!("0xdbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97"),
    b256!("0x2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6"),
];

/// Unlocks the well-known accounts that have ether on this chain, and prints them. The first of them.
pub(super) fn unlock_dev(chain: &ChainHandle, signers: &Signers) -> Option<Address> {
    let state = chain.view().head_state();
    let mut first = None;
    eprintln!("accounts of the development chain; everybody knows these keys:");
    for (address, key) in dev_accounts() {
        let balance = state.account(&address).ok().flatten().map(|account| account.balance).unwrap_or_default();
        if balance.is_zero() {
            continue;
        }
        eprintln!("  {address}  0x{}", key.to_hex());
        first.get_or_insert(signers.add(key));
    }
    first
}

/// The well-known accounts with their keys.
pub(crate) fn dev_accounts() -> impl Iterator<Item = (Address, NodeKey)> {
    DEV_KEYS.iter().filter_map(|bytes| {
        let key = NodeKey::from_bytes(bytes).ok()?;
        Some((Address::from_raw_public_key(key.public().as_slice()), key))
    })
}

/// A signer's key: in a file of its own (64 hex digits, or a key file with a password), or by address in the keystore.
pub(super) fn load(named: &str, password: Option<&Path>, datadir: &Datadir) -> Result<NodeKey, Failure> {
    let path = match named.parse::<Address>() {
        Ok(address) => find(&datadir.keystore(), address)?,
        Err(_) => PathBuf::from(named),
    };
    let shown = path.display();
    let text = fs::read(&path).context(format_args!("cannot read the key {shown}"))?;
    if !text.trim_ascii_start().starts_with(b"{") {
        return load_from(&path);
    }
    let password = password.ok_or_else(|| {
        Failure::usage(format_args!("the key {shown} has a password")).remedy("name a file with it: --password FILE")
    })?;
    let key = starling_keystore::decrypt(&text, &read_password(password)?).context(format_args!("the key {shown}"))?;
    NodeKey::from_bytes(&B256::new(*key)).context(format_args!("the key {shown}"))
}

/// The password in a file, without the end of its first line.
pub(crate) fn read_password(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut text = fs::read(path).context(format_args!("cannot read the password {}", path.display()))?;
    if let Some(end) = text.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        text.truncate(end);
    }
    Ok(text)
}

/// The key file of an address.
fn find(folder: &Path, address: Address) -> Result<PathBuf, Failure> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files = entries.filter(|path| {
        fs::read(path).ok().and_then(|text| starling_keystore::address_of(&text).ok().flatten()) == Some(address)
    });
    files.next().ok_or_else(|| {
        Failure::usage(format_args!("no key for {address} in {}", folder.display()))
            .remedy("name the key file itself, or put it there")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use starling_chainspec::ChainSpec;

    #[test]
    fn the_development_chain_funds_the_known_accounts() {
        let spec = ChainSpec::named("dev").unwrap();
        let accounts: Vec<_> = dev_accounts().map(|(address, _)| address).collect();
        assert_eq!(accounts.len(), DEV_KEYS.len());
        for address in accounts {
            assert!(spec.genesis_state.accounts.contains_key(&address), "{address}");
        }
    }
}
