//! Compression of messages (EIP-706): block format, no framing.

use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

/// Why a compressed message is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SnappyError {
    /// Not snappy.
    Corrupt,
    /// Says of itself that it unpacks to more than allowed, in bytes. Found out before anything is unpacked.
    TooLarge(usize),
}

/// Unpacks a message of at most `max` bytes.
pub(crate) fn decompress(packed: &[u8], max: usize) -> Result<Vec<u8>, SnappyError> {
    let length = decompress_len(packed).map_err(|_| SnappyError::Corrupt)?;
    if length > max {
        return Err(SnappyError::TooLarge(length));
    }
    // A copy of 64 bytes takes 3 or more: what claims to grow further is corrupt, and is not worth its memory.
    if length / 64 > packed.len() {
        return Err(SnappyError::Corrupt);
    }
    let mut out = vec![0; length];
    Decoder::new().decompress(packed, &mut out).map_err(|_| SnappyError::Corrupt)?;
    Ok(out)
}

/// Appends the packed message to `out`.
pub(crate) fn compress(encoder: &mut Encoder, message: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + max_compress_len(message.len()), 0);
    // Fails only when the buffer is too small or the message beyond 4 GiB; neither can be here.
    let length = encoder.compress(message, &mut out[start..]).unwrap_or(0);
    debug_assert!(length > 0);
    out.truncate(start + length);
}
