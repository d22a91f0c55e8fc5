//! Documents that any program opens, with a canary where office programs leave names.

use crate::vectors::Case;
use crate::vectors::build::{utf16_be, utf16_le, zipped, zlib};
use crate::vectors::compound;

/// What every document says.
pub const INVOICE: &str = "Factura 302-1234567-1234567 por una lampara azul.";

/// A PDF of one page. Objects 1 to 5 are its own; further ones begin with 6.
fn pdf(more_of_catalog: &str, more_of_trailer: &str, further: &[Vec<u8>]) -> Vec<u8> {
    let content = format!("BT /F1 12 Tf 20 100 Td ({INVOICE}) Tj ET");
    let own = [
        format!("<< /Type /Catalog /Pages 2 0 R {more_of_catalog}>>").into_bytes(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 200] /Resources << /Font << /F1 4 0 R >> >> /Contents 5 0 R >>".to_vec(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_vec(),
        stream("", content.as_bytes()),
    ];
    let mut out = b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut table = "0000000000 65535 f \n".to_owned();
    for (number, object) in (1..).zip(own.iter().chain(further)) {
        table.push_str(&format!("{:010} 00000 n \n", out.len()));
        out.extend([format!("{number} 0 obj\n").as_bytes(), object.as_slice(), b"\nendobj\n"].concat());
    }
    let (size, table_at) = (own.len() + further.len() + 1, out.len());
    let trailer =
        format!("xref\n0 {size}\n{table}trailer\n<< /Size {size} /Root 1 0 R {more_of_trailer}>>\nstartxref\n{table_at}\n%%EOF\n");
    out.extend(trailer.into_bytes());
    out
}

fn stream(more: &str, content: &[u8]) -> Vec<u8> {
    [format!("<< /Length {} {more}>>\nstream\n", content.len()).as_bytes(), content, b"\nendstream"].concat()
}

fn xmp(c: &Case<'_>) -> String {
    let creator = format!("<dc:creator><rdf:Seq><rdf:li>{} &lt;{}&gt;</rdf:li></rdf:Seq></dc:creator>", c.name, c.address());
    let spaces = "xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\"";
    let rdf = format!("<rdf:RDF {spaces}><rdf:Description rdf:about=\"\">{creator}</rdf:Description></rdf:RDF>");
    format!(
        "<?xpacket begin=\"\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?><x:xmpmeta xmlns:x=\"adobe:ns:meta/\">{rdf}</x:xmpmeta><?xpacket end=\"w\"?>"
    )
}

/// Author in the document information, creator in XMP.
pub fn pdf_with_author(c: &Case<'_>) -> Vec<u8> {
    let info = format!("<< /Author ({}) /Creator (Letters on {}) /Title ({}) >>", c.name, c.host(), c.address());
    let metadata = stream("/Type /Metadata /Subtype /XML ", xmp(c).as_bytes());
    pdf("/Metadata 7 0 R ", "/Info 6 0 R ", &[info.into_bytes(), metadata])
}

/// Author as a hexadecimal string in UTF-16.
pub fn pdf_with_wide_author(c: &Case<'_>) -> Vec<u8> {
    let hex = |text: &str| utf16_be(&format!("\u{feff}{text}")).iter().map(|b| format!("{b:02X}")).collect::<String>();
    let info = format!("<< /Author <{}> /Keywords <{}> >>", hex(&c.name), hex(&c.address()));
    pdf("", "/Info 6 0 R ", &[info.into_bytes()])
}

/// XMP in a compressed stream.
pub fn pdf_with_compressed_metadata(c: &Case<'_>) -> Vec<u8> {
    pdf("/Metadata 6 0 R ", "", &[stream("/Type /Metadata /Subtype /XML /Filter /FlateDecode ", &zlib(xmp(c).as_bytes()))])
}

/// A part of a DOCX beside the text: its name, content type, kind of relation, and octets.
struct Side {
    name: &'static str,
    content_type: &'static str,
    relation: &'static str,
    octets: Vec<u8>,
}

const WORD: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml";
const RELATIONS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const W: &str = "xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"";
const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";

fn side(name: &'static str, content_type: &'static str, relation: &'static str, xml: &str) -> Side {
    Side { name, content_type, relation, octets: format!("{DECLARATION}{xml}").into_bytes() }
}

