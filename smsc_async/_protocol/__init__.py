"""How it is said: operations as SOAP envelopes, in both directions, without I/O."""
