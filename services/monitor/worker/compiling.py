"""When a worker's fold is compiled: at once, never, or as soon as it is seen to fold much."""

import threading
from dataclasses import dataclass

from services.monitor.domain import native
from shared.runtime.settings import Settings


@dataclass(slots=True)
class Compiling:
    """Has the fold compiled in a thread, once `after` predictions were folded; NumPy folds until that is done, to the
    same states. None: never."""

    after: int | None
    _folded: int = 0

    @classmethod
    def of(cls, settings: Settings) -> "Compiling":
        """As the settings say."""
        if settings.native_fold is None:
            return cls(settings.native_fold_rows)
        return cls(0 if settings.native_fold else None)

    def folded(self, rows: int = 0) -> None:
        """So many more predictions were folded."""
        self._folded += rows
        if self.after is not None and self._folded >= self.after:
            self.after = None
            threading.Thread(target=native.load, name="monitor.native", daemon=True).start()
