//! Files that are small and become large: each is refused with a word for its writer, and the service stays small.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // Helpers of tests may panic.

use std::io::{Cursor, Write};

use e2e::scene::{Scene, with_file};
use e2e::world::said;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
const RELATIONS: &[u8] = b"<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"r\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" Target=\"word/document.xml\"/></Relationships>";

/// A package of the parts that every DOCX has, with this main part, and more.
fn docx(main: &[u8], more: &[(String, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let types = b"<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"><Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/><Override PartName=\"/word/document.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml\"/></Types>";
    let parts = [("[Content_Types].xml", &types[..]), ("_rels/.rels", RELATIONS), ("word/document.xml", main)];
    for (name, octets) in parts.into_iter().chain(more.iter().map(|(name, octets)| (name.as_str(), *octets))) {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(octets).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn bombs_are_refused_with_a_word_and_the_service_stays_small() {
    let s = Scene::plain(None);
    let zeros = vec![b' '; 200 << 20];
    let deep = [
        b"<w:document xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"><w:body>".as_slice(),
        &b"<w:p>".repeat(200_000),
    ]
    .concat();
    let plain =
        b"<w:document xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"><w:body><w:p/></w:body></w:document>";
    let many: Vec<(String, &[u8])> = (0..10_000).map(|n| (format!("word/media/{n}.bin"), &b"x"[..])).collect();
    let macros = docx(plain, &[("word/vbaProject.bin".to_owned(), b"x")]);
    let huge = b"\xff\xd8\xff\xc0\0\x0b\x08\xff\xff\xff\xff\x01\x01\x11\0\xff\xda\0\x08\x01\x01\0\0\x3f\0\x12\xff\xd9";
    let cases = [
        ("grande.docx", DOCX, docx(&zeros, &[]), "- grande.docx: está dañado o no se puede leer"),
        ("hondo.docx", DOCX, docx(&deep, &[]), "- hondo.docx: está dañado o no se puede leer"),
        ("muchos.docx", DOCX, docx(plain, &many), "- muchos.docx: está dañado o no se puede leer"),
        ("macros.docx", DOCX, macros, "- macros.docx: puede contener macros"),
        ("foto.jpg", "image/jpeg", huge.to_vec(), "- foto.jpg: está dañado o no se puede leer"),
    ];
    for (n, (name, kind, octets, word)) in (1..).zip(cases) {
        let pair = s.service.put_pair(n);
        let id = s.send(&pair.seller, &pair.buyer_alias, &with_file(&pair, name, kind, &octets));
        assert_eq!(s.remedy(&id), "remedy_attachments", "{name}");
        let told = said(&s.world.nth(&pair.seller, 1));
        assert!(told.contains(word), "{name}: {told}");
    }
    let pair = s.service.put_pair(20);
    let parts = format!("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{}", "--b\r\n\r\nx\r\n".repeat(10_000));
    let e = s.world.send(s.service.smtp, &pair.seller, &[&pair.buyer_alias], format!("From: {}\r\n{parts}", pair.seller).as_bytes());
    assert!(e.code == 550 && e.text.contains("more than 2000 parts"), "{} {}", e.code, e.text);
    // The most that the service itself ever held.
    let status = std::fs::read_to_string(format!("/proc/{}/status", s.service.pid())).unwrap();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    let peak_kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak_kib < 200_000, "{peak}");
}
