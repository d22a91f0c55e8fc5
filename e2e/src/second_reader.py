#!/usr/bin/python3
"""A second reader of files that were relayed.

second_reader.py make FOLDER        writes small files of our own, their metadata full of the word Canary
second_reader.py KIND FOLDER        compares FOLDER/before/KIND/NAME with FOLDER/after/KIND/NAME for every NAME there;
                                    prints a JSON object: name -> list of faults

KIND is picture, pdf, docx, doc or txt. Pictures within DOCX are written to FOLDER/after/media for exiftool.
Needs Debian's python3-pil, python3-pypdf, python3-docx and python3-olefile, poppler-utils and catdoc."""
import hashlib, io, json, logging, os, re, subprocess, sys, warnings, zipfile

warnings.simplefilter("ignore")
logging.disable()
PICTURES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff")
# Words that stand in files of a format whoever wrote them.
COMMON = {"", "microsoft", "author", "user", "unknown", "windows", "word"}


def output(*words):
    """What a program writes; nothing if it fails."""
    done = subprocess.run(words, capture_output=True)
    return done.stdout if done.returncode == 0 else b""


def tool(*words):
    return output(*words).decode("utf-8", "replace")


def squeezed(text):
    return "".join(text.split())


def spellings(name):
    """The ways in which a file holds a name."""
    octets = [name.encode("utf-8"), name.encode("utf-16-le"), name.encode("utf-16-be")]
    for charset in ("cp1252", "cp1251"):
        try:
            octets.append(name.encode(charset))
        except UnicodeEncodeError:
            pass
    xml = name.replace("&", "&amp;").replace("<", "&lt;").replace("'", "&apos;")
    return set(octets + [xml.encode("utf-8")])


def left_over(names, visible, places):
    """Names that no reader of the text sees, and that still stand somewhere in the octets."""
    faults = []
    for name in sorted({n.strip() for n in names if n}):
        if len(name) < 4 or name.lower() in COMMON or name in visible:
            continue
        for place, octets in places:
            if any(form in octets for form in spellings(name)):
                faults.append(f"the name {name!r} still stands in {place}")
                break
    return faults


# Pictures

def frames(source):
    from PIL import Image, ImageFile, ImageOps, ImageSequence
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    found = []
    with Image.open(source) as image:
        for frame in ImageSequence.Iterator(image):
            frame.load()
            found.append((ImageOps.exif_transpose(frame), frame.info.get("duration")))
        return image.format, image.info.get("loop"), found


def same_pixels(a, b):
    if a.size != b.size:
        return False
    plain = a.mode == b.mode and a.mode != "P" and a.info.get("transparency") == b.info.get("transparency")
    if plain:
        return a.tobytes() == b.tobytes()
    return a.convert("RGBA").tobytes() == b.convert("RGBA").tobytes()


def picture(before, after, _name, _folder):
    (kind, loop, old), (new_kind, new_loop, new) = frames(before), frames(after)
    faults = []
    if kind != new_kind:
        faults.append(f"was {kind}, is {new_kind}")
    if (len(old), loop) != (len(new), new_loop):
        faults.append(f"had {len(old)} frames in loop {loop}, has {len(new)} in loop {new_loop}")
    for n, ((a, shown), (b, new_shown)) in enumerate(zip(old, new)):
        if not same_pixels(a, b):
            faults.append(f"frame {n}: other pixels ({a.mode} {a.size}, {b.mode} {b.size})")
        if shown != new_shown:
            faults.append(f"frame {n}: shown for {shown}, then for {new_shown}")
    return faults


# PDF

def information(path):
    lines = tool("pdfinfo", path).splitlines()
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def names_of_pdf(path):
    from pypdf import PdfReader
    metadata = PdfReader(path).metadata or {}
    return [str(metadata.get(key, "")) for key in ("/Author", "/Company", "/Manager")]


