"""How fast Muniment is, each figure beside its floor or peer in one run. `python -m bench [NAME…]`."""
