import socket
import sys

host, port = sys.argv[1], int(sys.argv[2])
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.settimeout(1)
    sock.sendto(b"Is anybody there?", (host, port))
    data, peer = sock.recvfrom(65535)
print(f"The server replied {data!r}")
