"""Servers of a line, each in a process of its own: whoever besieges one does not reach the line.

`serving` is the line's side, and answers what a server asks. All else runs in the server's process,
which `child` starts, and has nothing of the line in it but a link.
"""

from edge.serving.address import Address, Certificate, bound
from edge.serving.link import Message
from edge.serving.process import Answer, Served, serving

__all__ = [
    "Address",
    "Answer",
    "Certificate",
    "Message",
    "Served",
    "bound",
    "serving",
]
