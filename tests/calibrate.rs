//! `calibrate`: its output for operators and for scripts.

use serde_json::Value;

use crate::harness::Place;

#[test]
fn a_script_gets_the_highest_cost_within_the_target() {
    let place = Place::new();
    let flags = [
        "calibrate",
        "--json",
        "--hash-threads",
        "1",
        "--hash-lanes",
        "2",
    ];
    let report: Value = {
        let finished = place.run(&flags).succeeded();
        serde_json::from_str(&finished.stdout).unwrap()
    };
    assert_eq!(report["threads"], 1);
    assert_eq!(report["lanes"], 2);
    let costs = report["costs"].as_array().unwrap();
    assert_eq!(costs.len(), 12);
    let target = report["target_ms"].as_f64().unwrap();
    assert!((target - 250.0).abs() < 1e-9);
    // The recommendation follows from the table: the last cost that fits.
    let fitting = costs
        .iter()
        .rev()
        .find(|row| row["login_ms"].as_f64().unwrap() <= target);
    assert_eq!(
        report["recommended_cost"],
        fitting.map_or(Value::Null, |row| row["cost"].clone())
    );
    for pair in costs.windows(2) {
        assert!(pair[0]["login_ms"].as_f64() < pair[1]["login_ms"].as_f64());
    }
}

#[test]
fn a_person_gets_the_flag_to_use() {
    let place = Place::new();
    let flags = [
        "calibrate",
        "--hash-threads",
        "1",
        "--hash-lanes",
        "1",
        "--target",
        "1h",
    ];
    let finished = place.run(&flags).succeeded();
    assert!(
        finished.stdout.contains("--bcrypt-cost 15"),
        "{}",
        finished.stdout
    );
    let never = place.run(&[
        "calibrate",
        "--hash-threads",
        "1",
        "--hash-lanes",
        "1",
        "--target",
        "1ms",
        "--json",
    ]);
    assert!(never.succeeded().stdout.contains("\"recommended_cost\":"));
    place
        .run(&["calibrate", "--target", "0"])
        .was_wrong_usage("a target of nothing");
}
