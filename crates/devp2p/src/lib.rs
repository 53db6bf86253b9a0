//! RLPx sessions and the messages of eth: bytes in, messages out, no sockets.
