import socket
import sys

host, port = sys.argv[1], int(sys.argv[2])
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((host, port))
print("Listening at", sock.getsockname())
while True:
    data, peer = sock.recvfrom(65535)
    print(f"{peer[0]} says {data!r}")
    sock.sendto(f"Your data was {len(data)} bytes long".encode("ascii"), peer)
