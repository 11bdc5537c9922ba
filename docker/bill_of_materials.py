"""Writes what an image holds as CycloneDX 1.6 JSON to standard output: Python distributions and Debian packages.

Runs inside the image at the end of its build, so it lists what is really installed. The same content gives the same
bytes.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from typing import Any
from urllib.parse import quote

Component = dict[str, Any]


def distributions() -> list[Component]:
    """Return the Python distributions that are installed."""
    found = {}
    for distribution in importlib.metadata.distributions():
        name = re.sub(r"[-_.]+", "-", distribution.name).lower()
        component = _component(name, distribution.version, f"pkg:pypi/{name}@{quote(distribution.version)}")
        if text := distribution.metadata.get("License-Expression"):
            component["licenses"] = [{"expression": text}]
        found[name] = component
    return [found[name] for name in sorted(found)]


def debian_packages() -> list[Component]:
    """Return the Debian packages that are installed."""
    form = "${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n"
    listed = subprocess.run(
        ["dpkg-query", "--show", f"--showformat={form}"], check=True, capture_output=True, text=True
    )
    rows = [line.split("\t") for line in listed.stdout.splitlines()]
    return [
        _component(name, version, f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={architecture}")
        for state, name, version, architecture in sorted(rows)
        if state.startswith("ii")
    ]


def bill(image: str) -> Component:
    """Return the bill of an image.

    Args:
        image: what the bill calls it.
    """
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": image, "bom-ref": image}},
        "components": [*distributions(), *debian_packages()],
    }


def _component(name: str, version: str, purl: str) -> Component:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


if __name__ == "__main__":
    json.dump(bill(sys.argv[1]), sys.stdout, indent=1)
    sys.stdout.write("\n")
