"""A PDF that carries its own signature (PAdES, ETSI EN 319 142-1), with or without a timestamp (RFC 3161); by pyHanko.

Only what signs or checks a PDF imports this module: the library takes a second and some 20 MB.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from asn1crypto import cms, x509
from pyhanko.keys import load_certs_from_pemder_data, load_private_key_from_pemder_data
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import MDPPerm, SigFieldSpec, SigSeedSubFilter
from pyhanko.sign.general import find_unique_cms_attribute
from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner, SimpleSigner
from pyhanko.sign.signers.pdf_cms import PdfCMSSignedAttributes
from pyhanko.sign.timestamps.requests_client import RequestsHTTPTimeStamper
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.registry import SimpleCertificateStore

from .moments import ssh_time
from .paperkeys import PaperKeys

# Why a signature doesn't hold is in our own error; the library would print its traces as well.
logging.getLogger("pyhanko").setLevel(logging.CRITICAL)
_FIELD = "Signature"
# Hexadecimal digits kept free for a signature with a timestamp, so that its authority is asked once only.
_RESERVED = 32_768
_SECONDS = 30
# The clocks of whoever checked, whoever signed and whoever set the timestamp differ.
_GRACE = timedelta(minutes=10)
_REASON = re.compile(r"(?P<name>[a-z.]+) has the SHA-256 (?P<sha256>[0-9a-f]{64})")


class TimestampMissingError(Exception):
    """The authority that sets timestamps gave none; it is asked again later."""


class PaperError(Exception):
    """A PDF's signature doesn't hold; the text says why, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class SignedPaper:
    """What a good signature says: of which file it is a reading, *signed_at* which moment, by which *key_id*.

    *key_id* is the SHA-256 of the signer's certificate. *stamped_at* is the moment by a timestamp of a trusted
    authority; without one, *signed_at* is the word of whoever holds the key.
    """

    sha256: str
    signed_at: datetime
    stamped_at: datetime | None
    key_id: str


async def sign_paper(
    body: bytes, keys: PaperKeys, name: str, sha256: str, now: datetime, authority: str | None
) -> bytes:
    """Sign the PDF/A *body*, a reading of the file *name* with this digest, in an increment that keeps it a PDF/A.

    *authority* is the URL that timestamps are asked of, if they are. Raises ``TimestampMissingError``.
    """
    chain = list(load_certs_from_pemder_data(keys.chain))
    between = SimpleCertificateStore()  # type: ignore[no-untyped-call]
    between.register_multiple(chain[1:])
    signer = SimpleSigner(chain[0], load_private_key_from_pemder_data(keys.key, None), between)
    said = PdfSignatureMetadata(
        field_name=_FIELD,
        md_algorithm="sha256",
        subfilter=SigSeedSubFilter.PADES,
        certify=True,
        docmdp_permissions=MDPPerm.NO_CHANGES,
        reason=f"{name} has the SHA-256 {sha256}",
    )
    stamper = _Stamper(authority) if authority else None
    pen = PdfSigner(said, signer, timestamper=stamper, new_field_spec=SigFieldSpec(_FIELD))
    # The increment's first object has to begin on a line of its own (ISO 19005-2, 6.1.9).
    paper = IncrementalPdfFileWriter(io.BytesIO(body if body.endswith(b"\n") else body + b"\n"))
    session = pen.init_signing_session(paper)
    session.system_time = now
    reserved = _RESERVED if authority else await session.estimate_signature_container_size(None, tight=False)
    bound = session.prepare_tbs_document(validation_info=None, bytes_reserved=reserved)
    digest, signed = bound.digest_tbs_document()
    await bound.perform_signature(digest.document_digest, PdfCMSSignedAttributes(signing_time=now))
    signed.seek(0)
    written: bytes = signed.read()
    return written


