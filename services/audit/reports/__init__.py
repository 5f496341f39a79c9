"""Reports: what the record says about a model, or about all of them, as of one moment.

`gathering` reads the facts, `sections` words them, `document` is the one model of a report; `html`, `pdf` and JSON are
three ways to show it, so that all say the same. All but `gathering` and `archive` is pure: the same facts give the same
bytes.
"""
