//! What an error of binding an address means to the operator.

use std::io;

use rustix::io::Errno;

use super::address::Address;
use crate::files;

/// What to do about an address that the operating system refuses, for the end of a message that names it.
pub(crate) fn remedy(address: &Address, error: &io::Error) -> String {
    let address = match address {
        Address::Tcp(address) => address,
        Address::Unix(path) if Errno::from_io_error(error) == Some(Errno::NAMETOOLONG) => {
            let bytes = path.as_os_str().len();
            return format!(" (the path of a socket may have 107 bytes, and this one has {bytes})");
        }
        Address::Unix(path) => return files::remedy(path, error),
    };
    let text = match Errno::from_io_error(error) {
        Some(Errno::ACCESS | Errno::PERM) if address.port() < 1024 => {
            "a port below 1024 is for root, or takes `setcap cap_net_bind_service=+ep` on the program or AmbientCapabilities=CAP_NET_BIND_SERVICE in its unit"
        }
        Some(Errno::ADDRINUSE) => "another program listens there; `ss -ltnp` shows which",
        Some(Errno::ADDRNOTAVAIL) => {
            "no interface of this machine has that address; `ip address` shows what there is, and 0.0.0.0 is all of them"
        }
        Some(Errno::INVAL) if address.is_ipv6() => {
            "a link-local address takes the number of its interface, as in [fe80::1%2]:8080; `ip link` shows it"
        }
        Some(Errno::NODEV) => "no interface of this machine has that number; `ip link` shows them",
        Some(Errno::AFNOSUPPORT) => "this machine has no IPv6; 0.0.0.0 is all addresses of IPv4",
        _ => return String::new(),
    };
    format!(" ({text})")
}
