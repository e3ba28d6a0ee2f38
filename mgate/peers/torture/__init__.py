"""`tools/torture`: a whole mgate is broken in every way that can be thought of, and its promises are held against it.

Here lives one module for each discipline (`kill`, `link`, `stop`, `stall`, `disk`, `clock`, `power`), the course that
all share (`stage`: an operator, an instance, a load, rounds, the drain), and what is said of it (`verdict`). `broken`
makes builds that are broken on purpose, and `controls` sees that each is caught: a checker that has never caught
anything proves nothing.

Two rules keep it so. Everything is judged from outside, by ledgers that the daemon does not write; nothing here but
`broken`, which runs inside a daemon of its own, knows the product's code. And a run that could not do what it was
asked to do is a failure, not a pass.
"""
