"""What a DBA runs so that mgate can take messages from a database, as SQL files, and those files fitted to a source.

The files are the one place where tables, rights and functions stand; ``etc/sql`` leads to them, and tests and the demo
run them as they are. The request form shows them by the names of the configuration. Nothing here says SQL of its own
but what the mapping asks for.
"""
