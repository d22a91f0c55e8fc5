#!/usr/bin/python3
"""read_report.py < MESSAGE   what Python's email package makes of a report (RFC 6522, RFC 3464), as JSON.
Exit 1: it is none. Field names in lower case; `message` the fields of the message, `recipients` those of each recipient."""
import email, email.policy, json, sys
m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
if m.get_content_type() != "multipart/report": sys.exit(f"not a report but {m.get_content_type()}")
parts = list(m.iter_parts())
status = [p for p in parts if p.get_content_type() == "message/delivery-status"]
if len(status) != 1: sys.exit(f"no single status part in {[p.get_content_type() for p in parts]}")
groups = [{k.lower(): str(v) for k, v in g.items()} for g in status[0].get_payload() if g.keys()]
words = parts[0] if not parts[0].is_multipart() else parts[0].get_body(("plain",))
defects = [type(d).__name__ for p in m.walk() for d in p.defects]
print(json.dumps({
    "type": m.get_param("report-type"), "parts": [p.get_content_type() for p in parts], "text": words.get_content(),
    "fields": {k.lower(): str(v) for k, v in m.items()}, "message": groups[0], "recipients": groups[1:], "defects": defects}))
