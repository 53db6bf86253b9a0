/// Memory that an empty buffer keeps, in bytes. One long message must not weigh on a session for ever.
const KEPT_BYTES: usize = 64 * 1024;

/// Bytes that come in at one end and leave at the other.
#[derive(Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    /// What has left.
    start: usize,
}

impl Buffer {
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn front(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub(super) fn front_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..]
    }

    /// Bytes leave; never more than there are.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.start = self.bytes.len().min(self.start.saturating_add(bytes));
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(KEPT_BYTES);
            self.start = 0;
        }
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.tail().extend_from_slice(bytes);
    }

    /// The vector to append to. What has left is dropped first when it is more than what is there, so that each byte
    /// is moved at most once on average.
    pub(super) fn tail(&mut self) -> &mut Vec<u8> {
        if self.start > self.len() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        &mut self.bytes
    }
}
