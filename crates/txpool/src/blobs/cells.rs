//! Blobs in cells, and transactions without their blobs: how both travel since eth/72.
//!
//! ```text
//! whole     3 ‖ [tx, 1, [blob…], [commitment…], [proof…]]
//! stripped  3 ‖ [tx, 1, [],      [commitment…], [proof…]]     PooledTransactions
//! cells     [cell…]  column after column, in each blob after blob    Cells
//! ```
//!
//! A blob is extended to twice its length and cut into 128 cells. The first 64 are its own bytes as they are, so these
//! cost nothing to make and nothing to put together; each of the others is computed from all of them. Only sidecars
//! with proofs of cells travel like this.
//!
//! Source: [EIP-8070](https://eips.ethereum.org/EIPS/eip-8070),
//! [EIP-7594](https://eips.ethereum.org/EIPS/eip-7594).

use super::{check_shape, inner, is_blob_type, split};
use crate::Refusal;
use alloy_consensus::{Transaction as _, TxType};
use alloy_eips::{
    eip2718::Encodable2718,
    eip4844::{AsAlloy, AsCkzg, BYTES_PER_BLOB, Blob, Bytes48, env_settings::EnvKzgSettings},
    eip7594::{
        BlobCellMask, BlobTransactionSidecarEip7594, BlobTransactionSidecarVariant, CELLS_PER_EXT_BLOB, Cell,
        EIP_7594_WRAPPER_VERSION,
    },
};
use alloy_rlp::{EMPTY_LIST_CODE, EMPTY_STRING_CODE, Header};
use starling_devp2p::eth::{CELL_BYTES, COLUMNS, COLUMNS_TO_RECOVER, CellMask, cells_of, encode_cells};
use starling_primitives::{Bytes, Transaction, TxHash};

const _: () = assert!(COLUMNS as usize == CELLS_PER_EXT_BLOB);
const _: () = assert!(COLUMNS_TO_RECOVER as usize * CELL_BYTES == BYTES_PER_BLOB);

/// Bytes of a commitment or a proof with its RLP head.
const POINT_ITEM_BYTES: usize = 49;
/// The RLP head of a blob.
const BLOB_HEAD: [u8; 4] = [0xba, 0x02, 0x00, 0x00];
/// Bytes of a blob with it.
const BLOB_ITEM_BYTES: usize = BYTES_PER_BLOB + BLOB_HEAD.len();

/// A transaction that came without its blobs, but with commitments and proofs as they must be.
#[derive(Clone, PartialEq, Eq)]
pub struct Stripped {
    hash: TxHash,
    envelope: Bytes,
    blobs: usize,
}

impl std::fmt::Debug for Stripped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stripped").field("hash", &self.hash).field("blobs", &self.blobs).finish_non_exhaustive()
    }
}

/// A travelling transaction with proofs of cells, cut where its blobs are.
struct Parts<'a> {
    tx: &'a [u8],
    /// The list of blobs, or what stands in its place.
    blobs: &'a [u8],
    commitments_and_proofs: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(envelope: &'a [u8]) -> Option<Self> {
        let body = envelope.get(1..).filter(|_| is_blob_type(envelope))?;
        let tx = inner(body)?;
        let mut buf = body;
        let list = Header::decode_bytes(&mut buf, true).ok().filter(|_| buf.is_empty())?;
        let [EIP_7594_WRAPPER_VERSION, rest @ ..] = list.get(tx.len()..)? else { return None };
        let mut after = rest;
        let head = Header::decode(&mut after).ok()?;
        let blobs_length = rest.len() - after.len() + head.payload_length;
        let (blobs, commitments_and_proofs) = rest.split_at_checked(blobs_length)?;
        Some(Self { tx, blobs, commitments_and_proofs })
    }

    /// The envelope of these, with other blobs: lists of pieces, one list a blob.
    fn with_blobs<'b>(&self, count: usize, pieces: impl Iterator<Item = &'b [u8]>) -> Bytes {
        let blobs = Header { list: true, payload_length: count * BLOB_ITEM_BYTES };
        let blobs_length = blobs.length() + blobs.payload_length;
        let payload_length = self.tx.len() + 1 + blobs_length + self.commitments_and_proofs.len();
        let mut out = Vec::with_capacity(payload_length + 10);
        out.push(TxType::Eip4844 as u8);
        Header { list: true, payload_length }.encode(&mut out);
        out.extend_from_slice(self.tx);
        out.push(EIP_7594_WRAPPER_VERSION);
        blobs.encode(&mut out);
        pieces.for_each(|piece| out.extend_from_slice(piece));
        out.extend_from_slice(self.commitments_and_proofs);
        out.into()
    }
}

