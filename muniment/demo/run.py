"""`muniment demo`: everything set up, the year played, the summary printed."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from muniment.client import Client, UnreachableError
from muniment.demo import data, summary
from muniment.demo.frames import Frame
from muniment.demo.settings import SETTINGS
from muniment.demo.story import tell
from muniment.demo.story.cast import WHOLE, Schedule
from muniment.demo.story.scene import Played, Scene
from muniment.demo.train import Trained, train
from muniment.embedded.folder import CannotStart, open_folder

READY_SECONDS = 60.0
STOP_SECONDS = 30.0
_MARK = "demo"


def run(data_dir: Path, port: int, once: bool) -> int:
    """The whole demo; 0 where every check held, 1 otherwise."""
    console = Console()
    try:
        _start_anew(data_dir)
    except CannotStart as error:
        console.print(f"[red]{error}[/red]")
        return 1
    port = port or _free_port()
    base = f"http://127.0.0.1:{port}"
    system = _bring_up(data_dir, port)
    try:
        with Client(base) as client:
            held = _tell(client, data_dir, console, system)
        if not once and system.poll() is None:
            console.print(f"The system stays up at {base}/console (API: {base}/docs). Ctrl-C ends it.")
            system.wait()
    except KeyboardInterrupt:
        return 1
    finally:
        _take_down(system)
    return 0 if held else 1


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def scene_of(client: Client, flights: Frame, trained: Trained, schedule: Schedule, progress: Progress) -> Scene:
    """A story about to be told: the flights scored within the schedule, shown on a progress display."""
    within = (flights["at"] >= schedule.start) & (flights["at"] < schedule.end) & (flights["month"] > 3)
    played = flights[within].reset_index(drop=True)
    task = progress.add_task("Flights", total=len(played))

    def step(rows: int, day: str) -> None:
        progress.update(task, advance=rows, description=day)

    return Scene(client, played, trained, schedule, Played.empty(len(played)), progress.console.print, step)


def progress_display(console: Console) -> Progress:
    columns = (TextColumn("{task.description:>13}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def _tell(client: Client, data_dir: Path, console: Console, system: "subprocess.Popen[bytes]") -> bool:
    seconds: dict[str, float] = {}
    started = time.perf_counter()
    flights = data.flights()
    seconds["the data read"], started = time.perf_counter() - started, time.perf_counter()
    models = data_dir / "models"
    models.mkdir(exist_ok=True)
    trained = train(flights, models)
    seconds["two models trained"], started = time.perf_counter() - started, time.perf_counter()
    _until_ready(client, system)
    started = time.perf_counter()
    with progress_display(console) as progress:
        scene = scene_of(client, flights, trained, WHOLE, progress)
        held = tell(scene)
    seconds["the year played"] = time.perf_counter() - started
    summary.show(scene, seconds, console)
    return held


def _start_anew(data_dir: Path) -> None:
    """Empty the folder of an earlier demo; leave anything else alone. Raises CannotStart."""
    folder = data_dir.expanduser().absolute()
    if folder.exists() and any(folder.iterdir()):
        if not (folder / _MARK).exists():
            raise CannotStart(f"{folder} holds something else than an earlier demo; name another --data-dir")
        open_folder(folder).release()  # refuses while an earlier demo still runs
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).touch()


def _bring_up(data_dir: Path, port: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "muniment", "up", "--port", str(port), "--data-dir", str(data_dir)]
    with (data_dir / "muniment.log").open("ab") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=SETTINGS | os.environ
        )


def _until_ready(client: Client, system: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            if client.http.get(client.url("/health/ready"), timeout=5).is_success:
                return
        except httpx.TransportError:
            pass
        if system.poll() is not None:
            raise CannotStart("the system ended while starting")
        if time.monotonic() > deadline:
            raise UnreachableError(f"no system answered at {client.urls} within {READY_SECONDS:g} s")
        time.sleep(0.05)


def _take_down(system: "subprocess.Popen[bytes]") -> None:
    if system.poll() is None:
        system.send_signal(signal.SIGTERM)
        try:
            system.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            system.kill()
            system.wait()
