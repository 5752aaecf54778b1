//! The day of an operator with the Debian package, run by one shell on a machine of its own.

use super::Page;
use crate::harness::machine::Machine;
use crate::harness::page::assert_shows;

/// The heading above what needs root, Debian and nginx.
pub(super) const HEADING: &str = "## A day with the package";

#[test]
#[ignore = "needs root, apt, cargo-deb, nginx and curl"]
fn the_day_with_the_package_goes_as_it_is_shown() {
    let machine = Machine::take();
    trust_a_certificate(&machine);
    let day: Vec<_> = Page::read("docs/operating.md")
        .examples()
        .into_iter()
        .filter(|(block, _)| block.heading == HEADING && block.language == "sh")
        .collect();
    const END: &str = "--- the next block ---\n";
    let script: String = day
        .iter()
        .map(|(block, _)| format!("{}printf %s '{END}'\n", block.text))
        .collect();
    let printed = machine.run("sh", &["-euc", &script]);
    let printed: Vec<&str> = printed.split_terminator(END).collect();
    assert_eq!(printed.len(), day.len(), "{printed:#?}");
    for ((block, shown), printed) in day.iter().zip(printed) {
        if let Some(shown) = shown {
            assert_shows(shown, printed, &block.text);
        }
    }
    // root worked on it, and left it all to the server's user.
    let listed = machine.run("stat", &["--format", "%U", "/var/lib/thanos-login"]);
    let files = ["/var/lib/thanos-login", "!", "-user", "thanos-login"];
    assert_eq!(
        (&*listed, &*machine.run("find", &files)),
        ("thanos-login\n", "")
    );
}

/// Puts a certificate where the day has one, and has curl find its name on this machine.
fn trust_a_certificate(machine: &Machine) {
    let (place, name) = (&machine.place, "stable.projectthanos.com");
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    place.write("fullchain.pem", params.self_signed(&key).unwrap().pem());
    place.write("privkey.pem", key.serialize_pem());
    let (port, trusted) = (machine.https_port.number, place.path("fullchain.pem"));
    let trusted = trusted.display();
    let settings =
        format!("connect-to = {name}:443:127.0.0.1:{port}\ncacert = {trusted}\nsilent\n");
    place.write(".curlrc", settings);
}
