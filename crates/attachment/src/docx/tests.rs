//! Whole documents: what was hidden in them is gone, and what was written is there.

use std::collections::BTreeSet;
use std::io::{Cursor, Read, Write};

use proptest::prelude::*;
use zip::write::{FullFileOptions, SimpleFileOptions};
use zip::{ZipArchive, ZipWriter};

use super::clean_docx;
use super::namespaces::TABLE;
use super::pictures::Picture;
use super::relationships::Links;
use super::xml::{Context, rewrite};
use crate::kind::Fault;

const TYPES: &str = r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="canary" ContentType="image/png"/></Types>"#;

/// A type stands for its whole address.
const ROOT: &str = r#"
<Relationship Id="rId1" Type="officeDocument" Target="word/canary.xml"/>
<Relationship Id="rId2" Type="http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties" Target="docProps/core.xml"/>
<Relationship Id="rId3" Type="extended-properties" Target="docProps/app.xml"/>
<Relationship Id="rId4" Type="custom-properties" Target="docProps/custom.xml"/>
<Relationship Id="rId5" Type="http://schemas.openxmlformats.org/package/2006/relationships/metadata/thumbnail" Target="docProps/thumbnail.jpeg"/>"#;

const OF_DOCUMENT: &str = r#"
<Relationship Id="rId1" Type="settings" Target="settings.xml"/>
<Relationship Id="rId2" Type="comments" Target="comments.xml"/>
<Relationship Id="rId3" Type="footnotes" Target="/word/footnotes.xml"/>
<Relationship Id="rId4" Type="http://schemas.microsoft.com/office/2011/relationships/people" Target="people.xml"/>
<Relationship Id="rId5" Type="customXml" Target="../customXml/item1.xml"/>
<Relationship Id="rIdCanary" Type="image" Target="media/Ana%20Canary.png"/>
<Relationship Id="rId7" Type="image" Target="file:///C:/Users/Canary/linked.png" TargetMode="External"/>
<Relationship Id="rId8" Type="oleObject" Target="embeddings/canary.bin"/>
<Relationship Id="rId9" Type="hyperlink" Target="mailto:canary@x.example" TargetMode="External"/>
<Relationship Id="rId10" Type="hyperlink" Target="https://shop.example/kept" TargetMode="External"/>
<Relationship Id="rId11" Type="printerSettings" Target="printerSettings1.bin"/>
<Relationship Id="rId12" Type="header" Target="header1.xml"/>
<Relationship Id="rId13" Type="image" Target="media/canary.emf"/>
<Relationship Id="rId14" Type="chart" Target="charts/canary.xml"/>
<Relationship Id="rId15" Type="diagramData" Target="diagrams/data7.xml"/>
<Relationship Id="rId16" Type="diagramLayout" Target="diagrams/layout7.xml"/>
<Relationship Id="rId17" Type="diagramQuickStyle" Target="diagrams/style7.xml"/>
<Relationship Id="rId18" Type="diagramColors" Target="diagrams/colors7.xml"/>
<Relationship Id="rId19" Type="http://schemas.microsoft.com/office/2007/relationships/diagramDrawing" Target="diagrams/drawing7.xml"/>
<Relationship Id="rId20" Type="http://schemas.microsoft.com/office/2007/relationships/diagramDrawing" Target="diagrams/canary.xml"/>
<Relationship Id="rId21" Type="image" Target="media/deleted.png"/>"#;

