//! A short run of the differential fuzz; `testkit fuzz` runs longer ones.
#![cfg(feature = "conformance")]

#[test]
fn random_chains_give_the_same_in_layers_in_plain_maps_and_in_geth() {
    starling_testkit::differential::run(1, 64).unwrap_or_else(|why| panic!("{why}"));
}
