//! What survives of HTML, and what does not.

use super::*;
use crate::scrub::Masks;

fn scrubber() -> Scrubber {
    let masks = Masks {
        address: "[address]".into(),
        link: "[link]".into(),
        own_link: "[ours]".into(),
        phone: "[phone]".into(),
        name: "[name]".into(),
        quotation: "[earlier]".into(),
        device: "[device]".into(),
        armour: "[armour]".into(),
    };
    Scrubber { masks, hosts: Some(vec!["carrier.example".into()]), ..Scrubber::default() }
}

fn scrubbed(html: &str) -> String {
    scrub(&sanitise(html).unwrap().html, &scrubber(), &HashMap::from([("one@x.example".to_owned(), "new".to_owned())])).0
}

#[test]
fn an_address_split_by_tags_entities_and_zero_width_is_masked() {
    for html in [
        "<p>write to ana<wbr>@<span>shop</span>.example now</p>",
        "<p>write to ana&#64;shop.example now</p>",
        "<p>write to ana@sh\u{200b}op.example now</p>",
        "<p>write to <b>an</b>a@<i>shop.ex</i>ample now</p>",
    ] {
        assert_eq!(to_text(&scrubbed(html)), "write to [address] now", "{html}");
    }
}

#[test]
fn links_lose_what_may_not_stand_and_say_so() {
    for (html, expected) in [
        ("<a href=\"mailto:ana@shop.example\">mail me</a>", "mail me [address]"),
        ("<a href=\"mailto:ana@shop.example\">ana@shop.example</a>", "[address]"),
        ("<a href=\"https://x.example/?to=ana%40shop.example\">look</a>", "look [link]"),
        ("<a href=\"https://carrier.example/?u=https%3A%2F%2Fy.example%2F%3Fm%3Dana%2540shop.example\">look</a>", "look [link]"),
        ("<a href=\"https://t.carrier.example/1Z999\">track</a>", "track <https://t.carrier.example/1Z999>"),
        ("<a href=\"https://evilcarrier.example/\">track</a>", "track [link]"),
        ("<a href=\"https://m.example/l/tpl1kAbC\">Report</a>", "Report [ours]"),
        ("<a href=\"javascript:alert(1)\">x</a>", "x"),
    ] {
        assert_eq!(to_text(&scrubbed(html)), expected, "{html}");
    }
}

#[test]
fn nothing_is_loaded_from_anywhere() {
    let out = scrubbed(
        "<img src=http://x/><div style=\"background:url(http://x/)\">a</div><link href=//x><svg><image href=//x></svg><video poster=//x></video><form action=//x><input></form><!-- ana@x --><img srcset=http://x/ src=cid:none><table background=http://x/><tr><td>b</td></tr></table>",
    );
    assert_eq!(out.replace("<tbody>", "").replace("</tbody>", "").trim(), "<div>a</div><table><tr><td>b</td></tr></table>");
}

#[test]
fn pictures_that_travel_along_stay_under_a_new_name() {
    let out = scrubbed("<p>x<img src=\"cid:one@x.example\" width=10 alt=\"of ana@shop.example\" title=ana onerror=x></p>");
    assert_eq!(out, "<p>x<img src=\"cid:new\" width=\"10\" alt=\"of [address]\"></p>");
    assert_eq!(sanitise("<img src=\"cid:a\"><img src=\"http://x/\">").unwrap().pictures_removed, 1);
}

#[test]
fn formatting_stays_and_the_hidden_goes() {
    let out = scrubbed(
        "<div align=center style=\"color:#f00;font-family:canary\" class=canary data-x=canary>a<font color=red size=2 face=canary>b</font><span style=\"display:none\">canary <b>canary</b><br></span><p hidden>canary</p>c</div>",
    );
    assert_eq!(out, "<div align=\"center\" style=\"color:#f00\">a<font color=\"red\" size=\"2\">b</font>c</div>");
}

#[test]
fn ordinary_structures_keep_their_words_apart_and_their_lines() {
    for (html, expected) in [
        ("<td style=\"font-size:0px\"><div style=\"font-size:13px\">Hola</div></td>", "Hola"),
        ("<section>ana@x.example</section><section>Gracias</section>", "[address]\nGracias"),
        ("<div style=\"white-space:pre-wrap\">a\nb <b>c\nd</b></div>e\nf", "a\nb c\nd\ne f"),
        ("<p>ana&#1;@&#1;shop.example</p>", "[address]"),
        (
            "<div>Key: -----BEGIN PGP PUBLIC KEY BLOCK-----<br>mQENBFabcdefghijklmnopqrstuv<br>-----END PGP PUBLIC KEY BLOCK-----</div><p>Bye</p>",
            "Key: [armour]\n\nBye",
        ),
    ] {
        assert_eq!(to_text(&scrubbed(html)), expected, "{html}");
    }
    assert_eq!(to_text_unread("<div>ana@x.example</div><div>Gracias</div>"), "ana@x.example\n\nGracias");
    assert_eq!(without_data_links("<img src=\"data:image/png;base64,AAAA\"> x"), "<img src=\"\"> x");
}

#[test]
fn quotations_are_recognised_in_the_structure() {
    let gmail = scrubbed(
        "<div>Thanks</div><div class=gmail_quote><div>On Mon, 3 Nov 2025 at 10:00, Ana Canary &lt;<a href=\"mailto:ana@x.example\">ana@x.example</a>&gt; wrote:<br></div><blockquote>It is sent</blockquote></div>",
    );
    assert!(gmail.contains("Thanks") && gmail.contains("[earlier]") && gmail.contains("It is sent"), "{gmail}");
    assert!(!gmail.contains("Canary") && !gmail.contains("2025"), "{gmail}");
    let outlook = scrubbed(
        "<p>Thanks</p><div><b>From:</b> Ana Canary &lt;ana@x.example&gt;<br><b>Sent:</b> Monday, 3 November 2025 10:00<br><b>To:</b> Shop<br><b>Subject:</b> Order</div><p>It is sent</p>",
    );
    assert!(outlook.contains("[earlier]") && !outlook.contains("Canary") && outlook.contains("It is sent"), "{outlook}");
}

#[test]
fn bombs_are_not_opened() {
    for bomb in [
        "<div>".repeat(100_000),
        "<b><p>".repeat(100_000),
        "<table><td>".repeat(1_000),
        "<br>".repeat(60_000),
        "<div></x>".repeat(25_000),
        "<div><table><td></div>".repeat(5_000),
    ] {
        assert!(sanitise(&bomb).is_none());
        assert!(to_text_unread(&format!("{bomb}end")).contains("end"));
    }
    let deep = "<div>".repeat(300) + "x";
    assert!(scrubbed(&deep).contains('x'));
}
