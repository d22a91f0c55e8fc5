//! What people's mail programs send: ordinary mail with everything that such mail gives away, so that the
//! demo shows what becomes of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::Timestamp;
use mail::compose::encode_words;
use mail::html;

use crate::demo::cast::Person;
use crate::demo::views::ReadMail;

/// A mail as its writer's program composes it.
pub(crate) struct ClientMail {
    from_name: String,
    from: String,
    domain: String,
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: bool,
    pub(crate) attachment: Option<(String, Vec<u8>)>,
    pub(crate) in_reply_to: String,
    pub(crate) references: String,
    now: Timestamp,
}

impl ClientMail {
    pub(crate) fn new(person: &Person, to: &str, subject: &str, text: &str, now: Timestamp) -> Self {
        Self {
            from_name: person.name.clone(),
            from: person.address.clone(),
            domain: person.domain().to_owned(),
            to: to.to_owned(),
            subject: subject.to_owned(),
            text: text.replace("\r\n", "\n"),
            html: false,
            attachment: None,
            in_reply_to: String::new(),
            references: String::new(),
            now,
        }
    }

    /// Makes it a reply as mail programs do: Reply-To, quoted original, References.
    pub(crate) fn reply_to(&mut self, original: &ReadMail) {
        self.to = original.answer_to();
        self.subject = original.answer_subject();
        self.text.push_str(&original.quoted());
        self.in_reply_to = original.message_id.clone();
        self.references = original.answer_references();
    }

    /// The mail with CRLF line ends.
    pub(crate) fn octets(&self) -> Vec<u8> {
        let stamp = format!("{:x}", self.now.0);
        let mut out = format!(
            "Received: from laptop-of-{local}.fritz.box ([203.0.113.77])\r\n by smtp.{domain} with ESMTPSA; {date}\r\nFrom: {name} <{from}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nDate: {date}\r\nMessage-ID: <{stamp}@laptop-of-{local}.{domain}>\r\nUser-Agent: Mozilla Thunderbird\r\nX-Originating-IP: [203.0.113.77]\r\nMIME-Version: 1.0\r\n",
            local = self.from.split('@').next().unwrap_or_default(),
            domain = self.domain,
            date = jiff::Timestamp::from_microsecond(self.now.0)
                .map(|t| t.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string())
                .unwrap_or_default(),
            name = encode_words(&self.from_name),
            from = self.from,
            to = self.to,
            subject = encode_words(&self.subject),
        );
        if !self.in_reply_to.is_empty() {
            out.push_str(&format!("In-Reply-To: {}\r\n", one_line(&self.in_reply_to)));
        }
        if !self.references.is_empty() {
            out.push_str(&format!("References: {}\r\n", one_line(&self.references).replace(' ', "\r\n ")));
        }
        out.push_str(&self.body(&stamp));
        out.into_bytes()
    }

    fn body(&self, stamp: &str) -> String {
        let plain = part("text/plain; charset=utf-8", "", self.text.replace('\n', "\r\n").as_bytes());
        let mut body = plain;
        if self.html {
            let page = format!(
                "<html><body>{}<img src=\"https://pixel.{}/open?who={}\" width=\"1\" height=\"1\"></body></html>",
                html::from_text(&self.text),
                self.domain,
                self.from
            );
            body = multipart("alternative", &format!("a{stamp}"), &[body, part("text/html; charset=utf-8", "", page.as_bytes())]);
        }
        if let Some((name, octets)) = &self.attachment {
            let kind = if name.to_ascii_lowercase().ends_with(".txt") { "text/plain; charset=utf-8" } else { "application/octet-stream" };
            let name = one_line(name).replace(['"', '\\'], "");
            let disposition = format!("Content-Disposition: attachment; filename=\"{name}\"\r\n");
            body = multipart("mixed", &format!("m{stamp}"), &[body, part(kind, &disposition, octets)]);
        }
        body
    }
}

fn part(kind: &str, header: &str, octets: &[u8]) -> String {
    let lines: Vec<String> = STANDARD.encode(octets).as_bytes().chunks(76).map(|l| String::from_utf8_lossy(l).into_owned()).collect();
    format!("Content-Type: {kind}\r\n{header}Content-Transfer-Encoding: base64\r\n\r\n{}\r\n", lines.join("\r\n"))
}

fn multipart(kind: &str, boundary: &str, parts: &[String]) -> String {
    let parts: String = parts.iter().map(|p| format!("--{boundary}\r\n{p}\r\n")).collect();
    format!("Content-Type: multipart/{kind}; boundary=\"{boundary}\"\r\n\r\n{parts}--{boundary}--\r\n")
}

/// A form's value as it may stand in a header.
fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control()).collect::<Vec<_>>().join(" ")
}
