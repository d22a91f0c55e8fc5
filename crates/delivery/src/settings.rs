//! What the configuration says about deliveries.

use std::collections::HashMap;
use std::net::SocketAddr;

use rustls::pki_types::CertificateDer;

use crate::mx::Route;

/// Connections over all destinations, if nothing else is said.
const CONNECTIONS: usize = 500;
/// Connections to one destination, if nothing else is said.
const CONNECTIONS_PER_DESTINATION: usize = 20;
/// The port of HTTPS.
const HTTPS_PORT: u16 = 443;

/// How mail leaves.
#[derive(Debug, Clone)]
pub struct DeliverySettings {
    /// The way.
    pub route: Route,
    /// Our own host name.
    pub hostname: String,
    /// Connections to one destination at a time.
    pub connections_per_destination: usize,
    /// Connections over all destinations.
    pub connections: usize,
    /// What differs for single destinations: a recipient's domain, or the host of the route; in lower case.
    pub domains: HashMap<String, DomainSettings>,
    /// Authorities to trust besides the system's.
    pub roots: Vec<CertificateDer<'static>>,
    /// Where MTA-STS policies are fetched: 443 but for tests.
    pub mta_sts_port: u16,
    /// Name servers for questions whose answer must be authentic; `system_servers` where none are configured.
    pub dns: Vec<SocketAddr>,
    /// Whether their AD bit counts. Without it there is no DANE.
    pub trust_ad: bool,
}

impl DeliverySettings {
    /// Settings with nothing but a route.
    #[must_use]
    pub fn new(route: Route, hostname: String) -> Self {
        Self {
            route,
            hostname,
            connections_per_destination: CONNECTIONS_PER_DESTINATION,
            connections: CONNECTIONS,
            domains: HashMap::new(),
            roots: Vec::new(),
            mta_sts_port: HTTPS_PORT,
            dns: Vec::new(),
            trust_ad: false,
        }
    }

    /// Connections to a destination at a time.
    pub(crate) fn connections_to(&self, destination: &str) -> usize {
        let own = self.own(destination).and_then(|domain| domain.connections);
        own.unwrap_or(self.connections_per_destination).max(1)
    }

    /// What is said of TLS towards a destination, if anything is.
    pub(crate) fn tls_to(&self, destination: &str) -> Option<TlsSetting> {
        self.own(destination).and_then(|domain| domain.tls)
    }

    fn own(&self, destination: &str) -> Option<&DomainSettings> {
        self.domains.get(&destination.to_ascii_lowercase())
    }
}

/// What differs for one destination.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DomainSettings {
    /// TLS, before whatever the destination publishes.
    pub tls: Option<TlsSetting>,
    /// Connections at a time.
    pub connections: Option<usize>,
}

/// What the operator says of TLS towards a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsSetting {
    /// Where it is offered, with any certificate; else in clear.
    Opportunistic,
    /// Always, with any certificate.
    Required,
    /// Always, with a valid certificate for the name of the host.
    Verified,
    /// Never.
    Off,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_of_its_own_settings_goes_before_the_rest() {
        let mut settings = DeliverySettings::new(Route::Mx { port: 25 }, "mx.us.test".to_owned());
        let own = DomainSettings { tls: Some(TlsSetting::Verified), connections: Some(2) };
        settings.domains.insert("a.test".to_owned(), own);
        settings.domains.insert("b.test".to_owned(), DomainSettings { connections: Some(0), ..DomainSettings::default() });
        assert_eq!((settings.connections_to("a.test"), settings.tls_to("a.test")), (2, Some(TlsSetting::Verified)));
        assert_eq!((settings.connections_to("b.test"), settings.tls_to("b.test")), (1, None));
        assert_eq!((settings.connections_to("c.test"), settings.tls_to("c.test")), (CONNECTIONS_PER_DESTINATION, None));
        assert_eq!((settings.connections_to("A.test"), settings.tls_to("A.test")), (2, Some(TlsSetting::Verified)));
    }
}
