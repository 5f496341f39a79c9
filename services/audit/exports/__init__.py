"""What is on record in the words of others: W3C PROV, OpenLineage, CycloneDX, and Parquet.

All but `parquet` is pure: the same facts give the same document.
"""
