"""Adds forbidden imports to the real import graph, one at a time, and prints those that their contract did not notice.

A program of its own, run by test_contracts.py: import-linter looks at every attribute of its classes, and inside the
test process zope.interface has put some there that refuse to be looked at.

Standard input: JSON list of [contract, importer, imported]. Standard output: JSON {"broken": [contract...] of the house
as it stands, "unnoticed": the breaks that went unnoticed}. The current folder is the root of the checkout.
"""

import json
import sys
from copy import deepcopy

import grimp
from importlinter import configuration
from importlinter.application import use_cases
from importlinter.domain.contract import registry


def main() -> None:
    sys.path.insert(0, "")
    configuration.configure()
    options = use_cases.read_user_options("setup.cfg")
    use_cases._register_contract_types(options)
    graph = grimp.build_graph("mgate", include_external_packages=True, cache_dir=None)

    def kept(contract: str, changed: grimp.ImportGraph) -> bool:
        (chosen,) = [each for each in options.contracts_options if each["id"] == contract]
        contract_class = registry.get_contract_class(chosen["type"])
        return contract_class(chosen["name"], options.session_options, chosen).check(changed, verbose=False).kept

    broken = [each["id"] for each in options.contracts_options if not kept(each["id"], deepcopy(graph))]
    breaks = [tuple(each) for each in json.load(sys.stdin)]
    unnoticed = [each for each in breaks if kept(each[0], _with_import(graph, each[1], each[2]))]
    json.dump({"broken": broken, "unnoticed": unnoticed}, sys.stdout)


def _with_import(graph: grimp.ImportGraph, importer: str, imported: str) -> grimp.ImportGraph:
    changed = deepcopy(graph)
    for module in (importer, imported):
        if module not in changed.modules:
            changed.add_module(module, is_squashed=not module.startswith("mgate"))
    changed.add_import(importer=importer, imported=imported, line_number=1, line_contents=f"import {imported}")
    return changed


if __name__ == "__main__":
    main()