const BODY: &str = r#"
<!-- Canary --><?canary Canary?>
<w:p w:rsidR="00CA0A7F" w:rsidCanary="1" w14:paraId="CA0A7F01" x:who="Canary"><w:pPr><w:rPr><w:ins w:id="1" w:author="Ana Canary" w:date="2026-01-01T00:00:00Z"/></w:rPr><w:pPrChange w:author="Ana Canary"><w:pPr/></w:pPrChange></w:pPr>
<w:r w:rsidR="00CA0A7F"><w:t xml:space="preserve">The parcel &amp; its </w:t></w:r><w:ins w:id="2" w:author="Ana Canary"><w:r><w:t><![CDATA[label]]> left</w:t></w:r></w:ins><w:del w:author="Ana Canary"><w:r><w:delText>Canary</w:delText><w:footnoteReference w:id="2"/><w:drawing><a:blip r:embed="rId21"/></w:drawing></w:r></w:del><w:smartTag w:uri="canary" w:element="Canary"><w:smartTagPr><w:attr w:name="Canary" w:val="Canary"/></w:smartTagPr><w:r><w:t> today.</w:t></w:r></w:smartTag><w:r><w:footnoteReference w:id="1"/></w:r></w:p>
<w:p><w:commentRangeStart w:id="0"/><w:r><w:t>Commented.</w:t></w:r><w:commentRangeEnd w:id="0"/><w:r><w:commentReference w:id="0"/></w:r></w:p>
<w:p><w:r><w:fldChar w:fldCharType="begin"><w:fldData>Canary</w:fldData></w:fldChar></w:r><w:r><w:instrText xml:space="preserve"> AUT</w:instrText></w:r><w:r><w:instrText>HOR \* Canary </w:instrText></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>Ana </w:t></w:r><w:r><w:t>Canary</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r><w:fldSimple w:instr=" FILENAME \p "><w:r><w:t>C:\Canary.docx</w:t></w:r></w:fldSimple><w:fldSimple w:instr=" PAGE "><w:r><w:t>7</w:t></w:r></w:fldSimple><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>HYPERLINK "mailto:canary@x.example"</w:instrText></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>Write.</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>
<w:p><w:hyperlink r:id="rId9" w:tooltip="Canary"><w:r><w:t>Mail.</w:t></w:r></w:hyperlink><w:hyperlink r:id="rId10"><w:r><w:t>Shop.</w:t></w:r></w:hyperlink></w:p>
<w:p><w:r><w:object w:dxaOrig="1"><v:shape id="Canary" alt="Canary" o:gfxdata="Canary" style="width:1pt"><v:imagedata r:id="rId13" o:title="Canary"/></v:shape><o:OLEObject Type="Embed" ProgID="Canary.1" r:id="rId8"/></w:object></w:r></w:p>
<w:p><w:r><w:drawing><wp:inline wp14:anchorId="CA0A7F02"><wp:docPr id="1" name="Canary.png" descr="C:\Users\Canary\x.png" title="Canary"/><a:graphic><a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/picture"><pic:pic><pic:nvPicPr><pic:cNvPr id="1" name="Canary.png"><a:hlinkClick r:id="rId9" tooltip="Canary"/></pic:cNvPr></pic:nvPicPr><pic:blipFill><a:blip r:embed="rIdCanary" r:link="rId7"><a:extLst><a:ext uri="{1}"><x:svg r:embed="rId7"/></a:ext></a:extLst></a:blip></pic:blipFill></pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing></w:r></w:p>
<w:p><w:r><w:drawing><pic:blipFill><a:blip r:link="rId7"/></pic:blipFill></w:drawing></w:r><w:r><w:drawing><a:graphicData uri="c"><c:chart r:id="rId14"/></a:graphicData></w:drawing></w:r><w:r><w:drawing><dgm:relIds r:dm="rId15" r:lo="rId16" r:qs="rId17" r:cs="rId18"/></w:drawing></w:r></w:p>
<w:p><mc:AlternateContent><mc:Choice Requires="x"><x:ink>Canary</x:ink></mc:Choice><mc:Fallback><w:r><w:t>Fallback.</w:t></w:r></mc:Fallback></mc:AlternateContent></w:p>
<w:tbl><w:tblPr/><w:tr><w:trPr><w:del w:author="Ana Canary"/></w:trPr><w:tc><w:p><w:r><w:t>Canary</w:t></w:r></w:p></w:tc></w:tr><w:tr><w:tc><w:p><w:r><w:t>Row.</w:t></w:r></w:p></w:tc></w:tr></w:tbl>
<w:sdt><w:sdtPr><w:tag w:val="Canary"/><w:dataBinding w:xpath="/ns1:coreProperties[1]/ns0:creator[1]" w:storeItemID="{Canary}"/></w:sdtPr><w:sdtContent><w:p><w:r><w:t>Ana Canary</w:t></w:r></w:p></w:sdtContent></w:sdt>
<w:permStart w:id="1" w:ed="canary@x.example"/><w:altChunk r:id="rId8"/>
<w:sectPr><w:headerReference w:type="default" r:id="rId12"/><w:headerReference w:type="first" r:id="rId99"/><w:printerSettings r:id="rId11"/></w:sectPr>"#;

