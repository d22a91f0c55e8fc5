#!/usr/bin/python3
"""fsync_check.py TRACE   prove from an strace log that no 250 after the final dot is written before an fdatasync/fsync ended.
TRACE made by: strace -f -yy -ttt -T -s 64 -e trace=accept,accept4,close,read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,fsync,fdatasync -o TRACE SERVER...
Rule: for each socket, "250 ... REPLY_MARK" (the reply to the dot: a 250 whose preceding reply was 354) needs an fdatasync that BEGAN after
the last read on that socket (the final dot) and ENDED, returning 0, before the write began."""
import re, sys
LINE = re.compile(r"^(\d+) +(\d+\.\d+) (.*)$")
pending, syncs, last_read, in_data, ok, bad = {}, [], {}, {}, 0, []
def call(tid, t0, t1, text):
    global ok
    m = re.match(r"(\w+)\((\d+)<(.*?)>(?=[,)]| \))", text)   # -yy text itself holds "->"
    if not m: return
    name, fd, what = m.groups(); good = re.search(r"= (-?\d+)", text[m.end():]); ret = int(re.findall(r"\) += (-?\d+)", text)[-1]) if re.findall(r"\) += (-?\d+)", text) else -1
    if name in ("fsync", "fdatasync"):
        if ret == 0: syncs.append((t0, t1))
    elif "TCP" not in what: return
    elif name in ("read", "readv", "recvfrom", "recvmsg"):
        if ret > 0: last_read[what] = t1
    elif name in ("write", "writev", "sendto", "sendmsg") and ret > 0:
        if '"354' in text or r"\n354" in text: in_data[what] = True
        elif '"250' in text and in_data.pop(what, False):
            if any(s0 >= last_read[what] and s1 <= t0 for s0, s1 in syncs): ok += 1
            else: bad.append((t0, what, text[:100]))
for line in open(sys.argv[1], errors="replace"):
    m = LINE.match(line)
    if not m: continue
    tid, t, rest = m.group(1), float(m.group(2)), m.group(3)
    if rest.endswith("<unfinished ...>\n") or rest.endswith("<unfinished ...>"): pending[tid] = (t, rest.rsplit("<unfinished", 1)[0]); continue
    r = re.match(r"<\.\.\. \w+ resumed>(.*)", rest)
    if r:
        if tid not in pending: continue
        t0, head = pending.pop(tid); rest = head + r.group(1); t1 = t
    else: t0 = t; d = re.search(r"<(\d+\.\d+)>$", rest); t1 = t0 + float(d.group(1)) if d else t0; call(tid, t0, t1, rest); continue
    d = re.search(r"<(\d+\.\d+)>$", rest); call(tid, t0, t0 + float(d.group(1)) if d else t1, rest)
print(f"{ok} replies after a finished sync, {len(bad)} not, {len(syncs)} syncs")
for b in bad[:10]: print("BAD", *b)
sys.exit(bool(bad) or ok == 0)
