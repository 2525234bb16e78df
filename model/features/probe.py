"""Finds out whether a Ray cluster answers at an address; Ray itself would keep trying for minutes.

Ray's central service (GCS) speaks gRPC, which uses HTTP/2. A single handwritten call is enough to
recognise it: other servers do not begin an HTTP/2 connection, do not answer in gRPC, or do not know
the call. No token is sent: a cluster that requires one knows the call, and refuses it.
"""

import os
import socket
import time
from collections.abc import Iterator

_SECONDS = 5.0  # to connect, and then to answer
_LARGEST = 100_000  # bytes; a longer answer is not Ray's
_DATA, _HEADERS, _SETTINGS = 0, 1, 4  # kinds of frames
_END_STREAM, _END_HEADERS = 1, 4  # their flags
_CALL = b"/ray.rpc.NodeInfoGcsService/CheckAlive"
_IS_GRPC = b"application/grpc"
_UNKNOWN_CALL = b"grpc-status\x0212"


def is_ray(address: str) -> bool:
    """Tell whether a Ray cluster answers at an address, within a few seconds.

    If Ray uses TLS (RAY_USE_TLS), this cannot be checked without its certificates, so any server
    that accepts a connection counts as Ray.

    Args:
        address: `HOST:PORT`.

    Raises:
        ValueError: The address is not of this form.
    """
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise ValueError(f"{address} is neither auto nor HOST:PORT of a Ray cluster.")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _SECONDS) as line:
            if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
                return True
            line.sendall(_call())
            return _knows_the_call(line)
    except (OSError, OverflowError, UnicodeError):
        return False


def _call() -> bytes:
    """Return the bytes that open a connection and make a gRPC call without arguments."""
    headers = {
        b":method": b"POST",
        b":scheme": b"http",
        b":path": _CALL,
        b":authority": b"ray",
        b"te": b"trailers",
        b"content-type": _IS_GRPC,
    }
    block = b"".join(  # literal headers, without tables or compression
        b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value
        for name, value in headers.items()
    )
    return b"".join(
        [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            _frame(_SETTINGS, 0, 0, b""),
            _frame(_HEADERS, _END_HEADERS, 1, block),
            _frame(_DATA, _END_STREAM, 1, bytes(5)),
        ]
    )


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def _knows_the_call(line: socket.socket) -> bool:
    """Read the answer, and tell whether it comes from a server that knows the call."""
    headers = b""
    for kind, flags, payload in _frames(line):
        if kind != _HEADERS:
            continue
        headers += payload
        if _IS_GRPC not in headers:
            return False
        if flags & _END_STREAM:
            return _UNKNOWN_CALL not in headers
    return False


def _frames(line: socket.socket) -> Iterator[tuple[int, int, bytes]]:
    """Yield the kind, flags and content of each frame; the first must hold settings."""
    until, buffer, count = time.monotonic() + _SECONDS, b"", 0
    while len(buffer) < _LARGEST and (left := until - time.monotonic()) > 0:
        line.settimeout(left)
        received = line.recv(4096)
        if not received:
            return
        buffer += received
        while len(buffer) >= 9 and len(buffer) >= (end := 9 + int.from_bytes(buffer[:3])):
            if count == 0 and buffer[3] != _SETTINGS:
                return
            yield buffer[3], buffer[4], buffer[9:end]
            buffer, count = buffer[end:], count + 1
