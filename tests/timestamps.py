"""An authority for timestamps on loopback: what it says is made by ``openssl ts``."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

CONFIG = """
[ca]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign
[tsa]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[req]
distinguished_name = none
[none]
[tsa_config]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
certs = {folder}/root.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
"""


@dataclass
class Authority:
    """Its *url*, its root as PEM, how often it was asked, and whether it answers."""

    url: str
    root: bytes
    folder: Path
    asked: list[bytes] = field(default_factory=list)
    answers: bool = True


@contextmanager
def timestamp_authority(folder: Path) -> Iterator[Authority]:
    """Serve timestamps until the end of the block; needs openssl."""
    folder.mkdir()
    (folder / "config").write_text(CONFIG.format(folder=folder))
    (folder / "serial").write_text("01\n")
    made_root = "req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.pem -days 30 -subj /CN=Times"
    asked = "req -new -newkey rsa:2048 -nodes -keyout tsa.key -out tsa.csr -subj /CN=Stamps -config config"
    issued = "x509 -req -in tsa.csr -CA root.pem -CAkey root.key -set_serial 2 -days 30 -out tsa.pem"
    for command in (f"{made_root} -config config -extensions ca", asked, f"{issued} -extfile config -extensions tsa"):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    made = Authority("", (folder / "root.pem").read_bytes(), folder)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            made.asked.append(query)
            self.send_response(200 if made.answers else 503)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            if made.answers:
                self.wfile.write(_reply(folder, query))

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}/"
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _reply(folder: Path, query: bytes) -> bytes:
    (folder / "query").write_bytes(query)
    command = "openssl ts -reply -config config -section tsa_config -queryfile query -out reply"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return (folder / "reply").read_bytes()
