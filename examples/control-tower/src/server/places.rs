//! How many connections one client may have, so that none has all of them.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use crate::network::Network;

/// The connections of a listener, by whose they are.
#[derive(Clone)]
pub(super) struct Places {
    most: usize,
    taken: Arc<Mutex<HashMap<Network, usize>>>,
}

/// One of them, given back when it is dropped.
pub(super) struct Place(Option<(Places, Network)>);

impl Places {
    /// So many for each network.
    pub(super) fn new(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// A place for a connection, if its network has one left. This machine's own are not counted.
    pub(super) fn take(&self, source: IpAddr) -> Option<Place> {
        if source.to_canonical().is_loopback() {
            return Some(Place(None));
        }
        let network = Network::from(source);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.get(&network).copied().unwrap_or_default();
        if count >= self.most {
            return None;
        }
        taken.insert(network, count + 1);
        Some(Place(Some((self.clone(), network))))
    }
}

impl Place {
    /// Of a proxy, which brings many clients.
    pub(super) fn uncounted() -> Self {
        Self(None)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((places, network)) = self.0.take() else { return };
        let mut taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_client_has_all_places_and_each_is_given_back() {
        let places = Places::new(2);
        let take = |text: &str| places.take(text.parse().unwrap());
        let (one, two) = (take("2001:db8::1").unwrap(), take("2001:db8::2").unwrap());
        assert!(take("2001:db8::3").is_none());
        let others = [take("2001:db8:0:1::1").unwrap(), take("192.0.2.1").unwrap(), take("::ffff:192.0.2.1").unwrap()];
        assert!(take("192.0.2.1").is_none());
        drop(one);
        let again = take("2001:db8::3").unwrap();
        let own: Vec<Place> = (0..9).map(|_| take("127.0.0.1").unwrap()).collect();
        drop((two, again, others, own, Place::uncounted()));
        assert!(places.taken.lock().unwrap().is_empty());
    }
}
