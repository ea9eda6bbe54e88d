"""One role in a process of its own: prints what it has to report as JSON."""

from __future__ import annotations

import importlib
import json
import sys


def main() -> None:
    """Play the role `module:function` with the facts given as JSON."""
    place, facts = sys.argv[1:]
    module, function = place.split(":")
    role = getattr(importlib.import_module(f"benchmarks.roles.{module}"), function)
    print(json.dumps(role(**json.loads(facts))), flush=True)


if __name__ == "__main__":
    main()
