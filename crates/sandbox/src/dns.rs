//! An authoritative name server for a made-up zone: whatever is asked is answered, if only with "no such name".

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, MX, PTR, SOA, TLSA, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;

/// Seconds for which answers may be kept.
const TTL: u32 = 300;
/// Octets of one character-string in TXT (RFC 1035, section 3.3.14).
const TXT_OCTETS: usize = 255;

/// Records by lower-case name without trailing dot.
#[derive(Clone, Default)]
pub struct Zone {
    records: Arc<RwLock<HashMap<String, Vec<RData>>>>,
    failing: Arc<RwLock<HashSet<String>>>,
    silent: Arc<AtomicBool>,
    authentic: Arc<AtomicBool>,
}

impl Zone {
    /// Adds an address.
    pub fn a(&self, name: &str, address: Ipv4Addr) {
        self.add(name, RData::A(A(address)));
    }

    /// Adds a mail exchanger.
    pub fn mx(&self, name: &str, exchange: &str) {
        self.mx_of_preference(name, 10, exchange);
    }

    /// Adds a mail exchanger of a preference; the lower, the better.
    pub fn mx_of_preference(&self, name: &str, preference: u16, exchange: &str) {
        if let Ok(exchange) = Name::from_utf8(format!("{exchange}.")) {
            self.add(name, RData::MX(MX::new(preference, exchange)));
        }
    }

    /// Adds a certificate association at a name such as `_25._tcp.mx.shop.example` (RFC 6698).
    pub fn tlsa(&self, name: &str, usage: u8, selector: u8, matching: u8, data: &[u8]) {
        self.add(name, RData::TLSA(TLSA::new(usage.into(), selector.into(), matching.into(), data.to_vec())));
    }

    /// Adds a text of any length.
    pub fn txt(&self, name: &str, text: &str) {
        let pieces = text.as_bytes().chunks(TXT_OCTETS).map(|c| String::from_utf8_lossy(c).into_owned()).collect();
        self.add(name, RData::TXT(TXT::new(pieces)));
    }

    /// Gives an address its reverse name.
    pub fn ptr(&self, address: Ipv4Addr, name: &str) {
        let [a, b, c, d] = address.octets();
        if let Ok(target) = Name::from_utf8(format!("{name}.")) {
            self.add(&format!("{d}.{c}.{b}.{a}.in-addr.arpa"), RData::PTR(PTR(target)));
        }
    }

    /// A domain whose mail comes from and goes to loopback: MX, A and an SPF record.
    pub fn mail_domain(&self, domain: &str) {
        self.a(domain, Ipv4Addr::LOCALHOST);
        self.a(&format!("mx.{domain}"), Ipv4Addr::LOCALHOST);
        self.mx(domain, &format!("mx.{domain}"));
        self.txt(domain, "v=spf1 ip4:127.0.0.1 -all");
    }

    /// Forgets a name.
    pub fn remove(&self, name: &str) {
        self.records.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Stops or resumes answering, as a dead server does.
    pub fn set_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
    }

    /// Says of every answer that it is authentic, as a validating resolver does to who asks for it (RFC 6840, section 5.8).
    pub fn set_authentic(&self, authentic: bool) {
        self.authentic.store(authentic, Ordering::Relaxed);
    }

    /// Answers every question for that name with SERVFAIL, as a validating resolver does where signatures are wrong.
    pub fn set_failing(&self, name: &str, failing: bool) {
        let mut names = self.failing.write().unwrap_or_else(PoisonError::into_inner);
        if failing {
            names.insert(name.to_ascii_lowercase());
        } else {
            names.remove(&name.to_ascii_lowercase());
        }
    }

    fn add(&self, name: &str, data: RData) {
        self.records.write().unwrap_or_else(PoisonError::into_inner).entry(name.to_ascii_lowercase()).or_default().push(data);
    }

    fn answer(&self, request: &Message) -> Message {
        let mut response = Message::response(request.metadata.id, request.metadata.op_code);
        response.metadata.message_type = MessageType::Response;
        response.metadata.authoritative = true;
        response.metadata.recursion_desired = request.metadata.recursion_desired;
        response.metadata.recursion_available = true;
        let Some(query) = request.queries.first() else { return response };
        response.add_query(query.clone());
        let name = query.name().to_utf8().trim_end_matches('.').to_ascii_lowercase();
        if self.failing.read().unwrap_or_else(PoisonError::into_inner).contains(&name) {
            response.metadata.response_code = ResponseCode::ServFail;
            return response;
        }
        let is_asked_for = request.metadata.authentic_data || request.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
        response.metadata.authentic_data = is_asked_for && self.authentic.load(Ordering::Relaxed);
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        match records.get(&name) {
            Some(found) => {
                for data in found.iter().filter(|d| d.record_type() == query.query_type() || query.query_type() == RecordType::ANY) {
                    response.add_answer(Record::from_rdata(query.name().clone(), TTL, data.clone()));
                }
            }
            None if !records.keys().any(|known| known.ends_with(&format!(".{name}"))) => {
                response.metadata.response_code = ResponseCode::NXDomain;
            }
            None => {}
        }
        if response.answers.is_empty() {
            // RFC 2308: an SOA tells that the "no" comes from an authority and how long it holds.
            let root = Name::root();
            let soa = SOA::new(root.clone(), root.clone(), 1, 3600, 600, 86_400, 60);
            response.authorities.push(Record::from_rdata(root, 60, RData::SOA(soa)));
        }
        response
    }
}

/// Serves the zone over UDP; gives the address.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve_dns(zone: Zone, address: SocketAddr) -> std::io::Result<SocketAddr> {
    let socket = UdpSocket::bind(address).await?;
    let bound = socket.local_addr()?;
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
            if zone.silent.load(Ordering::Relaxed) {
                continue;
            }
            if let Ok(request) = Message::from_vec(&buffer[..length])
                && let Ok(octets) = zone.answer(&request).to_vec()
            {
                let _ = socket.send_to(&octets, peer).await;
            }
        }
    });
    Ok(bound)
}
