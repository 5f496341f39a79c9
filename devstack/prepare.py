"""What the stack needs from outside: Java, Maven, Kafka's jars. `python -m devstack.prepare` fetches what is missing.

On a machine where that cannot be had it says so and ends well: what needs Kafka then skips, or fails under CI=true.
"""

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).parent
POM = HERE / "pom.xml"


class CannotPrepare(Exception):
    """Says what is missing and how to get it."""


def cache() -> Path:
    """Where downloads are kept between checkouts."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "muniment"


def kafka_jars() -> Path:
    """The folder of Kafka's jars and all they need at run time; fetched once per version. Raises CannotPrepare."""
    folder = cache() / f"kafka-{sha256(POM.read_bytes()).hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    if shutil.which("mvn") is None or shutil.which("java") is None:
        raise CannotPrepare("Kafka needs Java 17 and Maven: run devstack/install.sh, or start a Docker engine")
    unfinished = folder.with_suffix(f".{os.getpid()}")
    command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
    done = subprocess.run(
        [*command, f"-DoutputDirectory={unfinished}"], capture_output=True, text=True, check=False, timeout=900
    )
    if done.returncode:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise CannotPrepare(f"Maven could not fetch Kafka:\n{(done.stdout + done.stderr).strip()[-2000:]}")
    try:
        unfinished.rename(folder)
    except OSError:  # another process was faster
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def prepare() -> Path:
    """Install Java and Maven where missing and allowed, then fetch the jars. Raises CannotPrepare."""
    done = subprocess.run(["bash", str(HERE / "install.sh")], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotPrepare((done.stderr or done.stdout).strip()[-2000:])
    return kafka_jars()


def main() -> int:
    try:
        prepare()
    except CannotPrepare as error:
        print(f"devstack: {error}", file=sys.stderr)
        return 1 if os.environ.get("CI") == "true" else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
