//! Messages on an encrypted stream, both directions.

use super::{CloseCause, buffer::Buffer};
use crate::frame::{self, BODY_BYTES_MAX, Direction, HEAD_BYTES};
use crate::handshake::Agreed;
use crate::snappy::{self, SnappyError};
use std::ops::Range;

/// The longest frame, in bytes.
pub(super) const FRAME_BYTES_MAX: usize = HEAD_BYTES + frame::body_bytes(BODY_BYTES_MAX);

/// The longest that a message may become as a frame, in bytes. Packing may make it longer by a sixth.
pub(super) const fn packed_bytes_max(payload_bytes: usize) -> usize {
    HEAD_BYTES + frame::body_bytes(1 + 32 + payload_bytes + payload_bytes / 6)
}

/// Keys, and where in a frame the peer is.
pub(super) struct Wire {
    /// Whether payloads are packed, which both Hellos decide.
    pub(super) snappy: bool,
    egress: Direction,
    ingress: Direction,
    /// Length of the body whose header was opened.
    body_length: Option<usize>,
}

/// A message that lies opened at the front of the input.
pub(super) struct Frame {
    /// Message id, counted over all protocols.
    pub(super) id: u8,
    /// Bytes to consume when it was taken.
    pub(super) total_bytes: usize,
    payload: Range<usize>,
}

impl Frame {
    pub(super) fn payload<'a>(&self, input: &'a Buffer) -> &'a [u8] {
        input.front().get(self.payload.clone()).unwrap_or_default()
    }
}

impl Wire {
    pub(super) fn new(agreed: Agreed) -> Self {
        Self { snappy: false, egress: agreed.egress, ingress: agreed.ingress, body_length: None }
    }

    /// Opens the next message, if it has arrived. It stays in the input until its bytes are consumed.
    pub(super) fn read(&mut self, input: &mut Buffer, body_bytes_max: usize) -> Result<Option<Frame>, CloseCause> {
        let length = match self.body_length {
            Some(length) => length,
            None => {
                let Some(head) = input.front().first_chunk() else { return Ok(None) };
                let length = self.ingress.open_head(head).map_err(|_| CloseCause::BadTag)?;
                if length > body_bytes_max {
                    return Err(CloseCause::FrameTooLarge { bytes: length, max: body_bytes_max });
                }
                input.consume(HEAD_BYTES);
                self.body_length = Some(length);
                length
            }
        };
        let total_bytes = frame::body_bytes(length);
        let Some(body) = input.front_mut().get_mut(..total_bytes) else { return Ok(None) };
        self.ingress.open_body(body).map_err(|_| CloseCause::BadTag)?;
        self.body_length = None;
        // The id is an RLP number below 0x80, since all ranges together end there.
        let id = match body[..length].first() {
            Some(0x80) => 0,
            Some(id @ 1..=0x7f) => *id,
            _ => return Err(CloseCause::FrameWithoutId),
        };
        Ok(Some(Frame { id, total_bytes, payload: 1..length }))
    }

    /// Packs and seals a message at the end of the output.
    pub(super) fn write(&mut self, output: &mut Buffer, encoder: &mut snap::raw::Encoder, id: u8, payload: &[u8]) {
        let out = output.tail();
        let start = out.len();
        out.resize(start + HEAD_BYTES, 0);
        out.push(if id == 0 { 0x80 } else { id });
        if self.snappy {
            snappy::compress(encoder, payload, out);
        } else {
            out.extend_from_slice(payload);
        }
        self.egress.seal(out, start);
    }

    /// Unpacks a payload of at most `max` bytes.
    pub(super) fn unpack(&self, payload: &[u8], max: usize) -> Result<Vec<u8>, CloseCause> {
        if !self.snappy {
            return match payload.len() {
                bytes if bytes > max => Err(CloseCause::MessageTooLarge { bytes, max }),
                _ => Ok(payload.to_vec()),
            };
        }
        snappy::decompress(payload, max).map_err(|error| match error {
            SnappyError::Corrupt => CloseCause::Snappy,
            SnappyError::TooLarge(bytes) => CloseCause::MessageTooLarge { bytes, max },
        })
    }
}
