//! Dovecot: mailboxes behind LMTP, read over IMAP; Sieve in them; a submission service before them.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use sandbox::StoredMail;

use super::{Daemon, GONE, command, folder, spawn, wait_for};
use crate::eventually;
use crate::service::free_port;
use crate::world::header;

const CONFIG: &str = include_str!("../../peers/dovecot.conf");
const SUBMISSION: &str = include_str!("../../peers/dovecot.submission.conf");
const NOBODY: u32 = 65_534;

/// Where Dovecot's submission service hands mail on, and as whom it signs in there.
pub struct Onward<'a> {
    pub port: u16,
    pub user: &'a str,
    pub password: &'a str,
}

pub fn dovecot() -> Daemon {
    dovecot_with(0, None)
}

/// Dovecot whose Sieve scripts send through the port `out`, with a submission service if it is given where mail goes on.
pub fn dovecot_with(out: u16, onward: Option<&Onward<'_>>) -> Daemon {
    let folder = folder("tpd");
    let dir = folder.path();
    for sub in ["run", "state", "mail", "sieve"] {
        let path = dir.join(sub);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    for sub in ["mail", "sieve"] {
        command("chown", &[&format!("{NOBODY}:{NOBODY}"), &dir.join(sub).display().to_string()]);
    }
    std::fs::write(dir.join("gone"), format!("buyer{GONE}@buyer.test\n")).unwrap();
    let (imap, lmtp, submission) = (free_port(), free_port(), free_port());
    let mut text = CONFIG.to_owned();
    if let Some(onward) = onward {
        text.push_str(
            &SUBMISSION
                .replace("@RELAY@", &onward.port.to_string())
                .replace("@USER@", onward.user)
                .replace("@PASSWORD@", onward.password)
                .replace("@SUBMISSION@", &submission.to_string()),
        );
    }
    let text = text
        .replace("@DIR@", &dir.display().to_string())
        .replace("@NAME@", "dove")
        .replace("@IMAP@", &imap.to_string())
        .replace("@OUT@", &out.to_string())
        .replace("@LMTPPORT@", &lmtp.to_string());
    let config = dir.join("dovecot.conf");
    std::fs::write(&config, text).unwrap();
    let guard = spawn(&["dovecot", "-F", "-c", &config.display().to_string()], dir);
    wait_for(imap, "* OK");
    wait_for(lmtp, "220 ");
    if onward.is_some() {
        wait_for(submission, "220 ");
    }
    Daemon { port: imap, second: lmtp, submission, folder, guard }
}

impl Daemon {
    /// Gives a mailbox of this Dovecot a Sieve script.
    pub fn set_sieve(&self, user: &str, script: &str) {
        std::fs::write(self.folder.path().join("sieve").join(format!("{user}.sieve")), script).unwrap();
    }

    /// How many mails a mailbox of this Dovecot has.
    pub fn count(&self, user: &str) -> usize {
        imap(self.port, user, "print(n)").parse().unwrap()
    }

    /// The nth mail of a mailbox of this Dovecot as an IMAP client fetches it, from 1, once it is there.
    pub fn nth(&self, user: &str, n: usize) -> StoredMail {
        let script = format!("print(c.fetch('{n}', '(BODY.PEEK[])')[1][0][1].decode('latin-1') if n >= {n} else '')");
        let raw = eventually(&format!("mail {n} of {user} in Dovecot"), || {
            let raw = imap(self.port, user, &script);
            (!raw.is_empty()).then_some(raw)
        });
        let mut mail = StoredMail { id: 0, reverse_path: String::new(), recipient: user.to_owned(), octets: raw.into_bytes() };
        mail.reverse_path = header(&mail, "Return-Path").trim_matches(['<', '>', ' ']).to_owned();
        mail
    }
}

/// What an IMAP client finds: a Python script over imaplib, its answer.
pub fn imap(port: u16, user: &str, script: &str) -> String {
    let program = format!(
        "import imaplib\nc = imaplib.IMAP4('127.0.0.1', {port})\nc.login('{user}', 'secret')\nn = int(c.select('INBOX')[1][0])\n{script}"
    );
    let output = Command::new("/usr/bin/python3").args(["-c", &program]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
