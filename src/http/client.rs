//! The client address of a request, also behind reverse proxies.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use ipnet::{IpNet, Ipv4Net};

use super::ReadField;

/// The networks of proxies whose `X-Forwarded-For` is trusted. A proxy that connects over a Unix socket is always trusted.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    ignored: Arc<Ignored>,
}

/// Warnings about ignored header fields, each logged once. They are for servers behind a proxy that was not configured as
/// trusted: such a server takes all clients for one.
#[derive(Debug, Default)]
struct Ignored {
    untrusted: OnceLock<()>,
    unread: OnceLock<()>,
}

impl TrustedProxies {
    /// Trusts the proxies in these networks. An IPv4-mapped network is converted to its IPv4 network.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self {
            networks: networks.into_iter().map(unmapped).collect(),
            ..Self::default()
        }
    }

    /// Whether there are no trusted networks.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    /// Whether a proxy on another machine is trusted, and none of the networks is so large that it cannot be one of proxies.
    pub fn is_another_machine(&self) -> bool {
        let is_remote = |network: &IpNet| !network.network().is_loopback();
        self.larger_than_any().is_none() && self.networks.iter().any(is_remote)
    }

    /// A trusted network that is larger than any private network, such as the whole Internet. Adjacent networks are merged
    /// first.
    pub fn larger_than_any(&self) -> Option<IpNet> {
        // The largest private networks are 10.0.0.0/8 and fc00::/7.
        let is_too_large = |network: &IpNet| match network {
            IpNet::V4(network) => network.prefix_len() < 8,
            IpNet::V6(network) => network.prefix_len() < 7,
        };
        IpNet::aggregate(&self.networks)
            .into_iter()
            .find(is_too_large)
    }

    /// The address of the client.
    ///
    /// If the peer is not trusted, this is the peer's address. If it is trusted, this is the right-most address in
    /// `X-Forwarded-For` that is not trusted itself, because everything to the left of it may be forged. If the field is
    /// absent, or has something other than an address where it is read, this is the peer's address. A `peer` of `None` is on
    /// a Unix socket and trusted; its own address is 127.0.0.1.
    ///
    /// `joined` returns the values of all fields with a name as one list.
    pub(crate) fn client(
        &self,
        peer: Option<IpAddr>,
        joined: impl Fn(ReadField) -> Option<Vec<u8>>,
    ) -> IpAddr {
        let own = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.to_canonical());
        let is_trusted = peer.is_none() || self.contains(own);
        let Some(forwarded_for) = joined(ReadField::XForwardedFor) else {
            self.ignored.log_unread(joined);
            return own;
        };
        if !is_trusted {
            self.ignored.log_untrusted(own);
            return own;
        }
        String::from_utf8_lossy(&forwarded_for)
            .rsplit(',')
            .map(|entry| address(entry.trim()))
            .find(|entry| entry.is_none_or(|address| !self.contains(address)))
            .flatten()
            .unwrap_or(own)
    }

    /// Whether a peer with this address, which must not be IPv4-mapped, is trusted.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let mut networks = self.networks.iter();
        networks.any(|network| network.contains(&address))
    }
}

impl Ignored {
    fn log_untrusted(&self, peer: IpAddr) {
        self.untrusted.get_or_init(|| {
            tracing::warn!(
                %peer,
                "X-Forwarded-For of a peer that is not a trusted proxy is ignored; if it is your proxy, start the server \
                 with --trusted-proxy and its address (logged once)"
            );
        });
    }

    fn log_unread(&self, joined: impl Fn(ReadField) -> Option<Vec<u8>>) {
        if self.unread.get().is_some() {
            return;
        }
        let fields = [ReadField::Forwarded, ReadField::XRealIp];
        if let Some(field) = fields.into_iter().find(|field| joined(*field).is_some()) {
            self.unread.get_or_init(|| {
                tracing::warn!(
                    field = field.name(),
                    "this header field is ignored; a proxy must send the client's address as X-Forwarded-For (logged once)"
                );
            });
        }
    }
}

fn unmapped(network: IpNet) -> IpNet {
    if let IpNet::V6(v6) = network
        && let Some(address) = v6.addr().to_ipv4_mapped()
        && let Some(length) = v6.prefix_len().checked_sub(96)
        && let Ok(v4) = Ipv4Net::new(address, length)
    {
        return IpNet::V4(v4);
    }
    network
}

/// The address in one entry of `X-Forwarded-For`, to which some proxies add the port.
fn address(entry: &str) -> Option<IpAddr> {
    let bare = entry
        .strip_prefix('[')
        .and_then(|entry| entry.strip_suffix(']'))
        .unwrap_or(entry);
    let address = bare.parse::<IpAddr>().ok();
    address
        .or_else(|| entry.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_the_right_most_address_that_is_not_trusted() {
        let trusted = ["10.0.0.0/8", "2001:db8::/32", "::ffff:192.168.0.0/112"];
        let proxies = TrustedProxies::new(trusted.map(|network| network.parse().unwrap()).to_vec());
        let (proxy, client) = (Some("10.0.0.1"), "198.51.100.1");
        for (peer, forwarded, expected) in [
            // A peer that is not a proxy, and a proxy that does not send the field.
            (Some("203.0.113.9"), Some(client), "203.0.113.9"),
            (proxy, None, "10.0.0.1"),
            (proxy, Some(client), client),
            // What the client claims is left of what the proxy adds.
            (proxy, Some("1.1.1.1, 198.51.100.1"), client),
            (proxy, Some("198.51.100.1,10.0.0.7"), client),
            (proxy, Some(" 1.1.1.1,\t198.51.100.1\t, 10.0.0.7 "), client),
            (proxy, Some("unknown, 198.51.100.1"), client),
            // No usable address.
            (proxy, Some("10.0.0.8, 10.0.0.7"), "10.0.0.1"),
            (proxy, Some("198.51.100.1, unknown"), "10.0.0.1"),
            (proxy, Some("198.51.100.1,"), "10.0.0.1"),
            (proxy, Some(""), "10.0.0.1"),
            // IPv6, and IPv4-mapped addresses.
            (Some("2001:db8::1"), Some("2001:470::1"), "2001:470::1"),
            (Some("::ffff:10.0.0.1"), Some("::ffff:198.51.100.1"), client),
            (proxy, Some("198.51.100.1, ::ffff:10.1.1.1"), client),
            (Some("192.168.0.4"), Some(client), client),
            (Some("192.169.0.4"), Some(client), "192.169.0.4"),
            // Some proxies add the port.
            (proxy, Some("198.51.100.1:4711"), client),
            (proxy, Some("[2001:470::1]:4711"), "2001:470::1"),
            // Over a Unix socket.
            (None, Some(client), client),
            (None, None, "127.0.0.1"),
            (None, Some("unknown"), "127.0.0.1"),
        ] {
            let peer = peer.map(|peer: &str| peer.parse().unwrap());
            let forwarded_for = forwarded.map(|field| field.as_bytes().to_vec());
            let found = proxies.client(peer, |field| match field {
                ReadField::XForwardedFor => forwarded_for.clone(),
                _ => None,
            });
            assert_eq!(found.to_string(), expected, "{peer:?} {forwarded:?}");
        }
    }
}
