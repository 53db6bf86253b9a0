use alloy_rlp::{BufMut, Decodable, Encodable, Error, Header, Result};
use std::fmt;

/// Columns of an extended blob: so many cells each blob has.
pub const COLUMNS: u32 = 128;
/// Bytes of a cell.
pub const CELL_BYTES: usize = 2048;
/// Columns that make a blob whole: its own, or as many of any.
pub const COLUMNS_TO_RECOVER: u32 = COLUMNS / 2;

const MASK_BYTES: usize = 16;

/// Columns of blobs: the `cell_mask` of [EIP-8070](https://eips.ethereum.org/EIPS/eip-8070).
///
/// Sixteen bytes on the wire; column `i` is bit `i % 8` of byte `i / 8`, so the lowest column is the lowest bit of a
/// little-endian number. The `indices_bitarray` of the Engine API has the same order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct CellMask(u128);

impl CellMask {
    /// No column.
    pub const EMPTY: Self = Self(0);
    /// Every column.
    pub const ALL: Self = Self(u128::MAX);
    /// The columns that are the blob's own bytes, cut into cells; the others extend it.
    pub const DATA: Self = Self(u64::MAX as u128);

    /// These columns; those beyond the last are left out.
    pub fn of(columns: impl IntoIterator<Item = u32>) -> Self {
        Self(columns.into_iter().filter(|column| *column < COLUMNS).fold(0, |mask, column| mask | 1 << column))
    }

    /// From its bytes on the wire.
    pub const fn from_bytes(bytes: [u8; MASK_BYTES]) -> Self {
        Self(u128::from_le_bytes(bytes))
    }

    /// Its bytes on the wire.
    pub const fn to_bytes(self) -> [u8; MASK_BYTES] {
        self.0.to_le_bytes()
    }

    /// As a number whose lowest bit is column 0.
    pub const fn bits(self) -> u128 {
        self.0
    }

    /// How many columns.
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a column is among them.
    pub const fn contains(self, column: u32) -> bool {
        column < COLUMNS && self.0 >> column & 1 == 1
    }

    /// Whether all of them are in the other.
    pub const fn is_subset(self, of: Self) -> bool {
        self.0 & !of.0 == 0
    }

    /// The columns in order.
    pub fn columns(self) -> impl Iterator<Item = u32> {
        (0..COLUMNS).filter(move |column| self.contains(*column))
    }

    /// The columns to ask of somebody who has these, so that whole blobs come of it: the blob's own as far as they are
    /// there, since they need no recovery, and others in place of those that are missing. None if they are too few.
    pub fn to_recover(self) -> Option<Self> {
        let own = (0..COLUMNS_TO_RECOVER).filter(|column| self.contains(*column));
        let others = (COLUMNS_TO_RECOVER..COLUMNS).filter(|column| self.contains(*column));
        let asked = Self::of(own.chain(others).take(COLUMNS_TO_RECOVER as usize));
        (asked.count() == COLUMNS_TO_RECOVER).then_some(asked)
    }

    /// As [`Decodable::decode`], but the empty string is no column: what the EIP has announcements without blobs say,
    /// where others send sixteen zero bytes.
    pub(super) fn decode_or_nothing(buf: &mut &[u8]) -> Result<Self> {
        match buf.split_first() {
            Some((&alloy_rlp::EMPTY_STRING_CODE, rest)) => {
                *buf = rest;
                Ok(Self::EMPTY)
            }
            _ => Self::decode(buf),
        }
    }
}

impl Encodable for CellMask {
    fn encode(&self, out: &mut dyn BufMut) {
        self.to_bytes().as_slice().encode(out);
    }

    fn length(&self) -> usize {
        1 + MASK_BYTES
    }
}

impl Decodable for CellMask {
    fn decode(buf: &mut &[u8]) -> Result<Self> {
        let bytes = Header::decode_bytes(buf, false)?;
        bytes.try_into().map(Self::from_bytes).map_err(|_| Error::UnexpectedLength)
    }
}

impl fmt::Debug for CellMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CellMask({self})")
    }
}

/// The bytes on the wire, in hex.
impl fmt::Display for CellMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_column_is_the_lowest_bit_of_the_first_byte() {
        let check = |columns: &[u32], hex: &str| {
            let mask = CellMask::of(columns.iter().copied());
            assert_eq!(mask.to_string(), hex, "{columns:?}");
            assert_eq!(CellMask::from_bytes(mask.to_bytes()), mask);
            assert_eq!(mask.columns().collect::<Vec<_>>(), columns);
            assert_eq!(mask.count() as usize, columns.len());
        };
        check(&[], "00000000000000000000000000000000");
        check(&[0], "01000000000000000000000000000000");
        check(&[7, 8], "80010000000000000000000000000000");
        check(&[127], "00000000000000000000000000000080");
        check(&(0..64).collect::<Vec<_>>(), "ffffffffffffffff0000000000000000");
        check(&(0..128).collect::<Vec<_>>(), "ffffffffffffffffffffffffffffffff");
        assert_eq!(CellMask::of([5, 128, 1000]), CellMask::of([5]));
        assert_eq!((CellMask::DATA.count(), CellMask::ALL.count()), (64, 128));
        assert!(CellMask::DATA.is_subset(CellMask::ALL) && !CellMask::ALL.is_subset(CellMask::DATA));
        assert!(!CellMask::ALL.contains(128));
    }

    #[test]
    fn sixty_four_columns_are_asked_the_own_ones_first() {
        assert_eq!(CellMask::ALL.to_recover(), Some(CellMask::DATA));
        assert_eq!(CellMask::DATA.to_recover(), Some(CellMask::DATA));
        assert_eq!(CellMask::of(64..128).to_recover(), Some(CellMask::of(64..128)));
        assert_eq!(CellMask::of(1..128).to_recover(), Some(CellMask::of(1..65)));
        assert_eq!(CellMask::of(1..64).to_recover(), None);
        assert_eq!(CellMask::EMPTY.to_recover(), None);
    }

    #[test]
    fn it_travels_as_sixteen_bytes() {
        for mask in [CellMask::EMPTY, CellMask::DATA, CellMask::of([3, 77]), CellMask::ALL] {
            let bytes = alloy_rlp::encode(mask);
            assert_eq!((bytes.len(), bytes[0]), (mask.length(), 0x90));
            assert_eq!(CellMask::decode(&mut &bytes[..]), Ok(mask));
            assert_eq!(CellMask::decode_or_nothing(&mut &bytes[..]), Ok(mask));
        }
        let refused: [&[u8]; 5] = [&[], &[0x80], &[0x01], &[0xd0; 17], &[0x8f; 16]];
        refused.into_iter().for_each(|mut bytes| assert!(CellMask::decode(&mut bytes).is_err(), "{bytes:?}"));
        let mut nothing: &[u8] = &[0x80, 0x01];
        assert_eq!(CellMask::decode_or_nothing(&mut nothing), Ok(CellMask::EMPTY));
        assert_eq!(nothing, [0x01]);
    }
}
