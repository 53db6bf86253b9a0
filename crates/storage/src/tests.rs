//! The engine as a whole, against a model: random chains on real tables, random crashes on a simulated disk.

mod golden;
mod harness;
mod model;
mod random_chain;
mod simulation;
mod threads;