/// What the body says, without what was hidden.
const WORDS: &str = "The parcel & its label left today.Commented.7Write.Mail.Shop.Fallback.Row.";

const SETTINGS: &str = r#"<w:attachedTemplate r:id="rId1"/><w:documentProtection w:hash="Canary" w:enforcement="1"/><w:zoom w:percent="100"/><w:mailMerge><w:dataSource r:id="rId2"/></w:mailMerge><w:docVars><w:docVar w:name="a" w:val="Canary"/></w:docVars><w:rsids><w:rsidRoot w:val="00CA0A7F"/></w:rsids><w15:docId w15:val="{Canary}"/>"#;
const OF_SETTINGS: &str = r#"
<Relationship Id="rId1" Type="attachedTemplate" Target="file:///C:/Canary.dotx" TargetMode="External"/>
<Relationship Id="rId2" Type="mailMergeSource" Target="file:///C:/Canary.xlsx" TargetMode="External"/>"#;
const COMMENTS: &str = r#"<w:comment w:id="0" w:author="Ana Canary" w:initials="AC" w:date="2026-01-01T00:00:00Z"><w:p><w:r><w:t>Why?</w:t></w:r></w:p></w:comment><w:comment w:id="1" w:author="Ana Canary"><w:p><w:r><w:t>Canary</w:t></w:r></w:p></w:comment>"#;
const FOOTNOTES: &str = r#"<w:footnote w:type="separator" w:id="-1"><w:p/></w:footnote><w:footnote w:id="1"><w:p><w:r><w:t>Note.</w:t></w:r></w:p></w:footnote><w:footnote w:id="2"><w:p><w:r><w:t>Canary</w:t></w:r></w:p></w:footnote>"#;
const CHART: &str = r#"<c:chart><c:f>'C:\[Canary.xlsx]Sheet 1'!$A$1</c:f></c:chart><c:externalData r:id="rId1"/>"#;

fn part(root: &str, content: &str) -> Vec<u8> {
    let bindings: String = TABLE.iter().map(|row| format!(" xmlns:{}=\"{}\"", row.prefix, row.uri)).collect();
    format!("<?xml version=\"1.0\"?>\n<{root}{bindings} xmlns:x=\"urn:canary\" mc:Ignorable=\"w14 x\">{content}</{root}>\n").into_bytes()
}

