"""Models as bundles: `sources` what is packaged · `convert` to ONNX · `compare` with its original · `sample` what it
looked like in training · `bundle` one file, the same to the byte · `build` all of it · `store` where bundles lie.
"""

from muniment.packaging.build import Package, package
from muniment.packaging.bundle import Bundle, NotABundle
from muniment.packaging.options import Options
from muniment.packaging.sources import CannotPackage

__all__ = ["Bundle", "CannotPackage", "NotABundle", "Options", "Package", "package"]
