//! Which hosts a delivery may go to, and how the connection to each must be protected.
//!
//! What the operator says of a destination goes first, then DANE (RFC 7672), then MTA-STS (RFC 8461, section 2: it
//! never overrides DANE), then nothing: encrypted where offered (RFC 7435).

use std::net::IpAddr;
use std::sync::Arc;

use domain::delivery::TlsState;

use crate::dane::{self, Association, Dane};
use crate::mta_sts::{Mode, Policy};
use crate::mx::{self, MAX_ADDRESSES, NoHost, Route};
use crate::outgoing::Shared;
use crate::settings::TlsSetting;

/// The TLSA records of a host could not be had.
const NO_TLSA: &str = "4.4.3";
/// A host that the domain's policy does not name.
const NOT_NAMED: &str = "4.7.5";

/// What a connection must fulfil.
#[derive(Debug, Clone)]
pub(crate) enum Security {
    /// TLS is not wanted.
    Clear,
    /// TLS where it is offered, else in clear.
    Opportunistic,
    /// TLS with any certificate.
    Encrypted,
    /// TLS with a valid certificate for the host; for which of the reasons, says the state.
    Verified(TlsState),
    /// TLS with a certificate that the host's TLSA records name.
    Dane(Arc<Association>),
}

impl Security {
    /// What a connection in TLS is called.
    pub(crate) fn state(&self) -> TlsState {
        match self {
            Self::Clear => TlsState::Clear,
            Self::Opportunistic | Self::Encrypted => TlsState::Encrypted,
            Self::Verified(state) => *state,
            Self::Dane(_) => TlsState::Dane,
        }
    }
}

impl From<TlsSetting> for Security {
    fn from(setting: TlsSetting) -> Self {
        match setting {
            TlsSetting::Opportunistic => Self::Opportunistic,
            TlsSetting::Required => Self::Encrypted,
            TlsSetting::Verified => Self::Verified(TlsState::Verified),
            TlsSetting::Off => Self::Clear,
        }
    }
}

/// A host to try.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    /// The name that a certificate is to have.
    pub(crate) name: String,
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    /// TLS from the first octet on.
    pub(crate) implicit_tls: bool,
    pub(crate) security: Security,
}

/// What a delivery may do.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Best first.
    pub(crate) hosts: Vec<Host>,
    /// Why a host was left out, if that was for want of security.
    pub(crate) refused: Option<&'static str>,
}

/// The hosts for a destination.
pub(crate) async fn plan(shared: &Shared, domain: &str) -> Result<Plan, NoHost> {
    let (name, port, implicit_tls) = match &shared.settings.route {
        Route::Mx { port } => match mx::literal(domain) {
            Some(address) => {
                let security = shared.settings.tls_to(domain).map_or(Security::Opportunistic, Security::from);
                let host = Host { name: address.to_string(), address, port: *port, implicit_tls: false, security };
                return Ok(Plan { hosts: vec![host], refused: None });
            }
            None => return plan_mx(shared, domain, *port).await,
        },
        Route::Smtp { host, port, implicit_tls, .. } => (host, *port, *implicit_tls),
    };
    let security = route_security(&shared.settings.route, shared.settings.tls_to(name));
    // The operator's own server that has no address is a slip of the operator's; nobody's mail bounces for it.
    let addresses = mx::addresses(&shared.dns, name).await.map_err(|_| NoHost::NotNow)?;
    let host = |address| Host { name: name.clone(), address, port, implicit_tls, security: security.clone() };
    Ok(Plan { hosts: addresses.found.into_iter().take(2 * MAX_ADDRESSES).map(host).collect(), refused: None })
}

/// Towards the operator's own provider: a password needs a valid certificate, whatever else is said.
fn route_security(route: &Route, setting: Option<TlsSetting>) -> Security {
    let Route::Smtp { credentials, implicit_tls, .. } = route else { return Security::Opportunistic };
    match setting {
        _ if credentials.is_some() => Security::Verified(TlsState::Verified),
        None if *implicit_tls => Security::Verified(TlsState::Verified),
        // There the only question is which certificates are right.
        Some(TlsSetting::Opportunistic | TlsSetting::Off) if *implicit_tls => Security::Encrypted,
        Some(setting) => setting.into(),
        None => Security::Opportunistic,
    }
}

