//! Who the client is behind proxies that are trusted to say so.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use keyward_config_values::Cidr;

/// The client's address: the peer's, unless it is a trusted proxy. Then the last entry of `X-Forwarded-For` is what that proxy
/// saw; if it is a trusted proxy too, the entry before it counts, and so on. What stands further left was sent by the client
/// and may be invented.
pub(super) fn client(peer: SocketAddr, headers: &HeaderMap, trusted: &[Cidr]) -> SocketAddr {
    let mut client = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(client.ip()) {
        return client;
    }
    let values: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
    for value in values.into_iter().rev() {
        let Ok(value) = value.to_str() else { return client };
        for entry in value.rsplit(',') {
            let Some(address) = address(entry.trim()) else { return client };
            client = SocketAddr::new(address.to_canonical(), 0);
            if !is_trusted(client.ip()) {
                return client;
            }
        }
    }
    client
}

/// An address, perhaps with a port, perhaps in brackets.
fn address(text: &str) -> Option<IpAddr> {
    text.parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &[&str]) -> String {
        let trusted: Vec<Cidr> = ["10.0.0.0/8", "2001:db8::1"].iter().map(|text| text.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        client(SocketAddr::new(peer.parse().unwrap(), 1), &headers, &trusted).ip().to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(seen("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(seen("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(seen("::ffff:10.0.0.1", &["198.51.100.7:443"]), "198.51.100.7");
        assert_eq!(seen("2001:db8::1", &["[2001:db8::7]:443"]), "2001:db8::7");
    }

    #[test]
    fn what_the_client_invents_does_not_count() {
        assert_eq!(seen("10.0.0.1", &["127.0.0.1, 198.51.100.7"]), "198.51.100.7");
        assert_eq!(seen("10.0.0.1", &["127.0.0.1", "198.51.100.7, 10.9.9.9"]), "198.51.100.7");
        assert_eq!(seen("10.0.0.1", &["10.1.1.1, 10.2.2.2"]), "10.1.1.1");
        assert_eq!(seen("10.0.0.1", &["127.0.0.1, nonsense, 10.2.2.2"]), "10.2.2.2");
        assert_eq!(seen("10.0.0.1", &["unknown"]), "10.0.0.1");
    }
}
