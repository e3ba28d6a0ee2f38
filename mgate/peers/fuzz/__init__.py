"""`tools/torture fuzz`: octets that nobody would send, at everything here that reads octets from outside.

Here live the targets (what reads, and what it may do), the seeds (what it reads on a good day), the mutation that
spoils them, and the campaign that counts, times and watches the memory. `libfuzzer` gives the same targets to atheris,
which follows the branches.

Two rules keep it so. A target says what is allowed, in full: a closed set of typed errors and answers, and, where there
are two readers of the same thing, that both say the same; everything else is a finding. And a target that has never
found anything proves nothing: each is tried on a reader that was broken on purpose.
"""
