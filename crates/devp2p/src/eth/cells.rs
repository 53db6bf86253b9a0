//! GetCells and Cells, since eth/72: cells of the blobs of transactions.
//!
//! One list of cells for each transaction, column after column and in each column blob after blob
//! ([EIP-8070](https://eips.ethereum.org/EIPS/eip-8070)). The lists stay raw: a message may carry megabytes.

use super::{CELL_BYTES, CELLS_HASHES_MAX, CellMask, EthError, ids, raw};
use alloy_primitives::{B256, Bytes};
use alloy_rlp::{BufMut, Decodable, Encodable, Error, Header, Result};

/// Bytes of a cell with its RLP head.
const CELL_ITEM_BYTES: usize = CELL_BYTES + 3;
/// That head: a string of 2048 bytes.
const CELL_HEAD: [u8; 3] = [0xb9, 0x08, 0x00];

const _: () = assert!(u16::from_be_bytes([CELL_HEAD[1], CELL_HEAD[2]]) as usize == CELL_BYTES);

/// Cells of transactions that are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetCells {
    /// The transactions.
    pub hashes: Vec<B256>,
    /// The columns, the same of each.
    pub mask: CellMask,
}

/// Cells of transactions. Whether they are what was asked for, and how many blobs a transaction has, the caller knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cells {
    /// The transactions.
    pub hashes: Vec<B256>,
    /// For each of them a list of cells ([`cells_of`]), as many for each column.
    pub lists: Vec<Bytes>,
    /// The columns, the same of each.
    pub mask: CellMask,
}

/// The cells in a list of [`Cells`], in their order; none if it is no such list.
pub fn cells_of(list: &[u8]) -> Option<impl ExactSizeIterator<Item = &[u8; CELL_BYTES]>> {
    let mut buf = list;
    let payload = Header::decode_bytes(&mut buf, true).ok().filter(|_| buf.is_empty())?;
    let (items, rest) = payload.as_chunks::<CELL_ITEM_BYTES>();
    let fits = rest.is_empty() && items.iter().all(|item| item.starts_with(&CELL_HEAD));
    fits.then(|| items.iter().map(|item| item.last_chunk().expect("an item is longer than the cell that ends it")))
}

/// A list for [`Cells`].
pub fn encode_cells<'a>(cells: impl ExactSizeIterator<Item = &'a [u8; CELL_BYTES]>) -> Bytes {
    let payload_length = cells.len() * CELL_ITEM_BYTES;
    let mut out = Vec::with_capacity(payload_length + 5);
    Header { list: true, payload_length }.encode(&mut out);
    for cell in cells {
        out.put_slice(&CELL_HEAD);
        out.put_slice(cell);
    }
    out.into()
}

impl GetCells {
    pub(super) fn encode(&self, id: u64, out: &mut Vec<u8>) {
        let payload_length = id.length() + self.hashes.length() + self.mask.length();
        Header { list: true, payload_length }.encode(out);
        id.encode(out);
        self.hashes.encode(out);
        self.mask.encode(out);
    }

    /// Reads what follows the request id; hashes beyond the limit are not read.
    pub(super) fn decode(buf: &mut &[u8]) -> Result<Self> {
        let (hashes, _) = raw::hashes(buf, CELLS_HASHES_MAX)?;
        Ok(Self { hashes, mask: CellMask::decode(buf)? })
    }
}

impl Cells {
    pub(super) fn encode(&self, id: u64, out: &mut Vec<u8>) {
        let lists = raw::items_length(&self.lists);
        let payload_length = id.length() + self.hashes.length() + lists + self.mask.length();
        out.reserve(payload_length + 9);
        Header { list: true, payload_length }.encode(out);
        id.encode(out);
        self.hashes.encode(out);
        raw::encode_items(&self.lists, out);
        self.mask.encode(out);
    }

    /// Reads what follows the request id.
    pub(super) fn decode(message: &Bytes, buf: &mut &[u8]) -> std::result::Result<Self, EthError> {
        let rlp = |error| EthError::Rlp { id: ids::CELLS, error };
        let too_many = EthError::TooMany { what: "transactions with cells", max: CELLS_HASHES_MAX };
        let (hashes, count) = raw::hashes(buf, CELLS_HASHES_MAX).map_err(rlp)?;
        let lists = match raw::items(message, buf, raw::Kind::List, CELLS_HASHES_MAX).map_err(rlp)? {
            raw::Items::All(lists) if count <= CELLS_HASHES_MAX => lists,
            _ => return Err(too_many),
        };
        let mask = CellMask::decode_or_nothing(buf).map_err(rlp)?;
        let columns = mask.count() as usize;
        for list in &lists {
            let cells = cells_of(list).map(|cells| cells.len()).ok_or(rlp(Error::UnexpectedLength))?;
            // Of no column there are no cells; of some there are as many of each.
            if cells.checked_rem(columns).unwrap_or(cells) != 0 {
                return Err(EthError::UnevenCells { cells, columns });
            }
        }
        match lists.len() == hashes.len() {
            true => Ok(Self { hashes, lists, mask }),
            false => Err(EthError::UnevenLists { lists: lists.len(), hashes: hashes.len() }),
        }
    }
}
