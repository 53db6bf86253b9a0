//! Imports that are killed, as often as the default tests have time for; `STARLING_KILLS` asks for more.

use starling_testkit::crash;

#[test]
fn nothing_is_lost_by_dying() {
    let kills = match std::env::var("STARLING_KILLS") {
        Ok(number) => number.parse().expect("STARLING_KILLS is a number"),
        Err(_) => crash::KILLS_DEFAULT,
    };
    crash::run(kills, rand::random()).unwrap_or_else(|error| panic!("{error}"));
}
