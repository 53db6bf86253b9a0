//! Branch rows as the journal holds them: whole, or as the change against the row that the parent block had.
//!
//! ```text
//! whole   00 · the row
//! change  01 · crc u32 of the row · length of the base varint · steps
//! step    keep varint · skip varint · put varint · bytes         bytes of the base kept, then passed over, then new ones
//! ```
//!
//! What the steps leave of the base is kept. A row is opaque: mostly one or two of its references change in place, or
//! one comes or goes and what stands behind it moves, so equal bytes are looked for in place first, else anywhere.

use crate::codec::{Malformed, Reader, put_varint};

const WHOLE: u8 = 0;
const CHANGE: u8 = 1;
/// So many equal bytes end a run of changed ones: a step costs three bytes or more.
const SYNC_BYTES: usize = 8;
/// Slots of the table of a base's windows; twice the length of a common row.
const WINDOW_SLOTS: usize = 1024;

/// Appends a row, as the shorter of its two forms.
pub(crate) fn encode(out: &mut Vec<u8>, base: Option<&[u8]>, row: &[u8]) {
    let start = out.len();
    if let Some(base) = base.filter(|base| base.len() <= usize::from(u16::MAX)) {
        out.push(CHANGE);
        out.extend_from_slice(&crc32fast::hash(row).to_le_bytes());
        put_varint(out, base.len() as u64);
        if base.len() == row.len() {
            put_in_place(out, base, row)
        } else {
            put_moved(out, base, row)
        }
        if out.len() - start <= row.len() {
            return;
        }
        out.truncate(start);
    }
    out.push(WHOLE);
    out.extend_from_slice(row);
}

/// Whether the row's bytes stand here whole, behind the first.
pub(crate) fn is_whole(patch: &[u8]) -> Result<bool, Malformed> {
    match patch.first() {
        Some(&WHOLE) => Ok(true),
        Some(&CHANGE) => Ok(false),
        _ => Err(Malformed("branch row")),
    }
}

/// The row that a change makes of its base. Another base than the one it was made for is an error.
pub(crate) fn apply(patch: &[u8], base: &[u8]) -> Result<Vec<u8>, Malformed> {
    let reader = &mut Reader::new(patch);
    if reader.u8()? != CHANGE {
        return Err(Malformed("branch row"));
    }
    let crc = reader.u32()?;
    if reader.varint()? != base.len() as u64 {
        return Err(Malformed("branch row: another base"));
    }
    let base = &mut Reader::new(base);
    let mut row = Vec::with_capacity(base.left() + patch.len());
    while !reader.is_empty() {
        row.extend_from_slice(base.take(length(reader)?)?);
        base.take(length(reader)?)?;
        let put = length(reader)?;
        row.extend_from_slice(reader.take(put)?);
    }
    row.extend_from_slice(base.take(base.left())?);
    if crc32fast::hash(&row) == crc { Ok(row) } else { Err(Malformed("branch row: another base")) }
}

fn length(reader: &mut Reader<'_>) -> Result<usize, Malformed> {
    usize::try_from(reader.varint()?).map_err(|_| Malformed("length"))
}

fn put_step(out: &mut Vec<u8>, keep: usize, skip: usize, put: &[u8]) {
    put_varint(out, keep as u64);
    put_varint(out, skip as u64);
    put_varint(out, put.len() as u64);
    out.extend_from_slice(put);
}

/// The steps between rows of one length: bytes replaced where they stand.
fn put_in_place(out: &mut Vec<u8>, base: &[u8], row: &[u8]) {
    let mut done = 0;
    loop {
        let start = done + common_prefix(&base[done..], &row[done..]);
        if start == row.len() {
            return;
        }
        let mut end = start + 1;
        while end < row.len() && !starts_alike(&base[end..], &row[end..]) {
            end += 1;
        }
        put_step(out, start - done, end - start, &row[start..end]);
        done = end;
    }
}

fn starts_alike(a: &[u8], b: &[u8]) -> bool {
    let length = SYNC_BYTES.min(a.len());
    a[..length] == b[..length]
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let words = a.chunks_exact(8).zip(b.chunks_exact(8)).take_while(|(a, b)| a == b).count();
    let at = words * 8;
    at + a[at..].iter().zip(&b[at..]).take_while(|(a, b)| a == b).count()
}

