"""The protocol: operations as SOAP envelopes, in both directions, without I/O."""

from .binding import Incoming, Request, RequestFault, decode, encode, encode_answer, encode_fault, namespace_of, receive
from .contract import CONTRACT
from .envelope import SoapVersion
from .masking import mask_credentials
from .query import fits_in_list
from .tags import reads_at_once
from .wsdl import differences, read_wsdl, target_namespace, write_wsdl

__all__ = [
    "CONTRACT",
    "Incoming",
    "Request",
    "RequestFault",
    "SoapVersion",
    "decode",
    "differences",
    "encode",
    "encode_answer",
    "encode_fault",
    "fits_in_list",
    "mask_credentials",
    "namespace_of",
    "read_wsdl",
    "reads_at_once",
    "receive",
    "target_namespace",
    "write_wsdl",
]
