"""What a killed process answered and did not log is counted by the next one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from services.deployer.serving.tally import FOLDER, Lost, Tally, left_behind
from shared.runtime.predictions import Target

LATE, EARLY = Target("late", "flights", 1), Target("early", "flights", 12)


def counted(tally: Tally, target: Target, answered: int, logged: int) -> None:
    cell = tally.cell(target)
    assert cell is not None
    tally.answered(cell, answered)
    tally.logged(cell, logged)


def test_a_process_that_logged_all_leaves_no_file(tmp_path: Path) -> None:
    tally = Tally(tmp_path)
    counted(tally, LATE, 5, 5)
    tally.close()
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_the_counts_of_a_process_that_lives_are_its_own(tmp_path: Path) -> None:
    tally = Tally(tmp_path)
    counted(tally, LATE, 5, 0)
    assert list(left_behind(tmp_path)) == []
    tally.close()
    ((_, lost),) = left_behind(tmp_path)
    assert lost == [Lost("late", 1, 5)]


def test_what_the_log_refused_is_apart_from_what_it_did_not_get_in_time(tmp_path: Path) -> None:
    tally = Tally(tmp_path)
    counted(tally, LATE, 9, 4)
    tally.refused(tally.cell(LATE) or 0, 3)
    counted(tally, EARLY, 2, 0)
    tally.refused(tally.cell(EARLY) or 0, 2)
    tally.close()
    ((_, lost),) = left_behind(tmp_path)
    assert lost == [Lost("late", 1, 2, "ended"), Lost("late", 1, 3, "refused"), Lost("early", 12, 2, "refused")]


def test_sigkill_leaves_the_counts(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from tests.unit.deployer.test_tally import LATE, EARLY, Tally, counted\n"
        "tally = Tally(Path(sys.argv[1])); counted(tally, LATE, 7, 4); counted(tally, EARLY, 2, 2)\n"
        "print('counted', flush=True); time.sleep(600)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "counted\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    ((_, lost),) = left_behind(tmp_path)
    assert lost == [Lost("late", 1, 3)]


def test_versions_beyond_the_room_are_not_counted(tmp_path: Path) -> None:
    tally = Tally(tmp_path)
    cells = [tally.cell(Target("late", "flights", version)) for version in range(1, 1_026)]
    assert (None in cells[:1_024], cells[1_024]) == (False, None)
    tally.close()
