"""Solutions of the exercises of lesson 2-3. `exercises.largest.solution()` shows them."""

import errno


def largest():
    return min(9000, 1500, 1420, 1500) - 20 - 8


def pieces(size, mtu):
    left, count = size + 8, 1
    while left > mtu - 20:
        left -= (mtu - 20) // 8 * 8
        count += 1
    return count


def find(arrives):
    low, high = 40, 65508
    while high - low > 1:
        middle = (low + high) // 2
        if arrives(middle) or arrives(middle) or arrives(middle):
            low = middle
        else:
            high = middle
    return low


def stale():
    first = "sent"  # the kernel believes 1500; a router drops it and says so: 1400
    second = "error"  # the socket reports the old error, and this one is not sent
    third = "sent"
    fourth = "error"  # 1401 bytes with its headers, over the belief of 1400
    return [first, second, third, fourth]


def send(sock, data):
    for _ in range(2):
        try:
            sock.send(data)
            return True
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
    return False


def survive(sock, question):
    sent, errors = False, 0
    while True:
        try:
            if not sent:
                sock.send(question)
                sent = True
            return sock.recv(65535)
        except TimeoutError:
            return None
        except OSError:
            errors += 1
            if errors > 3:
                raise
