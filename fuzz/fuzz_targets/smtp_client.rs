//! Any bytes from a server: no panic, and the session ends or waits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::Mailbox;
use mail::smtp::client::{Session, Step, Tls};

fuzz_target!(|data: &[u8]| {
    let mut session = Session::new("mx.test", Tls::Opportunistic, None);
    let to = Mailbox::parse("a@b.test").unwrap();
    session.receive(data);
    for _ in 0..data.len() + 50 {
        match session.step() {
            Step::Write(_) => {}
            Step::StartTls => session.tls_started(),
            Step::Ready => session.begin(&None, &to, b"x\r\n"),
            Step::Done(_) if session.is_open() => {}
            _ => return,
        }
    }
});
