"""THIRD, front, in `intake`. Sources: the databases of a bank that messages are taken from, one folder a dialect.

What lives here: the verbs of ``model.source.Source``, each as hand-written SQL over the dialect's own driver. What does
not: whether a row may be sent, when a verb is asked for, and what is done when it fails.

The rules that keep it so: a dialect passes ``tests/conformance/source.py``; a driver is imported in its folder and
nowhere else; names of tables and columns are quoted by the driver and values are parameters, always; and no transaction
of ours is open in the bank's database for longer than two seconds.
"""
