//! Any bytes from a client, cut anywhere: no panic, and the same replies and messages as in one piece.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::smtp::Reply;
use mail::smtp::server::{Limits, Session, Step};

fn run(pieces: &[&[u8]]) -> (Vec<u8>, usize) {
    let mut session = Session::new("mx.test", Limits::default(), true);
    let (mut output, mut messages) = (Vec::new(), 0);
    for piece in pieces {
        session.receive(piece);
        loop {
            match session.step() {
                Step::Read => break,
                Step::Transaction => session.answer_transaction(Reply::new(250, "2.1.0", "ok")),
                Step::Authenticate(_) => session.answer_authentication(Reply::new(535, "5.7.8", "no")),
                Step::Recipient(_) => session.answer_recipient(Reply::new(250, "2.1.5", "ok")),
                Step::Message(_) => {
                    messages += 1;
                    session.answer_message(Reply::new(250, "2.0.0", "ok"));
                }
                Step::StartTls | Step::Close => {
                    output.extend(session.take_output());
                    return (output, messages);
                }
                Step::Body(_) | Step::Discard => {}
            }
        }
        output.extend(session.take_output());
    }
    (output, messages)
}

fuzz_target!(|data: &[u8]| {
    let Some((&cut, input)) = data.split_first() else { return };
    let middle = usize::from(cut) % (input.len() + 1);
    let whole = run(&[input]);
    let split = run(&[&input[..middle], &input[middle..]]);
    assert_eq!(whole.1, split.1);
});
