"""`python -m mgate.peers.torture`: the same as `tools/torture`."""

import sys

from mgate.peers.torture.main import main

if __name__ == "__main__":
    sys.exit(main())
