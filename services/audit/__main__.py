"""Start audit by itself: `python -m services.audit api|worker|all`."""

from services.audit.service import DEFINITION
from shared.runtime.wiring import main

if __name__ == "__main__":
    main(DEFINITION)
