//! Accounts and their key files (Web3 secret storage).

use super::say;
use crate::{
    cli::{AccountCommand, KeystoreArgs, PasswordArgs},
    datadir::Datadir,
    failure::{Context, Failure},
    p2p::key::load_from,
    sealer::read_password,
};
use starling_keystore::{Kdf, Secret};
use starling_primitives::{Address, NodeKey};
use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

pub(super) fn run(command: &AccountCommand) -> Result<(), Failure> {
    match command {
        AccountCommand::New(args) => write(&folder(&args.at)?, &args.under, &NodeKey::random(&mut rand::rng())),
        AccountCommand::Import(args) => write(&folder(&args.at)?, &args.under, &load_from(&args.key)?),
        AccountCommand::List(args) => list(&folder(args)?),
    }
}

fn folder(args: &KeystoreArgs) -> Result<PathBuf, Failure> {
    match &args.keystore {
        Some(folder) => Ok(folder.clone()),
        None => Ok(Datadir::new(args.datadir.as_deref(), &args.chain)?.keystore()),
    }
}

/// Writes a key into a new file that only its owner can read, and prints address and file.
fn write(folder: &Path, under: &PasswordArgs, key: &NodeKey) -> Result<(), Failure> {
    let password = read_password(&under.password)?;
    let address = Address::from_raw_public_key(key.public().as_slice());
    if let Some(file) = accounts(folder)?.into_iter().find_map(|(held, file)| (held == address).then_some(file)) {
        return Err(Failure::new(format_args!("the key of {address} is in {} already", file.display())));
    }
    let salt: [u8; 32] = rand::random();
    let kdf = if under.lightkdf { Kdf::light(salt) } else { Kdf::standard(salt) };
    let secret = Secret::new(key.to_bytes().0);
    let text = starling_keystore::encrypt(&secret, address, &password, kdf, rand::random(), rand::random());
    let text = text.context("cannot encrypt the key")?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .context(format_args!("cannot make {}", folder.display()))?;
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let path = folder.join(format!("{millis}--{}", alloy_primitives::hex::encode(address)));
    let what = || format!("cannot write {}", path.display());
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).context(what())?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).context(what())?;
    say(&format!("{address} {}", path.display()))
}

fn list(folder: &Path) -> Result<(), Failure> {
    let lines = accounts(folder)?.into_iter().map(|(address, file)| format!("{address} {}", file.display()));
    let lines: Vec<_> = lines.collect();
    if lines.is_empty() { Ok(()) } else { say(&lines.join("\n")) }
}

/// Accounts with their files, the oldest first; other files are passed over.
fn accounts(folder: &Path) -> Result<Vec<(Address, PathBuf)>, Failure> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::new(format_args!("cannot read {}: {error}", folder.display()))),
    };
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    let held = |path: PathBuf| {
        let address = starling_keystore::address_of(&fs::read(&path).ok()?).ok()??;
        Some((address, path))
    };
    Ok(files.into_iter().filter_map(held).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_listed_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, password) = (folder.path().join("keystore"), folder.path().join("password"));
        std::fs::write(&password, "secret\n").unwrap();
        let under = PasswordArgs { password, lightkdf: true };
        let key = NodeKey::random(&mut rand::rng());
        assert!(accounts(&keys).unwrap().is_empty());
        write(&keys, &under, &key).unwrap();
        let address = Address::from_raw_public_key(key.public().as_slice());
        let listed = accounts(&keys).unwrap();
        assert!(matches!(listed.as_slice(), [(held, _)] if *held == address));
        let text = std::fs::read(&listed[0].1).unwrap();
        assert_eq!(*starling_keystore::decrypt(&text, b"secret").unwrap(), key.to_bytes().0);
        assert!(write(&keys, &under, &key).is_err());
    }
}