def inflated(path):
    """Every string and stream of a PDF."""
    from pypdf import PdfReader
    from pypdf.generic import ArrayObject, ByteStringObject, DictionaryObject, IndirectObject, StreamObject, TextStringObject
    reader = PdfReader(path)
    numbers = {(number, generation) for generation, table in reader.xref.items() for number in table if number}
    numbers |= {(number, 0) for number in reader.xref_objStm}
    out, todo = [], [IndirectObject(number, generation, reader).get_object() for number, generation in sorted(numbers)]
    while todo:
        thing = todo.pop()
        if isinstance(thing, StreamObject):
            try:
                out.append(thing.get_data())
            except Exception:
                # A coding of pictures.
                pass
        if isinstance(thing, DictionaryObject):
            todo.extend(thing.values())
        elif isinstance(thing, ArrayObject):
            todo.extend(thing)
        elif isinstance(thing, ByteStringObject):
            out.append(bytes(thing))
        elif isinstance(thing, TextStringObject):
            out.append(str(thing).encode("utf-8", "replace"))
    return b"\n".join(out)


def pdf(before, after, _name, _folder):
    from pypdf import PdfReader
    old, new = information(before), information(after)
    if "Pages" not in new:
        return ["pdfinfo does not open it"]
    faults = []
    if old["Pages"] != new["Pages"] or len(PdfReader(before).pages) != len(PdfReader(after).pages):
        faults.append(f"had {old['Pages']} pages, has {new['Pages']}")
    for key in ("Title", "Author", "Subject", "Keywords", "Creator", "Producer", "CreationDate", "ModDate"):
        if new.get(key):
            faults.append(f"{key}: {new[key]}")
    for key in ("Custom Metadata", "Metadata Stream", "JavaScript", "Encrypted"):
        if new.get(key) != "no":
            faults.append(f"{key}: {new.get(key)}")
    for option in ("-meta", "-js"):
        if tool("pdfinfo", option, after).strip():
            faults.append(f"pdfinfo {option} is not empty")
    files = tool("pdfdetach", "-list", after)
    if not files.startswith("0 embedded files"):
        faults.append(f"files within: {files!r}")
    text = tool("pdftotext", before, "-")
    if squeezed(text) != squeezed(tool("pdftotext", after, "-")):
        faults.append("another text")
    draw = ("pdftoppm", "-r", "36", "-l", "3")
    if output(*draw, before) != output(*draw, after) and not has_removed_marks(before):
        faults.append("its pages look different")
    reader = PdfReader(after)
    if reader.metadata or "/ID" in reader.trailer:
        faults.append(f"trailer: {reader.trailer}")
    places = [("its octets", open(after, "rb").read()), ("its objects", inflated(after))]
    return faults + left_over(names_of_pdf(before), text, places)


def has_removed_marks(path):
    """Whether pages show what cannot stay: the pin of an attached file, a field for a signature."""
    from pypdf import PdfReader
    kinds = set()
    for page in PdfReader(path).pages:
        marks = page["/Annots"] if "/Annots" in page else []
        for mark in (m.get_object() for m in marks):
            kinds.add("/Sig" if mark.get("/FT") == "/Sig" else mark.get("/Subtype"))
    return bool(kinds & {"/FileAttachment", "/Sig", "/Movie", "/Sound", "/Screen", "/RichMedia", "/3D"})


# DOCX

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
OF_PEOPLE = re.compile(r"^(docProps|customXml)/|people|core-properties|printerSettings|vbaProject|thumbnail", re.I)


def words_of(octets):
    """Text of a part without what is deleted, moved away or hidden, and what stands there again for old programs."""
    from lxml import etree

    def is_hidden(node):
        return any(mark.get(W + "val") not in ("0", "false", "off") for mark in node.findall(W + "rPr/" + W + "vanish"))

    def walk(node):
        if node.tag == W + "r" and is_hidden(node):
            return ""
        if not isinstance(node.tag, str) or node.tag in (W + "del", W + "moveFrom", MC + "Fallback"):
            return ""
        return (node.text or "" if node.tag == W + "t" else "") + "".join(walk(child) for child in node)

    return squeezed(walk(etree.fromstring(octets)))


def stories(package):
    """The text of the document, and the texts of headers, footers and notes."""
    names = [n for n in package.namelist() if re.match(r"word/(header|footer|footnotes|endnotes)\d*\.xml$", n)]
    others = sorted(filter(None, (words_of(package.read(n)) for n in names)))
    return words_of(package.read("word/document.xml")), others


