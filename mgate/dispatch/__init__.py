"""THIRD, middle. Who leaves next: it takes due parts from the spool, gives each a slot, and writes down how it ended.

Here live the lanes, the slots of the configured binds, and the loop that joins them with the spool and a channel. What
does not: what a message says, how a channel speaks, and whether another try makes sense (``policy.step``).

Two rules keep it so. A slot is reserved before the lease is asked for, the lease is on the disk before an octet is
written, and the slot is free only when the outcome is on the disk. And memory holds a window's worth of headers, never
the backlog: what waits, waits in the spool.
"""
