"""THIRD, front. Everything that enters.

What lives here: the push API and the reading of what it is sent; polled sources (``polling``, ``taking``, ``rows``,
``line``, a folder a dialect in ``sources``), their numbers (``normal``) and calls to them (``calls``); drop folders;
and the acceptance that all of them share. What does not: HTTP itself (``net``), and whatever happens to a message
afterwards.

Two rules keep it so. A message is acknowledged only by what acceptance answers, which is after its commit. And nothing
that is refused is repeated in the refusal: an error names the field and the fault, never the text or the number.
"""
