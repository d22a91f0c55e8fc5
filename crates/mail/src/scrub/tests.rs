//! What is taken out of texts, and what stays.

use proptest::prelude::*;

use crate::address::Mailbox;

use super::*;

fn scrubber() -> Scrubber {
    let masks = Masks {
        address: "[x]".into(),
        link: "[link]".into(),
        own_link: "[ours]".into(),
        phone: "[phone]".into(),
        name: "[name]".into(),
        quotation: "[earlier]".into(),
        device: "[device]".into(),
        armour: "[armour]".into(),
    };
    let regions = ["es", "pt-BR", "en"].into_iter().filter_map(region_of).collect();
    Scrubber {
        masks,
        writer: Identity::new("Ana Canary", "Ana", None),
        hosts: Some(vec!["carrier.example".into()]),
        phones: Some(regions),
        known: vec!["302-1234567-1234567".into(), "612345699".into()],
        ..Scrubber::default()
    }
}

fn mask(text: &str) -> String {
    scrubber().text(text).0
}

#[test]
fn addresses_in_ordinary_sentences() {
    for (text, expected) in [
        ("Write to Ana.Lopez+shop@Mail.Example.org.", "Write to [x]."),
        ("(ana@x.example, b@y.example)", "([x], [x])"),
        ("mailto:ana@x.example?subject=hi", "mailto:[x]?subject=hi"),
        ("<CAF=9x@mail.gmail.com>", "<[x]>"),
        ("ana＠x．example and a\u{200b}na@x\u{ad}.example", "[x] and [x]"),
        ("\"ana lopez\"@x.example", "[x]"),
        ("ana%40x.example, ana&#64;x.example & ana&#X40;x.example", "[x], [x] & [x]"),
        ("jose\u{301}@bu\u{308}cher.example, ana%2540x.example", "[x], [x]"),
        ("%61%6e%61%40%78%2e%65xample ok", "[x] ok"),
        ("root@localhost, ana@[192.0.2.1]", "[x], [x]"),
        ("from mx (192.0.2.1:25) via [IPv6:2001:db8::1], version 1.2.3.4", "from mx ([x]) via [[x]], version 1.2.3.4"),
        ("ana (at) x (dot) example or ana arroba gmail", "[x] or [x]"),
        ("ⓐna@x.example", "[x]"),
    ] {
        assert_eq!(mask(text), expected, "{text}");
    }
}

#[test]
fn links_of_ours_go_whole_wherever_they_come_back() {
    assert_eq!(mask("> Report: https://m.example/l/tpl1kAbC-_9 thanks"), "> Report: [ours] thanks");
    assert_eq!(mask("<https://safe.example/?u=https%3A%2F%2Fm.example%2Fl%2Ftpl1kAbC%40&x=1>"), "<[ours]>");
    assert_eq!(mask("tpl1ka@b.example tpl1k"), "[ours] [ours]");
}

#[test]
fn outside_links_go_and_allowed_ones_stay() {
    for (text, expected) in [
        ("See https://shop.example/buy?x=1.", "See [link]."),
        ("see www.tienda.es or tienda.com/oferta", "see [link] or [link]"),
        ("HTTP://EVIL.EXAMPLE", "[link]"),
        ("https://t.carrier.example/1Z999 and carrier.example", "https://t.carrier.example/1Z999 and carrier.example"),
        ("https://carrier.example/?m=ana@x.example", "https://carrier.example/?m=[x]"),
        ("https://carrier.example/YW5hQHguZXhhbXBsZQ/x", "https://carrier.example/[x]/x"),
        ("https://evilcarrier.example/", "[link]"),
        ("https://carrier.example@evil.example/", "[link]"),
        ("ｗｗｗ．evil．com", "[link]"),
    ] {
        assert_eq!(mask(text), expected, "{text}");
    }
}

#[test]
fn telephone_numbers_go() {
    for (text, expected) in [
        ("llámame al +34 612 34 56 78 hoy", "llámame al [phone] hoy"),
        ("Tel. 612 345 678", "Tel. [phone]"),
        ("whatsapp 612345678!", "whatsapp [phone]!"),
        ("ligue (11) 96123-4567", "ligue [phone]"),
        ("call 020 7946 0958", "call [phone]"),
        ("+49 151 23456789", "[phone]"),
        ("６１２ ３４５ ６７８", "[phone]"),
        (
            &format!("{}+34 612 345 678 {}", "so many words ".repeat(90), "and more ".repeat(90)),
            &format!("{}[phone] {}", "so many words ".repeat(90), "and more ".repeat(90)),
        ),
    ] {
        assert_eq!(mask(text), expected, "{text}");
    }
}

