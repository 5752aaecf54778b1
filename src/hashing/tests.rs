//! Compares the lanes with published test vectors, the `bcrypt` crate and the system's libxcrypt.

use std::io::Write;
use std::process::{Command, Stdio};

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Cost, Digest, HashInput, Lanes, MAX_LANES, PasswordHash};

/// From the tests of crypt_blowfish (5 rounds, high bits, 72 bytes), jBCrypt (6 and 8) and pyca/bcrypt (4).
const PUBLISHED: [(&[u8], &str); 19] = [
    (
        b"",
        "$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy",
    ),
    (
        b"U*U",
        "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    ),
    (
        b"U*U*",
        "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK",
    ),
    (
        b"U*U*U",
        "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a",
    ),
    (
        b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui",
    ),
    (
        b"\xff\xff\xa3",
        "$2y$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e",
    ),
    (
        b"\xa3",
        "$2y$05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq",
    ),
    (
        b"\xa3",
        "$2a$05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq",
    ),
    (
        b"\xff\xa3345",
        "$2y$05$/OK.fbVrR/bpIqNJ5ianF.nRht2l/HRhr6zmCp9vYUvvsqynflf9e",
    ),
    (
        b"\xa3ab",
        "$2y$05$/OK.fbVrR/bpIqNJ5ianF.6IflQkJytoRVc1yuaNtHfiuq.FRlSIS",
    ),
    (
        b"\xff\xa334\xff\xff\xff\xa3345",
        "$2y$05$/OK.fbVrR/bpIqNJ5ianF.o./n25XVfn6oAPaUvHe.Csk4zRfsYPi",
    ),
    (
        &[0xaa; 72],
        "$2a$05$/OK.fbVrR/bpIqNJ5ianF.swQOIzjOiJ9GHEPuhEkvqrUyvWhEMx6",
    ),
    (
        b"",
        "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.",
    ),
    (
        b"~!@#$%^&*()      ~!@#$%^&*()PNBFRD",
        "$2a$06$fPIsBO8qRqkjj273rfaOI.HtSV9jLDpTbZn782DC6/t7qT67P6FfO",
    ),
    (
        b"abcdefghijklmnopqrstuvwxyz",
        "$2a$08$aTsUwsyowQuzRrDqFflhgekJ8d9/7Z3GV3UcgvzQW3J5zMyrTvlz.",
    ),
    (
        b"Kk4DQuMMfZL9o",
        "$2b$04$cVWp4XaNU8a4v1uMRum2SO026BWLIoQMD/TXg5uZV.0P.uO8m3YEm",
    ),
    (
        b"9IeRXmnGxMYbs",
        "$2b$04$pQ7gRO7e6wx/936oXhNjrOUNOHL1D0h1N2IDbJZYs.1ppzSof6SPy",
    ),
    (
        b"xVQVbwa1S0M8r",
        "$2b$04$SQe9knOzepOVKoYXo9xTteNYr6MBwVz4tpriJVe3PNgYufGIsgKcW",
    ),
    (
        b"Zfgr26LWd22Za",
        "$2b$04$eH8zX.q5Q.j2hO1NkVYJQOM6KxntS/ow3.YzVmFrE4t//CoF4fvne",
    ),
];

/// Runs rounds until no lane is in use, and returns the digests.
fn drain<T>(lanes: &mut Lanes<T>) -> Vec<(T, Digest)> {
    let mut finished = Vec::new();
    while lanes.in_use() > 0 {
        lanes.round();
        finished.extend(std::iter::from_fn(|| lanes.take_finished()));
    }
    finished
}

#[test]
fn published_vectors_come_out_of_every_number_of_lanes() {
    for count in 1..=MAX_LANES {
        let mut lanes = Lanes::new();
        for batch in PUBLISHED.chunks(count) {
            for (password, text) in batch {
                let hash: PasswordHash = text.parse().unwrap();
                let input = HashInput::new(password, &hash.salt(), hash.cost(), hash.cost());
                assert!(lanes.join(&input, hash).is_ok());
            }
            for (hash, digest) in drain(&mut lanes) {
                assert_eq!(*digest, *hash.digest(), "{} of {count}", hash.as_str());
            }
        }
    }
}

#[test]
fn a_hash_beyond_the_last_lane_is_refused() {
    let mut lanes = Lanes::new();
    let input = HashInput::new(b"any", &[0; 16], Cost::MIN, Cost::MIN);
    for _ in 0..MAX_LANES {
        assert!(lanes.join(&input, "in").is_ok());
    }
    assert_eq!(lanes.join(&input, "out"), Err("out"));
    assert_eq!(drain(&mut lanes).len(), MAX_LANES);
}

#[derive(Clone, Debug)]
struct Case {
    password: Vec<u8>,
    salt: [u8; 16],
    cost: u8,
    /// By how much the cost of the whole work exceeds the cost of the hash.
    topped_up: u8,
    /// The number of rounds between the previous case and this one.
    joins_after: u16,
}

fn case() -> impl Strategy<Value = Case> {
    (
        vec(any::<u8>(), 0..=72),
        any::<[u8; 16]>(),
        4..=8_u8,
        0..=1_u8,
        0..100_u16,
    )
        .prop_map(|(password, salt, cost, topped_up, joins_after)| Case {
            password,
            salt,
            cost,
            topped_up,
            joins_after,
        })
}

/// The hash of a case from the `bcrypt` crate. The key ends with a NUL if it is shorter than 72 bytes.
fn expected(case: &Case) -> Vec<u8> {
    let mut key = case.password.clone();
    key.push(0);
    key.truncate(72);
    bcrypt::bcrypt(u32::from(case.cost), case.salt, &key)[..23].to_vec()
}

fn input(case: &Case) -> HashInput {
    let cost = Cost::new(case.cost).unwrap();
    let work = Cost::new(case.cost + case.topped_up).unwrap();
    HashInput::new(&case.password, &case.salt, cost, work)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn lanes_that_join_and_leave_at_random_agree_with_the_crate(
        cases in vec(case(), 1..24),
        width in 1..=MAX_LANES,
    ) {
        let mut lanes = Lanes::new();
        let mut answers = Vec::new();
        for (number, case) in cases.iter().enumerate() {
            let mut rounds_left = case.joins_after;
            while rounds_left > 0 || lanes.in_use() == width {
                lanes.round();
                answers.extend(std::iter::from_fn(|| lanes.take_finished()));
                rounds_left = rounds_left.saturating_sub(1);
            }
            prop_assert!(lanes.join(&input(case), number).is_ok());
        }
        answers.extend(drain(&mut lanes));
        prop_assert_eq!(answers.len(), cases.len());
        for (number, digest) in answers {
            prop_assert_eq!(digest.to_vec(), expected(&cases[number]), "{:?}", cases[number]);
        }
    }
}

#[test]
fn a_lane_stays_in_use_for_the_rounds_of_its_work() {
    let mut lanes = Lanes::new();
    let input = HashInput::new(
        b"any",
        &[7; 16],
        Cost::new(4).unwrap(),
        Cost::new(6).unwrap(),
    );
    assert!(lanes.join(&input, ()).is_ok());
    for round in 1..=1 << 6 {
        assert!(lanes.take_finished().is_none(), "before round {round}");
        lanes.round();
    }
    let (_, digest) = lanes.take_finished().unwrap();
    assert_eq!(digest.to_vec(), bcrypt::bcrypt(4, [7; 16], b"any\0")[..23]);
}

/// The hashes that the system's `crypt` computes of passwords without a NUL. It is called through perl.
fn system_crypt(passwords: &[Vec<u8>], settings: &str) -> Vec<String> {
    let program = r#"while (<STDIN>) { chomp; print crypt(pack("H*", $_), $ARGV[0]), "\n" }"#;
    let mut perl = Command::new("perl")
        .args(["-e", program, settings])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = perl.stdin.take().unwrap();
    for password in passwords {
        writeln!(stdin, "{}", hex::encode(password)).unwrap();
    }
    drop(stdin);
    let output = perl.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    #[ignore = "needs libxcrypt"]
    fn batches_agree_with_libxcrypt(
        passwords in vec(vec(1..=255_u8, 0..=72), 1..=MAX_LANES),
        cost in 4..=8_u8,
        version in prop::sample::select(vec!["2b", "2y"]),
        salt in any::<[u8; 16]>(),
    ) {
        let example = PasswordHash::from_parts(Cost::new(cost).unwrap(), salt, [0; 23]);
        let settings = example.as_str()[..29].replace("2b", version);
        let mut lanes = Lanes::new();
        for (password, theirs) in passwords.iter().zip(system_crypt(&passwords, &settings)) {
            let hash: PasswordHash = theirs.parse().unwrap();
            let input = HashInput::new(password, &hash.salt(), hash.cost(), hash.cost());
            prop_assert!(lanes.join(&input, hash).is_ok());
        }
        prop_assert_eq!(lanes.in_use(), passwords.len());
        for (hash, digest) in drain(&mut lanes) {
            prop_assert_eq!(*digest, *hash.digest(), "{}", hash.as_str());
        }
    }
}
