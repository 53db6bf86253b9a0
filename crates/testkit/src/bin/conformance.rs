//! `conformance`: the conformance runner from the command line.

use starling_testkit::conformance::{self, Options, options::USAGE};
use std::{process::ExitCode, time::Instant};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(options) = Options::from_arguments(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if let Some(folder) = &options.pack {
        let packed = conformance::pack::pack(folder, &options.archives, &options.selection);
        return packed.map_or_else(failure, |()| ExitCode::SUCCESS);
    }
    let started = Instant::now();
    let report = match conformance::run(&options) {
        Ok(report) => report,
        Err(error) => return failure(error),
    };
    let total = report.total();
    println!("{report}{}", report.failures(options.failures_max));
    println!("{} cases in {:.1} s on {} threads", total.cases(), started.elapsed().as_secs_f64(), options.threads);
    if total.failed > 0 || total.cases() == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn failure(error: String) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}
