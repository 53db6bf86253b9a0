//! RLPx sessions and the messages of eth: bytes in, messages out, no sockets.
//!
//! ```text
//!  bytes of a stream ─► Session ─► Event::Message { protocol, id, payload } ─► eth::EthMessage::decode
//!                       │  ecies, handshake   who is there (RLPx "v4 handshake", EIP-8)
//!                       │  frame              encrypted, authenticated packets
//!                       │  hello, disconnect  the `p2p` protocol: capabilities, ping, why it ended
//!                       │  protocol           which message id belongs to which protocol
//!                       └  snappy             compression, length checked before anything is unpacked
//!  bytes of a stream ◄─ Session ◄─ send(protocol, id, payload)             ◄─ eth::EthMessage::encode
//! ```
//!
//! A [`Session`] is a plain value that somebody else drives: it reads no clock, opens no socket, starts nothing and
//! draws its randomness from a generator given to it at birth. Everything a stranger can make it hold is bounded, by
//! constants that stand beside the code which enforces them.
//!
//! Sources: the [RLPx specification](https://github.com/ethereum/devp2p/blob/master/rlpx.md), the
//! [eth protocol](https://github.com/ethereum/devp2p/blob/master/caps/eth.md), EIP-8, EIP-706 and the EIP of each
//! version of eth. RLPx itself calls its cipher broken, since both directions share a key stream: nothing
//! that must stay secret may travel over it.

mod disconnect;
pub mod ecies;
pub mod eth;
pub mod frame;
mod handshake;
mod hello;
mod protocol;
pub mod session;
pub mod snap;
mod snappy;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod testing;

pub use disconnect::DisconnectReason;
pub use hello::{Capability, HELLO_BYTES_MAX, Hello, P2P_VERSION};
pub use protocol::{PROTOCOL_OFFSET, Protocol};
pub use session::{CloseCause, Established, Event, HandshakeError, Message, Offer, SendError, Session};
