//! The last block that was signed, on disk before the block is anywhere else: no height is signed twice, whenever the
//! process or the machine dies.

use crate::failure::Failure;
use starling_primitives::{B256, BlockRef};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Why a block must not be signed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    /// One of that height, or a later one, was signed already.
    #[error("block {next} is not signed: {last} was, and no height is signed twice")]
    Signed { next: u64, last: BlockRef },
    /// The record cannot be kept.
    #[error("the record of signed blocks cannot be written: {0}")]
    Write(#[from] io::Error),
}

/// The record. The datadir's lock keeps other processes away from it.
#[derive(Debug)]
pub(super) struct Record {
    path: PathBuf,
    last: Option<BlockRef>,
}

impl Record {
    /// Reads the record; a missing one says that nothing was signed yet.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let last = match fs::read_to_string(path) {
            Ok(text) => Some(parse(&text).ok_or_else(|| {
                Failure::new(format_args!("{} does not say which block was sealed last", path.display()))
                    .remedy("if no other copy of this key seals, write `NUMBER HASH` of its last block into it")
            })?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Failure::new(format_args!("cannot read {}: {error}", path.display()))),
        };
        Ok(Self { path: path.to_owned(), last })
    }

    /// The height of the last signed block; zero if there is none, since nobody signs a genesis.
    pub(super) fn number(&self) -> u64 {
        self.last.map_or(0, |last| last.number)
    }

    /// Notes a block before it is shown to anybody; returns when a loss of power cannot undo it.
    pub(super) fn sign(&mut self, block: BlockRef) -> Result<(), RecordError> {
        if let Some(last) = self.last.filter(|last| last.number >= block.number) {
            return Err(RecordError::Signed { next: block.number, last });
        }
        let mut partial = self.path.clone().into_os_string();
        partial.push(".new");
        let mut file = File::create(&partial)?;
        file.write_all(format!("{} {}\n", block.number, block.hash).as_bytes())?;
        file.sync_all()?;
        fs::rename(&partial, &self.path)?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        self.last = Some(block);
        Ok(())
    }
}

fn parse(text: &str) -> Option<BlockRef> {
    let (number, hash) = text.trim().split_once(' ')?;
    Some(BlockRef::new(number.parse().ok()?, hash.parse::<B256>().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_height_twice_and_not_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealed");
        let block = |number, byte| BlockRef::new(number, B256::repeat_byte(byte));
        let mut record = Record::open(&path).unwrap();
        assert_eq!(record.number(), 0);
        record.sign(block(7, 1)).unwrap();
        assert!(matches!(record.sign(block(7, 2)), Err(RecordError::Signed { next: 7, .. })));
        assert!(matches!(record.sign(block(6, 2)), Err(RecordError::Signed { .. })));
        let mut record = Record::open(&path).unwrap();
        assert!(record.number() == 7 && record.sign(block(7, 1)).is_err());
        record.sign(block(9, 3)).unwrap();
        std::fs::write(&path, "nonsense").unwrap();
        assert!(Record::open(&path).is_err());
    }
}
