//! Files as people attach them, from the corpus and of our own, through the running program: what arrives is the same
//! to a second reader, and names neither people, places nor devices to `exiftool`, `pdfinfo` and that reader.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // Helpers of tests may panic and speak.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::scene::{Scene, letter};
use e2e::service::{Setup, assert_log_is_clean};
use serde_json::{Map, Value};

const READER: &str = include_str!("../src/second_reader.py");

/// A format that passes (C8).
struct Format {
    extensions: &'static [&'static str],
    /// What the second reader calls it.
    reader: &'static str,
    media_type: &'static str,
}

static FORMATS: [Format; 9] = [
    Format { extensions: &["txt"], reader: "txt", media_type: "text/plain" },
    Format { extensions: &["pdf"], reader: "pdf", media_type: "application/pdf" },
    Format { extensions: &["doc"], reader: "doc", media_type: "application/msword" },
    Format { extensions: &["docx"], reader: "docx", media_type: "application/vnd.openxmlformats-officedocument.wordprocessingml.document" },
    Format { extensions: &["jpg", "jpeg"], reader: "picture", media_type: "image/jpeg" },
    Format { extensions: &["gif"], reader: "picture", media_type: "image/gif" },
    Format { extensions: &["tiff", "tif"], reader: "picture", media_type: "image/tiff" },
    Format { extensions: &["bmp"], reader: "picture", media_type: "image/bmp" },
    Format { extensions: &["png"], reader: "picture", media_type: "image/png" },
];

/// Files of the corpus that must not pass, and the cause that the record names. Every other one must.
const REFUSED: [(&str, &str); 5] = [
    // RC4 of 40 bits. The password of its reader is empty, so that programs open it, but it is locked all the same.
    ("docs-tika/testPDF_no_extract_no_accessibility_owner_empty.pdf", "encrypted"),
    // RC4 of 40 bits, with passwords of owner and reader.
    ("docs-tika/testPDF_no_extract_no_accessibility_owner_user.pdf", "encrypted"),
    ("docs-tika/testPDF_no_extract_yes_accessibility_owner_user.pdf", "encrypted"),
    // AES of 256 bits (AESV3, revision 6), asked for on opening.
    ("docs-tika/testUnicodePassword.pdf", "encrypted"),
    // No zip but an OLE file with EncryptedPackage and EncryptionInfo.
    ("docs-tika/testWORD_protected_passtika.docx", "encrypted"),
];

/// A file to send.
struct Case {
    /// Within the corpus; `own/…` for ours.
    path: String,
    extension: String,
    format: &'static Format,
    octets: Vec<u8>,
}

/// What became of the files of a format.
#[derive(Default)]
struct Tally {
    files: usize,
    delivered: usize,
    refused: Vec<String>,
}