#[test]
fn numbers_of_other_things_stay() {
    for text in [
        "3 @ 5 EUR",
        "@handle says",
        "order 302-1234567-1234567",
        "50% off / 3*2=6",
        "100%40 & 5",
        "a@ b",
        "Pedido nº 612345678",
        "seguimiento 612345678",
        "tracking: 1Z999AA10123456784",
        "parcel PQ4A1B0612345678",
        "612345699 is known",
        "el 12/11/2025 a las 10:30, 2025-11-12 10:30:15",
        "1.234.567,89 €",
        "612 345 678 €",
        "120 x 200 x 300 mm, 600 700 800 mm",
        "EAN 8412345678905",
        "ISBN 978-84-376-0494-7",
        "IBAN ES91 2100 0418 4502 0005 1332",
        "v1.2.3, nota.txt, informe.pdf, Node.js",
        "Gracias.Es el pedido",
        "e.g. this, i.e. that, etc.",
        "3.5kg a 20.000 ptas",
        "Ana, what is the price?",
    ] {
        assert_eq!(mask(text), text);
    }
}

#[test]
fn names_go_where_only_mail_knows_them() {
    assert_eq!(mask("Saludos, Ana Canary"), "Saludos, Ana [name]");
    assert_eq!(mask("The canary sings\n-- \nCanary & Co\n"), "The canary sings\n-- \n[name] & Co\n");
    assert_eq!(scrubber().file_name("canary-factura.pdf").0, "[name]-factura.pdf");
    let with_address = Identity::new("Ana Canary", "", Mailbox::parse("ana.canary@x.example").ok().as_ref());
    assert_eq!(Scrubber { writer: with_address, ..scrubber() }.file_name("ana.canary lamp").0, "[name] lamp");
    assert_eq!(scrubber().line("Re: 612 345 678 canary, ben@x.example").0, "Re: [phone] canary, [x]");
}

#[test]
fn what_programs_add_is_masked() {
    let reply = "Gracias!\n\nEl lun, 3 nov 2025 a las 10:00, Ana Canary (<ana@x.example>)\nescribió:\n\n> Hola\n>\n> On Mon, Nov 3, 2025 at 9:00 AM Bob Secret <bob@y.example> wrote:\n>> Hi\n\nEnviado desde mi iPhone\n";
    assert_eq!(mask(reply), "Gracias!\n\n[earlier]\n\n> Hola\n>\n> [earlier]\n>> Hi\n\n[device]\n");
    let block =
        "Danke\n\nVon: Ana Canary <ana@x.example>\nGesendet: Montag, 3. November 2025 10:00\nAn: Shop\nBetreff: Bestellung\n\nHallo\n";
    assert_eq!(mask(block), "Danke\n\n[earlier]\n\nHallo\n");
}

#[test]
fn kinds_are_counted() {
    let counts = scrubber().text("ana@x.example https://evil.example +34612345678 Ana Canary").1;
    assert_eq!(counts, Counts { addresses: 1, links: 1, phones: 1, names: 1 });
}

#[test]
fn long_texts_are_worked_on_in_blocks() {
    let text = format!("{}ana@x.example\n", "line of text\n".repeat(200_000));
    let (out, counts) = scrubber().text(&text);
    assert_eq!(counts.addresses, 1);
    assert!(out.ends_with("[x]\n") && out.len() == text.len() - 10);
}

#[test]
fn hostile_rows_cost_no_more_than_their_length() {
    for row in [
        "@",
        "%40",
        "a@",
        "a@\u{200b}",
        "]",
        "a@[]",
        "&#64;",
        "a.@",
        "a@-",
        "tpl1k",
        "tpl1",
        "> ",
        "+1 ",
        "a.b ",
        "at ",
        "[ref:",
        "from: \n",
        "\n>\n",
        "on 2025:\n",
        "612345678 ",
        "6",
        "(6",
    ] {
        mask(&row.repeat(if row.contains('\n') { 10_000 } else { 100_000 }));
    }
    mask(&format!("a@{}", "\u{200b}".repeat(1_000_000)));
}