def pictures_in(package):
    """Pixels of the pictures in a document, whatever their parts are called."""
    from PIL import Image
    found = {}
    for name in package.namelist():
        if name.startswith("word/media/") and name.lower().endswith(PICTURES):
            octets = package.read(name)
            with Image.open(io.BytesIO(octets)) as image:
                found[name] = hashlib.sha256(repr(image.size).encode() + image.convert("RGBA").tobytes()).hexdigest()
    return found


def authors_of(package):
    """Who wrote, changed, commented."""
    names = []
    for name in package.namelist():
        if name.endswith((".xml", ".psmdcp")):
            xml = package.read(name).decode("utf-8", "replace")
            names += re.findall(r"<(?:dc:creator|cp:lastModifiedBy)>([^<]+)<", xml)
            names += re.findall(r"\bw(?:15)?:author=\"([^\"]+)\"", xml)
    return [n.replace("&amp;", "&").replace("&apos;", "'").replace("&quot;", '"') for n in names]


def check_part(name, octets):
    faults = []
    if name.endswith((".xml", ".rels")):
        xml = octets.decode("utf-8", "replace")
        if re.search(r"\sw:rsid\w*=|<w:rsids?\b", xml):
            faults.append(f"{name} counts who edited (rsid)")
        for relation in re.findall(r"<(?:\w+:)?Relationship\b[^>]*TargetMode=\"External\"[^>]*>", xml):
            target = re.search(r"\bTarget=\"([^\"]*)\"", relation).group(1)
            if "/hyperlink\"" not in relation or not re.match(r"https?://", target, re.I) or "@" in target:
                faults.append(f"{name} loads or names {target!r}")
    return faults


def docx(before, after, name, folder):
    import docx as python_docx
    document = python_docx.Document(after)
    faults = []
    with zipfile.ZipFile(before) as old, zipfile.ZipFile(after) as new:
        if new.testzip() or new.comment:
            faults.append("the zip is broken, or has a comment")
        faults += [f"still holds {n}" for n in new.namelist() if OF_PEOPLE.search(n)]
        faults += [f"{i.filename} is of {i.date_time}" for i in new.infolist() if i.date_time > (1980, 1, 1, 0, 0, 0)]
        faults += [fault for n in new.namelist() for fault in check_part(n, new.read(n))]
        (text, notes), (new_text, new_notes) = stories(old), stories(new)
        if text != new_text:
            faults.append(f"another text: {text[:80]!r}, {new_text[:80]!r}")
        if notes != new_notes:
            faults.append(f"other notes: {str(notes)[:80]}, {str(new_notes)[:80]}")
        pictures, new_pictures = pictures_in(old), pictures_in(new)
        if sorted(pictures.values()) != sorted(new_pictures.values()):
            faults.append(f"had the pictures {sorted(pictures)}, has {sorted(new_pictures)}")
        visible = document_text(old)
        faults += left_over(authors_of(old), visible, [(n, new.read(n)) for n in new.namelist()])
        os.makedirs(os.path.join(folder, "after", "media"), exist_ok=True)
        for part in new_pictures:
            with open(os.path.join(folder, "after", "media", f"{name}-{os.path.basename(part)}"), "wb") as out:
                out.write(new.read(part))
    kinds = [relation.reltype for relation in document.part.package.rels.values()]
    faults += [f"still relates to {kind}" for kind in kinds if kind.endswith(("-properties", "/metadata/thumbnail"))]
    return faults


def document_text(package):
    """Text with its spaces, for names in it."""
    parts = [package.read(n).decode("utf-8", "replace") for n in package.namelist() if re.match(r"word/\w+\.xml$", n)]
    return "\n".join("".join(re.findall(r"<w:t(?: [^>]*)?>([^<]*)<", part)) for part in parts)


# DOC

SUMMARIES = ("\x05SummaryInformation", "\x05DocumentSummaryInformation")
OF_SUMMARY = ("title", "subject", "author", "keywords", "comments", "template", "last_saved_by", "creating_application",
              "category", "manager", "company")


