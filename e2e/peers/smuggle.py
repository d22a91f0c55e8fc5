#!/usr/bin/python3
"""smuggle.py PORT clear|tls FROM TO   ends a message in every published way that is no end, with another message behind it,
by DATA and by BDAT, in one segment, octet by octet, and for two ways cut in two at every place; then puts bare CR, LF and
NUL into commands. Exits 1 and names the attempt at the first answer that is no refusal. At the end a true end with another
message behind it: these two must be taken, so that what came before could have been."""
import socket, ssl, sys

PORT, MODE, FROM, TO = int(sys.argv[1]), sys.argv[2], sys.argv[3].encode(), sys.argv[4].encode()
ENDS = [
    b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\n", b"\r\n.\n", b"\r\n.\r", b"\n.\r", b"\r\n\0.\r\n", b"\r\n.\r\r\n", b"\r.\r\n",
    b"\n\n.\r\n", b"\r\r\n.\n", b"\r\n.\0\r\n", b"\r\n\r.\r\n", b"\r\n.\n\r\n", b"\r\0\n.\r\n", b"\r\n.\r\0\n", b"\n.\n\n",
]
COMMANDS = [b"EHLO c", b"MAIL FROM:<" + FROM + b">", b"RCPT TO:<" + TO + b">", b"RSET", b"NOOP", b"BDAT 3", b"DATA", b"QUIT", b"STARTTLS"]
MAIL, RCPT = b"MAIL FROM:<" + FROM + b">\r\n", b"RCPT TO:<" + TO + b">\r\n"
attempts = 0


def message(name):
    return b"From: " + FROM + b"\r\nTo: " + TO + b"\r\nSubject: " + name + b"\r\nMessage-ID: <" + name + b"-" + MODE.encode() + b"@laptop.test>\r\n\r\n" + name


class Session:
    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", PORT), 60)
        self.begin()
        self.expect(b"220 ", "the greeting")
        self.ask(b"EHLO laptop.test\r\n", b"250 ")
        if MODE == "tls":
            self.ask(b"STARTTLS\r\n", b"220 ")
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket)
            self.begin()
            self.ask(b"EHLO laptop.test\r\n", b"250 ")

    def begin(self):
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb")

    def say(self, pieces):
        for piece in pieces:
            self.socket.sendall(piece)

    def reply(self):
        while True:
            line = self.stream.readline()
            if line[3:4] != b"-":
                return line

    def expect(self, begin, what):
        answer = self.reply()
        if not answer.startswith(begin):
            sys.exit(f"{MODE}: {what}: {answer!r}, expected {begin!r}")

    def ask(self, line, begin):
        self.say([line])
        self.expect(begin, line)


def octets(payload):
    return [payload[n:n + 1] for n in range(len(payload))]


def attempt(session, end, chunked, cut, name):
    """One message with another behind a false end; the session goes on behind it, so that no reply is one too many."""
    global attempts
    attempts += 1
    what = f"{end!r} by {'BDAT' if chunked else 'DATA'} {name}"
    session.ask(MAIL, b"250 2.1.0 ")
    session.ask(RCPT, b"250 2.1.5 ")
    content = message(b"first") + end + MAIL + RCPT + b"DATA\r\n" + message(b"second") + b"\r\n.\r\n"
    if chunked:
        content = b"BDAT %d LAST\r\n" % len(content) + content
    else:
        session.ask(b"DATA\r\n", b"354 ")
    session.say(cut(content))
    # Where a NUL comes first it is what is named.
    session.expect(b"550 5.6." if b"\0" in end else b"550 5.6.11 ", what)


session = Session()
for end in ENDS:
    for chunked in (False, True):
        attempt(session, end, chunked, lambda payload: [payload], "in one segment")
        attempt(session, end, chunked, octets, "octet by octet")
for end in (b"\n.\r\n", b"\r\n.\n"):
    length = len(message(b"first") + end + MAIL + RCPT + b"DATA\r\n" + message(b"second")) + 5
    for place in range(1, length):
        attempt(session, end, False, lambda payload: [payload[:place], payload[place:]], f"cut at {place}")
session.ask(b"QUIT\r\n", b"221 ")
if session.stream.read():
    sys.exit(f"{MODE}: something was said behind the last reply")
for command in COMMANDS:
    for place in (0, len(command) // 2, len(command)):
        for bare in (b"\r", b"\n", b"\0"):
            attempts += 1
            session = Session()
            session.say([command[:place] + bare + command[place:] + b"\r\n" + MAIL + RCPT + b"DATA\r\n"])
            session.expect(b"500 5.5.2 ", command[:place] + bare + command[place:])
            try:
                rest = session.stream.read()
            except OSError:
                rest = b""
            if rest:
                sys.exit(f"{MODE}: {bare!r} in {command!r} did not end the session: {rest!r}")
session = Session()
session.ask(MAIL, b"250 ")
session.ask(RCPT, b"250 ")
session.ask(b"DATA\r\n", b"354 ")
session.say([message(b"first") + b"\r\n.\r\n" + MAIL + RCPT + b"DATA\r\n" + message(b"second") + b"\r\n.\r\n"])
for begin in (b"250 2.0.0 ", b"250 2.1.0 ", b"250 2.1.5 ", b"354 ", b"250 2.0.0 "):
    session.expect(begin, "a true end")
print(attempts)
