//! A port for a program that must be given one, since it does not report which one it chose.

use std::net::{Ipv6Addr, SocketAddr};

use rustix::fd::OwnedFd;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

/// A port that is bound and never listened on. The system gives it to no other program meanwhile, and lets a listener with
/// `SO_REUSEADDR`, which every server sets, share it.
pub struct HeldPort {
    pub number: u16,
    _socket: OwnedFd,
}

impl HeldPort {
    /// Holds a port that is free for IPv4 and for IPv6.
    pub fn new() -> Self {
        let (family, flags) = (AddressFamily::INET6, SocketFlags::CLOEXEC);
        let socket = net::socket_with(family, SocketType::STREAM, flags, None).unwrap();
        sockopt::set_socket_reuseaddr(&socket, true).unwrap();
        sockopt::set_ipv6_v6only(&socket, false).unwrap();
        net::bind(&socket, &SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))).unwrap();
        let address = SocketAddr::try_from(net::getsockname(&socket).unwrap()).unwrap();
        Self {
            number: address.port(),
            _socket: socket,
        }
    }

    pub fn on_loopback(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.number))
    }
}
