"""The demonstration: the whole house on one screen, from an empty folder to a table of what became of every message.

`stage` puts up the operator, an instance and the daemon, and takes them down in order; `reckoning` (pure) makes the
figures; `tables` shows them; `main` is the order of things.

Two rules keep it honest. It does nothing that a bank could not do: it runs mgatectl, mgated and mgate-smsc as processes
and asks on the push socket. And every figure on the screen was read from the result file, from mgate's answers or from
the operator's ledger in this very run.
"""
