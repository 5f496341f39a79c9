"""How much a process grows with a model: `python -m muniment.testing.memory BUNDLE TABLE` prints MiB."""

import resource
import subprocess
import sys
from pathlib import Path

from muniment.packaging.sources import CannotPackage

_UNIT = 1024 if sys.platform != "darwin" else 1
SECONDS = 120


def grown(bundle: Path, table: Path) -> float:
    """MiB, measured in a process of its own, since what others used before would hide it. Raises CannotPackage."""
    command = [sys.executable, "-m", "muniment.testing.memory", str(bundle), str(table)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
        return float(run.stdout)
    except (subprocess.SubprocessError, ValueError) as error:
        raise CannotPackage(f"The memory of the model cannot be measured: {error}") from error


def main() -> None:
    from muniment.packaging.bundle import Bundle
    from muniment.packaging.sample import as_frame, read_frame
    from muniment.testing.checks import Subject

    data = read_frame(Path(sys.argv[2]))
    bundle = Bundle.read(Path(sys.argv[1]))
    before = _peak()
    subject = Subject(bundle)
    subject.model.answer(as_frame(data, subject.inputs))
    print((_peak() - before) / 2**20)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


if __name__ == "__main__":
    main()
