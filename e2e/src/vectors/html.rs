//! B rows in HTML: what a reader sees, what only a program sees, and what is loaded from elsewhere.

use crate::vectors::build::Letter;
use crate::vectors::text::QUOTED;
use crate::vectors::{Case, Vector};

pub const ROWS: &[Vector] = &[
    Vector::row("B22", "mailto: link only in href", |c| {
        let link = format!("<a href=\"mailto:{}?subject=lamp\">write to me</a>", c.address());
        page(c, &format!("<p>Please {link} soon.</p>"))
    }),
    Vector::row("B23", "comment, hidden element, data- attribute, title, meta", hidden),
    Vector::row("B26", "HTML entities", |c| {
        let decimal: String = c.address().chars().map(|l| format!("&#{};", u32::from(l))).collect();
        let hexadecimal: String = c.address().chars().map(|l| format!("&#x{:X};", u32::from(l))).collect();
        page(c, &format!("<p>Write to {decimal} or {hexadecimal} or {}.</p>", c.address().replace('@', "&commat;")))
    }),
    Vector::row("B28", "<wbr>, zero-width space, span inside the address", |c| {
        let letters = |between: &str| c.address().chars().map(|l| format!("{l}{between}")).collect::<String>();
        let spans: String = c.address().chars().map(|l| format!("<span>{l}</span>")).collect();
        page(
            c,
            &format!(
                "<p>Write to {} or</p><p>{} or</p><p>{} or</p><p>{spans}.</p>",
                letters("<wbr>"),
                letters("\u{200b}"),
                letters("&#8203;")
            ),
        )
    }),
    Vector::row("B29", "address in the middle of a link query", |c| {
        let at = c.address().replace('@', "%40");
        let inner = format!("https%3A%2F%2Fa.example%2F%3Fm%3D{}%26y%3D1", at.replace('%', "%25"));
        let one = format!("<a href=\"https://shop.letters.example/?x=1&amp;mail={}&amp;y=2\">the lamp</a>", c.address());
        let two = format!("<a href=\"https://go.letters.example/r?u={inner}&amp;s=9\">its price</a>");
        page(c, &format!("<p>See {one} and {two}.</p>"))
    }),
    Vector::row("B33", "remote image (read tracking)", |c| {
        let host = c.host();
        page(c, &format!("<p>Look:</p><img src=\"https://{host}/o.gif?r={}\" width=\"1\" height=\"1\" alt=\"\">", c.canary))
    }),
    Vector::row("B34", "remote loads: css url, @import, srcset, svg, video poster, background, link", remote_loads),
    Vector::row("B35", "form posting to a remote host", |c| {
        let fields = format!("<input name=\"who\" value=\"{}\"><button formaction=\"https://{}/2\">Go</button>", c.address(), c.host());
        page(c, &format!("<form action=\"https://{}/1\" method=\"post\">{fields}</form>", c.host()))
    }),
    Vector::row("B36", "quoted original: Outlook HTML block", |c| {
        let who = format!("<b>From:</b> {} &lt;{}&gt;<br><b>Sent:</b> Friday, November 20, 2026 10:00 AM<br>", c.name, c.address());
        let to = format!("<b>To:</b> Shop &lt;<a href=\"mailto:{0}\">{0}</a>&gt;<br><b>Subject:</b> The lamp<o:p></o:p>", c.alias);
        let head = format!("<p class=\"MsoNormal\">{who}{to}</p>");
        let block = format!("<div style=\"border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm\">{head}</div>");
        page(c, &format!("<div>{block}</div><p class=\"MsoNormal\">{QUOTED}</p>"))
    })
    .with(&[QUOTED]),
    Vector::row("B37", "gmail_quote attribution with mailto", |c| {
        let address = c.address();
        let name = format!("<strong class=\"gmail_sendername\" dir=\"auto\">{}</strong>", c.name);
        let who = format!("{name} <span dir=\"auto\">&lt;<a href=\"mailto:{address}\">{address}</a>&gt;</span>");
        let line = format!("<div dir=\"ltr\" class=\"gmail_attr\">On Fri, Nov 20, 2026 at 10:00 AM {who} wrote:<br></div>");
        let quote = format!("<blockquote class=\"gmail_quote\" style=\"margin:0px 0px 0px 0.8ex\"><div>{QUOTED}</div></blockquote>");
        page(c, &format!("<br><div class=\"gmail_quote gmail_quote_container\">{line}{quote}</div>"))
    })
    .with(&[QUOTED]),
];

/// What the author wrote, and more HTML below it.
fn page(c: &Case<'_>, html: &str) -> Vec<u8> {
    Letter::new(c).html(&format!("<div dir=\"ltr\">{}</div>\n{html}", c.written))
}

fn hidden(c: &Case<'_>) -> Vec<u8> {
    let (name, address) = (&c.name, c.address());
    let head = format!(
        "<title>{name}</title>\n<meta name=\"author\" content=\"{address}\">\n<style>/* {address} */ .x:after {{ content: \"{address}\" }}</style>"
    );
    let comment = format!("<!-- sent by {address} --><!--[if mso]><p>{address}</p><![endif]-->");
    let unseen = format!("<div style=\"display:none;font-size:0\">{address}</div><p hidden>{address}</p><template>{address}</template>");
    let attributes =
        format!("<p data-owner=\"{address}\" title=\"{name}\" id=\"{0}\" class=\"{0}\" aria-label=\"{name}\">Blue.</p>", c.canary);
    Letter::new(c).html_document(&format!(
        "<html>\n<head>{head}</head>\n<body>{comment}\n<p>{}</p>\n{unseen}\n{attributes}\n</body>\n</html>",
        c.written
    ))
}

fn remote_loads(c: &Case<'_>) -> Vec<u8> {
    let host = format!("https://{}", c.host());
    let style = format!(
        "<style>@import url(\"{host}/1.css\"); body {{ background: url({host}/2.png) }} @font-face {{ font-family: x; src: url({host}/3) }}</style>"
    );
    let head = format!(
        "<link rel=\"stylesheet\" href=\"{host}/4.css\"><link rel=\"dns-prefetch\" href=\"//{}\">{style}<base href=\"{host}/\">",
        c.host()
    );
    let pictures = format!(
        "<img srcset=\"{host}/5.png 2x\"><picture><source srcset=\"{host}/6.webp\"></picture><input type=\"image\" src=\"{host}/7\">"
    );
    let vector = format!("<svg><image href=\"{host}/8.png\"/><use xlink:href=\"{host}/9.svg#x\"/></svg>");
    let media =
        format!("<video poster=\"{host}/10.png\" src=\"{host}/11\"></video><audio src=\"{host}/12\"></audio><track src=\"{host}/13\">");
    let frames = format!("<iframe src=\"{host}/14\"></iframe><object data=\"{host}/15\"></object><embed src=\"{host}/16\">");
    let old =
        format!("<table background=\"{host}/17.png\"><tr><td style=\"background-image:url('{host}/18.png')\">Blue.</td></tr></table>");
    Letter::new(c).html_document(&format!(
        "<html><head>{head}<meta http-equiv=\"refresh\" content=\"9; url={host}/19\"></head>\n<body background=\"{host}/20.png\">\n<p>{}</p>\n{pictures}\n{vector}\n{media}\n{frames}\n{old}\n</body></html>",
        c.written
    ))
}