/// A travelling transaction without its blobs; none if it has none, or if its proofs are not of cells.
pub(crate) fn strip(envelope: &[u8]) -> Option<Bytes> {
    let parts = Parts::of(envelope).filter(|parts| parts.blobs.first() > Some(&EMPTY_LIST_CODE))?;
    Some(parts.with_blobs(0, std::iter::empty()))
}

/// Bytes of a transaction as it travels with proofs of cells: without its blobs, and with them.
pub(crate) fn sizes_bytes(tx: &Transaction) -> (usize, usize) {
    let blobs = tx.blob_versioned_hashes().map_or(0, <[_]>::len);
    let list = |payload_length| Header { list: true, payload_length }.length() + payload_length;
    let points = list(blobs * POINT_ITEM_BYTES) + list(blobs * CELLS_PER_EXT_BLOB * POINT_ITEM_BYTES);
    // The type stands before the list, not in it, both with and without a sidecar.
    let tx_length = tx.encode_2718_len() - 1;
    let size = |blobs: usize| 1 + list(tx_length + 1 + list(blobs * BLOB_ITEM_BYTES) + points);
    (size(0), size(blobs))
}

impl Stripped {
    /// Reads one: no blobs, as many commitments and proofs as it must have, and the commitments of its hashes.
    pub(crate) fn read(envelope: &Bytes) -> Result<Self, Refusal> {
        let object = |what: &str| Refusal::Sidecar(what.to_owned());
        let parts = Parts::of(envelope).ok_or_else(|| object("missing sidecar in blob transaction"))?;
        // The EIP has nothing where the blobs were, clients an empty list.
        let envelope = match parts.blobs {
            [EMPTY_LIST_CODE] => envelope.clone(),
            [EMPTY_STRING_CODE] => parts.with_blobs(0, std::iter::empty()),
            _ => return Err(object("blobs in a transaction that must travel without")),
        };
        let (tx, sidecar) = split(&envelope)?;
        check_shape(&tx, &sidecar, 0)?;
        let blobs = tx.blob_versioned_hashes().map_or(0, <[_]>::len);
        if blobs == 0 {
            return Err(object("a blob transaction without blobs"));
        }
        // What was cut out of a long message is kept for a while, so the rest of that is let go.
        let envelope = Bytes::copy_from_slice(&envelope);
        Ok(Self { hash: *tx.tx_hash(), envelope, blobs })
    }

    /// The transaction's hash.
    pub const fn hash(&self) -> TxHash {
        self.hash
    }

    /// How many blobs it has.
    pub const fn blobs(&self) -> usize {
        self.blobs
    }

    /// The transaction, and its sidecar but for the blobs.
    pub(crate) fn split(&self) -> Result<(Transaction, BlobTransactionSidecarVariant), Refusal> {
        split(&self.envelope)
    }

