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
from edge.certificate.limits import limits_by, with_limits

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
    "limits_by",
    "read_certificate",
    "read_signed",
    "signature_path",
    "uncovered",
    "with_limits",
    "write_certificate",
]