#[test]
fn files_arrive_whole_and_name_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let script = dir.join("second_reader.py");
    std::fs::write(&script, READER).unwrap();
    let corpus = e2e::corpus();
    let cases = cases(dir, &script, corpus.as_deref());
    let rules = "[buyer_limit]\nper_pair_and_day = 100000\n[daily_limit]\nbase = 100000\n[duplicates]\nhours = 0\n".to_owned();
    let s = Scene::new(Setup { rules, ..Setup::default() });
    // One pair a direction: what a writer is told of a refusal is not to be taken for what was relayed to them.
    let (by_buyer, by_seller) = (s.service.put_pair(1), s.service.put_pair(2));
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut refused: BTreeMap<&str, String> = BTreeMap::new();
    let mut complaints = Vec::new();
    for (n, case) in cases.iter().enumerate() {
        let tally = tallies.entry(case.format.extensions[0]).or_default();
        tally.files += 1;
        // The second reader looks for canaries in files of our own.
        let own = if case.path.starts_with("own/") { "own-" } else { "" };
        let there = relay(&s, &by_buyer.buyer, &by_buyer.seller_alias, &by_buyer.seller, case);
        let back = n.is_multiple_of(4).then(|| relay(&s, &by_seller.seller, &by_seller.buyer_alias, &by_seller.buyer, case));
        match &there {
            Ok(_) => tally.delivered += 1,
            Err(cause) => {
                tally.refused.push(format!("{} ({cause})", case.path));
                refused.insert(&case.path, cause.clone());
            }
        }
        if back.as_ref().is_some_and(|back| back.as_ref().err() != there.as_ref().err()) {
            complaints.push(format!("{}: passes in one direction only", case.path));
        }
        for (way, octets) in [("there", there.ok()), ("back", back.and_then(Result::ok))] {
            let Some(octets) = octets else { continue };
            let name = format!("{own}{n:03}-{way}.{}", case.extension);
            keep(dir, "before", case.format.reader, &name, &case.octets);
            keep(dir, "after", case.format.reader, &name, &octets);
            names.insert(name, &case.path);
        }
    }
    println!("format    files delivered refused");
    for (name, tally) in &tallies {
        println!("{name:<8}{:>7}{:>10} {}", tally.files, tally.delivered, tally.refused.join("; "));
    }
    let expected: &[(&str, &str)] = if corpus.is_some() { &REFUSED } else { &[] };
    complaints.extend(compare_refusals(&refused, expected));
    if let Some(tally) = tallies.get("doc") {
        let enough = tally.delivered * 10 >= tally.files * 9;
        complaints.extend((!enough).then(|| format!("of {} .doc only {} were delivered", tally.files, tally.delivered)));
    }
    let read = ["txt", "pdf", "doc", "docx", "picture"].into_iter().flat_map(|kind| read_again(dir, &script, kind));
    // After the second reader: it takes the pictures out of documents.
    let faults: Vec<(String, String)> = read.collect::<Vec<_>>().into_iter().chain(look_for_metadata(dir)).collect();
    complaints.extend(faults.iter().map(|(name, fault)| format!("{} ({name}): {fault}", names.get(name).unwrap_or(&"a part"))));
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
    assert_log_is_clean(&s.service.log(), &["Canary", "McCandless", "buyer1", "seller2"]);
}

/// Files of our own, one a format that can be made here, and those of the corpus.
fn cases(dir: &Path, script: &Path, corpus: Option<&Path>) -> Vec<Case> {
    let own = dir.join("own");
    std::fs::create_dir(&own).unwrap();
    python(script, "make", &own);
    let mut cases = Vec::new();
    collect(dir, &own, &mut cases);
    assert_eq!(cases.len(), 8, "every format but .doc");
    if let Some(corpus) = corpus {
        collect(corpus, corpus, &mut cases);
        assert!(cases.len() >= 240, "only {} files", cases.len());
    }
    cases.sort_by_cached_key(|case| case.path.clone());
    cases
}

fn collect(root: &Path, folder: &Path, cases: &mut Vec<Case>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let file = entry.path();
        if file.is_dir() {
            collect(root, &file, cases);
            continue;
        }
        let extension = file.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        let Some(format) = FORMATS.iter().find(|f| f.extensions.contains(&extension.as_str())) else { continue };
        let path = file.strip_prefix(root).unwrap().display().to_string();
        cases.push(Case { path, extension, format, octets: std::fs::read(&file).unwrap() });
    }
}

