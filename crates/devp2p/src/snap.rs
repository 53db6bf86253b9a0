//! The `snap` protocol: its place in the table of protocols. The messages come with snap sync.

use crate::Protocol;

/// snap/1, [the only version that networks run](https://github.com/ethereum/devp2p/blob/master/caps/snap.md).
pub const SNAP_1: Protocol =
    Protocol { name: "snap", version: 1, message_count: 8, message_bytes_max: 10 * 1024 * 1024 };
