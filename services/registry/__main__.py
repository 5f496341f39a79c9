"""`python -m services.registry api|worker|all`."""

from services.registry.service import DEFINITION
from shared.runtime.wiring import main

if __name__ == "__main__":
    main(DEFINITION)
