"""What holds for every test."""

from hypothesis import settings

# A shared machine may stall any example for longer than hypothesis's 200 ms; how fast we are is measured elsewhere.
settings.register_profile("house", parent=settings(), deadline=None)
settings.load_profile("house")
