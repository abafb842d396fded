"""The protocol: operations as SOAP envelopes, in both directions, without I/O."""

from .binding import Incoming, Request, RequestFault, decode, encode, encode_answer, encode_fault, namespace_of, receive
from .callback import CHARSETS, CallbackCharset, encode_callback, read_callback, verified_form
from .contract import CONTRACT
from .envelope import SoapVersion
from .masking import mask_credentials, mask_query
from .query import fits_in_list
from .tags import reads_at_once
from .wsdl import differences, read_wsdl, target_namespace, write_wsdl

__all__ = [
    "CHARSETS",
    "CONTRACT",
    "CallbackCharset",
    "Incoming",
    "Request",
    "RequestFault",
    "SoapVersion",
    "decode",
    "differences",
    "encode",
    "encode_answer",
    "encode_callback",
    "encode_fault",
    "fits_in_list",
    "mask_credentials",
    "mask_query",
    "namespace_of",
    "read_callback",
    "read_wsdl",
    "reads_at_once",
    "receive",
    "target_namespace",
    "verified_form",
    "write_wsdl",
]
