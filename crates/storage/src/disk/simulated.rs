//! A disk in memory. Without faults it is the memory kind's disk; with them it is a bad day on a real one.
//!
//! What a power cut does follows what file systems promise for files that only grow: of the bytes that were
//! not synced, each file keeps a prefix of its own (torn anywhere), independently of all other files; a file
//! whose folder was not synced may be missing, a removed one may be back. Cutting a file is durable at its
//! next sync.

use super::{Disk, DiskFile};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

/// Faults that a test asks for.
#[derive(Debug, Default, Clone)]
pub(crate) struct Faults {
    /// Operations that still succeed; the next one and all after it fail as if the machine were gone.
    pub(crate) operations_left: Option<u64>,
    /// Bytes that still fit; a write past them is torn and answers ENOSPC.
    pub(crate) bytes_left: Option<u64>,
    /// Writes and syncs fail with EIO.
    pub(crate) io_errors: bool,
}

/// A seeded, simulated disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct SimulatedDisk(Arc<Mutex<World>>);

#[derive(Debug, Default)]
struct World {
    folders: BTreeSet<String>,
    /// Files as the running process sees them.
    files: BTreeMap<String, Arc<Mutex<Contents>>>,
    /// Files as the folders on the platter name them.
    durable: BTreeMap<String, Arc<Mutex<Contents>>>,
    faults: Faults,
    /// Whether what was synced is remembered apart, so that power can be cut.
    keeps_synced: bool,
}

#[derive(Debug, Default)]
struct Contents {
    written: Vec<u8>,
    synced: Vec<u8>,
}

#[derive(Debug)]
struct SimulatedFile {
    world: Arc<Mutex<World>>,
    contents: Arc<Mutex<Contents>>,
}

impl World {
    /// Counts an operation that changes something; the machine may be gone by now.
    fn step(&mut self) -> io::Result<()> {
        if let Some(left) = &mut self.faults.operations_left {
            if *left == 0 {
                return Err(io::Error::other("simulated power cut"));
            }
            *left -= 1;
        }
        if self.faults.io_errors {
            return Err(io::Error::other("simulated input/output error"));
        }
        Ok(())
    }
}

impl SimulatedDisk {
    /// An empty disk whose power can be cut.
    #[cfg(test)]
    pub(crate) fn fragile() -> Self {
        Self::from_files(BTreeSet::new(), BTreeMap::new(), BTreeMap::new())
    }

    /// Sets what goes wrong from now on.
    #[cfg(test)]
    pub(crate) fn set_faults(&self, faults: Faults) {
        self.0.lock().faults = faults;
    }

    /// One durable step that is not a file's: the memory tables' commit.
    pub(crate) fn step(&self) -> io::Result<()> {
        self.0.lock().step()
    }

    /// The process dies, the machine stays: everything written is still there.
    #[cfg(test)]
    pub(crate) fn kill(&self) -> Self {
        let world = self.0.lock();
        let files = world.files.iter().map(|(name, file)| (name.clone(), file.lock().copy())).collect();
        let durable = world.durable.iter().map(|(name, file)| (name.clone(), file.lock().copy())).collect();
        Self::from_files(world.folders.clone(), files, durable)
    }

    /// The power fails: each file keeps what was synced and a prefix of the rest, as `random` says.
    #[cfg(test)]
    pub(crate) fn power_cut(&self, random: &mut dyn FnMut(u64) -> u64) -> Self {
        let world = self.0.lock();
        let mut files = BTreeMap::new();
        let names: BTreeSet<&String> = world.files.keys().chain(world.durable.keys()).collect();
        for name in names {
            let (now, durable) = (world.files.get(name), world.durable.get(name));
            let kept = match (now, durable) {
                (Some(file), Some(_)) => file,
                (Some(file), None) | (None, Some(file)) if random(2) == 0 => file,
                _ => continue,
            };
            let contents = kept.lock();
            let (synced, written) = (&contents.synced, &contents.written);
            let left = if written.len() >= synced.len() && written.starts_with(synced) {
                let tail = (written.len() - synced.len()) as u64;
                written[..synced.len() + random(tail + 1) as usize].to_vec()
            } else if random(2) == 0 {
                written.clone()
            } else {
                synced.clone()
            };
            let contents = Contents { written: left.clone(), synced: left };
            files.insert(name.clone(), Arc::new(Mutex::new(contents)));
        }
        Self::from_files(world.folders.clone(), files.clone(), files)
    }

    #[cfg(test)]
    fn from_files(
        folders: BTreeSet<String>,
        files: BTreeMap<String, Arc<Mutex<Contents>>>,
        durable: BTreeMap<String, Arc<Mutex<Contents>>>,
    ) -> Self {
        Self(Arc::new(Mutex::new(World { folders, files, durable, faults: Faults::default(), keeps_synced: true })))
    }

    /// Flips one bit of a file, as a bad sector does.
    #[cfg(test)]
    pub(crate) fn flip_bit(&self, name: &str, offset: usize) {
        let world = self.0.lock();
        let mut contents = world.files[name].lock();
        contents.written[offset] ^= 0x10;
        contents.synced = contents.written.clone();
    }
}

impl Contents {
    #[cfg(test)]
    fn copy(&self) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self { written: self.written.clone(), synced: self.synced.clone() }))
    }
}

impl Disk for SimulatedDisk {
    fn make_folder(&self, folder: &str) -> io::Result<()> {
        self.0.lock().folders.insert(folder.to_owned());
        Ok(())
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let world = self.0.lock();
        let prefix = format!("{folder}/");
        Ok(world.files.keys().filter_map(|name| name.strip_prefix(&prefix)).map(str::to_owned).collect())
    }

    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut world = self.0.lock();
        let contents = match world.files.get(name) {
            Some(contents) => contents.clone(),
            None if create => {
                world.step()?;
                world.files.entry(name.to_owned()).or_default().clone()
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Arc::new(SimulatedFile { world: self.0.clone(), contents }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut world = self.0.lock();
        world.step()?;
        world.files.remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        let mut world = self.0.lock();
        world.step()?;
        let prefix = format!("{folder}/");
        world.durable.retain(|name, _| !name.starts_with(&prefix));
        let files: Vec<_> = world.files.iter().filter(|(name, _)| name.starts_with(&prefix)).collect();
        let files: Vec<_> = files.into_iter().map(|(name, file)| (name.clone(), file.clone())).collect();
        world.durable.extend(files);
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.0.lock().faults.bytes_left.unwrap_or(u64::MAX))
    }
}

impl DiskFile for SimulatedFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.contents.lock().written.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let contents = self.contents.lock();
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start.checked_add(buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        let bytes = contents.written.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut world = self.world.lock();
        let died = world.step();
        // a write that the power cut interrupts is torn like one that does not fit
        let fits = match (&died, &mut world.faults.bytes_left) {
            (Err(_), _) => bytes.len() / 2,
            (Ok(()), Some(left)) => {
                let fits = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= fits as u64;
                fits
            }
            (Ok(()), None) => bytes.len(),
        };
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let mut contents = self.contents.lock();
        let end = start + fits;
        if contents.written.len() < end {
            contents.written.resize(end, 0);
        }
        contents.written[start..end].copy_from_slice(&bytes[..fits]);
        died?;
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.world.lock().step()?;
        self.contents.lock().written.resize(usize::try_from(size).map_err(io::Error::other)?, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.world.lock().step()?;
        if self.world.lock().keeps_synced {
            let mut contents = self.contents.lock();
            contents.synced = contents.written.clone();
        }
        Ok(())
    }
}
