//! Sockets: TCP sessions, the shared UDP port, the discv5 adapter.
