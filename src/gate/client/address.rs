//! The addresses on which the gate listens: as written on the command line, and as bound.
//!
//! Host names are never resolved: an address is an IP address, `localhost` or a path.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// The port to suggest for an address without one.
const USUAL_PORT: &str = "8080";

/// An address to listen on: `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080` or `unix:/run/login.sock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An IP address and a port; port 0 takes a free one.
    Tcp(SocketAddr),
    /// A socket file, for a proxy on the same machine.
    Unix(PathBuf),
}

/// A text that is not an [`Address`], with a hint at what was probably meant.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not IP:PORT, localhost:PORT or unix:PATH{0}")]
pub struct NotAnAddress(String);

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err(NotAnAddress::from(text)),
                path => Ok(Self::Unix(PathBuf::from(path))),
            };
        }
        if let Some(port) = text.strip_prefix("localhost:") {
            // `parse` alone would accept "+80".
            let port = port.parse().ok().filter(|_| is_number(port));
            let port = port.ok_or_else(|| NotAnAddress::from(text))?;
            return Ok(Self::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
        }
        text.parse()
            .map(Self::Tcp)
            .map_err(|_| NotAnAddress::from(text))
    }
}

impl From<&str> for NotAnAddress {
    fn from(text: &str) -> Self {
        let hint = match meant(text) {
            Some(meant) => format!("; try {meant}"),
            None => hint(text),
        };
        Self(hint)
    }
}

/// The address that was probably meant by a text that is not one.
fn meant(text: &str) -> Option<String> {
    let is_address = |text: &String| text.parse::<SocketAddr>().is_ok();
    let bare = text.trim();
    let bare = ["http://", "https://", "tcp://"]
        .iter()
        .find_map(|scheme| bare.strip_prefix(scheme))
        .unwrap_or(bare)
        .trim_end_matches('/');
    if bare.starts_with(['/', '.']) {
        return Some(format!("unix:{bare}"));
    }
    let is_ip = |text: &str| text.parse::<IpAddr>().is_ok();
    let (host, port) = match bare.rsplit_once(':') {
        Some((host, port)) if is_ip(host) => (host, port),
        _ if is_ip(bare) || bare.ends_with(']') => (bare, USUAL_PORT),
        Some((host, port)) => (host, port),
        None => host_or_port(bare),
    };
    let host = match host {
        "" | "localhost" => "127.0.0.1",
        "*" => "0.0.0.0",
        host => host,
    };
    let is_bare_v6 = host.contains(':') && !host.starts_with('[');
    let whole = match is_bare_v6 {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    };
    Some(whole).filter(is_address)
}

