//! Advice for the operator about an error of `bind`.

use std::io;

use rustix::io::Errno;

use super::address::Address;
use crate::files;

/// Advice in parentheses, to follow a message that names the address; empty if there is none for this error.
pub(crate) fn remedy(address: &Address, error: &io::Error) -> String {
    let address = match address {
        Address::Tcp(address) => address,
        Address::Unix(path) if Errno::from_io_error(error) == Some(Errno::NAMETOOLONG) => {
            let bytes = path.as_os_str().len();
            return format!(" (a socket path may have at most 107 bytes; this one has {bytes})");
        }
        Address::Unix(path) => return files::remedy(path, error),
    };
    let text = match Errno::from_io_error(error) {
        Some(Errno::ACCESS | Errno::PERM) if address.port() < 1024 => {
            "a port below 1024 requires root, `setcap cap_net_bind_service=+ep` on the program, or AmbientCapabilities=CAP_NET_BIND_SERVICE in its unit"
        }
        Some(Errno::ADDRINUSE) => {
            "another program listens on this address (`ss -ltnp` shows which one), or two flags of this command include it"
        }
        Some(Errno::ADDRNOTAVAIL) => {
            "no interface of this machine has this address; `ip address` lists them, and 0.0.0.0 means all of them"
        }
        Some(Errno::INVAL) if address.is_ipv6() => {
            "a link-local address needs the number of its interface, as in [fe80::1%2]:8080; `ip link` shows it"
        }
        Some(Errno::NODEV) => "no interface of this machine has this number; `ip link` lists them",
        Some(Errno::AFNOSUPPORT) => "this machine has no IPv6; 0.0.0.0 means all IPv4 addresses",
        _ => return String::new(),
    };
    format!(" ({text})")
}
