//! Configurations: which are refused and with what words, what follows from those that are not, and
//! which may follow another on one database.

use alloy_primitives::U256;
use serde_json::{Value, json};
use starling_chainspec::{
    Activation, BlobSchedule, ChainSpec, Consensus, FINALITY_DEPTH_BLOCKS, Fork, Incompatible, compatible,
};
use starling_primitives::Header;

/// A genesis file that is right: every fork up to Cancun.
fn genesis() -> Value {
    json!({
        "config": {
            "chainId": 7, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
            "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0,
            "berlinBlock": 0, "londonBlock": 0, "terminalTotalDifficulty": 0,
            "shanghaiTime": 10, "cancunTime": 20
        },
        "gasLimit": "0x1c9c380", "difficulty": "1", "alloc": {}
    })
}

fn parse(genesis: &Value) -> Result<ChainSpec, String> {
    ChainSpec::from_genesis_json("custom", &genesis.to_string()).map_err(|error| error.to_string())
}

/// The right file with one value set (or, with null, taken out), and the words it is refused with.
fn refuse(pointer: &str, value: Value, expected: &str) {
    let mut genesis = genesis();
    set(&mut genesis, pointer, value);
    assert_eq!(parse(&genesis).map(|_| ()), Err(expected.into()));
}

fn set(genesis: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    genesis.pointer_mut(parent).unwrap()[key] = value;
}

#[test]
fn wrong_files_are_refused_with_the_field_that_is_wrong() {
    let address = "/alloc/0x00000000000000000000000000000000000000aa";
    let cases = [
        ("/gasLimit", json!(null), "gasLimit is missing"),
        ("/difficulty", json!(null), "difficulty is missing"),
        ("/alloc", json!(null), "alloc is missing"),
        ("/config/chainId", json!(null), "config.chainId is missing"),
        ("/config/cancunTime", json!(5), "config.cancunTime 5 is before config.shanghaiTime 10"),
        ("/config/londonBlock", json!(null), "config.shanghaiTime is set but config.londonBlock is not"),
        ("/config/berlinBlock", json!(null), "config.londonBlock is set but config.berlinBlock is not"),
        ("/config/pragTime", json!(30), "config.pragTime is not a known field"),
        ("/config/osakaTime", json!(30), "config.osakaTime is set but config.pragueTime is not"),
        (
            "/config/terminalTotalDifficulty",
            json!(null),
            "config.shanghaiTime is set but config.terminalTotalDifficulty is not",
        ),
        (
            "/config/eip155Block",
            json!(3),
            "config.eip155Block 3 differs from config.eip158Block; both begin with Spurious Dragon",
        ),
        ("/config/bogotaTime", json!(99), "config.bogotaTime 99 asks for a fork that this version does not know"),
        (
            "/config/cancunTime",
            json!(-1),
            "config.cancunTime -1 is neither a string nor a number that a chain can have",
        ),
        ("/config/cancunTime", json!(2.5), "config.cancunTime 2.5 is not a decimal or 0x-prefixed number"),
        (
            "/config/cancunTime",
            json!("0x1ffffffffffffffff"),
            "config.cancunTime \"0x1ffffffffffffffff\" does not fit 64 bits",
        ),
        ("/config/dev", json!({"period": 1}), "config.dev.period is not a known field"),
        ("/config/clique", json!({"epoch": 1}), "config.clique.period is missing"),
        ("/config/blobSchedule", json!({}), "config.blobSchedule.cancun is missing"),
        (
            "/config/blobSchedule",
            json!({"cancun": {"target": 4, "max": 3, "baseFeeUpdateFraction": 1}}),
            "config.blobSchedule.cancun.max 3 is below the target",
        ),
        (
            "/config/blobSchedule",
            json!({"cancun": {"target": 3, "max": 6, "baseFeeUpdateFraction": 0}}),
            "config.blobSchedule.cancun.baseFeeUpdateFraction 0 would divide by zero",
        ),
        ("/number", json!("0x1"), "number \"0x1\" is not 0, the number of every genesis block"),
        ("/extradata", json!("0x123"), "extradata \"0x123\" is not hex with an even number of digits"),
        ("/extraData", json!("12"), "extraData \"12\" does not begin with 0x"),
        ("/mixHash", json!("0x12"), "mixHash \"0x12\" is not 32 bytes"),
        ("/coinbase", json!("0x12"), "coinbase \"0x12\" is not an address of 20 bytes"),
        ("/gasPrice", json!(1), "gasPrice is not a known field"),
        ("/alloc/12", json!({}), "alloc \"12\" is not an address of 20 bytes"),
        (address, json!({}), "alloc.0x00000000000000000000000000000000000000aa.balance is missing"),
        (
            address,
            json!({"balance": "0x0", "storage": {"0x01": "0xzz"}}),
            "alloc.0x00000000000000000000000000000000000000aa.storage.0x01 \"0xzz\" is not hex of at most 32 bytes",
        ),
        (
            address,
            json!({"balance": "0x0", "kode": "0x"}),
            "alloc.0x00000000000000000000000000000000000000aa.kode is not a known field",
        ),
    ];
    assert!(parse(&genesis()).is_ok());
    for (pointer, value, expected) in cases {
        refuse(pointer, value, expected);
    }
}

