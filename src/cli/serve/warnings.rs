//! Warnings about flags that are valid, but usually allow more than is intended.

#[cfg(feature = "postgres")]
use jiff::Timestamp;

use super::usage::is_remote;
use crate::config::{Config, Database};
use crate::gate::Address;
#[cfg(feature = "postgres")]
use crate::gate::certificate_problems;
#[cfg(feature = "postgres")]
use crate::store::Location;

/// The warnings about a configuration, one sentence each.
pub(super) fn of(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(network) = config.trusted_proxies.larger_than_any() {
        warnings.push(format!(
            "--trusted-proxy includes {network}: clients that connect from there can claim any address, and so evade the limits on failed logins"
        ));
    }
    #[cfg(feature = "postgres")]
    if let Database::Servers(location) = &config.database {
        warnings.extend(location.warning());
        warnings.extend(of_authority(location));
    }
    let proxied = config.trusted_proxies.is_another_machine();
    let demo = matches!(config.database, Database::Demo(_));
    for address in &config.listen {
        if let Address::Unix(path) = address
            && config.socket_mode.lets_everybody_connect()
        {
            warnings.push(format!(
                "--socket-mode {} lets every user of this machine connect to {}, and claim any address; 0660 lets its group",
                config.socket_mode,
                path.display()
            ));
        }
        if is_remote(address) && demo {
            warnings.push(format!(
                "--allow-remote-demo lets other machines log in at {address} with passwords that its page shows, and steer the stub: give --demo made-up accounts only"
            ));
        } else if is_remote(address) && config.tls.is_none() && !proxied {
            warnings.push(format!(
                "--listen {address} is plain HTTP that other machines can reach: passwords can be read on the way; --tls-cert serves TLS, and --trusted-proxy names a proxy that does"
            ));
        }
    }
    for origin in &config.cors_origins {
        if origin.is_plain_and_remote() {
            warnings.push(format!(
                "--cors-origin {origin} is without TLS: its pages can be changed on the way, and what is typed there can be read; serve them by https"
            ));
        }
    }
    warnings
}

/// The certificates of `--db-ca` that are not valid now. The program accepts them: only the dates of the server's own
/// certificate count for it.
#[cfg(feature = "postgres")]
fn of_authority(location: &Location) -> Vec<String> {
    let Location::Servers {
        authority: Some(path),
        ..
    } = location
    else {
        return Vec::new();
    };
    // A file that cannot be read makes the start fail.
    let problems = certificate_problems(path, Timestamp::now()).unwrap_or_default();
    let shown = path.display();
    let warning =
        |problem| format!("--db-ca {shown}: {problem}; psql and other clients refuse it: renew it");
    problems.into_iter().map(warning).collect()
}
