"""How it is said: operations as SOAP envelopes, in both directions, without I/O."""

from .binding import Refusal, decode, encode, encode_answer, encode_refusal, namespace_of, receive
from .contract import CONTRACT
from .envelope import SoapVersion
from .query import fits_in_list
from .wsdl import differences, read_wsdl, target_namespace, write_wsdl

__all__ = [
    "CONTRACT",
    "Refusal",
    "SoapVersion",
    "decode",
    "differences",
    "encode",
    "encode_answer",
    "encode_refusal",
    "fits_in_list",
    "namespace_of",
    "read_wsdl",
    "receive",
    "target_namespace",
    "write_wsdl",
]
