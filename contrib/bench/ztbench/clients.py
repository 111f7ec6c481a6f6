# SPDX-License-Identifier: GPL-2.0-or-later
"""clients - small programs that sections run where no tool does it: clients.py NAME ARGUMENT...

Each prints one JSON object with "seconds", the time of the work itself without the start of Python.
"""
import ctypes
import json
import os
import sys
import time

MIB = 1 << 20


def creates(top, nr):
    """nr empty files in one directory; before that, several directories of 1,000 each to compare with."""
    nr = int(nr)
    few = max(1, min(20, nr // 1000))
    os.mkdir(top)
    os.mkdir(top + ".first")  # what only the first ones on a fresh mount pay is not counted
    create_range(top + ".first", 0, min(nr, 1000))
    start = time.perf_counter()
    for d in range(few):
        folder = "%s.%d" % (top, d)
        os.mkdir(folder)
        create_range(folder, 0, min(nr, 1000))
    first = (time.perf_counter() - start) / (few * min(nr, 1000))
    start = time.perf_counter()
    create_range(top, 0, nr - nr // 20)
    before = time.perf_counter()
    create_range(top, nr - nr // 20, nr)
    end = time.perf_counter()
    return {"seconds": end - start, "first_us": 1e6 * first, "last_us": 1e6 * (end - before) / max(1, nr // 20)}


def create_range(folder, begin, end):
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for i in range(begin, end):
        os.close(os.open("file-%07d" % i, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644, dir_fd=fd))
    os.close(fd)


def unlinks(top, nr):
    """In the order in which they were made."""
    fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    start = time.perf_counter()
    for i in range(int(nr)):
        os.unlink("file-%07d" % i, dir_fd=fd)
    end = time.perf_counter()
    os.close(fd)
    return {"seconds": end - start}


def write(data, top, size, nr):
    """nr files of size bytes from the real data, each with fsync."""
    size, nr = int(size), int(nr)
    os.mkdir(top)
    pieces = read_pieces(data, 64)
    start = time.perf_counter()
    for i in range(nr):
        fd = os.open("%s/%d" % (top, i), os.O_CREAT | os.O_WRONLY, 0o644)
        for j in range(size // MIB):
            os.write(fd, pieces[(i + j) % len(pieces)])
        os.fsync(fd)
        os.close(fd)
    return {"seconds": time.perf_counter() - start}


def read_pieces(path, limit):
    """The first pieces of 1 MiB of a file; it has one at least."""
    with open(path, "rb") as f:
        pieces = [f.read(MIB) for _ in range(min(limit, os.path.getsize(path) // MIB))]
    return pieces


def read(data, top, size, nr):
    """The files of write()."""
    del data, size
    buffer = bytearray(MIB)
    start = time.perf_counter()
    for i in range(int(nr)):
        with open("%s/%d" % (top, int(i)), "rb", buffering=0) as f:
            while f.readinto(buffer):
                pass
    return {"seconds": time.perf_counter() - start}


def small(data, top, nr):
    """nr files of 300 to 3,000 bytes of real data, 1,000 in a directory."""
    piece = read_pieces(data, 1)[0]
    os.mkdir(top)
    start = time.perf_counter()
    for i in range(int(nr)):
        if i % 1000 == 0:
            folder = "%s/%d" % (top, i // 1000)
            os.mkdir(folder)
        length = 300 + i * 7919 % 2701
        place = i * 4099 % (MIB - length)
        fd = os.open("%s/%d" % (folder, i), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        os.write(fd, piece[place:place + length])
        os.close(fd)
    sync(top)
    return {"seconds": time.perf_counter() - start}


def sync(path):
    """syncfs(2) is not in os."""
    fd = os.open(path, os.O_RDONLY)
    ctypes.CDLL(None).syncfs(fd)
    os.close(fd)


def parallel(data, top, clients, ops):
    """All clients begin together; each makes, writes, reads, looks at and removes its own files."""
    clients, ops = int(clients), int(ops)
    piece = read_pieces(data, 1)[0]
    os.makedirs(top, exist_ok=True)
    begin_read, begin_write = os.pipe()
    pids = []
    for c in range(clients):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.close(begin_write)
                folder = "%s/%d-%d" % (top, clients, c)
                os.mkdir(folder)
                os.read(begin_read, 1)  # returns when the parent closes its end
                client(folder, piece, ops // clients)
                os.rmdir(folder)
                status = 0
            finally:
                os._exit(status)
        pids.append(pid)
    os.close(begin_read)
    time.sleep(0.1)  # so that all wait at the pipe; those that don't are only late
    start = time.perf_counter()
    os.close(begin_write)
    failed = 0
    for pid in pids:
        failed += os.waitpid(pid, 0)[1] != 0
    end = time.perf_counter()
    if failed:
        sys.exit("%d of %d clients failed" % (failed, clients))
    return {"seconds": end - start}


def client(folder, piece, ops):
    for i in range(ops):
        name = "%s/%d" % (folder, i)
        place = i * 4099 % (MIB - 4096)
        fd = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        os.write(fd, piece[place:place + 4096])
        os.close(fd)
        fd = os.open(name, os.O_RDONLY)
        if os.read(fd, 8192) != piece[place:place + 4096]:
            raise ValueError(name + " differs")
        os.close(fd)
        os.stat(name)
        os.unlink(name)


PROGRAMS = {f.__name__: f for f in (creates, unlinks, write, read, small, parallel)}

if __name__ == "__main__":
    print(json.dumps(PROGRAMS[sys.argv[1]](*sys.argv[2:])))
