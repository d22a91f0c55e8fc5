//! Questions to the DNS, with whether the answer is authentic (the AD bit, RFC 4035, section 3.2.3).
//!
//! Where authenticity counts, the question is our own: the resolver library sends neither AD nor DO and shows the
//! answer's flags only behind its cache. The validating resolver that is asked caches for us. Where nothing is
//! trusted, the library answers from its cache. We never validate signatures ourselves.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use domain::Random;
use hickory_resolver::TokioResolver;
use hickory_resolver::proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long one server is given for one answer.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);
/// How often each server is asked.
const ROUNDS: usize = 2;
/// Servers that are asked.
const MAX_SERVERS: usize = 3;
/// Largest answer over UDP that is not cut in pieces on the way (RFC 9715); longer ones come over TCP.
const UDP_OCTETS: u16 = 1_232;
/// Aliases followed within one answer.
const MAX_ALIASES: usize = 8;

/// What the DNS says of a name and a type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// Records, and the name that they stand at behind its aliases.
    Found { data: Vec<RData>, canonical: String, is_authentic: bool },
    /// There are none; the name itself may exist.
    Nothing { name_exists: bool, is_authentic: bool },
    /// No server answers, or what it says is bogus. That is never "there are none".
    Failed,
}

impl Answer {
    pub(crate) fn is_authentic(&self) -> bool {
        matches!(self, Self::Found { is_authentic: true, .. } | Self::Nothing { is_authentic: true, .. })
    }

    /// The addresses in it.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let data = if let Self::Found { data, .. } = self { data.as_slice() } else { &[] };
        data.iter().filter_map(|data| match data {
            RData::A(a) => Some(IpAddr::from(a.0)),
            RData::AAAA(aaaa) => Some(IpAddr::from(aaaa.0)),
            _ => None,
        })
    }
}

/// The servers of this machine's configuration, for settings that name none.
#[must_use]
pub fn system_servers() -> Vec<SocketAddr> {
    let Ok((config, _)) = hickory_resolver::system_conf::read_system_conf() else { return Vec::new() };
    config.name_servers().iter().map(|server| SocketAddr::new(server.ip, 53)).collect()
}

/// Asks name servers anew, without a cache and without the library's own answers for names of this machine; for who
/// examines what the world sees. `None` when no server answers.
pub async fn look_up(
    resolver: &TokioResolver,
    servers: &[SocketAddr],
    random: Arc<dyn Random>,
    name: &str,
    kind: RecordType,
) -> Option<Vec<RData>> {
    match Dns::new(resolver.clone(), servers, random).ask(name, kind).await {
        Answer::Found { data, .. } => Some(data),
        Answer::Nothing { .. } => Some(Vec::new()),
        Answer::Failed => None,
    }
}

/// Asks.
pub(crate) struct Dns {
    resolver: TokioResolver,
    /// Servers whose AD bit counts; empty where none does.
    trusted: Vec<SocketAddr>,
    random: Arc<dyn Random>,
}

impl Dns {
    pub(crate) fn new(resolver: TokioResolver, trusted: &[SocketAddr], random: Arc<dyn Random>) -> Self {
        Self { resolver, trusted: trusted.iter().copied().take(MAX_SERVERS).collect(), random }
    }

    /// Whether any answer can be authentic.
    pub(crate) fn is_trusted(&self) -> bool {
        !self.trusted.is_empty()
    }

    /// Asks where an authentic answer matters.
    pub(crate) async fn ask(&self, name: &str, kind: RecordType) -> Answer {
        if self.trusted.is_empty() {
            return self.ask_cached(name, kind).await;
        }
        let Some(name) = absolute(name) else { return NO_SUCH_NAME };
        for _ in 0..ROUNDS {
            for server in &self.trusted {
                if let Some(answer) = self.ask_server(*server, &name, kind).await {
                    return answer;
                }
            }
        }
        Answer::Failed
    }

