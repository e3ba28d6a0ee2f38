"""THIRD, front. Everything that enters.

What lives here: the push API, the reading of what it is sent, and (when their time comes) polled sources; and the
acceptance that all of them share. What does not: HTTP itself (``net``), and whatever happens to a message afterwards.

Two rules keep it so. A message is acknowledged only by what acceptance answers, which is after its commit. And nothing
that is refused is repeated in the refusal: an error names the field and the fault, never the text or the number.
"""
