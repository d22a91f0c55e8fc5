//! What `tradepost init` is told: by flags, or on a terminal by answers, each of which is looked at when it is given.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use domain::MarketplaceId;
use domain::calendar::Calendar;
use domain::texts::Texts;
use mail::{Domain, Mailbox};

use crate::app;
use crate::commands::Usage;
use crate::commands::init::InitArguments;

/// Everything that the configuration says.
pub(super) struct Answers {
    pub(super) data_dir: PathBuf,
    pub(super) domain: String,
    pub(super) hostname: String,
    pub(super) postmaster: String,
    pub(super) marketplace: String,
    pub(super) name: String,
    pub(super) locale: String,
    pub(super) time_zone: String,
    pub(super) public_url: String,
    pub(super) route: String,
}

/// Flags and answers. Every wrong flag and, where nobody can be asked, every missing one is named at once.
pub(super) fn answers(given: &InitArguments) -> anyhow::Result<Answers> {
    // First without a question: nobody should answer ten of them to hear that a flag is wrong.
    let mut flags = Asking::default();
    let answers = collect(given, &mut flags)?;
    let is_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !is_terminal && !flags.missing.is_empty() {
        flags.wrong.push(format!("{} needed; nobody can be asked, because this is no terminal", are(&flags.missing)));
    }
    if !flags.wrong.is_empty() {
        return Err(Usage(flags.wrong.join("\n       ")).into());
    }
    if is_terminal { collect(given, &mut Asking { asks: true, ..Asking::default() }) } else { Ok(answers) }
}

fn are(flags: &[&str]) -> String {
    format!("{} {}", flags.join(", "), if flags.len() == 1 { "is" } else { "are" })
}

fn collect(given: &InitArguments, asking: &mut Asking) -> anyhow::Result<Answers> {
    let question = Question { flag: "--domain", text: "Alias domain, what stands behind the @ of every alias", default: None };
    let domain = asking.take(given.domain.as_deref(), &question, host_name)?;
    let of_host = format!("mx.{domain}");
    let question = Question { flag: "--hostname", text: "Name of this machine in mail", default: Some(&of_host) };
    let hostname = asking.take(given.hostname.as_deref(), &question, host_name)?;
    let question = Question { flag: "--postmaster", text: "Your own address, outside that domain", default: None };
    let postmaster = asking.take(given.postmaster.as_deref(), &question, |text| postmaster(text, &domain))?;
    let question = Question { flag: "--marketplace", text: "Id of the marketplace, of a-z, 0-9 and -; it never changes", default: None };
    let marketplace = asking.take(given.marketplace.as_deref(), &question, marketplace)?;
    let question = Question { flag: "--name", text: "What people call the marketplace", default: Some(&domain) };
    let name = asking.take(given.name.as_deref(), &question, name)?;
    let question = Question { flag: "--locale", text: "Language of the site", default: Some("en") };
    let locale = asking.take(given.locale.as_deref(), &question, locale)?;
    let question = Question { flag: "--time-zone", text: "Time zone", default: Some("UTC") };
    let time_zone = asking.take(given.time_zone.as_deref(), &question, time_zone)?;
    let text = "Address of the pages, such as https://mail.shop.example";
    let question = Question { flag: "--public-url", text, default: Some("") };
    let public_url = asking.take(given.public_url.as_deref(), &question, public_url)?;
    let question = Question { flag: "--route", text: "How mail leaves", default: Some("mx") };
    let route = asking.take(Some(&given.route), &question, route)?;
    let data_dir = std::path::absolute(&given.data_dir).context("--data-dir")?;
    Ok(Answers { data_dir, domain, hostname, postmaster, marketplace, name, locale, time_zone, public_url, route })
}

struct Question<'a> {
    flag: &'static str,
    text: &'a str,
    default: Option<&'a str>,
}

#[derive(Default)]
struct Asking {
    asks: bool,
    /// What is wrong with flags.
    wrong: Vec<String>,
    /// Flags that are needed and absent.
    missing: Vec<&'static str>,
}

impl Asking {
    /// What a flag says, or a person, as `check` writes it. A wrong answer is said and asked for again.
    fn take(
        &mut self,
        given: Option<&str>,
        question: &Question<'_>,
        check: impl Fn(&str) -> Result<String, String>,
    ) -> anyhow::Result<String> {
        if let Some(given) = given {
            return Ok(check(given.trim()).unwrap_or_else(|wrong| {
                self.wrong.push(format!("{}: {wrong}", question.flag));
                String::new()
            }));
        }
        if !self.asks {
            if question.default.is_none() {
                self.missing.push(question.flag);
            }
            return Ok(question.default.unwrap_or_default().to_owned());
        }
        let shown = question.default.map(|default| format!(" [{default}]")).unwrap_or_default();
        loop {
            let answer = ask(&format!("{}{shown}: ", question.text))?;
            match (answer.as_str(), question.default) {
                ("", Some(default)) => return Ok(default.to_owned()),
                ("", None) => eprintln!("  This is needed."),
                (answer, _) => match check(answer) {
                    Ok(answer) => return Ok(answer),
                    Err(wrong) => eprintln!("  {wrong}"),
                },
            }
        }
    }
}

