#!/usr/bin/python3
"""verify_dkim.py MESSAGE KEYFILE   exit 0: every DKIM-Signature (at least one) verifies; 1: not.
KEYFILE: one record a line, `selector._domainkey.domain v=DKIM1; k=rsa; p=...`. Needs Debian's python3-dkim (and python3-nacl for ed25519)."""
import sys, dkim
keys = dict(l.strip().split(None, 1) for l in open(sys.argv[2]) if l.strip())
def dnsfunc(name, timeout=5):                       # name is bytes or str, ends in a dot; must return bytes or None
    name = name.decode() if isinstance(name, bytes) else name
    return keys[name.rstrip(".")].encode() if name.rstrip(".") in keys else None
d = dkim.DKIM(open(sys.argv[1], "rb").read())
n = sum(h.lower() == b"dkim-signature" for h, _ in d.headers)
ok = n > 0
for i in range(n):
    try: good, why = d.verify(idx=i, dnsfunc=dnsfunc), ""
    except dkim.DKIMException as e: good, why = False, f"{type(e).__name__}: {e}"
    print(f"signature {i} d={d.domain.decode() if d.domain else '?'} s={d.selector.decode() if d.selector else '?'} h={b':'.join(d.include_headers).decode() if good else ''}:", "pass" if good else f"FAIL {why}")
    ok &= good
sys.exit(not ok)