    /// Asks where any answer will do.
    pub(crate) async fn ask_cached(&self, name: &str, kind: RecordType) -> Answer {
        let Some(name) = absolute(name) else { return NO_SUCH_NAME };
        match self.resolver.lookup(name.clone(), kind).await {
            Ok(lookup) => {
                // The library has followed the aliases.
                let of_kind = lookup.answers().iter().filter(|record| record.record_type() == kind);
                let data: Vec<RData> = of_kind.map(|record| record.data.clone()).collect();
                if data.is_empty() {
                    return Answer::Nothing { name_exists: true, is_authentic: false };
                }
                Answer::Found { data, canonical: plain(&name), is_authentic: false }
            }
            Err(error) if error.is_nx_domain() => NO_SUCH_NAME,
            Err(error) if error.is_no_records_found() => Answer::Nothing { name_exists: true, is_authentic: false },
            Err(_) => Answer::Failed,
        }
    }

    /// The addresses of a host, both kinds in turn, the newer first; and whether they are authentic.
    pub(crate) async fn addresses(&self, name: &str) -> Addresses {
        let (six, four) = tokio::join!(self.ask(name, RecordType::AAAA), self.ask(name, RecordType::A));
        let mut found = Vec::new();
        let (mut sixes, mut fours) = (six.addresses(), four.addresses());
        loop {
            let (six, four) = (sixes.next(), fours.next());
            if six.is_none() && four.is_none() {
                break;
            }
            found.extend(six.into_iter().chain(four));
        }
        let canonical = [&six, &four].into_iter().find_map(|answer| match answer {
            Answer::Found { canonical, .. } => Some(canonical.clone()),
            _ => None,
        });
        Addresses {
            is_failed: found.is_empty() && (six == Answer::Failed || four == Answer::Failed),
            is_authentic: six.is_authentic() || four.is_authentic(),
            canonical: canonical.unwrap_or_else(|| name.to_owned()),
            found,
        }
    }

    /// `None` when this server has no answer that can be used; another may.
    async fn ask_server(&self, server: SocketAddr, name: &Name, kind: RecordType) -> Option<Answer> {
        let request = self.request(name, kind);
        let octets = request.to_vec().ok()?;
        let mut response = timeout(QUERY_TIMEOUT, over_udp(server, &octets, &request)).await.ok()?.ok()?;
        if response.metadata.truncation {
            response = timeout(QUERY_TIMEOUT, over_tcp(server, &octets)).await.ok()?.ok()?;
        }
        if !answers(&response, &request) {
            return None;
        }
        let is_authentic = response.metadata.authentic_data;
        match response.metadata.response_code {
            ResponseCode::NoError => Some(read_records(&response.answers, name, kind, is_authentic)),
            ResponseCode::NXDomain => Some(Answer::Nothing { name_exists: false, is_authentic }),
            // A validating resolver says SERVFAIL of what is bogus.
            _ => None,
        }
    }

    fn request(&self, name: &Name, kind: RecordType) -> Message {
        let mut id = [0; 2];
        self.random.fill(&mut id);
        let mut request = Message::new(u16::from_be_bytes(id), MessageType::Query, OpCode::Query);
        request.metadata.recursion_desired = true;
        // RFC 6840, section 5.7: AD in a question asks for AD in the answer; older servers want DO.
        request.metadata.authentic_data = true;
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_OCTETS);
        edns.set_dnssec_ok(true);
        request.set_edns(edns);
        request.add_query(Query::query(name.clone(), kind));
        request
    }
}

/// The addresses of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) found: Vec<IpAddr>,
    /// Nothing was found, and not because there is nothing.
    pub(crate) is_failed: bool,
    pub(crate) is_authentic: bool,
    /// The host's name behind its aliases.
    pub(crate) canonical: String,
}

const NO_SUCH_NAME: Answer = Answer::Nothing { name_exists: false, is_authentic: false };

/// Names are A-labels; a text that is no name does not exist.
fn absolute(name: &str) -> Option<Name> {
    Name::from_ascii(format!("{}.", name.trim_end_matches('.'))).ok()
}

