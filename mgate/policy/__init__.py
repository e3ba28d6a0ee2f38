"""FIRST. Decisions. Facts and a moment in, a named answer out.

What lives here: routes, steps, backoff, pacing, the meaning of the classes, the cutting of text. What does not: I/O, a
clock, a counter that outlives the call.

Two rules keep it so. Every function is pure: the same facts and the same ``now`` give the same answer. And every answer
is one of a closed set of frozen values that its caller matches to the end.
"""
