//! Imports that are killed, as often as the default tests have time for; `STARLING_KILLS` asks for more.

use starling_testkit::{crash, crash_net};

#[test]
fn nothing_is_lost_by_dying() {
    let kills = match std::env::var("STARLING_KILLS") {
        Ok(number) => number.parse().expect("STARLING_KILLS is a number"),
        Err(_) => crash::KILLS_DEFAULT,
    };
    crash::run(kills, rand::random()).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn nothing_is_signed_twice_by_dying_in_company() {
    crash_net::run(4, rand::random(), Some(2)).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_sealer_that_lost_its_datadir_signs_no_height_again() {
    crash_net::run_lost_datadir(rand::random()).unwrap_or_else(|error| panic!("{error}"));
}
