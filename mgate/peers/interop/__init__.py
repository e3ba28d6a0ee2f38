"""`tools/interop`: mgate beside programs that nobody here wrote, to see whether both speak the same language.

Here live the installation of what is needed (`install`), a run captured from the wire and decoded by Wireshark
(`capture`), and schemathesis over the push API (`schema`) through a bridge from TCP to its UNIX socket (`bridge`). The
SMSCs that are tried live in `tests/peers`; what came of all is in `docs/interop.md`.

Two rules keep it so. What is foreign is never patched: what it cannot do is written down with its version. And what is
missing on this machine is said with the command that installs it; nothing passes because it could not be run.
"""
