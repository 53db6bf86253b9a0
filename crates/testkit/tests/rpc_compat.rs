//! The published JSON-RPC requests and responses.

#[test]
fn answers_are_the_published_ones() {
    starling_testkit::rpc::run(None).unwrap_or_else(|error| panic!("{error}"));
}
