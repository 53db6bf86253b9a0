//! The folder of a node: what lies in it, and who holds it.

use crate::failure::{Context, Failure};
use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// Where the files of a node lie.
#[derive(Debug, Clone)]
pub(crate) struct Datadir {
    root: PathBuf,
}

impl Datadir {
    /// The folder that was named, or the default one of a network.
    pub(crate) fn new(named: Option<&Path>, network: &str) -> Result<Self, Failure> {
        if let Some(root) = named {
            return Ok(Self { root: root.to_path_buf() });
        }
        let home = std::env::home_dir().filter(|home| home.is_absolute());
        let home = home.ok_or_else(|| Failure::new("no home folder is set").remedy("name one with --datadir"))?;
        Ok(Self { root: home.join(".local/share/starling").join(network) })
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What belongs to storage.
    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("db")
    }

    /// The lock that the running process holds.
    pub(crate) fn lock_file(&self) -> PathBuf {
        self.root.join("starling.lock")
    }

    /// The default socket for JSON-RPC on this machine.
    pub(crate) fn ipc(&self) -> PathBuf {
        self.root.join("starling.ipc")
    }

    /// The default secret of the Engine API.
    pub(crate) fn jwt(&self) -> PathBuf {
        self.root.join("jwt.hex")
    }

    /// The default key of the node on the wire.
    pub(crate) fn node_key(&self) -> PathBuf {
        self.root.join("nodekey")
    }

    /// Nodes that were found before.
    pub(crate) fn nodes_json(&self) -> PathBuf {
        self.root.join("nodes.json")
    }

    /// Transactions that were accepted here and wait for a block.
    pub(crate) fn transactions_journal(&self) -> PathBuf {
        self.root.join("transactions.journal")
    }

    /// Blobs of transactions that wait for a block, or whose block is not final.
    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// Key files.
    pub(crate) fn keystore(&self) -> PathBuf {
        self.root.join("keystore")
    }

    /// The last block that was sealed here.
    pub(crate) fn sealed(&self) -> PathBuf {
        self.root.join("sealed")
    }

    /// The genesis that a datadir was initialised with, if it is not a built-in one.
    pub(crate) fn genesis_json(&self) -> PathBuf {
        self.root.join("genesis.json")
    }

    /// Where a ready node says how it is reached.
    pub(crate) fn node_json(&self) -> PathBuf {
        self.root.join("node.json")
    }

    /// Makes the folder, for its owner alone, if it is not there.
    pub(crate) fn create(&self) -> Result<(), Failure> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.root)
            .context(format_args!("cannot make the folder {}", self.root.display()))
    }

    /// Whether a process holds the lock now.
    pub(crate) fn is_locked(&self) -> bool {
        let Ok(file) = File::open(self.lock_file()) else { return false };
        flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
    }

    /// Takes the lock; the second process on a datadir is refused with the first one's process id.
    pub(crate) fn lock(&self) -> Result<DatadirLock, Failure> {
        self.create()?;
        let path = self.lock_file();
        let cannot = |error: io::Error| {
            Failure::new(format_args!("cannot write {}: {error}", path.display()))
                .remedy("the datadir must be writable: check its owner, its mode and the mount")
        };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(cannot)?;
        if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(cannot(error.into()));
            }
            let mut holder = String::new();
            // An unreadable holder only makes the message shorter.
            let _ = file.read_to_string(&mut holder);
            let holder = holder.trim();
            let who = if holder.is_empty() { "another process".into() } else { format!("process {holder}") };
            let what = format!("datadir {} is in use by {who}", self.root.display());
            return Err(Failure::new(what).remedy("stop it first, or use another --datadir"));
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(cannot)?;
        writeln!(file, "{}", std::process::id()).map_err(cannot)?;
        Ok(DatadirLock { _file: file })
    }
}

/// Holds a datadir until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct DatadirLock {
    _file: File,
}

/// Replaces a file at once: readers see the old text or the new one.
pub(crate) fn write_whole(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let partial = PathBuf::from(name);
    fs::write(&partial, text)?;
    fs::rename(&partial, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_lock_names_the_holder() {
        let folder = tempfile::tempdir().unwrap();
        let datadir = Datadir::new(Some(folder.path()), "mainnet").unwrap();
        let lock = datadir.lock().unwrap();
        let refused = datadir.lock().unwrap_err().to_string();
        assert!(refused.contains(&format!("in use by process {}", std::process::id())), "{refused}");
        drop(lock);
        datadir.lock().unwrap();
    }
}
