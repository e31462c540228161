"""What a line was shown to find: the certificate of `trackside qualify`, and what it covers."""

from edge.certificate.certificate import (
    SUFFIX,
    Answer,
    Bin,
    Certificate,
    CurvePoint,
    Judgement,
    Measure,
    Needed,
    Picture,
    Rate,
    Repeatability,
    SignalResponse,
    read_certificate,
    read_signed,
    signature_path,
    write_certificate,
)
from edge.certificate.cover import certificates_of, judgement_of, uncovered

__all__ = [
    "SUFFIX",
    "Answer",
    "Bin",
    "Certificate",
    "CurvePoint",
    "Judgement",
    "Measure",
    "Needed",
    "Picture",
    "Rate",
    "Repeatability",
    "SignalResponse",
    "certificates_of",
    "judgement_of",
    "read_certificate",
    "read_signed",
    "signature_path",
    "uncovered",
    "write_certificate",
]
