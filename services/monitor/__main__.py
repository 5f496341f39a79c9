"""`python -m services.monitor api|worker|all`."""

from services.monitor.service import DEFINITION
from shared.runtime.wiring import main

if __name__ == "__main__":
    main(DEFINITION)
