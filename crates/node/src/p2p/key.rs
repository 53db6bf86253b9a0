//! The key file: who this node is on the wire.

use crate::failure::{Context, Failure};
use starling_primitives::NodeKey;
use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// Most bytes a key file may hold: 64 digits and some white space.
const FILE_BYTES_MAX: u64 = 1024;
/// Bits of a file's mode that let others in.
const OTHERS_MODE: u32 = 0o077;

/// The key in a file; a missing file is made with a fresh key.
pub(crate) fn load_or_create(path: &Path) -> Result<NodeKey, Failure> {
    match File::open(path) {
        Ok(file) => load(file, path),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = NodeKey::random(&mut rand::rng());
            create(path, &key)?;
            Ok(key)
        }
        Err(error) => Err(Failure::new(format_args!("cannot read the node key {}: {error}", path.display()))),
    }
}

/// Writes a key into a new file that only its owner can read. A file that is there is left alone.
pub(crate) fn create(path: &Path, key: &NodeKey) -> Result<(), Failure> {
    let what = || format!("cannot write the node key {}", path.display());
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).context(what())?;
    let mut file = file;
    file.write_all(format!("{}\n", key.to_hex()).as_bytes()).and_then(|()| file.sync_all()).context(what())
}

/// Reads a key that only its owner can read.
pub(crate) fn load_from(path: &Path) -> Result<NodeKey, Failure> {
    load(File::open(path).context(format_args!("cannot read the node key {}", path.display()))?, path)
}

fn load(file: File, path: &Path) -> Result<NodeKey, Failure> {
    let what = || format!("cannot read the node key {}", path.display());
    let mode = file.metadata().context(what())?.permissions().mode() & 0o7777;
    if mode & OTHERS_MODE != 0 {
        return Err(Failure::new(format_args!(
            "the node key {} has mode {mode:04o}, others can read it",
            path.display()
        ))
        .remedy(format_args!("run `chmod 600 {}`", path.display())));
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).context(what())?;
    text.trim().strip_prefix("0x").unwrap_or(&text).parse().context(what())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};

    #[test]
    fn a_key_is_made_once_and_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nodekey");
        let key = load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load_or_create(&path).unwrap(), key);
        assert!(create(&path, &key).is_err(), "a key must never be overwritten");
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(load_or_create(&path).unwrap_err().to_string().contains("chmod 600"));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nodekey");
        fs::write(&path, "not a key").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(load_or_create(&path).is_err());
    }
}
