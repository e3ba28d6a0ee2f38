"""GROUND. The words of the house: frozen values that every other room speaks in.

What lives here: addresses, messages, entries, outcomes, and the sockets in the wall (``ports``). What does not: any
decision, any I/O, any clock.

Two rules keep it so. Nothing here imports another room of mgate. And nothing here prints a text or a whole number: a
value that holds one hides it in ``repr``, and only ``reveal()`` gives it out.
"""
