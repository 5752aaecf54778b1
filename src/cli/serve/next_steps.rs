//! The next steps that a demo prints at a terminal: the address of its page, and a login by curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use serde_json::json;

use crate::account::{OrganizationStatus, UserStatus};
use crate::accounts::Accounts;
use crate::cli::escape::{printable, visible_json};
use crate::gate::{Address, Bound};
use crate::{Certificate, Config, Database};

/// A first login to a demo.
pub(super) struct NextSteps {
    username: String,
    password: String,
    /// The first name of a self-signed certificate.
    tls_name: Option<String>,
}

impl NextSteps {
    /// `None` for a server that is not a demo, and for a demo without a user who can log in.
    pub(super) fn of(config: &Config) -> Option<Self> {
        let Database::Demo(accounts) = &config.database else {
            return None;
        };
        let (username, password) = first_login(accounts)?;
        let tls_name = match &config.tls {
            Some(Certificate::SelfSigned(names)) => names.first().cloned(),
            _ => None,
        };
        Some(Self {
            username,
            password,
            tls_name,
        })
    }

    /// The text for the terminal. `authority` is the file of the certificate authority that clients must trust.
    pub(super) fn text(&self, bound: &Bound, authority: Option<&Path>) -> String {
        let (page_origin, curl, origin) = match &bound.address {
            Address::Tcp(address) => {
                let address = reachable(*address);
                let (curl, origin) = match bound.tls {
                    true => self.over_tls(address, authority),
                    false => ("curl".to_owned(), format!("http://{address}")),
                };
                let page_origin = match self.unresolved_name() {
                    Some(_) if bound.tls => format!("https://{address}"),
                    _ => origin.clone(),
                };
                (Some(page_origin), curl, origin)
            }
            Address::Unix(path) => {
                let curl = format!("curl --unix-socket {}", quoted_path(path));
                (None, curl, "http://localhost".to_owned())
            }
        };
        let (username, password) = (printable(&self.username), printable(&self.password));
        let body = json!({"username": self.username, "password": self.password}).to_string();
        let body = quoted(&visible_json(&body));
        let page = page_origin.map(|origin| {
            format!("\nThe accounts and the last requests, in a browser:\n  {origin}/\n")
        });
        let page = page.unwrap_or_default();
        format!(
            "{page}
A login as {username}, whose password is {password}:
  {curl} {origin}/api/organizations/user-login/ \\
      -H 'Content-Type: application/json' \\
      -d {body}
"
        )
    }

    /// The name of the certificate, if this machine may not resolve it: curl is given its address, a browser cannot be.
    fn unresolved_name(&self) -> Option<&str> {
        let name = self.tls_name.as_deref()?;
        (name != "localhost" && name.parse::<IpAddr>().is_err()).then_some(name)
    }

    /// The curl command and the origin for a server with TLS; the host is a name of the certificate.
    fn over_tls(&self, address: SocketAddr, authority: Option<&Path>) -> (String, String) {
        let mut curl = "curl".to_owned();
        if let Some(authority) = authority {
            curl += &format!(" --cacert {}", quoted_path(authority));
        }
        let Some(name) = &self.tls_name else {
            return (curl, format!("https://{address}"));
        };
        let (ip, port) = (address.ip(), address.port());
        if let Some(name) = self.unresolved_name() {
            curl += &format!(" --resolve {name}:{port}:{ip}");
        }
        let host = match name.contains(':') {
            true => format!("[{name}]"),
            false => name.clone(),
        };
        (curl, format!("https://{host}:{port}"))
    }
}

/// The username and password of the first active user of an active organization whose password is known in plain text.
fn first_login(accounts: &Accounts) -> Option<(String, String)> {
    accounts.users.iter().find_map(|entry| {
        let (_, organization) = accounts.organizations.get(entry.place.organization()?)?;
        let statuses = (organization.status, entry.user.status);
        let is_active = matches!(
            statuses,
            (
                None | Some(OrganizationStatus::Active),
                None | Some(UserStatus::Active)
            )
        );
        is_active.then_some(())?;
        let username = entry.user.username.as_ref()?.as_str().to_owned();
        let password = entry.user.password.as_ref()?.as_str().to_owned();
        Some((username, password))
    })
}

/// Replaces an unspecified address, such as 0.0.0.0, by the loopback address of the same family.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn quoted_path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// Quotes a text as one word of a shell command.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
