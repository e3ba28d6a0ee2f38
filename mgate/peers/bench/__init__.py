"""`tools/bench`: every figure of speed that mgate promises, each made again by one command.

Here live the rows, one module for each kind (`rates`, `operators`, `paced`, `backlog`, `history`, `events`), what they
are made of (`load`: the traffic; `stage`: the house as processes; `watch`: the operator's ledger; `profile`), and what
they say (`figures`: pure).

Two rules keep it so. A message counts when the operator's ledger has it: pushed, sealed, committed, submitted,
answered, its receipt acknowledged; what the daemon says of itself is no evidence. And a latency begins at the moment at
which the message should have been pushed, so that a pusher that was held up cannot hide the wait.
"""
