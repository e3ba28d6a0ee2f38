"""The same targets under libFuzzer, by atheris, which follows the branches and keeps what reaches new ones.

It runs in an environment of its own (`tools/interop install atheris`) that borrows the packages of ours, as a process
of its own, because libFuzzer ends the process at the first finding and writes the case into its folder.
"""

import sys
from importlib import import_module
from pathlib import Path
from typing import Final

_RSS_MB: Final = 512


def main() -> None:
    """`TARGET RUNS FOLDER`, and more for libFuzzer. It does not return: libFuzzer ends the process."""
    name, runs, folder, *more = sys.argv[1:]
    atheris = import_module("atheris")
    with atheris.instrument_imports(include=["mgate"], exclude=["mgate.peers"]):
        targets = import_module("mgate.peers.fuzz.targets")
    target = next(one for one in targets.TARGETS if one.name == name)
    corpus = Path(folder)
    corpus.mkdir(parents=True, exist_ok=True)
    for number, case in enumerate(target.seeds):
        (corpus / f"seed{number}").write_bytes(case)
    options = [f"-runs={runs}", "-max_len=4096", f"-rss_limit_mb={_RSS_MB}", "-timeout=5", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={corpus}-", *more, str(corpus)], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