/// A DOCX of one paragraph, and what `more` adds to its body. Sides outside `word/` belong to the package. `relations` are
/// further ones of the document, `files` those that nothing declares.
fn docx(more: &str, sides: &[Side], relations: &str, files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let xml = |text: &str| format!("{DECLARATION}{text}").into_bytes();
    let types: String = sides
        .iter()
        .map(|side| format!("<Override PartName=\"/{}\" ContentType=\"{}\"/>", side.name, side.content_type.replace("WORD", WORD)))
        .collect();
    let types = format!(
        "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"><Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/><Default Extension=\"xml\" ContentType=\"application/xml\"/><Default Extension=\"bin\" ContentType=\"{WORD}.printerSettings\"/><Override PartName=\"/word/document.xml\" ContentType=\"{WORD}.document.main+xml\"/>{types}</Types>"
    );
    let related = |in_word: bool| -> String {
        let of = sides.iter().enumerate().filter(|(_, side)| side.name.starts_with("word/") == in_word);
        of.map(|(n, side)| {
            let target = side.name.trim_start_matches("word/");
            let relation = if side.relation.contains(':') { side.relation.to_owned() } else { format!("{RELATIONS}/{}", side.relation) };
            format!("<Relationship Id=\"rSide{n}\" Type=\"{relation}\" Target=\"{target}\"/>")
        })
        .collect()
    };
    let relationships = |inner: &str| {
        xml(&format!("<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">{inner}</Relationships>"))
    };
    let document = format!("<Relationship Id=\"rDocument\" Type=\"{RELATIONS}/officeDocument\" Target=\"word/document.xml\"/>");
    let body = format!(
        "<w:document {W} xmlns:r=\"{RELATIONS}\"><w:body><w:p><w:r><w:t>{INVOICE}</w:t></w:r></w:p>{more}<w:sectPr><w:pgSz w:w=\"11906\" w:h=\"16838\"/></w:sectPr></w:body></w:document>"
    );
    let mut parts = vec![
        ("[Content_Types].xml", xml(&types)),
        ("_rels/.rels", relationships(&format!("{document}{}", related(false)))),
        ("word/document.xml", xml(&body)),
        ("word/_rels/document.xml.rels", relationships(&format!("{}{relations}", related(true)))),
    ];
    parts.extend(sides.iter().map(|side| (side.name, side.octets.clone())));
    parts.extend(files.iter().cloned());
    zipped(&parts)
}

/// Core and app properties.
pub fn docx_with_properties(c: &Case<'_>) -> Vec<u8> {
    let who = format!("<dc:creator>{0}</dc:creator><cp:lastModifiedBy>{0}</cp:lastModifiedBy>", c.name);
    let core = format!(
        "<cp:coreProperties xmlns:cp=\"http://schemas.openxmlformats.org/package/2006/metadata/core-properties\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\">{who}<dc:description>{}</dc:description></cp:coreProperties>",
        c.address()
    );
    let app = format!(
        "<Properties xmlns=\"http://schemas.openxmlformats.org/officeDocument/2006/extended-properties\"><Application>Letters</Application><Manager>{}</Manager><Company>{}</Company><HyperlinkBase>https://{}/</HyperlinkBase></Properties>",
        c.name,
        c.canary,
        c.host()
    );
    let sides = [
        side(
            "docProps/core.xml",
            "application/vnd.openxmlformats-package.core-properties+xml",
            "http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties",
            &core,
        ),
        side("docProps/app.xml", "application/vnd.openxmlformats-officedocument.extended-properties+xml", "extended-properties", &app),
    ];
    docx("", &sides, "", &[])
}

/// A tracked insertion and deletion, a comment, and the list of people.
pub fn docx_with_comments(c: &Case<'_>) -> Vec<u8> {
    let (name, when) = (&c.name, "2026-11-20T10:00:00Z");
    let inserted = format!("<w:ins w:id=\"1\" w:author=\"{name}\" w:date=\"{when}\"><w:r><w:t>One lamp more.</w:t></w:r></w:ins>");
    let deleted = format!("<w:del w:id=\"2\" w:author=\"{name}\" w:date=\"{when}\"><w:r><w:delText>No lamp.</w:delText></w:r></w:del>");
    let marked = "<w:commentRangeStart w:id=\"0\"/><w:r><w:t>Blue.</w:t></w:r><w:commentRangeEnd w:id=\"0\"/><w:r><w:commentReference w:id=\"0\"/></w:r>";
    let comment = format!(
        "<w:comments {W}><w:comment w:id=\"0\" w:author=\"{name}\" w:initials=\"{}\" w:date=\"{when}\"><w:p><w:r><w:t>Ask for oak</w:t></w:r></w:p></w:comment></w:comments>",
        c.address()
    );
    let people = format!(
        "<w15:people xmlns:w15=\"http://schemas.microsoft.com/office/word/2012/wordml\"><w15:person w15:author=\"{name}\"><w15:presenceInfo w15:providerId=\"AD\" w15:userId=\"S::{}::1\"/></w15:person></w15:people>",
        c.address()
    );
    let sides = [
        side("word/comments.xml", "WORD.comments+xml", "comments", &comment),
        side("word/people.xml", "WORD.people+xml", "http://schemas.microsoft.com/office/2011/relationships/people", &people),
    ];
    docx(&format!("<w:p>{inserted}{deleted}{marked}</w:p>"), &sides, "", &[])
}

/// A template and a picture that are fetched from elsewhere on opening.
pub fn docx_with_remote_parts(c: &Case<'_>) -> Vec<u8> {
    let host = c.host();
    let picture = format!("<Relationship Id=\"rFar\" Type=\"{RELATIONS}/image\" Target=\"https://{host}/p.png\" TargetMode=\"External\"/>");
    let settings = format!("<w:settings {W} xmlns:r=\"{RELATIONS}\"><w:attachedTemplate r:id=\"rTemplate\"/></w:settings>");
    let template = format!(
        "{DECLARATION}<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"rTemplate\" Type=\"{RELATIONS}/attachedTemplate\" Target=\"https://{host}/letter.dotx\" TargetMode=\"External\"/></Relationships>"
    );
    let shown = "<w:p><w:r><w:drawing><wp:inline xmlns:wp=\"http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing\"><wp:extent cx=\"9525\" cy=\"9525\"/><wp:docPr id=\"1\" name=\"p\"/><a:graphic xmlns:a=\"http://schemas.openxmlformats.org/drawingml/2006/main\"><a:graphicData uri=\"http://schemas.openxmlformats.org/drawingml/2006/picture\"><pic:pic xmlns:pic=\"http://schemas.openxmlformats.org/drawingml/2006/picture\"><pic:nvPicPr><pic:cNvPr id=\"1\" name=\"p\"/><pic:cNvPicPr/></pic:nvPicPr><pic:blipFill><a:blip r:link=\"rFar\"/></pic:blipFill><pic:spPr/></pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing></w:r></w:p>";
    let sides = [side("word/settings.xml", "WORD.settings+xml", "settings", &settings)];
    docx(shown, &sides, &picture, &[("word/_rels/settings.xml.rels", template.into_bytes())])
}

/// Custom XML, the path of a printer, revision ids.
pub fn docx_with_leftovers(c: &Case<'_>) -> Vec<u8> {
    let custom = format!("<person xmlns=\"urn:example:crm\"><name>{}</name><mail>{}</mail></person>", c.name, c.address());
    let settings = format!("<w:settings {W}><w:rsids><w:rsidRoot w:val=\"00A1B2C3\"/><w:rsid w:val=\"00A1B2C3\"/></w:rsids></w:settings>");
    // The device mode of a printer begins with its name in UTF-16.
    let printer = [utf16_le(&format!("\\\\{}\\{}\0", c.host(), c.canary)), vec![0; 64]].concat();
    let sides = [
        side("word/settings.xml", "WORD.settings+xml", "settings", &settings),
        side("customXml/item1.xml", "application/xml", "customXml", &custom),
        Side {
            name: "word/printerSettings/printerSettings1.bin",
            content_type: "WORD.printerSettings",
            relation: "printerSettings",
            octets: printer,
        },
    ];
    docx("<w:p w:rsidR=\"00A1B2C3\"><w:r w:rsidRPr=\"00A1B2C3\"><w:t>Gracias.</w:t></w:r></w:p>", &sides, "", &[])
}

/// A Word 97 document with summary information and the names of who saved it.
pub fn doc(c: &Case<'_>) -> Vec<u8> {
    compound::document(INVOICE, &c.name, &c.address())
}
