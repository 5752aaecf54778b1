//! Names that could mislead whoever reads them at a terminal.

use super::{json_lines, run};
use crate::harness::Place;

/// Read by a terminal, the name ends in `exe.gpj`; the second one cannot be seen at all.
const ORGANIZATION: &str = "Acme \u{202E}jpg.exe";
const USERNAME: &str = "jane\u{3164}\u{200F}@acme.com";

#[test]
fn names_that_turn_or_hide_text_are_escaped_wherever_they_are_shown() {
    let place = Place::new();
    run(&place, &["init"]);
    let cost = ["--bcrypt-cost", "10"];
    let add = ["user", "add", USERNAME, "--org", ORGANIZATION, "--generate"];
    let shown = [r"Acme \u{202e}jpg.exe", r"jane\u{3164}\u{200f}@acme.com"];
    for (args, expected) in [
        (&["org", "add", ORGANIZATION, "--type", "RETAILER"][..], 0),
        (&["org", "list"], 0),
        (&["org", "show", ORGANIZATION], 0),
        (&["org", "set-status", ORGANIZATION, "PENDING"], 0),
        (&[&add[..], &cost].concat(), 1),
        (&["user", "list"], 1),
        (&["user", "show", USERNAME], 1),
        (&["user", "set-status", USERNAME, "DEACTIVATED"], 1),
        (&["user", "unlock", USERNAME], 1),
        (
            &[&["user", "passwd", USERNAME, "--generate"][..], &cost].concat(),
            1,
        ),
    ] {
        let told = run(&place, args).stdout;
        assert!(told.is_ascii(), "{args:?}: {told}");
        assert!(told.contains(shown[expected]), "{args:?}: {told}");
    }
    for args in [
        &add[..],
        &["org", "show", "Acme \u{202E}jpg.ex"],
        &["user", "show", "nobody\u{2066}"],
        &[
            "user",
            "import",
            "no\u{2028}file.csv",
            "--org",
            ORGANIZATION,
        ],
        &["seed", "no\u{61C}file.json"],
        &["token", "list", "--user", "nobody\u{FE0F}"],
    ] {
        let failed = place.run(args);
        failed.failed_naming(&format!("{args:?}"), r"\u{");
        assert!(failed.stderr.is_ascii(), "{args:?}: {failed:#?}");
    }
    let usage = place.run(&["serve", "--listen", "\u{202E}1.0.0.721"]);
    usage.was_wrong_usage("an address that is turned around");
    assert!(usage.stderr.contains(r"\u{202e}"), "{usage:#?}");

    for (args, name, value) in [
        (["org", "list", "--json"], "name", ORGANIZATION),
        (["user", "list", "--json"], "username", USERNAME),
    ] {
        let told = run(&place, &args);
        assert!(told.stdout.is_ascii(), "{told:#?}");
        assert_eq!(json_lines(&told)[0][name], value);
    }
}