class _Stamper(RequestsHTTPTimeStamper):
    """Asks an authority for a timestamp; that there is none, for whatever reason, is one error."""

    def __init__(self, authority: str) -> None:
        super().__init__(authority, timeout=_SECONDS)  # type: ignore[no-untyped-call]

    async def async_timestamp(self, message_digest: bytes, md_algorithm: str) -> cms.ContentInfo:
        try:
            return await super().async_timestamp(message_digest, md_algorithm)
        # It is away, it refuses, or what it answers is no timestamp.
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise TimestampMissingError(f"{self.url} set no timestamp: {error}") from error


def check_paper(body: bytes, roots: bytes, timestamp_roots: bytes, since: datetime) -> SignedPaper:
    """Tell what the signature of the PDF *body* says, signed at *since* or later; raises ``PaperError``.

    The one signature has to cover all of the file, by a key that one of the *roots* (PEM) vouched for at that moment:
    the timestamp's, if one of *timestamp_roots* vouches for it, else the one that the signer named.
    """
    try:
        # The library runs a loop of its own, which a thread that has one already can't.
        with ThreadPoolExecutor(1) as desk:
            return desk.submit(_check, body, _roots(roots), _roots(timestamp_roots), since).result()
    except PaperError:
        raise
    # Whatever a hostile file makes the library fail with, it can't be checked.
    except Exception as error:
        raise PaperError(f"can't be read as a signed PDF ({type(error).__name__})") from error


def _check(
    body: bytes, roots: list[x509.Certificate], timestamp_roots: list[x509.Certificate], since: datetime
) -> SignedPaper:
    signatures = PdfFileReader(io.BytesIO(body)).embedded_signatures
    if len(signatures) != 1:
        raise PaperError(f"has {len(signatures)} signatures; it has to have one")
    signature: EmbeddedPdfSignature = signatures[0]
    said = _REASON.fullmatch(str(signature.sig_object.get("/Reason", "")))
    if said is None:
        raise PaperError("doesn't say in its signature of which file it is a reading")
    signed_at = signature.self_reported_timestamp
    if signed_at is None or signed_at.tzinfo is None:
        raise PaperError("doesn't say when it was signed")
    stamped_at = _stamped_at(signature) if timestamp_roots else None
    moment = stamped_at or signed_at
    status = validate_pdf_signature(
        signature,
        _trusting(roots, moment),
        _trusting(timestamp_roots, moment),
    )
    if not (status.intact and status.valid) or status.coverage != SignatureCoverageLevel.ENTIRE_FILE:
        raise PaperError("was altered after it was signed")
    if not status.trusted:
        raise PaperError(f"was signed by a key for which none of the published roots vouched at {ssh_time(moment)}")
    if stamped_at is not None:
        stamp = status.timestamp_validity
        if stamp is None or not (stamp.intact and stamp.valid and stamp.trusted):
            raise PaperError("has a timestamp that isn't by a trusted authority, or is of something else")
        if abs(stamped_at - signed_at) > _GRACE:
            raise PaperError(f"says that it was signed at {ssh_time(signed_at)}, stamped was {ssh_time(stamped_at)}")
    if moment < since - _GRACE:
        raise PaperError(f"was signed at {ssh_time(moment)}, before the moment that it names, {ssh_time(since)}")
    return SignedPaper(said["sha256"], signed_at, stamped_at, signature.signer_cert.sha256.hex())


def _stamped_at(signature: EmbeddedPdfSignature) -> datetime | None:
    """Read the moment of the timestamp, which the validation that follows has to bear out."""
    try:
        token = find_unique_cms_attribute(signature.signer_info["unsigned_attrs"], "signature_time_stamp_token")
    except KeyError:
        return None
    moment: datetime = token["content"]["encap_content_info"]["content"].parsed["gen_time"].native
    return moment


def _trusting(roots: list[x509.Certificate], moment: datetime) -> ValidationContext:
    # A root is a name and a key to the library: that its own validity counts, we see to.
    counting = [one for one in roots if one.not_valid_before <= moment <= one.not_valid_after]
    return ValidationContext(trust_roots=counting, moment=moment, allow_fetching=False)


def _roots(pem: bytes) -> list[x509.Certificate]:
    return list(_each(pem))


def _each(pem: bytes) -> Iterator[x509.Certificate]:
    if pem.strip():
        yield from load_certs_from_pemder_data(pem)
