"""What is measured beside us is installed in virtual environments of its own, below `.stack/peers`."""

import subprocess
import sys
from pathlib import Path

PEERS = Path(".stack/peers")
INSTALL_SECONDS = 600


class NotHad(Exception):
    """A peer that cannot be installed or run, and why."""


def installed(name: str, packages: list[str]) -> Path:
    """The interpreter of a peer's own environment, made at the first run."""
    folder = (PEERS / name).absolute()
    ready = folder / ".ready"
    if not ready.exists():
        uv = [str(Path(sys.executable).parent / "uv")]
        try:
            for command in (
                [*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
                [*uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), *packages],
            ):
                subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=True)
        except (subprocess.SubprocessError, OSError) as error:
            said = str(getattr(error, "stderr", "") or error).strip().splitlines()
            raise NotHad(f"could not be installed: {said[-1] if said else error}") from error
        ready.write_text("\n".join(packages))
    return folder / "bin" / "python"
