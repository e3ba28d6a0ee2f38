"""SMPP 3.4: an operator's binds.

Here lives everything that knows SMPP: the codec (`pdu`, `framing`), what receipts say (`receipt`), a session without
I/O (`session`), and its Twisted coat (`bind`). Routing, retries, storage and the alphabet of a text live elsewhere.

Two rules keep it so. All but the coat is pure: octets, values and a moment in, octets and values out. And nothing is
said to an operator about an inbound PDU before the house has it on disk: the core never answers a deliver_sm by itself.
"""
