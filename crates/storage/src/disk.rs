//! Files of the journal and of the blocks, behind a small border with two kinds: the real disk, and a
//! simulated one that loses, tears and refuses what was not synced ([`simulated`]). MDBX has its own files.

pub(crate) mod simulated;

use std::{
    fmt::Debug,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::Arc,
};

/// A folder with sub-folders of files. Names are relative: `journal/00000001`.
pub(crate) trait Disk: Send + Sync + Debug {
    /// Makes a sub-folder, if it is missing.
    fn make_folder(&self, folder: &str) -> io::Result<()>;
    /// Names of the files in a sub-folder, sorted.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;
    /// Opens a file for reading and writing; makes it if it is missing and `create` says so.
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>>;
    /// Removes a file. Whoever has it open can still read it.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes files that were made or removed in a sub-folder stay so after a power cut.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;
    /// Free space in bytes.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// An open file.
pub(crate) trait DiskFile: Send + Sync + Debug {
    /// Length in bytes.
    fn size(&self) -> io::Result<u64>;
    /// Fills the buffer from an offset, or fails.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all bytes at an offset, or fails with part of them written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Cuts the file.
    fn truncate(&self, size: u64) -> io::Result<()>;
    /// Returns when the bytes survive a power cut.
    fn sync(&self) -> io::Result<()>;
}

/// Reads `length` bytes at an offset into a buffer of their own.
pub(crate) fn read_vec(file: &dyn DiskFile, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; length];
    file.read_at(&mut buffer, offset)?;
    Ok(buffer)
}

/// Whether an error means that there is no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The real disk.
#[derive(Debug)]
pub(crate) struct RealDisk {
    root: PathBuf,
}

impl RealDisk {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }
}

impl Disk for RealDisk {
    fn make_folder(&self, folder: &str) -> io::Result<()> {
        std::fs::create_dir_all(self.root.join(folder))?;
        File::open(&self.root)?.sync_all()
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.root.join(folder))? {
            names.extend(entry?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let file =
            OpenOptions::new().read(true).write(true).create(create).truncate(false).open(self.root.join(name))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.root.join(name))
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        File::open(self.root.join(folder))?.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.root)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.0.set_len(size)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}
