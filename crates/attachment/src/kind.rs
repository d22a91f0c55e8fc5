//! The nine formats (C8): name, declared type and content must agree.

/// How far into a file the mark of its format is looked for; PDF readers tolerate junk before it.
const PDF_MARK_WITHIN: usize = 1_024;

/// A format that may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// .txt
    Text,
    /// .pdf
    Pdf,
    /// .doc, an OLE container
    Doc,
    /// .docx, a zip of XML
    Docx,
    /// .jpg, .jpeg
    Jpeg,
    /// .gif
    Gif,
    /// .tiff, .tif
    Tiff,
    /// .bmp
    Bmp,
    /// .png
    Png,
}

/// Why a file may not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Its kind is not in the list.
    #[error("this kind of file does not pass")]
    Kind,
    /// Name, declared type and content say different things.
    #[error("its content is not what its name says")]
    Disagreement,
    /// It can hold macros.
    #[error("it can contain macros")]
    Macros,
    /// It is locked.
    #[error("it is locked")]
    Encrypted,
    /// It cannot be read.
    #[error("it cannot be read")]
    Unreadable,
}

impl Kind {
    /// Its media type (RFC 2046 and the registry).
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain",
            Self::Pdf => "application/pdf",
            Self::Doc => "application/msword",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Tiff => "image/tiff",
            Self::Bmp => "image/bmp",
            Self::Png => "image/png",
        }
    }

    /// Whether it is a picture.
    #[must_use]
    pub fn is_picture(self) -> bool {
        matches!(self, Self::Jpeg | Self::Gif | Self::Tiff | Self::Bmp | Self::Png)
    }

    /// The usual extension, without dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Pdf => "pdf",
            Self::Doc => "doc",
            Self::Docx => "docx",
            Self::Jpeg => "jpg",
            Self::Gif => "gif",
            Self::Tiff => "tiff",
            Self::Bmp => "bmp",
            Self::Png => "png",
        }
    }

    /// A name for a file that has none.
    #[must_use]
    pub fn plain_name(self) -> &'static str {
        match self {
            Self::Text => "file.txt",
            Self::Pdf => "file.pdf",
            Self::Doc => "file.doc",
            Self::Docx => "file.docx",
            Self::Jpeg => "picture.jpg",
            Self::Gif => "picture.gif",
            Self::Tiff => "picture.tiff",
            Self::Bmp => "picture.bmp",
            Self::Png => "picture.png",
        }
    }

    /// Of an extension, without dot, in any case.
    #[must_use]
    pub fn of_extension(extension: &str) -> Option<Self> {
        Some(match extension.to_ascii_lowercase().as_str() {
            "txt" => Self::Text,
            "pdf" => Self::Pdf,
            "doc" => Self::Doc,
            "docx" => Self::Docx,
            "jpg" | "jpeg" => Self::Jpeg,
            "gif" => Self::Gif,
            "tiff" | "tif" => Self::Tiff,
            "bmp" => Self::Bmp,
            "png" => Self::Png,
            _ => return None,
        })
    }

    /// Of a declared type; `Ok(None)` where it says nothing.
    fn of_media_type(media_type: &str) -> Result<Option<Self>, ()> {
        Ok(Some(match media_type.to_ascii_lowercase().as_str() {
            "" | "application/octet-stream" | "application/x-unknown" | "application/download" | "application/force-download" => {
                return Ok(None);
            }
            "text/plain" => Self::Text,
            "application/pdf" | "application/x-pdf" => Self::Pdf,
            "application/msword" | "application/vnd.ms-word" => Self::Doc,
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => Self::Docx,
            "image/jpeg" | "image/jpg" | "image/pjpeg" => Self::Jpeg,
            "image/gif" => Self::Gif,
            "image/tiff" | "image/tif" => Self::Tiff,
            "image/bmp" | "image/x-bmp" | "image/x-ms-bmp" => Self::Bmp,
            "image/png" | "image/x-png" => Self::Png,
            _ => return Err(()),
        }))
    }

    fn of_content(octets: &[u8]) -> Option<Self> {
        let starts = |mark: &[u8]| octets.starts_with(mark);
        if starts(b"\xff\xd8\xff") {
            Some(Self::Jpeg)
        } else if starts(b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if starts(b"GIF87a") || starts(b"GIF89a") {
            Some(Self::Gif)
        } else if starts(b"II*\0") || starts(b"MM\0*") {
            Some(Self::Tiff)
        } else if starts(b"BM") && octets.len() > 26 && octets[6..10] == [0; 4] {
            Some(Self::Bmp)
        } else if starts(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
            Some(Self::Doc)
        } else if starts(b"PK\x03\x04") && holds(octets, b"word/") {
            Some(Self::Docx)
        } else if holds(&octets[..octets.len().min(PDF_MARK_WITHIN)], b"%PDF-") {
            Some(Self::Pdf)
        } else if is_text(octets) {
            Some(Self::Text)
        } else {
            None
        }
    }
}