async fn plan_mx(shared: &Shared, domain: &str, port: u16) -> Result<Plan, NoHost> {
    let (dns, settings) = (&shared.dns, &shared.settings);
    let exchangers = mx::exchangers(dns, domain, &settings.hostname, shared.ctx.random.as_ref()).await?;
    let setting = settings.tls_to(domain);
    let looks_for_dane = setting.is_none() && exchangers.is_authentic && dns.is_trusted();
    // The policy of the domain; looked for when the first host has no DANE.
    let mut policy: Option<Option<Arc<Policy>>> = None;
    let mut plan = Plan { hosts: Vec::new(), refused: None };
    let mut last = NoHost::Never("5.4.4");
    for name in exchangers.names {
        let addresses = match mx::addresses(dns, &name).await {
            Ok(addresses) => addresses,
            Err(none) => {
                // One that may be there later is worth another try.
                last = if last == NoHost::NotNow { last } else { none };
                continue;
            }
        };
        let dane = if looks_for_dane { dane::find(dns, &name, &addresses, port, domain).await } else { Dane::Absent };
        if setting.is_none() && matches!(dane, Dane::Absent | Dane::Unusable) && policy.is_none() {
            policy = Some(shared.policies.find(domain, dns, &shared.connectors.https, settings.mta_sts_port).await);
        }
        let published = policy.as_ref().and_then(|policy| policy.as_deref());
        let security = match (setting, published_security(dane, published, &name)) {
            (Some(setting), _) => setting.into(),
            (None, Ok(security)) => security,
            (None, Err(status)) => {
                plan.refused = Some(status);
                continue;
            }
        };
        let name = if let Security::Dane(association) = &security { association.names[0].clone() } else { name };
        let host = |address| Host { name: name.clone(), address, port, implicit_tls: false, security: security.clone() };
        plan.hosts.extend(addresses.found.into_iter().take(MAX_ADDRESSES).map(host));
    }
    if plan.hosts.is_empty() && plan.refused.is_none() { Err(last) } else { Ok(plan) }
}

/// What the destination asks for by what it publishes; the status for a host that mail must not go to.
fn published_security(dane: Dane, policy: Option<&Policy>, host: &str) -> Result<Security, &'static str> {
    let enforced = policy.filter(|policy| policy.mode == Mode::Enforce);
    match (dane, enforced) {
        (Dane::Failed, _) => Err(NO_TLSA),
        (Dane::Usable(association), _) => Ok(Security::Dane(Arc::new(association))),
        (Dane::Absent | Dane::Unusable, Some(policy)) if policy.names(host) => Ok(Security::Verified(TlsState::MtaSts)),
        (Dane::Absent | Dane::Unusable, Some(_)) => Err(NOT_NAMED),
        (Dane::Unusable, None) => Ok(Security::Encrypted),
        (Dane::Absent, None) => Ok(Security::Opportunistic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(mode: &str) -> Policy {
        Policy::parse(&format!("version: STSv1\nmode: {mode}\nmx: mx.a.test\nmax_age: 60\n")).unwrap()
    }

    #[test]
    fn what_is_published_is_never_weakened() {
        let enforce = policy("enforce");
        assert!(matches!(published_security(Dane::Failed, None, "mx.a.test"), Err(NO_TLSA)));
        assert!(matches!(published_security(Dane::Unusable, None, "mx.a.test"), Ok(Security::Encrypted)));
        let named = published_security(Dane::Unusable, Some(&enforce), "mx.a.test");
        assert!(matches!(named, Ok(Security::Verified(TlsState::MtaSts))));
        assert!(matches!(published_security(Dane::Absent, Some(&enforce), "mx.b.test"), Err(NOT_NAMED)));
        for mode in ["testing", "none"] {
            assert!(matches!(published_security(Dane::Absent, Some(&policy(mode)), "mx.b.test"), Ok(Security::Opportunistic)));
        }
    }

    #[test]
    fn a_password_needs_a_valid_certificate_whatever_is_said() {
        let route = |with_password: bool, implicit_tls| Route::Smtp {
            host: "relay.test".to_owned(),
            port: 587,
            credentials: with_password.then(|| ("me".to_owned(), "secret".to_owned())),
            implicit_tls,
        };
        for setting in [None, Some(TlsSetting::Off), Some(TlsSetting::Opportunistic), Some(TlsSetting::Required)] {
            assert!(matches!(route_security(&route(true, false), setting), Security::Verified(_)), "{setting:?}");
        }
        assert!(matches!(route_security(&route(false, true), None), Security::Verified(_)));
        assert!(matches!(route_security(&route(false, true), Some(TlsSetting::Off)), Security::Encrypted));
        assert!(matches!(route_security(&route(false, false), None), Security::Opportunistic));
        assert!(matches!(route_security(&route(false, false), Some(TlsSetting::Off)), Security::Clear));
    }
}
