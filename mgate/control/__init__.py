"""THIRD, hatch. Where the people who run mgate look in and reach in.

What lives here: the admin API on its own socket (`server`, whose facts come through `board`), and the command line
mgatectl (`cli` and the modules beside it). What does not: facts. The hatch asks and shows, it keeps nothing.

Two rules keep it so. The command line speaks to the daemon through the admin socket or not at all, so that the spool
has one writer: it imports neither Twisted nor the spool. And whoever reads a screen over a shoulder sees no text and no
whole number; masking is done by the daemon, before anything leaves it.
"""
