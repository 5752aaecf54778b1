//! The address that a request comes from, behind reverse proxies too.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use ipnet::{IpNet, Ipv4Net};

use super::ReadField;

/// The networks whose `X-Forwarded-For` is believed. Without any, only a proxy on a Unix socket is.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    ignored: Arc<Ignored>,
}

/// What was ignored, and logged the first time: a server is often put behind a proxy that it does not know of, and then
/// takes all clients for one.
#[derive(Debug, Default)]
struct Ignored {
    untrusted: OnceLock<()>,
    unread: OnceLock<()>,
}

impl TrustedProxies {
    /// Takes the networks as they were given; an IPv4-mapped one stands for its IPv4 network.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self {
            networks: networks.into_iter().map(unmapped).collect(),
            ..Self::default()
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    /// Whether there is a proxy on another machine, and not just everybody.
    pub fn is_another_machine(&self) -> bool {
        let is_remote = |network: &IpNet| !network.network().is_loopback();
        self.larger_than_any().is_none() && self.networks.iter().any(is_remote)
    }

    /// A network that is larger than any of proxies can be, such as the whole Internet, alone or made of several.
    pub fn larger_than_any(&self) -> Option<IpNet> {
        // The largest that is anybody's own: 10.0.0.0/8 and fc00::/7.
        let is_too_large = |network: &IpNet| match network {
            IpNet::V4(network) => network.prefix_len() < 8,
            IpNet::V6(network) => network.prefix_len() < 7,
        };
        IpNet::aggregate(&self.networks)
            .into_iter()
            .find(is_too_large)
    }

    /// The client's address: the peer's, unless the peer is trusted (one without an address is on a Unix socket, and
    /// trusted). Then it is the right-most address of `X-Forwarded-For` that is not itself trusted: what is left of it
    /// was written by somebody else. A list that is absent or makes no sense where it is read gives the peer's address.
    ///
    /// `joined` gives the values of all fields of a name as one list.
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

    /// Whether a peer with this address, IPv4 as IPv4, is trusted.
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
                "X-Forwarded-For of a peer that is no trusted proxy is ignored; if it is your proxy, start the server with \
                 --trusted-proxy and its address (logged once)"
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
                    "this header field is not read; a proxy has to send the client's address as X-Forwarded-For (logged once)"
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

/// Some proxies add the port.
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
            // A peer that is no proxy, and one without the field.
            (Some("203.0.113.9"), Some(client), "203.0.113.9"),
            (proxy, None, "10.0.0.1"),
            (proxy, Some(client), client),
            // What the client claims is left of what the proxy adds.
            (proxy, Some("1.1.1.1, 198.51.100.1"), client),
            (proxy, Some("198.51.100.1,10.0.0.7"), client),
            (proxy, Some(" 1.1.1.1,\t198.51.100.1\t, 10.0.0.7 "), client),
            (proxy, Some("unknown, 198.51.100.1"), client),
            // None that is usable.
            (proxy, Some("10.0.0.8, 10.0.0.7"), "10.0.0.1"),
            (proxy, Some("198.51.100.1, unknown"), "10.0.0.1"),
            (proxy, Some("198.51.100.1,"), "10.0.0.1"),
            (proxy, Some(""), "10.0.0.1"),
            // IPv6, and IPv4 as such.
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
