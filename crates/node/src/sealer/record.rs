//! The last block that was signed, on disk before the block is anywhere else: no height is signed twice with this datadir,
//! whenever the process or the machine dies, and the block that was signed is not lost with it.

use crate::failure::{Context, Failure};
use starling_primitives::{BlockRef, Bytes};
use starling_validation::PreparedBlock;
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
    last: Option<Signed>,
}

/// A block that was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) at: BlockRef,
    /// Its RLP; none if somebody wrote the height into the file by hand.
    pub(super) rlp: Option<Bytes>,
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
            Err(error) => return Err(error).context(format_args!("cannot read {}", path.display())),
        };
        Ok(Self { path: path.to_owned(), last })
    }

    /// The block that was signed last.
    pub(super) fn last(&self) -> Option<&Signed> {
        self.last.as_ref()
    }

    /// The height of the last signed block; zero if there is none, since nobody signs a genesis.
    pub(super) fn number(&self) -> u64 {
        self.last.as_ref().map_or(0, |last| last.at.number)
    }

    /// Notes a block before it is shown to anybody; returns when a loss of power cannot undo it.
    pub(super) fn sign(&mut self, block: &PreparedBlock) -> Result<(), RecordError> {
        self.note(Signed { at: block.at(), rlp: Some(block.rlp.clone()) })
    }

    fn note(&mut self, signed: Signed) -> Result<(), RecordError> {
        if let Some(last) = self.last.as_ref().filter(|last| last.at.number >= signed.at.number) {
            return Err(RecordError::Signed { next: signed.at.number, last: last.at });
        }
        let mut partial = self.path.clone().into_os_string();
        partial.push(".new");
        let mut file = File::create(&partial)?;
        let rlp = signed.rlp.as_deref().map(alloy_primitives::hex::encode).unwrap_or_default();
        file.write_all(format!("{} {} {rlp}\n", signed.at.number, signed.at.hash).as_bytes())?;
        file.sync_all()?;
        fs::rename(&partial, &self.path)?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        self.last = Some(signed);
        Ok(())
    }
}

/// `NUMBER HASH [RLP]`
fn parse(text: &str) -> Option<Signed> {
    let mut words = text.split_whitespace();
    let at = BlockRef::new(words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let rlp = words.next().map(alloy_primitives::hex::decode).transpose().ok()?;
    words.next().is_none().then(|| Signed { at, rlp: rlp.map(Bytes::from) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use starling_primitives::B256;

    #[test]
    fn no_height_twice_and_not_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealed");
        let block = |number, byte| Signed {
            at: BlockRef::new(number, B256::repeat_byte(byte)),
            rlp: Some(Bytes::from(vec![byte; 600])),
        };
        let mut record = Record::open(&path).unwrap();
        assert_eq!((record.number(), record.last()), (0, None));
        record.note(block(7, 1)).unwrap();
        assert!(matches!(record.note(block(7, 2)), Err(RecordError::Signed { next: 7, .. })));
        assert!(matches!(record.note(block(6, 2)), Err(RecordError::Signed { .. })));
        let mut record = Record::open(&path).unwrap();
        assert_eq!(record.last(), Some(&block(7, 1)), "the block comes back");
        assert!(record.note(block(7, 1)).is_err());
        record.note(block(9, 3)).unwrap();
        for text in ["nonsense", "9", "9 0x12", &format!("9 {} zz", B256::ZERO), &format!("9 {} 00 00", B256::ZERO)] {
            fs::write(&path, text).unwrap();
            assert!(Record::open(&path).is_err(), "{text}");
        }
        fs::write(&path, format!("12 {}\n", B256::ZERO)).unwrap();
        assert_eq!(Record::open(&path).unwrap().number(), 12, "as the remedy says");
    }
}
