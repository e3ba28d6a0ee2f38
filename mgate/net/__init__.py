"""SECOND. Plumbing: how octets come and go, and who is at the other end.

What lives here: the HTTP/1.1 server protocol, the word of the kernel on a peer, and (when their time comes) the TLS
contexts and the bridge to asyncio. What does not: any word of what is carried. A message, a bind or a command means
nothing here.

Two rules keep it so. Nothing here imports spool or any room above; who answers is handed in, as routes. And whatever a
peer sends costs a bounded buffer and a bounded time: every limit stands in ``http.Limits``.
"""