fn relationships(links: &str) -> Vec<u8> {
    let office = "Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/";
    let links = links.replace("Type=\"", office).replace(&format!("{office}http"), "Type=\"http");
    format!("<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">{links}</Relationships>").into_bytes()
}

/// A picture with a text in it.
fn picture() -> Vec<u8> {
    let mut octets = Picture::blank().octets;
    octets.splice(33..33, *b"\0\0\0\x06tEXtCanary\0\0\0\0");
    octets
}

fn parts() -> Vec<(&'static str, Vec<u8>)> {
    let text = |words: &str| format!("<w:p><w:r><w:t>{words}</w:t></w:r></w:p>");
    let diagram = r#"<dgm:ptLst/><dgm:extLst><a:ext uri="d"><dsp:dataModelExt relId="rId19" minVer="m"/></a:ext></dgm:extLst>"#;
    vec![
        ("[Content_Types].xml", TYPES.into()),
        ("_rels/.rels", relationships(ROOT)),
        ("docProps/core.xml", b"<creator>Ana Canary</creator>".to_vec()),
        ("docProps/app.xml", b"<Company>Canary</Company>".to_vec()),
        ("docProps/custom.xml", b"<x>Canary</x>".to_vec()),
        ("docProps/thumbnail.jpeg", b"Canary".to_vec()),
        ("word/canary.xml", part("w:document", &format!("<w:body>{BODY}</w:body>"))),
        ("word/_rels/canary.xml.rels", relationships(OF_DOCUMENT)),
        ("word/settings.xml", part("w:settings", SETTINGS)),
        ("word/_rels/settings.xml.rels", relationships(OF_SETTINGS)),
        ("word/comments.xml", part("w:comments", COMMENTS)),
        ("word/footnotes.xml", part("w:footnotes", FOOTNOTES)),
        ("word/people.xml", b"<w15:people>Ana Canary</w15:people>".to_vec()),
        ("word/header1.xml", part("w:hdr", &text("Header."))),
        ("word/media/Ana Canary.png", picture()),
        ("word/media/deleted.png", b"Canary".to_vec()),
        ("word/media/canary.emf", b"Canary".to_vec()),
        ("word/embeddings/canary.bin", b"Canary".to_vec()),
        ("word/printerSettings1.bin", b"C\0a\0n\0a\0r\0y\0".to_vec()),
        ("word/charts/canary.xml", part("c:chartSpace", CHART)),
        (
            "word/charts/_rels/canary.xml.rels",
            relationships(r#"<Relationship Id="rId1" Type="package" Target="../embeddings/canary.bin"/>"#),
        ),
        ("word/diagrams/data7.xml", part("dgm:dataModel", diagram)),
        ("word/diagrams/layout7.xml", part("dgm:layoutDef", "")),
        ("word/diagrams/style7.xml", part("dgm:styleDef", "")),
        ("word/diagrams/colors7.xml", part("dgm:colorsDef", "")),
        ("word/diagrams/drawing7.xml", part("dsp:drawing", "<dsp:spTree/>")),
        ("word/diagrams/canary.xml", part("dsp:drawing", "<a:t>Canary</a:t>")),
        ("customXml/item1.xml", b"<x>Canary</x>".to_vec()),
    ]
}

fn pack(parts: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.set_comment("Canary").unwrap();
    for (name, octets) in parts {
        let mut options = FullFileOptions::default();
        options.add_extra_field(0xbeef, b"Canary", false).unwrap();
        zip.start_file(*name, options).unwrap();
        zip.write_all(octets).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The same document with a part more, or with another one of that name.
fn with(name: &'static str, octets: &[u8]) -> Vec<u8> {
    let mut parts = parts();
    parts.retain(|(other, _)| *other != name);
    parts.push((name, octets.to_vec()));
    pack(&parts)
}

fn unpack(octets: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut zip = ZipArchive::new(Cursor::new(octets)).unwrap();
    let mut parts = Vec::new();
    for at in 0..zip.len() {
        let mut entry = zip.by_index(at).unwrap();
        let mut octets = Vec::new();
        entry.read_to_end(&mut octets).unwrap();
        parts.push((entry.name().unwrap().into_owned(), octets));
    }
    parts
}

fn holds_canary(octets: &[u8]) -> bool {
    let small = octets.to_ascii_lowercase();
    ["canary", "ca0a7f", "c\0a\0n\0a\0r\0y"].iter().any(|mark| small.windows(mark.len()).any(|window| window == mark.as_bytes()))
}

/// All texts of runs.
fn words(xml: &str) -> String {
    let texts = xml.split("<w:t").skip(1).filter(|rest| rest.starts_with([' ', '>']));
    let texts = texts.filter_map(|rest| rest.split_once('>')?.1.split_once("</w:t>"));
    texts.map(|(text, _)| text.replace("&amp;", "&")).collect()
}

#[test]
fn what_was_hidden_is_gone_and_what_was_written_stays() {
    let octets = [b"Canary before".as_slice(), &pack(&parts()), b"Canary after"].concat();
    assert!(holds_canary(&octets));
    let clean = clean_docx(&octets).unwrap();
    assert!(!holds_canary(&clean));
    let written = unpack(&clean);
    for (name, octets) in &written {
        assert!(!holds_canary(name.as_bytes()) && !holds_canary(octets), "{name}: {}", String::from_utf8_lossy(octets));
    }
    let names: Vec<&str> = written.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "[Content_Types].xml",
            "_rels/.rels",
            "word/document.xml",
            "word/_rels/document.xml.rels",
            "word/settings.xml",
            "word/comments.xml",
            "word/footnotes.xml",
            "word/media/image1.png",
            "word/header1.xml",
            "word/media/image2.png",
            "word/charts/chart1.xml",
            "word/diagrams/data1.xml",
            "word/diagrams/layout1.xml",
            "word/diagrams/quickStyle1.xml",
            "word/diagrams/colors1.xml",
            "word/media/image3.png",
            "word/diagrams/drawing1.xml",
        ]
    );
    let text = |name: &str| {
        let octets = written.iter().find(|(other, _)| other == name).map(|(_, octets)| octets.clone());
        String::from_utf8(octets.unwrap()).unwrap()
    };
    let document = text("word/document.xml");
    assert_eq!(words(&document), WORDS);
    for kept in ["<w:commentReference w:id=\"0\"/>", "<w:fldSimple w:instr=\" PAGE \">", "name=\"Picture\"", "<w:pict>", "<c:chart r:id="] {
        assert!(document.contains(kept), "{kept}: {document}");
    }
    for gone in ["x:", "AlternateContent", "fldChar", "OLEObject", "descr=", "r:link", "w:rsid", "r:id=\"rId99\"", "w:author"] {
        assert!(!document.contains(gone), "{gone}: {document}");
    }
    let links = text("word/_rels/document.xml.rels");
    assert!(links.contains("https://shop.example/kept") && links.contains("diagrams/drawing1.xml"), "{links}");
    assert_eq!(links.matches("<Relationship ").count(), 14);
    let comments = text("word/comments.xml");
    assert!(comments.contains("w:author=\"Author\"") && comments.contains("w:initials=\"A\"") && !comments.contains("w:date"));
    assert_eq!((words(&comments), words(&text("word/footnotes.xml"))), ("Why?".to_owned(), "Note.".to_owned()));
    assert!(text("word/settings.xml").contains("<w:zoom w:percent=\"100\"/>"));
    assert!(text("word/charts/chart1.xml").contains("<c:f>'Sheet 1'!$A$1</c:f>"));
    assert!(text("word/diagrams/data1.xml").contains("<dsp:dataModelExt relId=\"rId19\""));
    assert_eq!(words(&text("word/header1.xml")), "Header.");
}

#[test]
fn cleaning_twice_changes_nothing() {
    let clean = clean_docx(&pack(&parts())).unwrap();
    assert!(clean_docx(&clean).unwrap() == clean);
}

#[test]
fn macros_locks_and_entities_are_refused() {
    assert_eq!(clean_docx(&with("word/vbaProject.bin", b"x")), Err(Fault::Macros));
    let types = TYPES.replace("image/png", "application/vnd.ms-word.document.macroEnabled.main+xml");
    assert_eq!(clean_docx(&with("[Content_Types].xml", types.as_bytes())), Err(Fault::Macros));
    let vba = r#"<Relationship Id="rId1" Type="http://schemas.microsoft.com/office/2006/relationships/vbaProject" Target="x.bin"/>"#;
    assert_eq!(clean_docx(&with("word/_rels/header1.xml.rels", &relationships(vba))), Err(Fault::Macros));
    assert_eq!(clean_docx(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), Err(Fault::Encrypted));
    let mut locked = pack(&parts());
    let at = locked.windows(4).position(|mark| mark == b"PK\x01\x02").unwrap();
    locked[at + 8] |= 1;
    assert_eq!(clean_docx(&locked), Err(Fault::Encrypted));
    let entity = b"<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><w:document>&e;</w:document>";
    assert_eq!(clean_docx(&with("word/canary.xml", entity)), Err(Fault::Unreadable));
    assert_eq!(clean_docx(&with("word/canary.xml", &part("w:document", "&e;"))), Err(Fault::Unreadable));
    assert_eq!(clean_docx(&with("word/canary.xml", &part("w:hdr", ""))), Err(Fault::Unreadable));
    let deep = ["<w:p>".repeat(300), "</w:p>".repeat(300)].concat();
    assert_eq!(clean_docx(&with("word/header1.xml", &part("w:hdr", &deep))), Err(Fault::Unreadable));
}

#[test]
fn bombs_and_strange_directories_are_refused() {
    let mut others = parts();
    others.retain(|(name, _)| *name != "word/media/Ana Canary.png");
    let mut zip = ZipWriter::new_append(Cursor::new(pack(&others))).unwrap();
    zip.start_file("word/media/Ana Canary.png", SimpleFileOptions::default()).unwrap();
    std::io::copy(&mut std::io::repeat(0).take(200 << 20), &mut zip).unwrap();
    assert_eq!(clean_docx(zip.finish().unwrap().get_ref()), Err(Fault::Unreadable));
    // Not large, but far larger than what it is packed into: as one part, or in many.
    assert_eq!(clean_docx(&with("word/settings.xml", &vec![b' '; 9 << 20])), Err(Fault::Unreadable));
    let names: Vec<String> = (0..12).map(|number| format!("word/note{number}.xml")).collect();
    let mut many: Vec<(&str, Vec<u8>)> = parts();
    many.retain(|(name, _)| *name != "word/_rels/canary.xml.rels");
    let notes = part("w:footnotes", &"<w:p/>".repeat(150_000));
    many.extend(names.iter().map(|name| (name.as_str(), notes.clone())));
    let link = |name: &String| format!("<Relationship Id=\"{name}\" Type=\"footnotes\" Target=\"/{name}\"/>");
    many.push(("word/_rels/canary.xml.rels", relationships(&names.iter().map(link).collect::<String>())));
    assert_eq!(clean_docx(&pack(&many)), Err(Fault::Unreadable));
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for number in 0..10_000 {
        zip.start_file(format!("word/{number}.xml"), SimpleFileOptions::default()).unwrap();
    }
    assert_eq!(clean_docx(zip.finish().unwrap().get_ref()), Err(Fault::Unreadable));
    for name in ["../word/x.xml", "/word/x.xml", "C:/x.xml", "word/CANARY.xml", "word\\..\\..\\x"] {
        assert_eq!(clean_docx(&with(name, b"x")), Err(Fault::Unreadable), "{name}");
    }
    let whole = pack(&parts());
    assert_eq!(clean_docx(&whole[..whole.len() / 2]), Err(Fault::Unreadable));
    assert_eq!(clean_docx(b""), Err(Fault::Unreadable));
}

#[test]
fn what_nothing_reads_may_pack_well() {
    // A picture that was pasted from a program of its own.
    for name in ["word/embeddings/oleObject1.bin", "word/embeddings/canary.bin"] {
        assert!(clean_docx(&with(name, &vec![0xff; 3 << 20])).is_ok(), "{name}");
    }
    let bitmap = [b"BM".as_slice(), &vec![0; 4 << 20]].concat();
    assert!(clean_docx(&with("word/media/canary.emf", &bitmap)).is_ok());
}

/// A main part with this content, written anew.
fn rewritten(content: &str) -> String {
    let context = Context { anchors: &BTreeSet::new(), drawings: &[] };
    let xml = String::from_utf8(part("w:document", content)).unwrap();
    String::from_utf8(rewrite(&xml, &mut Links::default(), &context).unwrap().octets).unwrap()
}

#[test]
fn what_no_reader_sees_goes() {
    let runs = "<w:p><w:r><w:rPr><w:b/><w:vanish/></w:rPr><w:t>Canary</w:t><w:footnoteReference w:id=\"1\"/></w:r>\
        <w:r><w:rPr><w:vanish w:val=\"0\"/></w:rPr><w:t>Seen.</w:t></w:r><w:pPr><w:rPr><w:vanish/></w:rPr></w:pPr></w:p>";
    let clean = rewritten(runs);
    assert!(words(&clean) == "Seen." && !clean.contains("footnoteReference") && clean.contains("<w:pPr><w:rPr><w:vanish/>"), "{clean}");
    let style = rewritten("<w:style><w:rPr><w:vanish/></w:rPr></w:style>");
    assert!(style.contains("<w:style><w:rPr><w:vanish/></w:rPr></w:style>"), "{style}");
    for gone in [
        "<w:p><w:r><w:fldChar w:fldCharType=\"begin\"/></w:r><w:r><w:instrText> XE \"Canary\" </w:instrText></w:r><w:r><w:fldChar w:fldCharType=\"end\"/></w:r></w:p>",
        "<w:p><w:fldSimple w:instr=\" SET x Canary \"><w:r><w:t>Canary</w:t></w:r></w:fldSimple></w:p>",
        "<w:tblPr><w:tblCaption w:val=\"Canary\"/><w:tblDescription w:val=\"Canary\"/></w:tblPr>",
        "<w:sdtPr><w:alias w:val=\"Canary\"/><w:tag w:val=\"Canary\"/></w:sdtPr>",
        "<w:abstractNum w:abstractNumId=\"0\"><w:nsid w:val=\"CA0A7F01\"/><w:tmpl w:val=\"CA0A7F02\"/><w:lvl/></w:abstractNum>",
        "<w:ffData><w:helpText w:val=\"Canary\"/><w:statusText w:val=\"Canary\"/></w:ffData>",
        "<w:hyperlink w:anchor=\"_Toc1\" w:tooltip=\"Canary\"><w:r><w:t>x</w:t></w:r></w:hyperlink>",
        "<a:theme name=\"Canary\"><a:clrScheme name=\"Canary\"/><a:fontScheme name=\"Canary\"/><a:fmtScheme name=\"Canary\"/></a:theme>",
    ] {
        let clean = rewritten(gone);
        assert!(!holds_canary(clean.as_bytes()), "{clean}");
        assert_eq!(clean.matches("name=\"Theme\"").count(), if gone.starts_with("<a:theme") { 4 } else { 0 });
    }
}

#[test]
fn fields_that_are_dropped_are_not_open() {
    let dropped = "<w:fldSimple w:instr=\"PAGE\" r:id=\"rId9\"><w:r><w:t>7</w:t></w:r></w:fldSimple>";
    let clean = rewritten(&format!("<w:p>{}</w:p><w:p><w:r><w:t>Seen.</w:t></w:r></w:p>", dropped.repeat(2_000)));
    assert_eq!(words(&clean), "Seen.");
}

/// Markup out of which documents of any kind are put together; those with an end tag may hold others.
const PIECES: [&str; 42] = [
    "<w:p>",
    "<w:r>",
    "<w:t>",
    "<w:instrText>",
    "<w:ins>",
    "<w:del>",
    "<w:tbl>",
    "<w:tr>",
    "<w:trPr>",
    "<w:sdt>",
    "<w:sdtPr>",
    "<w:drawing>",
    "<mc:AlternateContent>",
    "<mc:Choice Requires=\"wps\">",
    "<mc:Choice Requires=\"x\">",
    "<mc:Fallback>",
    "<w:fldSimple w:instr=\"AUTHOR\">",
    "<w:fldSimple w:instr=\"PAGE\">",
    "<w:fldChar w:fldCharType=\"begin\">",
    "<w:object>",
    "<x:e>",
    "<w:fldChar w:fldCharType=\"begin\"/>",
    "<w:fldChar w:fldCharType=\"separate\"/>",
    "<w:fldChar w:fldCharType=\"end\"/>",
    "<w:instrText>AUTHOR</w:instrText>",
    "<w:instrText>PAGE</w:instrText>",
    "<w:instrText>TITLE</w:instrText>",
    "<w:t>hello</w:t>",
    "<w:t>AUTHOR</w:t>",
    "<w:rPr><w:vanish/></w:rPr>",
    "<w:r><w:rPr><w:vanish/></w:rPr><w:fldChar w:fldCharType=\"end\"/></w:r>",
    "<w:del/>",
    "<w:ins/>",
    "<c:chart r:id=\"rId9\"/>",
    "<a:blip r:embed=\"rId9\"/>",
    "<v:imagedata r:id=\"rId9\"/>",
    "<w:dataBinding w:xpath=\"/a:creator[1]\"/>",
    "<a:ext uri=\"u\"><x:e/></a:ext>",
    "<w14:y w14:val=\"1\"/>",
    "<w:commentReference w:id=\"1\"/>",
    "<w:tr><w:trPr><w:del/></w:trPr></w:tr>",
    "text &amp; &#x20ac;",
];

/// The pieces in this order, each closed sooner or later.
fn markup(choice: &[usize]) -> String {
    let (mut out, mut open) = (String::new(), Vec::new());
    for at in choice {
        let Some(piece) = PIECES.get(*at) else {
            out.extend(open.pop());
            continue;
        };
        out.push_str(piece);
        if piece.starts_with('<') && !piece.contains("/>") && !piece.contains("</") {
            let name = piece.trim_start_matches('<').split([' ', '>']).next().unwrap_or_default();
            open.push(format!("</{name}>"));
        }
    }
    out.extend(open.into_iter().rev());
    out
}

proptest! {
    #[test]
    fn any_markup_is_well_formed_when_written_and_stays_as_it_is(choice in prop::collection::vec(0..60_usize, 0..60)) {
        let context = Context { anchors: &BTreeSet::new(), drawings: &[] };
        let xml = String::from_utf8(part("w:document", &markup(&choice))).unwrap();
        let once = rewrite(&xml, &mut Links::default(), &context).unwrap();
        let text = String::from_utf8(once.octets).unwrap();
        // The empty picture has its first identifier, which the second time leads nowhere and becomes the first again.
        let twice = rewrite(&text, &mut Links::default(), &context).unwrap();
        prop_assert_eq!(text, String::from_utf8(twice.octets).unwrap());
    }

    #[test]
    fn hostile_octets_never_panic(at in 0..6_000_usize, octets in prop::collection::vec(any::<u8>(), 1..20)) {
        let mut document = part("w:document", &format!("<w:body>{BODY}</w:body>"));
        let begin = at.min(document.len());
        let end = (begin + octets.len()).min(document.len());
        document.splice(begin..end, octets.iter().copied());
        let _ = clean_docx(&with("word/canary.xml", &document));
        let mut whole = pack(&parts());
        let at = at % whole.len();
        let end = (at + octets.len()).min(whole.len());
        whole.splice(at..end, octets);
        let _ = clean_docx(&whole);
    }
}