def summary(path):
    import olefile
    with olefile.OleFileIO(path) as ole:
        metadata = ole.get_metadata()
        # A signed number of 16 bits; 65001 is UTF-8.
        codepage = (metadata.codepage or 65001) & 0xFFFF
        charset = "utf-8" if codepage == 65001 else f"cp{codepage}"
        found = {}
        for key in OF_SUMMARY:
            value = getattr(metadata, key)
            if isinstance(value, bytes):
                found[key] = value.decode(charset, "replace").strip("\0 ")
        return found, ["/".join(path) for path in ole.listdir()]


def doc(before, after, _name, _folder):
    import olefile
    if not olefile.isOleFile(after):
        return ["no OLE file"]
    (old, _), (new, streams) = summary(before), summary(after)
    faults = [f"{key}: {value}" for key, value in new.items() if value]
    if "WordDocument" not in streams:
        faults.append("no WordDocument within")
    # Properties that their writer made up, which olefile does not list.
    with olefile.OleFileIO(after) as ole:
        if ole.exists(SUMMARIES[1]) and len(ole.openstream(SUMMARIES[1]).read().rstrip(b"\0")) > 256:
            faults.append("properties of its own")
    # catdoc shows the instructions of fields; those that address somebody are blank.
    text = re.sub(r'HYPERLINK\s+"?mailto:[^"\s]*"?', "", tool("catdoc", "-w", "-d", "utf-8", before))
    if squeezed(text) != squeezed(tool("catdoc", "-w", "-d", "utf-8", after)):
        faults.append("another text")
    people = [old.get(key, "") for key in ("author", "last_saved_by", "company", "manager")]
    people += [name for value in people for name in value.split(";")]
    return faults + left_over(people, text, [("its octets", open(after, "rb").read())])


# TXT

ADDRESS = re.compile(r"[^\s@<>()\[\]\"',;:]+@[^\s@<>()\[\]\"',;:]+\.\w+")
# What may be masked in a line: addresses, telephone numbers, links, addresses in words; who wrote, and headers.
MAY_CHANGE = re.compile(r"[@＠:/\d]|\w\.\w|\b(at|dot|arroba|punto)\b|^\W*--", re.I)


def text_of(octets):
    for mark, charset in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if octets.startswith(mark):
            return octets.decode(charset)
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def txt(before, after, _name, _folder):
    old, new = (text_of(open(path, "rb").read()) for path in (before, after))
    faults = [f"the address {address} arrived" for address in ADDRESS.findall(new)]
    lines = [" ".join(line.split()) for line in old.splitlines()]
    prose = [line for line in lines if len(line.split()) > 2 and not MAY_CHANGE.search(line)]
    arrived = " ".join(new.split())
    at, lost = 0, []
    for line in prose:
        found = arrived.find(line, at)
        if found < 0:
            lost.append(line)
        else:
            at = found + len(line)
    if len(lost) > 1 + len(prose) // 20:
        faults.append(f"{len(lost)} of {len(prose)} lines are lost: {lost[:3]}")
    if old.strip() and not new.strip():
        faults.append("nothing is left")
    return faults


# Files of our own

def own_jpeg(path, image):
    from PIL import Image
    exif = Image.Exif()
    # Description, make, orientation (on its side), artist, serial number of the camera.
    for tag, value in ((270, "Canary"), (271, "Canary"), (274, 6), (315, "Canary"), (42033, "Canary")):
        exif[tag] = value
    # North, 36°; east, 138°.
    exif[0x8825] = {1: "N", 2: (36.0, 1.0, 2.0), 3: "E", 4: (138.0, 3.0, 4.0)}
    image.save(path, exif=exif, comment=b"Canary", quality=90)
    with open(path, "ab") as out:
        out.write(b"Canary after the end")


def own_png(path, image):
    from PIL import PngImagePlugin
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Author", "Canary")
    texts.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta xmlns:x='adobe:ns:meta/'>Canary</x:xmpmeta>")
    image.convert("P").save(path, pnginfo=texts, transparency=3)


def own_tiff(path, image):
    pages = [image, image.convert("1"), image.convert("P")]
    pages[0].save(path, save_all=True, append_images=pages[1:], compression="tiff_lzw", tiffinfo={
        270: "Canary", 271: "Canary", 274: 6, 305: "Canary", 306: "2020:01:02 03:04:05", 315: "Canary", 33432: "Canary"})


