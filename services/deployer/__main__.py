"""`python -m services.deployer api|worker|all`."""

from services.deployer.service import DEFINITION
from shared.runtime.wiring import main

if __name__ == "__main__":
    main(DEFINITION)