/// What a file is by its first octets and marks, if it may pass; what is within is seen when it is rebuilt. `name` is as the
/// writer gave it, `media_type` as declared.
///
/// # Errors
/// The `Fault` that its writer is told.
pub fn judge(name: &str, media_type: &str, octets: &[u8]) -> Result<Kind, Fault> {
    let extension = name.trim().rsplit_once('.').map(|(_, extension)| extension.trim());
    if extension.is_some_and(|e| ["docm", "dotm", "xlsm", "pptm", "xlsb"].iter().any(|m| e.eq_ignore_ascii_case(m))) {
        return Err(Fault::Macros);
    }
    let by_type = Kind::of_media_type(media_type).map_err(|()| Fault::Kind)?;
    let by_name = match extension {
        Some(extension) => Some(Kind::of_extension(extension).ok_or(Fault::Kind)?),
        // A picture pasted into a mail may have no name at all.
        None if name.trim().is_empty() => by_type,
        None => return Err(Fault::Kind),
    };
    let claimed = by_name.or(by_type).ok_or(Fault::Kind)?;
    if by_type.is_some_and(|t| t != claimed) {
        return Err(Fault::Disagreement);
    }
    // A text file may say anything, also "%PDF-": what it claims to be counts as long as it is text.
    let content = if claimed == Kind::Text && is_text(octets) { Some(Kind::Text) } else { Kind::of_content(octets) };
    match content {
        // A locked DOCX is a container; a DOC may hold the word, and its locks are seen when it is opened.
        Some(Kind::Doc) if claimed == Kind::Docx && holds(octets, &utf16("EncryptedPackage")) => Err(Fault::Encrypted),
        Some(kind) if kind != claimed => Err(Fault::Disagreement),
        Some(kind) => Ok(kind),
        None => Err(Fault::Disagreement),
    }
}

fn is_text(octets: &[u8]) -> bool {
    let has_mark = octets.starts_with(b"\xff\xfe") || octets.starts_with(b"\xfe\xff");
    has_mark || !octets.iter().any(|b| matches!(b, 0..=8 | 14..=26 | 28..=31))
}

fn holds(octets: &[u8], mark: &[u8]) -> bool {
    octets.windows(mark.len()).any(|window| window == mark)
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PDF: &[u8] = b"%PDF-1.7\n";

    #[test]
    fn name_type_and_content_must_agree() {
        assert_eq!(judge("a.PDF", "application/pdf", PDF), Ok(Kind::Pdf));
        assert_eq!(judge("a.pdf", "application/octet-stream", PDF), Ok(Kind::Pdf));
        assert_eq!(judge("a.pdf", "application/pdf", b"MZ\x90\0\x03\0"), Err(Fault::Disagreement));
        assert_eq!(judge("a.png", "application/pdf", PDF), Err(Fault::Disagreement));
        assert_eq!(judge("a.pdf", "image/png", PDF), Err(Fault::Disagreement));
        assert_eq!(judge("a.exe", "application/octet-stream", b"MZ\x90\0"), Err(Fault::Kind));
        assert_eq!(judge("a.zip", "application/zip", b"PK\x03\x04"), Err(Fault::Kind));
        assert_eq!(judge("noextension", "", b"x"), Err(Fault::Kind));
        assert_eq!(judge("nota.txt", "text/plain", b"%PDF- is how a PDF begins"), Ok(Kind::Text));
        assert_eq!(judge("nota.txt", "text/plain", b"a\0b"), Err(Fault::Disagreement));
    }

    #[test]
    fn locks_are_seen_behind_any_name() {
        let with = |mark: &[u8]| [b"PK\x03\x04 word/document.xml ".as_slice(), mark].concat();
        assert_eq!(judge("a.docx", "", &with(b"")), Ok(Kind::Docx));
        assert_eq!(judge("a.docm", "", &with(b"")), Err(Fault::Macros));
        let ole = |name: &str| [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec(), utf16(name)].concat();
        assert_eq!(judge("a.doc", "", &ole("WordDocument")), Ok(Kind::Doc));
        assert_eq!(judge("a.docx", "", &ole("EncryptedPackage")), Err(Fault::Encrypted));
        assert_eq!(judge("a.docx", "", &ole("WordDocument")), Err(Fault::Disagreement));
        assert_eq!(judge("a.doc", "", &ole("What EncryptedPackage means")), Ok(Kind::Doc));
    }
}
