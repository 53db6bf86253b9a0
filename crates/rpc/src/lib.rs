//! JSON-RPC over HTTP and IPC, and the Engine API.