/// Sends a file; gives what arrived, or why nothing did.
fn relay(s: &Scene, from: &str, alias: &str, to: &str, case: &Case) -> Result<Vec<u8>, String> {
    let before = s.world.mailboxes.count(to);
    let id = s.send(from, alias, &with_file(from, alias, case));
    let decision = s.service.decision(&id);
    if decision["outcome"] != "relay" {
        let rule = decision["rules"].as_array().unwrap().iter().find(|r| r["rule"] == "C8");
        let cause = rule.and_then(|r| r["inputs"]["refused"].as_str()).filter(|cause| *cause != "none");
        return Err(cause.or(decision["remedy"].as_str()).unwrap_or("no cause").to_owned());
    }
    let got = s.world.nth(to, before + 1);
    let message = mail::mime::parse(&got.octets).unwrap();
    let Some(file) = message.entities.iter().find(|e| e.file_name.is_some()) else { return Err("taken out".to_owned()) };
    assert_eq!(file.media_type, case.format.media_type, "{}", case.path);
    assert_eq!(file.file_name.as_deref(), Some(format!("archivo.{}", case.extension).as_str()), "{}", case.path);
    Ok(mail::mime::decode_transfer(file))
}

fn with_file(from: &str, to: &str, case: &Case) -> String {
    let base64 = STANDARD.encode(&case.octets);
    let lines: String = base64.as_bytes().chunks(76).map(|l| format!("{}\r\n", String::from_utf8_lossy(l))).collect();
    let head = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n";
    let file = format!(
        "Content-Type: {}\r\nContent-Disposition: attachment; filename=\"archivo.{}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n{lines}",
        case.format.media_type, case.extension
    );
    letter(from, to, "Documentos", head, &format!("--b\r\n\r\nAqui va.\r\n--b\r\n{file}--b--"))
}

fn keep(dir: &Path, side: &str, kind: &str, name: &str, octets: &[u8]) {
    let folder = dir.join(side).join(kind);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), octets).unwrap();
}

/// Whether what was refused is what must be, for the same cause.
fn compare_refusals(refused: &BTreeMap<&str, String>, expected: &[(&str, &str)]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, cause) in refused {
        if !expected.contains(&(*path, cause.as_str())) {
            complaints.push(format!("{path}: not delivered ({cause})"));
        }
    }
    for (path, cause) in expected {
        if !refused.contains_key(path) {
            complaints.push(format!("{path}: delivered, and must be refused ({cause})"));
        }
    }
    complaints
}

fn python(script: &Path, word: &str, folder: &Path) -> String {
    let output = Command::new("/usr/bin/python3").arg(script).arg(word).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What the second reader says of the files of a kind: name and fault.
fn read_again(dir: &Path, script: &Path, kind: &str) -> Vec<(String, String)> {
    if !dir.join("after").join(kind).is_dir() {
        return Vec::new();
    }
    let told = python(script, kind, dir);
    let told: BTreeMap<String, Vec<String>> = serde_json::from_str(&told).unwrap_or_else(|e| panic!("{kind}: {e}: {told}"));
    told.into_iter().flat_map(|(name, faults)| faults.into_iter().map(move |fault| (name.clone(), fault))).collect()
}

/// What `exiftool` sees beyond what shows the picture or the text: name and fault.
fn look_for_metadata(dir: &Path) -> Vec<(String, String)> {
    let folders = ["picture", "media", "pdf", "docx", "doc"].map(|kind| dir.join("after").join(kind));
    let folders: Vec<PathBuf> = folders.into_iter().filter(|folder| folder.is_dir()).collect();
    let output = Command::new("exiftool").args(["-json", "-a", "-G1", "-u", "-q", "-r"]).args(&folders).output().unwrap();
    let seen: Vec<Map<String, Value>> =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("exiftool: {e}: {}", String::from_utf8_lossy(&output.stderr)));
    let files: usize = folders.iter().map(|folder| std::fs::read_dir(folder).unwrap().count()).sum();
    assert_eq!(seen.len(), files, "{}", String::from_utf8_lossy(&output.stderr));
    let mut faults = Vec::new();
    for tags in &seen {
        let file = Path::new(tags["SourceFile"].as_str().unwrap());
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let kind = file.parent().and_then(Path::file_name).unwrap().to_string_lossy().into_owned();
        let is_tiff = file.extension().is_some_and(|e| e == "tif" || e == "tiff");
        for (key, value) in tags.iter().filter(|(key, _)| !is_structural(&kind, is_tiff, key)) {
            faults.push((name.clone(), format!("exiftool: {key} is {value}")));
        }
    }
    faults
}