/// The steps between rows of different lengths.
fn put_moved(out: &mut Vec<u8>, base: &[u8], row: &[u8]) {
    let windows = Windows::of(base);
    let (mut from, mut to) = (0, 0);
    loop {
        let keep = common_prefix(&base[from..], &row[to..]);
        (from, to) = (from + keep, to + keep);
        if (from, to) == (base.len(), row.len()) {
            return;
        }
        let met = (to..row.len()).find_map(|at| Some((windows.find(base, from, &row[at..])?, at)));
        let (next_from, next_to) = met.unwrap_or((base.len(), row.len()));
        put_step(out, keep, next_from - from, &row[to..next_to]);
        (from, to) = (next_from, next_to);
    }
}

/// Where each window of [`SYNC_BYTES`] stands in a base; of those that share a slot, the first.
struct Windows {
    /// Place and one, 0 for none.
    slots: [u16; WINDOW_SLOTS],
}

impl Windows {
    fn of(base: &[u8]) -> Self {
        let mut slots = [0; WINDOW_SLOTS];
        for (at, window) in base.windows(SYNC_BYTES).enumerate().rev() {
            slots[slot(window)] = at as u16 + 1;
        }
        Self { slots }
    }

    /// A place from `from` on where the base reads as `bytes` begin.
    fn find(&self, base: &[u8], from: usize, bytes: &[u8]) -> Option<usize> {
        let window = bytes.get(..SYNC_BYTES)?;
        let at = usize::from(self.slots[slot(window)]).checked_sub(1)?;
        (at >= from && base[at..at + SYNC_BYTES] == *window).then_some(at)
    }
}

fn slot(window: &[u8]) -> usize {
    let word = window.first_chunk().map_or(0, |window| u64::from_le_bytes(*window));
    (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - WINDOW_SLOTS.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A row of references like the trie's: random, 33 bytes each.
    fn references(seeds: &[u8]) -> Vec<u8> {
        let reference = |seed: &u8| [&[0xa0][..], starling_primitives::keccak256([*seed]).as_slice()].concat();
        [&[1, 2, 3, 4, 5, 6, 7][..], &seeds.iter().flat_map(reference).collect::<Vec<u8>>()].concat()
    }

    fn check(base: &[u8], row: &[u8], size_bytes_max: usize) {
        let mut patch = Vec::new();
        encode(&mut patch, Some(base), row);
        assert!(patch.len() <= size_bytes_max, "{} bytes, not {size_bytes_max}", patch.len());
        let back = if is_whole(&patch) == Ok(true) { Ok(patch[1..].to_vec()) } else { apply(&patch, base) };
        assert_eq!(back.as_deref(), Ok(row));
    }

    #[test]
    fn a_change_is_about_as_long_as_what_changed() {
        let row = references(&[1, 2, 3, 4, 5, 6, 7, 8]);
        check(&row, &row, 7);
        check(&row, &references(&[1, 2, 9, 4, 5, 6, 7, 8]), 7 + 3 + 32);
        check(&row, &references(&[9, 2, 3, 4, 5, 6, 7, 10]), 7 + 7 + 64);
        check(&row, &references(&[1, 2, 9, 3, 4, 5, 6, 7, 8]), 7 + 3 + 33);
        check(&row, &references(&[1, 2, 3, 4, 6, 7, 8]), 7 + 4);
        check(&row, &references(&[20, 21]), 1 + 7 + 66);
        check(b"", b"", 1);
    }

    #[test]
    fn another_base_is_an_error() {
        let [base, row, other] = [&[1, 2, 3, 4][..], &[1, 2, 3, 5], &[1, 9, 3, 4]].map(references);
        let mut patch = Vec::new();
        encode(&mut patch, Some(&base), &row);
        assert_eq!(apply(&patch, &base), Ok(row));
        assert!(apply(&patch, &other).is_err());
        assert!(apply(&patch, &base[1..]).is_err());
    }

    proptest! {
        #[test]
        fn rows_come_back(base in prop::collection::vec(0..3u8, 0..80), row in prop::collection::vec(0..3u8, 0..80)) {
            check(&base, &row, row.len() + 1);
        }

        #[test]
        fn no_bytes_make_it_panic(patch in prop::collection::vec(any::<u8>(), 0..80), base in any::<[u8; 40]>()) {
            let _ = apply(&patch, &base);
        }
    }
}