    /// The whole transaction as it travelled before eth/72, from a list of cells: as many columns as make a blob whole.
    /// Its proofs are not checked, unless blobs must be recovered, which is dear.
    pub(crate) fn with_cells(&self, mask: CellMask, list: &[u8]) -> Result<Bytes, Refusal> {
        let object = |what: &str| Refusal::Sidecar(what.to_owned());
        let cells: Vec<&[u8; CELL_BYTES]> = cells_of(list).ok_or_else(|| object("no list of cells"))?.collect();
        if mask.count() < COLUMNS_TO_RECOVER || cells.len() != self.blobs * mask.count() as usize {
            return Err(object("too few cells"));
        }
        let parts = Parts::of(&self.envelope).ok_or_else(|| object("missing sidecar in blob transaction"))?;
        if !CellMask::DATA.is_subset(mask) {
            let blobs = self.recover(mask, &cells)?;
            let pieces = blobs.iter().flat_map(|blob| [&BLOB_HEAD[..], blob.as_slice()]);
            return Ok(parts.with_blobs(self.blobs, pieces));
        }
        // The own columns are the lowest, so they come first whatever else is there.
        let of_blob = |blob| cells.iter().skip(blob).step_by(self.blobs).take(COLUMNS_TO_RECOVER as usize);
        let pieces = (0..self.blobs)
            .flat_map(|blob| std::iter::once(&BLOB_HEAD[..]).chain(of_blob(blob).map(|cell| cell.as_slice())));
        Ok(parts.with_blobs(self.blobs, pieces))
    }

    /// Blobs of which some own columns are missing. The cells are proven first, so that wrong ones cost little.
    fn recover(&self, mask: CellMask, cells: &[&[u8; CELL_BYTES]]) -> Result<Vec<Blob>, Refusal> {
        let refuse = |error: String| Refusal::Sidecar(format!("KZG verification error: {error}"));
        let BlobTransactionSidecarVariant::Eip7594(sidecar) = self.split()?.1 else {
            return Err(refuse("no proofs of cells".to_owned()));
        };
        let mut of_blobs: Vec<Cell> = Vec::with_capacity(cells.len());
        let (mut indices, mut commitments, mut proofs) = (Vec::new(), Vec::new(), Vec::new());
        for blob in 0..self.blobs {
            let own = cells.iter().skip(blob).step_by(self.blobs);
            for (column, cell) in mask.columns().zip(own) {
                of_blobs.push(Cell::from(**cell));
                indices.push(column.into());
                commitments.push(sidecar.commitments[blob]);
                proofs.push(sidecar.cell_proofs[blob * CELLS_PER_EXT_BLOB + column as usize]);
            }
        }
        let settings = EnvKzgSettings::Default.get();
        let proven = settings.verify_cell_kzg_proof_batch(
            Bytes48::slice_as_ckzg(&commitments),
            &indices,
            Cell::slice_as_ckzg(&of_blobs),
            Bytes48::slice_as_ckzg(&proofs),
        );
        if !proven.map_err(|error| refuse(error.to_string()))? {
            return Err(refuse("wrong cells".to_owned()));
        }
        let mask = BlobCellMask::from_bits(mask.bits());
        BlobTransactionSidecarEip7594::try_recover_from_cells_with_settings(
            sidecar.commitments,
            mask,
            &of_blobs,
            settings,
        )
        .map(|sidecar| sidecar.blobs)
        .map_err(|error| refuse(error.to_string()))
    }
}

/// The cells of blobs in these columns, as a list for the wire. Columns that are not the blobs' own are computed: three
/// milliseconds a blob. None if that fails, which it does for no blob that was checked.
pub fn cells_list(blobs: &[Blob], mask: CellMask) -> Option<Bytes> {
    let computed = if mask.is_subset(CellMask::DATA) {
        Vec::new()
    } else {
        let settings = EnvKzgSettings::Default.get();
        blobs.iter().map(|blob| settings.compute_cells(blob.as_ckzg()).ok()).collect::<Option<Vec<_>>>()?
    };
    let own: Vec<&[[u8; CELL_BYTES]]> = blobs.iter().map(|blob| blob.as_slice().as_chunks().0).collect();
    let cell = |column: u32, blob: usize| -> Option<&[u8; CELL_BYTES]> {
        match column {
            0..COLUMNS_TO_RECOVER => own.get(blob)?.get(column as usize),
            _ => computed.get(blob)?.get(column as usize).map(|cell| &cell.as_alloy().0),
        }
    };
    let places = mask.columns().flat_map(|column| (0..blobs.len()).map(move |blob| (column, blob)));
    let cells: Vec<_> = places.map(|(column, blob)| cell(column, blob)).collect::<Option<_>>()?;
    Some(encode_cells(cells.into_iter()))
}
