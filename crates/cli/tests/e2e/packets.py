"""What tests need on the wire that no program of Debian's does as wanted. Run with python3, as root, in a namespace.

  packets.py frame LINK MAC SOURCE DESTINATION PORT   send a TCP SYN with these addresses in a frame to that MAC
  packets.py seen LINK SECONDS SOURCE                 print how many packets from SOURCE come in until so long after the
                                                      end of standard input; first prints ready
  packets.py dns ADDRESS                              name server, UDP and TCP: NAME -> 203.0.113.7, none.* -> NXDOMAIN
  packets.py udp ADDRESS PORT TEXT                    send TEXT, print the answer and who sent it
  packets.py echo PORT                                UDP server that answers with the sender's address
"""

import select
import socket
import struct
import sys
import threading
import time


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(link, mac, source, destination, port):
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    tcp = struct.pack("!HHIIBBHHH", 40000, int(port), 1, 0, 5 << 4, 2, 64240, 0, 0)
    pseudo = addresses + struct.pack("!BBH", 0, 6, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 7, 0, 64, 6, 0) + addresses
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind((link, 0))
    own = raw.getsockname()[4]
    for _ in range(3):
        raw.send(bytes.fromhex(mac.replace(":", "")) + own + b"\x08\x00" + ip + tcp)


def seen(link, seconds, source):
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    raw.bind((link, 0x0800))
    print("ready", flush=True)
    count, end = 0, None
    while end is None or time.monotonic() < end:
        watched = [raw] if end else [raw, sys.stdin]
        ready = select.select(watched, [], [], end and max(0, end - time.monotonic()))[0]
        if sys.stdin in ready:
            end = time.monotonic() + float(seconds)
        if raw in ready:
            data, address = raw.recvfrom(2048)
            count += address[2] != socket.PACKET_OUTGOING and data[12:16] == socket.inet_aton(source)
    print(count)


def answer(query):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += 1 + query[at]
    question = query[12 : at + 5]
    kind = struct.unpack("!H", query[at + 1 : at + 3])[0]
    if labels[0] == "none":
        return query[:2] + struct.pack("!HHHHH", 0x8183, 1, 0, 0, 0) + question
    record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + socket.inet_aton("203.0.113.7") if kind == 1 else b""
    return query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1 if record else 0, 0, 0) + question + record


def dns(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    datagrams, stream = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    datagrams.bind((address, 53))
    stream.bind((address, 53))
    stream.listen()

    def streams():
        while True:
            connection, _ = stream.accept()
            size = struct.unpack("!H", connection.recv(2))[0]
            reply = answer(connection.recv(size))
            connection.sendall(struct.pack("!H", len(reply)) + reply)
            connection.close()

    threading.Thread(target=streams, daemon=True).start()
    print("ready", flush=True)
    while True:
        query, sender = datagrams.recvfrom(4096)
        datagrams.sendto(answer(query), sender)


def udp(address, port, text):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    end = socket.socket(family, socket.SOCK_DGRAM)
    end.settimeout(2)
    end.connect((address, int(port)))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            end.send(text.encode())
            print(end.recv(2048).decode())
            return
        except OSError:
            time.sleep(0.2)
    sys.exit("no answer")


def echo(port):
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.bind(("::", int(port)))
    print("ready", flush=True)
    while True:
        text, sender = server.recvfrom(2048)
        server.sendto(f"{text.decode()} from {sender[0].removeprefix('::ffff:')}".encode(), sender)


globals()[sys.argv[1]](*sys.argv[2:])
