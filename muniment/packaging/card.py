"""The model card of a bundle, where the data scientist gave none.

Source: Mitchell et al., Model Cards for Model Reporting (2019), the sections that a file alone can fill.
"""

from typing import Any

from muniment.packaging.convert import Converted
from muniment.packaging.options import Options


def card_of(options: Options, model: Converted, conversion: dict[str, Any], environment: dict[str, Any]) -> str:
    """Markdown."""
    lines = [f"# {options.name}", "", options.description or "Nobody described this model yet.", "", "## Inputs", ""]
    lines += [f"- `{one['name']}` ({one['type']})" for one in model.signature["inputs"]]
    lines += ["", "## Outputs", "", *(f"- `{one['name']}` ({one['type']})" for one in model.signature["outputs"])]
    lines += ["", "## Task", "", model.task or "not stated", "", "## Conversion to ONNX", ""]
    if conversion["compared"]:
        lines.append(
            f"On {conversion['rows']} rows of the reference sample the ONNX ({conversion['precision']}) differs from "
            f"its original by at most {conversion['max_difference']:.3g} (tolerance {conversion['tolerance']:.3g})."
        )
    else:
        lines.append("The model came as ONNX, and nothing to compare it with.")
    packages = ", ".join(f"{name} {version}" for name, version in environment["packages"].items())
    lines += ["", "## Environment", "", f"Python {environment['python']}; {packages}.", ""]
    return "\n".join(lines)
