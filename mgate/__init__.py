"""mgate: an on-premise messaging appliance for banks.

One Twisted process. Messages come in from core banking, rest sealed in an SQLite spool and leave over persistent
operator binds; receipts come back the same way. Every room below opens with its own rules; `daemon/wiring.py` is the
only file that knows them all.
"""

__version__ = "0.1.0"
