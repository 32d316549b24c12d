"""Draw label maps of façades that never were, for a prior that was trained on such maps.

    python examples/facade_maps.py --out maps
    loopyvq sample runs/facades/prior --condition maps/small
    loopyvq sample runs/facades/prior --condition maps/large \\
        --size 256x256 --window 8x8

Labels are those of CMP Facades: 0 background, 1 wall, 2 window, 3 door, 4 sill, 6 balcony, 9
moulding, 10 pillar, 11 shop. Beside the maps lies ``shown.png``, the same in the set's colours.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from loopyvq.data import to_pil
from loopyvq.data.palettes import PALETTES, paint_labels
from loopyvq.pictures import sheet

SKY, WALL, WINDOW, DOOR, SILL, BALCONY, MOULDING, PILLAR, SHOP = 0, 1, 2, 3, 4, 6, 9, 10, 11


class Facade:
    """A square of labels that is painted from the back to the front."""

    def __init__(self, side: int, sky: int) -> None:
        self.labels = np.full((side, side), WALL, np.uint8)
        self.box(SKY, 0, sky, 0, side)

    def box(self, label: int, top: int, bottom: int, left: int, right: int) -> None:
        self.labels[top:bottom, left:right] = label

    def band(self, label: int, top: int, bottom: int, margin: int = 0) -> None:
        self.box(label, top, bottom, margin, len(self.labels) - margin)

    def windows(
        self, tops: Iterable[int], centres: Iterable[int], height: int, width: int, sill: bool
    ) -> None:
        for top in tops:
            for centre in centres:
                left, right, bottom = centre - width // 2, centre + width // 2, top + height
                self.box(WINDOW, top, bottom, left, right)
                if sill:
                    self.box(SILL, bottom, bottom + 6, left - 3, right + 3)


def town_house() -> Facade:
    house = Facade(256, sky=40)
    house.band(MOULDING, 40, 52)
    house.windows((64, 112, 160), range(38, 230, 45), 28, 20, sill=True)
    house.band(MOULDING, 205, 211)
    house.windows((222,), range(38, 230, 45), 30, 24, sill=False)
    house.box(DOOR, 215, 256, 112, 144)
    return house


def above_shops() -> Facade:
    house = Facade(256, sky=0)
    house.band(MOULDING, 0, 14)
    house.windows((26, 86, 146), range(44, 256, 56), 40, 26, sill=True)
    house.band(MOULDING, 200, 212)
    for left in (20, 146):
        house.box(SHOP, 212, 256, left, left + 90)
    house.box(DOOR, 212, 256, 116, 140)
    return house


def tenement() -> Facade:
    house = Facade(256, sky=60)
    house.band(MOULDING, 60, 70)
    house.windows((80, 120, 160, 200), range(44, 226, 28), 22, 14, sill=True)
    for left, right in ((0, 24), (232, 256)):
        house.box(SKY, 60, 256, left, right)
    return house


def balconies() -> Facade:
    house = Facade(256, sky=0)
    house.windows((16, 100, 184), (53, 128, 202), 50, 34, sill=True)
    for top in (66, 150):
        house.band(BALCONY, top, top + 14, margin=14)
    for left in (4, 244):
        house.box(PILLAR, 0, 256, left, left + 8)
    return house


def palace() -> Facade:
    house = Facade(512, sky=50)
    house.band(MOULDING, 50, 64)
    house.windows((82, 136, 190), range(32, 500, 48), 32, 22, sill=True)
    house.band(MOULDING, 246, 254)
    house.windows((270, 338), range(46, 500, 84), 44, 32, sill=True)
    for top in (320, 388):
        house.band(BALCONY, top, top + 12, margin=24)
    house.band(MOULDING, 408, 416)
    for left in (20, 362):
        house.box(SHOP, 420, 512, left, left + 130)
    house.box(DOOR, 430, 512, 236, 276)
    house.windows((440,), (190, 322), 44, 34, sill=False)
    return house


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("maps"))
    options = parser.parse_args()
    small = [town_house(), above_shops(), tenement(), balconies()]
    for name, houses in (("small", small), ("large", [palace()])):
        (options.out / name).mkdir(parents=True, exist_ok=True)
        for number, house in enumerate(houses):
            Image.fromarray(house.labels).save(options.out / name / f"{number}.png")
    colours = PALETTES["cmp_facades"]
    halves = [torch.from_numpy(house.labels[::2, ::2].copy()) for house in small]
    shown = [paint_labels(half, len(colours), colours) for half in halves]
    to_pil(sheet([shown])).save(options.out / "shown.png")
    print(f"{len(small)} maps in {options.out / 'small'}, one in {options.out / 'large'}")


if __name__ == "__main__":
    main()
