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
    time::{Duration, SystemTime, UNIX_EPOCH},
};

pub(super) fn run(command: &AccountCommand) -> Result<(), Failure> {
    match command {
        AccountCommand::New(args) => add(&args.at, &args.under, &NodeKey::random(&mut rand::rng())),
        AccountCommand::Import(args) => add(&args.at, &args.under, &load_from(&args.key)?),
        AccountCommand::List(args) => list(&folder(args)?),
    }
}

fn folder(args: &KeystoreArgs) -> Result<PathBuf, Failure> {
    match &args.keystore {
        Some(folder) => Ok(folder.clone()),
        None => Ok(Datadir::new(args.datadir.as_deref(), &args.chain)?.keystore()),
    }
}

/// Writes a key into the keystore, and prints address and file.
fn add(at: &KeystoreArgs, under: &PasswordArgs, key: &NodeKey) -> Result<(), Failure> {
    let (address, path) = write(&folder(at)?, under, key)?;
    say(&format!("{address} {}", path.display()))
}

/// Writes a key into a new file that only its owner can read. Its address and the file.
fn write(folder: &Path, under: &PasswordArgs, key: &NodeKey) -> Result<(Address, PathBuf), Failure> {
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
    let path = folder.join(file_name(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(), address));
    let what = || format!("cannot write {}", path.display());
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).context(what())?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).context(what())?;
    Ok((address, path))
}

/// The name of a key file, as geth has it: when it was made, to the nanosecond in UTC, and whose it is.
fn file_name(since_1970: Duration, address: Address) -> String {
    let (days, secs) = (since_1970.as_secs() / 86_400, since_1970.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (secs / 3_600, secs / 60 % 60, secs % 60);
    let nanos = since_1970.subsec_nanos();
    let address = alloy_primitives::hex::encode(address);
    format!("UTC--{year:04}-{month:02}-{day:02}T{hour:02}-{minute:02}-{second:02}.{nanos:09}Z--{address}")
}

/// Year, month and day of the Gregorian calendar, by days since 1970: counted from a first of March, so that the leap
/// day is a year's last.
fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    /// From 0000-03-01 to 1970-01-01.
    const DAYS_TO_1970: u64 = 719_468;
    let days = days.saturating_add(DAYS_TO_1970);
    let (era, day_of_era) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March on have 31, 30, 31, 30, 31 days, and again.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
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
    fn files_are_named_as_geth_names_them() {
        let check = |secs, expect: &str| {
            let name = file_name(Duration::new(secs, 5), Address::repeat_byte(0xab));
            assert_eq!(name, format!("UTC--{expect}.000000005Z--{}", "ab".repeat(20)));
        };
        check(0, "1970-01-01T00-00-00");
        check(951_827_696, "2000-02-29T12-34-56");
        check(1_795_662_000, "2026-11-26T03-00-00");
        check(4_107_542_399, "2100-02-28T23-59-59");
        check(4_107_542_400, "2100-03-01T00-00-00");
    }

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
