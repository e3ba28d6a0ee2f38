"""`python -m mgate.peers.bench`."""

import sys

from mgate.peers.bench.command import main

if __name__ == "__main__":
    sys.exit(main())
