//! Nodes and how they are found: records, discv4, DNS lists, the node database.
