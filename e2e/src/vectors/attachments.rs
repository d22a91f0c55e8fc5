//! A rows: what files beside the message say of the writer.

use crate::vectors::build::Letter;
use crate::vectors::documents::{
    INVOICE, doc, docx_with_comments, docx_with_leftovers, docx_with_properties, docx_with_remote_parts, pdf_with_author,
    pdf_with_compressed_metadata, pdf_with_wide_author,
};
use crate::vectors::pictures::{
    PIXELS, SCAN, bmp, gif, jpeg_with_comments, jpeg_with_owner, jpeg_with_place, jpeg_with_thumbnail, png_with_texts, tiff,
};
use crate::vectors::{Case, Vector};

pub const ROWS: &[Vector] = &[
    Vector::row("A01", "JPEG EXIF GPS", |c| photograph(c, &jpeg_with_place(c))).with(&[SCAN]),
    Vector::row("A02", "JPEG EXIF owner, serial, description", |c| photograph(c, &jpeg_with_owner(c))).with(&[SCAN]),
    Vector::row("A03", "PNG tEXt, iTXt XMP, eXIf", |c| with(c, "lamp.png", "image/png", &png_with_texts(c))).with(&[PIXELS]),
    Vector::row("A04", "TIFF Artist / ImageDescription", |c| with(c, "lamp.tiff", "image/tiff", &tiff(c))).with(&[PIXELS]),
    Vector::row("A05", "GIF comment", |c| with(c, "lamp.gif", "image/gif", &gif(c))).with(&[PIXELS]),
    Vector::row("A06", "JPEG comment, XMP and bytes after the end", |c| photograph(c, &jpeg_with_comments(c))).with(&[SCAN]),
    Vector::row("A07", "JPEG EXIF thumbnail of the uncropped picture", |c| photograph(c, &jpeg_with_thumbnail(c))).with(&[SCAN]),
    Vector::row("A08", "PDF Info Author and XMP creator", |c| pdf(c, &pdf_with_author(c))).with(&[INVOICE]),
    Vector::row("A09", "PDF Info as UTF-16 hex string", |c| pdf(c, &pdf_with_wide_author(c))).with(&[INVOICE]),
    Vector::row("A10", "PDF compressed metadata stream", |c| pdf(c, &pdf_with_compressed_metadata(c))).with(&[INVOICE]),
    Vector::row("A11", "DOCX core and app properties", |c| docx(c, &docx_with_properties(c))).with(&[INVOICE]),
    Vector::row("A12", "DOCX tracked changes and comments by a person", |c| docx(c, &docx_with_comments(c))).with(&[INVOICE]),
    Vector::row("A13", "DOCX remote template and linked image", |c| docx(c, &docx_with_remote_parts(c))).with(&[INVOICE]),
    Vector::row("A14", "DOCX custom XML and printer path", |c| docx(c, &docx_with_leftovers(c))).with(&[INVOICE]),
    Vector::row("A15", "DOC (OLE) summary information, UTF-16 and 8-bit", |c| with(c, "factura.doc", "application/msword", &doc(c)))
        .with(&[INVOICE]),
    Vector::row("A16", "BMP with bytes after the picture", |c| with(c, "lamp.bmp", "image/bmp", &bmp(c))).with(&[PIXELS]),
    Vector::row("A17", "TXT with the address", |c| {
        let text = format!("{INVOICE}\r\nEscribe a {} o a {}.\r\n", c.address(), c.address().to_uppercase());
        with(c, "factura.txt", "text/plain; charset=utf-8", text.as_bytes())
    })
    .with(&[INVOICE]),
];

fn with(c: &Case<'_>, name: &str, kind: &str, octets: &[u8]) -> Vec<u8> {
    Letter::new(c).file(name, kind, octets)
}

fn photograph(c: &Case<'_>, octets: &[u8]) -> Vec<u8> {
    with(c, "lamp.jpg", "image/jpeg", octets)
}

fn pdf(c: &Case<'_>, octets: &[u8]) -> Vec<u8> {
    with(c, "factura.pdf", "application/pdf", octets)
}

fn docx(c: &Case<'_>, octets: &[u8]) -> Vec<u8> {
    with(c, "factura.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", octets)
}
