"""The scripted operator: an SMPP 3.4 message centre that behaves as a TOML script says, and keeps a ledger.

Here live the script (`script`), what it makes the operator do (`behaviour`, `ids`, `receipts`, `oddities`: pure), what
a submit_sm says (`content`: pure), the ledger, what is owed to the client (`owed`), and the Twisted side (`operator`,
`session`, `wheel`, `main`). It delivers nothing to anybody.

Two rules keep it so. A row stands in the ledger before its answer is written. And it is never what limits a
measurement: one read, many PDUs, one write; one timer for all that waits.
"""