#[test]
fn a_field_that_stands_twice_is_refused() {
    let text = genesis().to_string();
    for (once, twice, path) in [
        (r#""gasLimit":"#, r#""gaslimit":1,"gasLimit":"#, "gasLimit"),
        (r#""cancunTime":"#, r#""cancunTime":9,"cancunTime":"#, "config.cancunTime"),
    ] {
        let error = ChainSpec::from_genesis_json("custom", &text.replace(once, twice)).unwrap_err();
        assert_eq!(error.to_string(), format!("{path} stands there twice"));
    }
    let error = ChainSpec::from_genesis_json("custom", "[]").unwrap_err().to_string();
    assert!(error.starts_with("genesis is not a JSON object"), "{error}");
}

#[test]
fn numbers_come_decimal_or_hex_quoted_or_not() {
    let mut genesis = genesis();
    for (pointer, value) in [
        ("/timestamp", json!("0x0f")),
        ("/nonce", json!("0x000000000000000")),
        ("/gasLimit", json!(30_000_000)),
        ("/difficulty", json!("131072")),
        ("/extraData", json!("")),
        ("/config/cancunTime", json!("0x14")),
        (
            "/alloc/00000000000000000000000000000000000000aa",
            json!({"balance": "12", "nonce": "3", "code": "0x00", "storage": {"1": "02"}}),
        ),
        ("/alloc/0x00000000000000000000000000000000000000BB", json!({"balance": 5})),
    ] {
        set(&mut genesis, pointer, value);
    }
    let spec = parse(&genesis).unwrap();
    assert_eq!(spec.genesis_header.timestamp, 15);
    assert_eq!(spec.genesis_header.gas_limit, 30_000_000);
    assert_eq!(spec.genesis_header.base_fee_per_gas, Some(1_000_000_000));
    assert_eq!(spec.activation(Fork::Cancun), Some(Activation::Time(20)));
    let accounts: Vec<_> = spec.genesis_state.accounts.values().collect();
    let [(first, storage), (second, _)] = accounts.as_slice() else { panic!("two accounts") };
    assert_eq!((first.balance, first.nonce), (U256::from(12), 3));
    assert_eq!(storage.get(&U256::ONE), Some(&U256::from(2)));
    assert_eq!(second.balance, U256::from(5));
}

fn header(number: u64, timestamp: u64, difficulty: u64) -> Header {
    Header { number, timestamp, difficulty: U256::from(difficulty), ..Default::default() }
}

fn check_fork(spec: &ChainSpec, header: &Header, expected: Fork) {
    assert_eq!(spec.fork_of(header), expected, "{} at {header:?}", spec.name);
}

#[test]
fn forks_follow_from_number_difficulty_and_time() {
    let mainnet = ChainSpec::named("mainnet").unwrap();
    for (number, timestamp, difficulty, fork) in [
        (0, 0, 1, Fork::Frontier),
        (1_149_999, 0, 1, Fork::Frontier),
        (1_150_000, 0, 1, Fork::Homestead),
        (1_920_000, 0, 1, Fork::Dao),
        (2_463_000, 0, 1, Fork::Tangerine),
        (7_280_000, 0, 1, Fork::Petersburg),
        (15_050_000, 1_656_586_444, 1, Fork::GrayGlacier),
        // time alone brings nothing before the merge
        (15_050_001, 2_000_000_000, 1, Fork::GrayGlacier),
        (15_537_394, 1_663_224_179, 0, Fork::Paris),
        (17_034_870, 1_681_338_455, 0, Fork::Shanghai),
        (24_000_000, 1_765_290_071, 0, Fork::Bpo1),
        (25_000_000, 2_000_000_000, 0, Fork::Bpo2),
    ] {
        check_fork(&mainnet, &header(number, timestamp, difficulty), fork);
    }
    let sepolia = ChainSpec::named("sepolia").unwrap();
    check_fork(&sepolia, &header(9_000_000, 1_791_294_816, 0), Fork::Amsterdam);
    // an optional fork is active only where it is scheduled
    assert!(!sepolia.is_active(Fork::Dao, &header(9_000_000, 1_791_294_816, 0)));
    assert!(!sepolia.is_active(Fork::Bpo3, &header(9_000_000, 1_791_294_816, 0)));
    assert!(mainnet.is_active(Fork::Dao, &header(2_463_000, 0, 1)));
    check_fork(&ChainSpec::named("dev").unwrap(), &header(1, 1, 0), Fork::Bpo2);
}

#[test]
fn clique_takes_time_forks_with_or_without_a_merge() {
    let mut genesis = genesis();
    set(&mut genesis, "/config/clique", json!({"period": 5, "epoch": 100}));
    let merging = parse(&genesis).unwrap();
    check_fork(&merging, &header(1, 30, 2), Fork::London);
    check_fork(&merging, &header(1, 30, 0), Fork::Cancun);
    assert_eq!(merging.consensus.finality_depth_blocks(), None);

    set(&mut genesis, "/config/terminalTotalDifficulty", json!(null));
    let lasting = parse(&genesis).unwrap();
    assert_eq!(lasting.consensus, Consensus::Clique { period: 5, epoch: 100, terminal_total_difficulty: None });
    check_fork(&lasting, &header(1, 9, 2), Fork::London);
    check_fork(&lasting, &header(1, 10, 2), Fork::Shanghai);
    check_fork(&lasting, &header(1, 20, 1), Fork::Cancun);
    assert!(!lasting.is_proof_of_stake(&header(1, 20, 0)));
    assert_eq!(lasting.consensus.finality_depth_blocks(), Some(FINALITY_DEPTH_BLOCKS));
    assert_eq!(
        ChainSpec::from_config_json("custom", &lasting.config_json(), Header::default()).unwrap().consensus,
        lasting.consensus
    );
}

#[test]
fn blob_schedules_are_inherited() {
    let of = |spec: &ChainSpec, fork| spec.blob_schedule_of(fork).map(|schedule| (schedule.target, schedule.max));
    let sepolia = ChainSpec::named("sepolia").unwrap();
    assert_eq!(of(&sepolia, Fork::Shanghai), None);
    assert_eq!(of(&sepolia, Fork::Cancun), Some((3, 6)));
    assert_eq!(of(&sepolia, Fork::Bpo1), Some((10, 15)));
    assert_eq!(of(&sepolia, Fork::Amsterdam), Some((14, 21)));
    assert_eq!(sepolia.blob_schedule_at(&header(1, 1_706_655_072, 0)), BlobSchedule::default_of(Fork::Cancun));
    // an entry of a fork that is not scheduled does not count
    let mut genesis = genesis();
    set(
        &mut genesis,
        "/config/blobSchedule",
        json!({
            "cancun": {"target": 1, "max": 2, "baseFeeUpdateFraction": 3},
            "prague": {"target": 4, "max": 5, "baseFeeUpdateFraction": 6}
        }),
    );
    assert_eq!(of(&parse(&genesis).unwrap(), Fork::Osaka), Some((1, 2)));
}

#[test]
fn rewards_by_fork() {
    let ether = |thousandths: u64| U256::from(thousandths) * U256::from(1_000_000_000_000_000u64);
    let work = Consensus::Ethereum { terminal_total_difficulty: None };
    for (fork, reward) in [
        (Fork::Frontier, 5_000),
        (Fork::SpuriousDragon, 5_000),
        (Fork::Byzantium, 3_000),
        (Fork::Constantinople, 2_000),
        (Fork::GrayGlacier, 2_000),
        (Fork::Paris, 0),
    ] {
        assert_eq!(work.block_reward(fork), ether(reward), "{fork}");
    }
    assert_eq!(work.ommer_reward(Fork::Frontier, 10, 9), ether(4_375));
    assert_eq!(work.ommer_reward(Fork::Frontier, 10, 4), ether(1_250));
    assert_eq!(work.inclusion_reward(Fork::Byzantium) * U256::from(32), ether(3_000));
    assert!(Consensus::Dev.block_reward(Fork::Frontier).is_zero());
}

/// What `stored` at a head says to `wanted`.
fn check_compatible(stored: &ChainSpec, wanted: &ChainSpec, head: (u64, u64), expected: Result<(), &str>) {
    let verdict = compatible(stored, wanted, head.0, head.1).map_err(|error| error.to_string());
    assert_eq!(verdict, expected.map_err(String::from));
}

#[test]
fn future_forks_may_change_and_past_ones_ask_for_a_rewind() {
    let stored = ChainSpec::named("hoodi").unwrap();
    let (before, after) = ((10, 1_742_999_831), (1_000, 1_800_000_000));
    check_compatible(&stored, &stored, after, Ok(()));

    let moved = stored.clone().with_override(Fork::Bpo2, 1_900_000_000).unwrap();
    check_compatible(&stored, &moved, before, Ok(()));
    let words = "bpo2 is at time 1762955544 in the database and at time 1900000000 as configured; rewind to time 1762955543 first";
    check_compatible(&stored, &moved, after, Err(words));
    let words = "bpo2 is at time 1900000000 in the database and at time 1762955544 as configured; rewind to time 1762955543 first";
    check_compatible(&moved, &stored, after, Err(words));

    let added = stored.clone().with_override(Fork::Amsterdam, 1_790_000_000).unwrap();
    let words = "amsterdam is at no block in the database and at time 1790000000 as configured; rewind to time 1789999999 first";
    check_compatible(&stored, &added, after, Err(words));
    check_compatible(&stored, &added, (1_000, 1_789_999_999), Ok(()));

    let mut blobs = stored.clone();
    blobs.blob_schedule.last_mut().unwrap().1.max = 99;
    check_compatible(&stored, &blobs, before, Ok(()));
    let words = "the blob schedule of bpo2 differs from the database's; rewind to time 1762955543 first";
    check_compatible(&stored, &blobs, after, Err(words));
}

#[test]
fn a_changed_block_fork_names_its_block() {
    let stored = ChainSpec::named("mainnet").unwrap();
    let mut wanted = stored.clone();
    for (fork, activation) in &mut wanted.forks {
        if matches!(fork, Fork::London | Fork::Berlin) {
            *activation = Activation::Block(12_000_000);
        }
    }
    check_compatible(&stored, &wanted, (11_000_000, 1_600_000_000), Ok(()));
    let rewind = compatible(&stored, &wanted, 13_000_000, 1_630_000_000);
    assert_eq!(
        rewind,
        Err(Incompatible::Fork {
            fork: Fork::Berlin,
            stored: Some(Activation::Block(12_244_000)),
            wanted: Some(Activation::Block(12_000_000)),
            rewind_to: Activation::Block(11_999_999),
        })
    );
    wanted.chain_id = 2;
    check_compatible(
        &stored,
        &wanted,
        (0, 0),
        Err("chain id is 1 in the database and 2 as configured; they cannot share a database"),
    );
}

#[test]
fn overrides_keep_the_order_of_forks() {
    let hoodi = ChainSpec::named("hoodi").unwrap();
    let early = hoodi.clone().with_override(Fork::Osaka, 5).map(|_| ());
    assert_eq!(early.unwrap_err().to_string(), "config.osakaTime 5 is before config.pragueTime 1742999832");
    let block = hoodi.clone().with_override(Fork::London, 5).map(|_| ());
    assert_eq!(block.unwrap_err().to_string(), "london begins at a block; only forks by time can be overridden");
    assert_eq!("Amsterdam".parse(), Ok(Fork::Amsterdam));
    let moved = hoodi.clone().with_override("amsterdam".parse().unwrap(), 1_900_000_000).unwrap();
    assert_eq!(moved.activation(Fork::Amsterdam), Some(Activation::Time(1_900_000_000)));
    assert_eq!((moved.genesis_hash(), moved.name), (hoodi.genesis_hash(), hoodi.name));
}

/// The accounts that every development tool derives from its mnemonic, by the checksums of their addresses.
#[test]
fn dev_funds_the_known_accounts() {
    let dev = ChainSpec::named("dev").unwrap();
    let file: Value = serde_json::from_str(include_str!("../../../genesis/dev.json")).unwrap();
    let funded: Vec<_> = file["alloc"].as_object().unwrap().iter().filter(|(_, a)| a.get("code").is_none()).collect();
    assert_eq!(funded.len(), 10);
    for (address, _) in funded {
        let address = alloy_primitives::Address::parse_checksummed(address, None).unwrap();
        assert_eq!(dev.genesis_state.accounts[&address].0.balance, U256::from(10_000) * U256::from(10u64.pow(18)));
    }
}

/// EIP-225: the last 65 bytes of the extra data are the signer's signature of the header without them.
#[test]
fn the_author_of_a_clique_block_is_its_signer() {
    use secp256k1::{Message, Secp256k1, SecretKey};
    let clique = Consensus::Clique { period: 5, epoch: 100, terminal_total_difficulty: None };
    let secp = Secp256k1::new();
    let key = SecretKey::from_byte_array([7; 32]).unwrap();
    let public = key.public_key(&secp).serialize_uncompressed();
    let signer = alloy_primitives::Address::from_slice(&alloy_primitives::keccak256(&public[1..])[12..]);

    let mut header = Header { extra_data: vec![0; 32].into(), ..header(1, 1, 2) };
    assert_eq!(clique.author(&header), None);
    let signature = secp.sign_ecdsa_recoverable(Message::from_digest(header.hash_slow().0), &key);
    let (id, seal) = signature.serialize_compact();
    let parity = u8::try_from(i32::from(id)).unwrap();
    header.extra_data = [[0; 32].as_slice(), &seal, &[parity]].concat().into();
    assert_eq!(clique.author(&header), Some(signer));

    let work = Consensus::Ethereum { terminal_total_difficulty: None };
    assert_eq!(work.author(&header), Some(header.beneficiary));
    header.extra_data = [[0; 32].as_slice(), &seal, &[27]].concat().into();
    assert_eq!(clique.author(&header), None);
}
