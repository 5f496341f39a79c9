"""Lineage graphs as pictures: Mermaid text and SVG, from the same answer that JSON gives. Pure."""