def own_docx(path, image):
    import docx as python_docx
    document = python_docx.Document()
    for key in ("author", "last_modified_by", "title", "comments", "keywords", "subject"):
        setattr(document.core_properties, key, "Canary")
    document.add_paragraph("El plato llegó roto.")
    with io.BytesIO() as octets:
        own_jpeg(path + ".jpg", image)
        with open(path + ".jpg", "rb") as part:
            octets.write(part.read())
        os.remove(path + ".jpg")
        document.add_picture(octets)
    from docx.oxml import parse_xml
    xmlns = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    mark = 'w:id="9" w:author="Canary" w:date="2020-01-02T03:04:05Z"'
    document.paragraphs[0]._p.append(parse_xml(f"<w:ins {xmlns} {mark}><w:r><w:t>Mucho.</w:t></w:r></w:ins>"))
    document.paragraphs[0]._p.append(parse_xml(f"<w:del {xmlns} {mark}><w:r><w:delText>Poco.</w:delText></w:r></w:del>"))
    document.save(path)


def own_pdf(path):
    import zlib
    xmp = zlib.compress(b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>Canary</x:xmpmeta>")
    page = b"BT /F1 12 Tf 10 50 Td (El plato) Tj ET"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /Metadata 5 0 R /OpenAction 7 0 R /Names 11 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 4 0 R /Resources << /Font << /F1 6 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(page), page),
        b"<< /Type /Metadata /Subtype /XML /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(xmp), xmp),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /S /JavaScript /JS (app.alert\\('Canary'\\)) >>",
        b"<< /Type /Filespec /F (Canary.txt) /EF << /F 9 0 R >> >>",
        b"<< /Type /EmbeddedFile /Length 6 >>\nstream\nCanary\nendstream",
        b"<< /Author <FEFF00430061006E006100720079> /Title (Canary) /Producer (Canary) /CreationDate (D:20200102030405Z) >>",
        b"<< /EmbeddedFiles << /Names [(x) 8 0 R] >> /JavaScript << /Names [(y) 7 0 R] >> >>",
    ]
    out, table = b"%PDF-1.5\n", b""
    for n, thing in enumerate(objects, 1):
        table += b"%010d 00000 n \n" % len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (n, thing)
    trailer = b"trailer\n<< /Size 12 /Root 1 0 R /Info 10 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(out)
    with open(path, "wb") as file:
        file.write(out + b"xref\n0 12\n0000000000 65535 f \n" + table + trailer)


def make(folder):
    from PIL import Image
    image = Image.new("RGB", (24, 16))
    image.putdata([(x * 10, y * 15, (x * y) % 256) for y in range(16) for x in range(24)])
    at = lambda name: os.path.join(folder, name)
    own_jpeg(at("own.jpeg"), image)
    own_png(at("own.png"), image)
    own_tiff(at("own.tiff"), image)
    turned = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    image.save(at("own.gif"), save_all=True, append_images=[turned], duration=[100, 250], loop=3, comment=b"Canary")
    image.convert("L").save(at("own.bmp"))
    with open(at("own.bmp"), "ab") as out:
        out.write(b"Canary")
    own_docx(at("own.docx"), image)
    own_pdf(at("own.pdf"))
    with open(at("own.txt"), "w", encoding="utf-16") as out:
        out.write("El plato llegó roto ayer\r\nEscribe a ana@canary.example\r\n")


def compare(kind, folder):
    told = {}
    for name in sorted(os.listdir(os.path.join(folder, "after", kind))):
        before, after = (os.path.join(folder, side, kind, name) for side in ("before", "after"))
        try:
            told[name] = globals()[kind](before, after, name, folder)
        except Exception as e:
            told[name] = [f"{type(e).__name__}: {e}"]
        if name.startswith("own") and kind != "txt" and b"Canary" in open(after, "rb").read():
            told[name].append("a canary arrived")
    return told


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2])
    else:
        print(json.dumps(compare(sys.argv[1], sys.argv[2])))
