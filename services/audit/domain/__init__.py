"""What audit itself states, and the Merkle tree, notes and checkpoints by which anybody can check it. Pure.

`verification`, `report`, `tree`, `keys` and `cosigning` decide on one kind of stream each; `merkle`, `tiles`, `note`
and `checkpoint` are the published formats, without any state.
"""