/// Whether a tag says only how a file is built, or what `exiftool` adds by itself.
fn is_structural(kind: &str, is_tiff: bool, key: &str) -> bool {
    let (group, tag) = key.split_once(':').unwrap_or(("", key));
    let among = |tags: &str| tags.split_whitespace().any(|known| known == tag);
    match (group, kind) {
        ("", _) => tag == "SourceFile",
        ("System", _) => true,
        ("ExifTool", _) => tag == "ExifToolVersion",
        ("Composite", _) => among("ImageSize Megapixels"),
        ("File", _) => among(OF_FILE),
        ("ZIP", "docx") => true,
        ("PDF", "pdf") => among("PDFVersion Linearized PageCount Language TaggedPDF HasXFA PageLayout PageMode"),
        // Colour profiles that pages are drawn with.
        ("ICC-header" | "ICC_Profile" | "ICC-view" | "ICC-meas", "pdf") => true,
        ("FlashPix", "doc") => among("DocFlags Identification LanguageCode System Word97 CompObjUserType CompObjUserTypeLen"),
        // Numbers of pages and words, and days.
        ("MS-DOC", "doc") => tag != "LastSavedBy",
        ("JFIF", "picture" | "media") => among("JFIFVersion ResolutionUnit XResolution YResolution"),
        ("Adobe", "picture" | "media") => among("DCTEncodeVersion APP14Flags0 APP14Flags1 ColorTransform"),
        ("GIF", "picture" | "media") => among(OF_GIF),
        ("PNG", "picture" | "media") => among(OF_PNG),
        ("PNG-cHRM" | "PNG-pHYs", "picture" | "media") => true,
        (directory, "picture" | "media") if directory.starts_with("IFD") || directory.starts_with("SubIFD") => {
            tag == "Orientation" || (is_tiff && among(OF_TIFF))
        }
        _ => false,
    }
}

/// Of a file as a whole, of JPEG and of BMP.
const OF_FILE: &str = "FileType FileTypeExtension MIMEType ImageWidth ImageHeight BitsPerSample ColorComponents EncodingProcess
    YCbCrSubSampling ExifByteOrder PageCount BMPVersion Planes BitDepth Compression ImageLength PixelsPerMeterX PixelsPerMeterY
    NumColors NumImportantColors RedMask GreenMask BlueMask AlphaMask ColorSpace";
const OF_GIF: &str = "GIFVersion ImageWidth ImageHeight HasColorMap ColorResolutionDepth BitsPerPixel BackgroundColor
    PixelAspectRatio AnimationIterations FrameCount Duration TransparentColor";
const OF_PNG: &str = "ImageWidth ImageHeight BitDepth ColorType Compression Filter Interlace Palette Transparency Gamma
    SRGBRendering SignificantBits BackgroundColor AnimationFrames AnimationPlays";
/// TIFF 6.0 without its fields for people, programs, devices and dates.
const OF_TIFF: &str = "SubfileType OldSubfileType ImageWidth ImageHeight BitsPerSample Compression PhotometricInterpretation
    Thresholding FillOrder StripOffsets SamplesPerPixel RowsPerStrip StripByteCounts MinSampleValue MaxSampleValue XResolution
    YResolution PlanarConfiguration ResolutionUnit T4Options T6Options PageNumber TransferFunction Predictor WhitePoint
    PrimaryChromaticities HalftoneHints ColorMap TileWidth TileLength TileOffsets TileByteCounts InkSet NumberofInks ExtraSamples
    SampleFormat SMinSampleValue SMaxSampleValue JPEGTables YCbCrCoefficients YCbCrSubSampling YCbCrPositioning
    ReferenceBlackWhite";
