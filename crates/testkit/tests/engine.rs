//! A chain as Engine API payloads, and payloads with one thing wrong.

#[test]
fn every_payload_is_judged_right() {
    starling_testkit::engine::run().unwrap_or_else(|error| panic!("{error}"));
}