fn ask(question: &str) -> anyhow::Result<String> {
    eprint!("{question}");
    std::io::stderr().flush().context("the question cannot be asked")?;
    let mut answer = String::new();
    if std::io::stdin().read_line(&mut answer).context("the answer cannot be read")? == 0 {
        bail!("the answers ended");
    }
    Ok(answer.trim().to_owned())
}

/// A name that hosts have (RFC 1123, section 2.1), of at least two labels.
fn host_name(text: &str) -> Result<String, String> {
    if text.contains("://") || text.contains('/') || text.contains('@') {
        return Err(format!("\"{text}\": give the bare name, such as market.example"));
    }
    let domain = Domain::parse(text).map_err(|error| format!("\"{text}\": {error}"))?;
    let name = domain.as_str();
    let is_label =
        |label: &str| label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && !label.starts_with('-') && !label.ends_with('-');
    if !name.contains('.') {
        return Err(format!("\"{text}\": expected a whole name with a dot, such as market.example"));
    }
    if !name.split('.').all(is_label) {
        return Err(format!("\"{text}\": the name of a host has letters, digits, dots and inner hyphens only"));
    }
    if name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit())) {
        return Err(format!("\"{text}\": is an address; give a name"));
    }
    Ok(name.to_owned())
}

/// `alias_domain` is empty while it is not known.
fn postmaster(text: &str, alias_domain: &str) -> Result<String, String> {
    let mailbox = Mailbox::parse(text).map_err(|error| error.to_string())?;
    if mailbox.domain().as_str() == alias_domain {
        return Err("an address in the alias domain would come back to us; give your real one".to_owned());
    }
    Ok(mailbox.to_wire())
}

fn marketplace(text: &str) -> Result<String, String> {
    MarketplaceId::new(text).map(|id| id.as_str().to_owned()).ok_or_else(|| format!("\"{text}\": 1 to 32 of a-z, 0-9 and -"))
}

fn name(text: &str) -> Result<String, String> {
    let is_line = !text.is_empty() && !text.chars().any(char::is_control);
    if is_line { Ok(text.to_owned()) } else { Err("expected a name on one line".to_owned()) }
}

fn locale(text: &str) -> Result<String, String> {
    let texts = Texts::embedded();
    let known: Vec<&str> = texts.languages().collect();
    if known.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(format!("\"{text}\": there are {}; more by files in [texts] folder, later", known.join(", ")))
}

fn time_zone(text: &str) -> Result<String, String> {
    let wrong = || format!("\"{text}\" is no time zone; write it like Europe/Madrid");
    Calendar::new(text).map(|_| text.to_owned()).ok_or_else(wrong)
}

fn public_url(text: &str) -> Result<String, String> {
    let (rest, is_plain) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (rest, false),
        (None, Some(rest)) => (rest, true),
        (None, None) if text.is_empty() => return Ok(String::new()),
        (None, None) => return Err(format!("\"{text}\": expected an address that begins with https://")),
    };
    let host = rest.split('/').next().unwrap_or_default();
    if host.is_empty() || rest.contains(char::is_whitespace) {
        return Err(format!("\"{text}\": expected an address such as https://mail.shop.example"));
    }
    if is_plain && !is_loopback(host) {
        return Err(format!("\"{text}\": expected https://; links in mail let whoever has them act"));
    }
    Ok(text.to_owned())
}

/// Whether a host of a URL, with or without port, is this machine itself.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn route(text: &str) -> Result<String, String> {
    app::read_route(text, 25).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_answers_are_known_at_once() {
        assert_eq!(host_name("Market.Example."), Ok("market.example".to_owned()));
        for wrong in
            ["https://market.example", "market", "192.0.2.1", "a_b.example", "-a.example", "boss@market.example", "[192.0.2.1]", ""]
        {
            assert!(host_name(wrong).is_err(), "{wrong}");
        }
        assert!(postmaster("boss@Market.example", "market.example").is_err());
        assert!(postmaster("boss@office.example", "market.example").is_ok());
        assert!(locale("xx").unwrap_err().contains("pt-BR") && locale("es").is_ok());
        assert!(time_zone("Mars/Phobos").is_err() && time_zone("Europe/Madrid").is_ok());
        for fine in ["", "https://mail.shop.example", "http://127.0.0.1:8080", "http://[::1]:8080/x", "http://localhost"] {
            assert!(public_url(fine).is_ok(), "{fine}");
        }
        for wrong in ["mail.shop.example", "http://mail.shop.example", "https://", "http://127.0.0.1.example", "https://a b"] {
            assert!(public_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_flag_that_is_absent_is_missing_only_without_a_default() {
        let mut asking = Asking::default();
        let needed = Question { flag: "--domain", text: "", default: None };
        let optional = Question { flag: "--locale", text: "", default: Some("en") };
        assert_eq!(asking.take(None, &needed, host_name).unwrap(), "");
        assert_eq!(asking.take(None, &optional, locale).unwrap(), "en");
        asking.take(Some("x y"), &needed, host_name).unwrap();
        assert_eq!((asking.missing.as_slice(), asking.wrong.len()), (&["--domain"][..], 1));
    }
}
