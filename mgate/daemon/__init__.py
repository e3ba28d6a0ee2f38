"""ROOF. The process: its start, its wiring, its end.

What lives here: the one file that knows everyone (``wiring``), the order of start and stop (``main``), what systemd is
told (``notify``), and where foreign logs go (``logs``). What does not: any decision about a message.

Two rules keep it so. Wiring builds in one direction: each object receives only objects built above it. And nobody below
imports anything from here.
"""
