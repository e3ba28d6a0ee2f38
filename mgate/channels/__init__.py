"""Channels: everything that leaves. One folder each, strangers to one another.

A channel takes a part that is already leased and gives back one outcome for it. What to send, when, and whether to try
again is decided in `policy`; what became of it is kept in `spool`.
"""
