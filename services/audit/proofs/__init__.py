"""The Merkle tree as it is kept: reading it, proving from it, and comparing it with what others hold of it."""
