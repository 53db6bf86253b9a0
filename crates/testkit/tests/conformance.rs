//! A fixed part of the official suites, and all of the sample in the repository.

use starling_testkit::{
    conformance::{self, Options, options::Selection},
    fixtures,
};

/// The part of all cases that is always run, in percent: chosen by a hash of their names, so always the same.
const PERCENT: f64 = 6.0;

#[test]
fn cases_of_the_official_suites() {
    let whole = fixtures::folder() == fixtures::sample();
    let selection = if whole { Selection::default() } else { Selection::sample(PERCENT) };
    let report = conformance::run(&Options { selection, ..Options::default() }).expect("readable archives");
    let total = report.total();
    eprintln!("{report}{}", report.failures(20));
    println!("conformance: {} cases of {}", total.cases(), if whole { "the sample" } else { "the folder of fixtures" });
    assert_eq!(total.failed, 0, "cases failed");
    assert!(total.passed > 0, "no case was found");
}
