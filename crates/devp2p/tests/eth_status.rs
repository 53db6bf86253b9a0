//! Status: what it says, and what ends the session.

use alloy_primitives::{B256, Bytes, U256};
use starling_chainspec::{ChainSpec, ForkId, ForkIdError};
use starling_devp2p::eth::*;

fn spec() -> ChainSpec {
    ChainSpec::named("mainnet").unwrap()
}

/// A Status of mainnet at London, by that version.
fn status(version: EthVersion) -> Status {
    let (genesis, fork_id) = (spec().genesis_hash(), spec().fork_id(12_965_000, 0));
    match version {
        EthVersion::V68 => Status::V68(Status68 {
            network_id: 1,
            total_difficulty: U256::from(17_179_869_184u64),
            head: B256::repeat_byte(5),
            genesis,
            fork_id,
        }),
        _ => Status::V69(Status69 {
            network_id: 1,
            genesis,
            fork_id,
            range: BlockRange { earliest: 7, latest: 12_965_000, latest_hash: B256::repeat_byte(5) },
        }),
    }
}

#[test]
fn comes_back_as_it_went_in_its_own_version_only() {
    for version in EthVersion::ALL {
        let (message, mut out) = (EthMessage::Status(status(version)), Vec::new());
        assert_eq!(message.encode(version, &mut out), Ok(0x00));
        let payload = Bytes::from(out);
        assert_eq!(EthMessage::decode(version, 0x00, &payload), Ok(message.clone()));
        for other in EthVersion::ALL.into_iter().filter(|other| *other != version) {
            let theirs = version as u64;
            let expect = Err(EthError::StatusVersion { ours: other, theirs });
            assert_eq!(EthMessage::decode(other, 0x00, &payload), expect);
        }
    }
    let wrong_shape = EthMessage::Status(status(EthVersion::V68)).encode(EthVersion::V69, &mut Vec::new());
    assert_eq!(wrong_shape, Err(NotInVersion { version: EthVersion::V69, id: 0 }));
}

#[test]
fn says_what_its_version_can_say() {
    let (old, new) = (status(EthVersion::V68), status(EthVersion::V70));
    assert_eq!(old.total_difficulty(), Some(U256::from(17_179_869_184u64)));
    assert_eq!((old.range(), new.total_difficulty()), (None, None));
    assert_eq!((old.head(), new.head()), (B256::repeat_byte(5), B256::repeat_byte(5)));
    let range = new.range().unwrap();
    assert!(range.contains(7) && range.contains(12_965_000) && !range.contains(6) && !range.contains(12_965_001));
}

/// What our node, on mainnet at London, makes of a Status changed by `change`.
fn check(change: impl Fn(&mut Status69), expect: &str) {
    let Status::V69(mut theirs) = status(EthVersion::V69) else { unreachable!() };
    change(&mut theirs);
    let forks = spec().fork_filter(12_965_000, 0);
    let got = Status::V69(theirs).check(1, spec().genesis_hash(), &forks);
    let text = got.map_or_else(|error| error.to_string(), |()| "fine".into());
    assert!(text.starts_with(expect), "{text:?}, not {expect:?}");
}

#[test]
fn the_first_mismatch_in_order_is_the_reason() {
    let network: fn(&mut Status69) = |status| status.network_id = 5;
    let genesis: fn(&mut Status69) = |status| status.genesis = B256::ZERO;
    let forks: fn(&mut Status69) = |status| status.fork_id.next = 1;
    let reversed: fn(&mut Status69) = |status| status.range.earliest = 12_965_001;
    let zero: fn(&mut Status69) = |status| status.range.latest_hash = B256::ZERO;
    let all = [network, genesis, forks, reversed, zero];
    let reasons = [
        "peer is on network 5, we are on 1",
        "peer's genesis is 0x0000",
        "peer's forks do not fit ours",
        "block range begins at 12965001 and ends at 12965000",
        "block range ends in a block with hash zero",
        "fine",
    ];
    for (first, reason) in reasons.into_iter().enumerate() {
        check(|status| all[first.min(5)..].iter().for_each(|change| change(status)), reason);
    }
}

#[test]
fn forks_are_judged_from_our_own_head() {
    let past = spec().fork_id(0, 0);
    check(|status| status.fork_id = past, "fine"); // syncing, and it knows what comes next
    let forks = spec().fork_filter(12_965_000, 0);
    let stale = Status::V69(Status69 {
        network_id: 1,
        genesis: spec().genesis_hash(),
        fork_id: ForkId { hash: past.hash, next: 0 },
        range: BlockRange { earliest: 0, latest: 0, latest_hash: spec().genesis_hash() },
    });
    let error = stale.check(1, spec().genesis_hash(), &forks).unwrap_err();
    assert!(matches!(error, StatusError::ForkId(ForkIdError::RemoteStale { .. })), "{error}");
}
