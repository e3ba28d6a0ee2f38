"""THIRD, side. The daily reckoning: for one client and one day, what its core has written against what mgate knows.

What lives here: the sheet on which both sides are put beside each other (`sheet`), the run of one reckoning (`clerk`),
and the signed lines that come of it (`document`, written for auditors in ``docs/core-banking.md``). What does not: the
equations (``policy.reckoning``), the reading of the spool (``spool.census``), and where the core's rows come from: a
database, or a file that somebody holds beside the door.

Two rules keep it so. A reckoning changes nothing, and waits for everything else: it works in small steps on a thread of
its own and rests after each as long as it worked. And memory does not grow with the day: what must be remembered is
put aside on the disk, in a file without a name, sealed with a key that is never written.
"""