proptest! {
    #[test]
    fn no_address_survives_whatever_stands_around_it(before in "[^@＠﹫a-zA-Z0-9%&]{0,12}", after in "[ ,;.!?)>\n]{1,3}[^@＠﹫]{0,12}") {
        let out = mask(&format!("{before}canary@secret.example{after}"));
        prop_assert!(!out.contains("canary") && !out.contains("secret.example"), "{}", out);
    }

    #[test]
    fn what_was_written_arrives(words in prop::collection::vec("[a-zA-Záéíóúñçãõüöäß]{2,10}", 1..40)) {
        let text = words.join(" ");
        prop_assume!(!words.iter().any(|w| ["at", "arroba", "ätt"].contains(&w.to_lowercase().as_str())));
        prop_assert_eq!(mask(&text), text);
    }

    #[test]
    fn masking_twice_changes_nothing(text in "[ -~\n]{0,200}") {
        let once = mask(&text);
        prop_assert_eq!(mask(&once), once);
    }

    #[test]
    fn any_text_is_worked_on(text in any::<String>()) {
        mask(&text);
    }
}

/// One character of an address as somebody, or somebody's program, may write it.
fn disguised(c: char, way: u8) -> String {
    match way {
        0 => c.to_uppercase().to_string(),
        1 => format!("{c}\u{200b}"),
        2 => format!("%{:02x}", c as u32),
        3 => format!("&#{};", c as u32),
        4 => char::from_u32(c as u32 + 0xfee0).map_or_else(|| c.to_string(), String::from),
        5 => format!("&#x{:X};", c as u32),
        _ => c.to_string(),
    }
}

proptest! {
    /// Whatever stands around it and however it is coded, no form of a known address leaves, and what was written does.
    #[test]
    fn no_known_address_in_any_decoding_of_what_leaves(
        ways in prop::collection::vec(0u8..8, 21),
        container in 0usize..5,
        split_at in 1usize..20,
    ) {
        let address = "canary@secret.example";
        let written: String = address.chars().zip(&ways).map(|(c, way)| disguised(c, *way)).collect();
        let text = format!("Llegada el jueves. {written} gracias");
        let tagged: String = written.chars().enumerate().map(|(n, c)| if n == split_at { format!("<b></b>{c}") } else { c.to_string() }).collect();
        use base64::Engine;
        let base64 = |octets: &[u8]| base64::engine::general_purpose::STANDARD.encode(octets);
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let printable: String = text.bytes().map(|b| format!("={b:02X}")).collect::<Vec<_>>().chunks(20).map(|c| c.concat()).collect::<Vec<_>>().join("=\r\n");
        let head = "Content-Type: text/plain; charset=";
        let raw = match container {
            0 => format!("{head}utf-8\r\n\r\n{text}\r\n"),
            1 => format!("{head}utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n", base64(text.as_bytes())),
            2 => format!("{head}utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{printable}\r\n"),
            3 => format!("{head}utf-16le\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n", base64(&utf16)),
            // Where tags split it they stand between whole characters.
            _ if written.contains(['%', '&']) => format!("Content-Type: text/html; charset=utf-8\r\n\r\n<p>Llegada el jueves. {written} gracias</p>\r\n"),
            _ => format!("Content-Type: text/html; charset=utf-8\r\n\r\n<p>Llegada el jueves. {tagged} gracias</p>\r\n"),
        };
        let content = crate::mime::read_content(&crate::mime::parse(raw.as_bytes()).unwrap());
        let mut out = scrubber().text(&content.text).0;
        if let Some(html) = &content.html {
            out.push_str(&crate::html::scrub(html, &scrubber(), &std::collections::HashMap::new()).0);
        }
        let chars: Vec<char> = out.chars().collect();
        let folded: String = Folded::of(&chars).chars.into_iter().flat_map(char::to_lowercase).collect();
        prop_assert!(!folded.contains("canary") && !folded.contains("secret"), "{} in {}", folded, raw);
        prop_assert!(out.contains("Llegada el jueves.") && out.contains("gracias"), "{}", out);
    }
}
