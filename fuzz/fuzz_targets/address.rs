//! Any text as an address: what parses writes back to itself and starts no line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::{Mailbox, MessageId};

fuzz_target!(|text: &str| {
    if let Ok(mailbox) = Mailbox::parse(text) {
        let wire = mailbox.to_wire();
        assert!(!wire.contains(['\r', '\n', ' ', '<', '>']));
        assert_eq!(Mailbox::parse(&wire).unwrap().canonical(), mailbox.canonical());
    }
    assert!(MessageId::list(text).iter().all(|id| !id.as_str().contains(['\r', '\n', '<', '>'])));
});
