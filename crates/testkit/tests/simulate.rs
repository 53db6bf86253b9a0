//! Networks of dozens of nodes in virtual time; `testkit simulate` runs the large ones.

use starling_testkit::simulate::{SCENARIOS, Size, run};

/// A seed for all, so that a run of the tests is always the same.
const SEED: u64 = 1;

#[test]
fn every_scenario_holds_when_small() {
    // discv5 is left to its command: real nodes need real time
    for (name, _) in SCENARIOS.iter().filter(|(name, _)| *name != "discv5") {
        run(Some(name), Size::Small, SEED).expect(name);
    }
}
