"""ROOF. The peers of mgate: an operator to speak to, traffic to bear, and an auditor who believes nobody.

Here lives everything that stands outside the daemon and looks at it from there: `smsc` (the scripted operator), `push`
(the traffic maker), `bench` and `torture` (they start the whole house and measure or break it), `audit` (the comparison
of the three ledgers). No code of the daemon lives here, and nothing here runs inside it.

Two rules keep it so. Nobody in the product imports this room, and it imports only the SMPP codec and `model`: a checker
that shares code with what it checks shares its mistakes. And no ledger holds a text or a number: only keyed hashes.
"""
