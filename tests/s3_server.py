"""A small S3 server in memory, which answers what clients of object stores ask."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class _Handler(BaseHTTPRequestHandler):
    objects: ClassVar[dict[str, bytes]]
    uploads: ClassVar[dict[str, dict[int, bytes]]]
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""

    def _ask(self) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        query = {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
        return unquote(parts.path).lstrip("/"), query

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        if "aws-chunked" not in (self.headers.get("Content-Encoding") or ""):
            return body
        plain = b""
        while body:  # each chunk after a line with its length
            head, _, body = body.partition(b"\r\n")
            size = int(head.split(b";")[0], 16)
            if not size:
                return plain
            plain, body = plain + body[:size], body[size + 2 :]
        return plain

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _missing(self) -> None:
        self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>", Content_Type="application/xml")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        key, query = self._ask()
        bucket, _, name = key.partition("/")
        if not name:
            if self.command == "HEAD":
                return self._answer(200)
            return self._list(bucket, query)
        content = self.objects.get(key)
        if content is None:
            return self._missing()
        marks = {
            "ETag": f'"{hashlib.md5(content).hexdigest()}"',
            "Last_Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
            "Content_Type": "application/octet-stream",
        }
        asked = self.headers.get("Range")
        if asked and self.command == "GET":
            first, _, last = asked.removeprefix("bytes=").partition("-")
            begin, end = int(first), min(int(last or len(content)), len(content) - 1)
            where = f"bytes {begin}-{end}/{len(content)}"
            return self._answer(206, content[begin : end + 1], Content_Range=where, **marks)
        return self._answer(200, content, Content_Length=str(len(content)), **marks)

    def _list(self, bucket: str, query: dict[str, str]) -> None:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        keys, folders = [], set()
        for key in sorted(self.objects):
            name = key.removeprefix(f"{bucket}/")
            if name == key or not name.startswith(prefix):
                continue
            rest = name[len(prefix) :]
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.split(delimiter)[0] + delimiter)
            else:
                keys.append(name)
        items = "".join(
            f"<Contents><Key>{escape(name)}</Key><Size>{len(self.objects[f'{bucket}/{name}'])}"
            f"</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for name in keys
        )
        items += "".join(
            f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
            for name in sorted(folders)
        )
        body = (
            f'<?xml version="1.0"?><ListBucketResult><Name>{bucket}</Name><Prefix>{escape(prefix)}'
            f"</Prefix><KeyCount>{len(keys) + len(folders)}</KeyCount><MaxKeys>1000</MaxKeys>"
            f"<IsTruncated>false</IsTruncated>{items}</ListBucketResult>"
        )
        self._answer(200, body.encode(), Content_Type="application/xml")

    def do_PUT(self) -> None:
        key, query = self._ask()
        body = self._body()
        if "partNumber" in query:
            self.uploads[query["uploadId"]][int(query["partNumber"])] = body
        else:
            self.objects[key] = body
        self._answer(200, ETag=f'"{hashlib.md5(body).hexdigest()}"')

    def do_POST(self) -> None:
        key, query = self._ask()
        self._body()
        if "uploads" in query:
            number = str(len(self.uploads))
            self.uploads[number] = {}
            name = "InitiateMultipartUploadResult"
            body = f"<{name}><UploadId>{number}</UploadId></{name}>"
        else:
            parts = self.uploads.pop(query["uploadId"])
            self.objects[key] = b"".join(parts[number] for number in sorted(parts))
            name = "CompleteMultipartUploadResult"
            body = f"<{name}><Key>{escape(key)}</Key></{name}>"
        self._answer(200, body.encode(), Content_Type="application/xml")

    def do_DELETE(self) -> None:
        key, _ = self._ask()
        self.objects.pop(key, None)
        self._answer(204)


@contextmanager
def s3_server() -> Iterator[tuple[str, dict[str, bytes]]]:
    """Serve objects: yields the server's URL, and its objects by bucket and name."""

    class Handler(_Handler):
        objects: ClassVar[dict[str, bytes]] = {}
        uploads: ClassVar[dict[str, dict[int, bytes]]] = {}

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", Handler.objects
    finally:
        server.shutdown()
        server.server_close()
