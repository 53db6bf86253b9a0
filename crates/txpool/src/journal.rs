//! Transactions of our own RPC as a file of records, so that a restart loses none.
//!
//! ```text
//! length u32 │ crc32 u32 │ kind u8 │ body
//! ```
//!
//! A record is written before its transaction is acknowledged. A record that is torn, as the last one may be, ends the
//! file; whoever reads it writes it anew. The owner of the file writes it anew as well when most of it is out of date.

use crate::Departure;
use alloy_primitives::{Bytes, TxHash};

const LOCAL: u8 = 1;
const PRIVATE: u8 = 2;
const LEFT: u8 = 3;

/// The longest record: a transaction with all the blobs that one may have.
const RECORD_BYTES_MAX: usize = 4 << 20;

/// What a file of records says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalRecord {
    /// A transaction was accepted.
    Accepted {
        /// As it travels.
        bytes: Bytes,
        /// Whether no peer may see it.
        private: bool,
    },
    /// One left, for this reason.
    Left {
        /// Which.
        hash: TxHash,
        /// Why, in words.
        why: String,
    },
}

impl JournalRecord {
    /// What to write for a transaction that left.
    pub fn left(hash: TxHash, why: &Departure) -> Self {
        Self::Left { hash, why: why.to_string() }
    }

    /// Appends the record.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut body = Vec::new();
        match self {
            Self::Accepted { bytes, private } => {
                body.push(if *private { PRIVATE } else { LOCAL });
                body.extend_from_slice(bytes);
            }
            Self::Left { hash, why } => {
                body.push(LEFT);
                body.extend_from_slice(hash.as_slice());
                body.extend_from_slice(why.as_bytes());
            }
        }
        out.extend_from_slice(&(body.len() as u32).to_be_bytes());
        out.extend_from_slice(&crc32fast::hash(&body).to_be_bytes());
        out.extend_from_slice(&body);
    }

    fn decode(body: &[u8]) -> Option<Self> {
        let (kind, rest) = body.split_first()?;
        Some(match *kind {
            LOCAL | PRIVATE => Self::Accepted { bytes: Bytes::copy_from_slice(rest), private: *kind == PRIVATE },
            LEFT => {
                let (hash, why) = rest.split_first_chunk::<32>()?;
                Self::Left { hash: hash.into(), why: String::from_utf8_lossy(why).into_owned() }
            }
            _ => return None,
        })
    }
}

/// The records of a file, and how many of its bytes they take: fewer than all if it ends in a torn one.
pub fn read_journal(file: &[u8]) -> (Vec<JournalRecord>, usize) {
    let mut records = Vec::new();
    let mut rest = file;
    while let Some((record, after)) = next(rest) {
        records.push(record);
        rest = after;
    }
    (records, file.len() - rest.len())
}

fn next(file: &[u8]) -> Option<(JournalRecord, &[u8])> {
    let (length, rest) = file.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length) as usize;
    let (body, rest) = rest.split_at_checked(length).filter(|_| length <= RECORD_BYTES_MAX)?;
    if crc32fast::hash(body) != u32::from_be_bytes(*crc) {
        return None;
    }
    Some((JournalRecord::decode(body)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_up_to_a_torn_one() {
        let records = [
            JournalRecord::Accepted { bytes: Bytes::from_static(b"one"), private: false },
            JournalRecord::Accepted { bytes: Bytes::from_static(b"two"), private: true },
            JournalRecord::left(TxHash::repeat_byte(7), &Departure::Evicted),
        ];
        let mut file = Vec::new();
        let mut ends = vec![0];
        for record in &records {
            record.encode(&mut file);
            ends.push(file.len());
        }
        for cut in 0..=file.len() {
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
            assert_eq!(read_journal(&file[..cut]), (records[..whole].to_vec(), ends[whole]), "cut at {cut}");
        }
        file[ends[1] + 9] ^= 1;
        assert_eq!(read_journal(&file).0, records[..1]);
    }
}