fn host_or_port(text: &str) -> (&str, &str) {
    match is_number(text) {
        true => ("", text),
        false => (text, USUAL_PORT),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The hint for a text that cannot be corrected to an address; empty if there is none.
fn hint(text: &str) -> String {
    let (host, port) = text.rsplit_once(':').unwrap_or_else(|| host_or_port(text));
    let is_number = is_number(port);
    if is_number && port.parse::<u16>().is_err() {
        return format!("; a port is a number from 0 to {}", u16::MAX);
    }
    if host.contains('%') {
        return "; % is followed by the number of an interface, which `ip link` shows".to_owned();
    }
    if !is_number || host.is_empty() || host == "unix" || host.contains([':', '/']) {
        return String::new();
    }
    format!(
        "; host names are not resolved: use an IP address of this machine, or 0.0.0.0:{port} for all of them"
    )
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The permissions of a socket file, written in octal: they decide who may connect. The default is `0600`, the owner only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketMode(u32);

/// A text that is not a [`SocketMode`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not the permissions of a file in octal, such as 0660")]
pub struct NotASocketMode;

impl SocketMode {
    /// Whether every user of this machine may connect.
    pub fn lets_everybody_connect(self) -> bool {
        // Connecting requires write permission.
        self.0 & 0o002 != 0
    }

    pub(crate) fn bits(self) -> u32 {
        self.0
    }
}

impl Default for SocketMode {
    fn default() -> Self {
        Self(0o600)
    }
}

impl FromStr for SocketMode {
    type Err = NotASocketMode;

    fn from_str(text: &str) -> Result<Self, NotASocketMode> {
        // `from_str_radix` alone would accept "+600".
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let mode = u32::from_str_radix(text, 8)
            .ok()
            .filter(|mode| digits && *mode <= 0o777);
        mode.map(Self).ok_or(NotASocketMode)
    }
}

impl fmt::Display for SocketMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// An address that a socket is bound to, with the port that the system assigned. Displays as `http://127.0.0.1:8080`,
/// `https://[::1]:8443` or `unix:/run/login.sock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The address.
    pub address: Address,
    /// Whether clients speak TLS on this address; always false for a socket file.
    pub tls: bool,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.address, self.tls) {
            (Address::Tcp(address), false) => write!(f, "http://{address}"),
            (Address::Tcp(address), true) => write!(f, "https://{address}"),
            (unix @ Address::Unix(_), _) => unix.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_ip_address_with_a_port_or_localhost_or_a_path() {
        for (text, shown) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("[::1]:0", "[::1]:0"),
            ("localhost:80", "127.0.0.1:80"),
            ("unix:/run/login.sock", "unix:/run/login.sock"),
            ("unix:relative", "unix:relative"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown);
        }
        for text in [
            "",
            "8080",
            "127.0.0.1",
            "127.0.0.1:99999",
            "::1:80",
            "example.com:80",
            "localhost",
            "localhost:",
            "localhost:+80",
            "localhost:65536",
            "unix:",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_error_suggests_the_address_that_was_probably_meant() {
        for (text, correction) in [
            ("8080", "; try 127.0.0.1:8080"),
            (":8080", "; try 127.0.0.1:8080"),
            ("*:80", "; try 0.0.0.0:80"),
            ("127.0.0.1", "; try 127.0.0.1:8080"),
            ("localhost", "; try 127.0.0.1:8080"),
            ("::1", "; try [::1]:8080"),
            ("[::1]", "; try [::1]:8080"),
            ("::1:80", "; try [::1]:80"),
            (":::80", "; try [::]:80"),
            ("http://127.0.0.1:80/", "; try 127.0.0.1:80"),
            ("/run/login.sock", "; try unix:/run/login.sock"),
            ("127.0.0.1:99999", "; a port is a number from 0 to 65535"),
            ("99999", "; a port is a number from 0 to 65535"),
            (
                "[fe80::1%eth0]:80",
                "; % is followed by the number of an interface, which `ip link` shows",
            ),
            (
                "host.example:80",
                "; host names are not resolved: use an IP address of this machine, or 0.0.0.0:80 for all of them",
            ),
            ("localhost:http", ""),
            ("unix:", ""),
            ("", "; try 127.0.0.1:8080"),
            (
                "nowhere",
                "; host names are not resolved: use an IP address of this machine, or 0.0.0.0:8080 for all of them",
            ),
        ] {
            let NotAnAddress(hint) = text.parse::<Address>().unwrap_err();
            assert_eq!(hint, correction, "{text}");
        }
    }

    #[test]
    fn a_bound_address_displays_as_a_url() {
        let tcp = |tls| Bound {
            address: "[::1]:8443".parse().unwrap(),
            tls,
        };
        assert_eq!(tcp(true).to_string(), "https://[::1]:8443");
        assert_eq!(tcp(false).to_string(), "http://[::1]:8443");
    }

    #[test]
    fn a_socket_mode_is_up_to_four_octal_digits_of_permissions() {
        for (text, shown) in [
            ("600", "0600"),
            ("0660", "0660"),
            ("0777", "0777"),
            ("0", "0000"),
        ] {
            let mode: SocketMode = text.parse().unwrap();
            assert_eq!(mode.to_string(), shown);
        }
        for text in [
            "",
            "+600",
            "-600",
            "0o600",
            "680",
            "1600",
            "rw-rw----",
            " 600",
        ] {
            assert_eq!(text.parse::<SocketMode>(), Err(NotASocketMode), "{text:?}");
        }
        assert_eq!(SocketMode::default().to_string(), "0600");
    }
}
