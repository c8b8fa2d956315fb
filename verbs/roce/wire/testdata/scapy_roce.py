# SPDX-License-Identifier: Apache-2.0
"""Scapy's RoCE layer as an independent decoder and builder (scapy_test.go).

check: reads frames in hex, one a line, and writes what scapy sees in each.
build: writes frames in hex that scapy built, ICRC included.
"""
import json
import random
import sys

from scapy.contrib.roce import AETH, BTH, CNP_OPCODE, CNPPadding
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.compat import raw


def check(line):
    frame = Ether(bytes.fromhex(line))
    bth = frame[BTH]
    again = frame.copy()
    again[BTH].icrc = None  # computed when built
    seen = {
        "src": "%s:%d" % (frame[IP].src, frame[UDP].sport),
        "dst": "%s:%d" % (frame[IP].dst, frame[UDP].dport),
        "id": frame[IP].id,
        "opcode": bth.opcode, "name": bth.get_field("opcode").i2repr(bth, bth.opcode),
        "solicited": bth.solicited, "migreq": bth.migreq, "pad": bth.padcount, "version": bth.version,
        "pkey": bth.pkey, "fecn": bth.fecn, "becn": bth.becn,
        "qp": bth.dqpn, "ackreq": bth.ackreq, "psn": bth.psn,
        "behind": raw(bth.payload).hex(),
        "icrc": raw(frame)[-4:].hex(), "computed": raw(again)[-4:].hex(),
    }
    if AETH in frame:
        seen["syndrome"], seen["msn"] = frame[AETH].syndrome, frame[AETH].msn
    return seen


def build(seed, count):
    r = random.Random(seed)
    for _ in range(count):
        payload = Raw(r.randbytes(r.randrange(0, 1024)))
        op, behind = r.choice([(0x04, payload), (0x00, payload), (0x11, AETH(syndrome=r.choice([0x1f, 0x2e, 0x62]), msn=r.getrandbits(24))),
                               (0x0e, payload), (CNP_OPCODE, CNPPadding())])
        pad = 0
        if behind is payload:
            pad = -len(payload.load) % 4
            behind = Raw(payload.load + bytes(pad))
        yield Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(
            src="10.0.%d.1" % r.randrange(256), dst="10.0.0.2", id=r.getrandbits(16), flags="DF", tos=r.choice([0, 2, 3]), ttl=r.randrange(1, 256)
        ) / UDP(sport=r.randrange(49152, 65536), dport=4791, chksum=0) / BTH(
            opcode=op, solicited=r.getrandbits(1), migreq=r.getrandbits(1), padcount=pad, becn=r.getrandbits(1),
            dqpn=r.getrandbits(24), ackreq=r.getrandbits(1), psn=r.getrandbits(24)) / behind


if sys.argv[1] == "check":
    for line in sys.stdin:
        print(json.dumps(check(line.strip())))
else:
    for frame in build(int(sys.argv[2]), int(sys.argv[3])):
        print(raw(frame).hex())