/// A name as it is compared: lower-case, without the dot at its end.
pub(crate) fn plain(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

/// The records of that type at the end of the aliases.
fn read_records(records: &[Record], name: &Name, kind: RecordType, is_authentic: bool) -> Answer {
    let mut at = name;
    for _ in 0..MAX_ALIASES {
        let next = records.iter().find_map(|record| match &record.data {
            RData::CNAME(alias) if record.name == *at && kind != RecordType::CNAME => Some(&alias.0),
            _ => None,
        });
        let Some(next) = next else { break };
        at = next;
    }
    let of_kind = records.iter().filter(|record| record.name == *at && record.record_type() == kind);
    let data: Vec<RData> = of_kind.map(|record| record.data.clone()).collect();
    if data.is_empty() {
        return Answer::Nothing { name_exists: true, is_authentic };
    }
    Answer::Found { data, canonical: plain(at), is_authentic }
}

/// Whether this is the answer to that question and not to another.
fn answers(response: &Message, request: &Message) -> bool {
    let (Some(asked), Some(said)) = (request.queries.first(), response.queries.first()) else { return false };
    response.metadata.id == request.metadata.id
        && response.metadata.message_type == MessageType::Response
        && asked.name() == said.name()
        && asked.query_type() == said.query_type()
}

/// From a port of its own for each question, and heard from that server only.
async fn over_udp(server: SocketAddr, octets: &[u8], request: &Message) -> std::io::Result<Message> {
    let any = if server.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { IpAddr::from(Ipv6Addr::UNSPECIFIED) };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(octets).await?;
    let mut buffer = [0; UDP_OCTETS as usize];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Ok(response) = Message::from_vec(&buffer[..length])
            && answers(&response, request)
        {
            return Ok(response);
        }
    }
}

/// RFC 7766, section 8: two octets of length before the message.
async fn over_tcp(server: SocketAddr, octets: &[u8]) -> std::io::Result<Message> {
    let length = u16::try_from(octets.len()).map_err(|_| std::io::ErrorKind::InvalidInput)?;
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(&[&length.to_be_bytes(), octets].concat()).await?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).await?;
    let mut response = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut response).await?;
    Message::from_vec(&response).map_err(|_| std::io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::rr::rdata::{A, CNAME};

    fn name(text: &str) -> Name {
        absolute(text).unwrap()
    }

    fn record(owner: &str, data: RData) -> Record {
        Record::from_rdata(name(owner), 60, data)
    }

    #[test]
    fn aliases_are_followed_and_strange_records_are_not() {
        let address = |last| RData::A(A(Ipv4Addr::new(192, 0, 2, last)));
        let records = [
            record("mx.real.test", address(1)),
            record("mx.alias.test", RData::CNAME(CNAME(name("mx.real.test")))),
            record("mx.other.test", address(2)),
        ];
        let Answer::Found { data, canonical, is_authentic } = read_records(&records, &name("MX.alias.test"), RecordType::A, true) else {
            panic!("nothing was found")
        };
        assert_eq!((data, canonical.as_str(), is_authentic), (vec![address(1)], "mx.real.test", true));
        let none = read_records(&records, &name("mx.alias.test"), RecordType::AAAA, false);
        assert_eq!(none, Answer::Nothing { name_exists: true, is_authentic: false });
        let circle = [record("a.test", RData::CNAME(CNAME(name("b.test")))), record("b.test", RData::CNAME(CNAME(name("a.test"))))];
        assert_eq!(read_records(&circle, &name("a.test"), RecordType::A, false), none);
    }

    #[test]
    fn answers_to_other_questions_do_not_count() {
        let ask = |id, kind| {
            let mut message = Message::new(id, MessageType::Query, OpCode::Query);
            message.add_query(Query::query(name("mx.a.test"), kind));
            message
        };
        let request = ask(7, RecordType::MX);
        assert!(answers(&ask(7, RecordType::MX).into_response(), &request));
        for wrong in [ask(8, RecordType::MX).into_response(), ask(7, RecordType::TXT).into_response(), ask(7, RecordType::MX)] {
            assert!(!answers(&wrong, &request));
        }
    }

    #[test]
    fn names_that_are_none_are_not_asked_for() {
        assert!(absolute("a b.test").is_none() && absolute("").is_none_or(|root| root.is_root()));
        assert_eq!(plain(&name("_25._tcp.MX.a.test.")), "_25._tcp.mx.a.test");
    }
}
