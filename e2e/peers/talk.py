#!/usr/bin/python3
"""talk.py   says SMTP as it is told and prints every reply.
Reads one JSON object: port; source (own address); proxy (octets before anything else, in hex); tls ("", "starttls" or
"implicit"); lines to say, each with CR LF behind it. Prints the replies to the connection and to each line as a JSON list;
lines of one reply are joined by LF, and what is not answered any more is empty."""
import json, socket, ssl, sys

task = json.load(sys.stdin)


def wrapped(s):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(s)


def say(octets):
    try:
        s.sendall(octets)
    except OSError:
        pass


def reply():
    lines = []
    while True:
        try:
            line = stream.readline()
        except OSError:
            line = b""
        if not line:
            return "\n".join(lines)
        lines.append(line.decode().rstrip("\r\n"))
        if line[3:4] != b"-":
            return "\n".join(lines)


s = socket.create_connection(("127.0.0.1", task["port"]), 60, (task.get("source") or "127.0.0.1", 0))
s.sendall(bytes.fromhex(task.get("proxy") or ""))
if task.get("tls") == "implicit":
    s = wrapped(s)
stream = s.makefile("rb")
replies = [reply()]
if task.get("tls") == "starttls":
    say(b"EHLO laptop.test\r\n")
    reply()
    say(b"STARTTLS\r\n")
    reply()
    s = wrapped(s)
    stream = s.makefile("rb")
for line in task["lines"]:
    say(line.encode() + b"\r\n")
    replies.append(reply())
print(json.dumps(replies))
