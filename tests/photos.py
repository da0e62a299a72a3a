"""The pictures that the tests use: public officials, an astronaut, groups of people. Fetched once, by hash.

Run as a script by the set-up of `make test`; they lie in `.cache/photos` and are no part of the project.
"""

from __future__ import annotations

from pathlib import Path

from visage.vision.fetch import extract
from visage.vision.weights import Package, sha256_of

FOLDER = Path(__file__).parent.parent / ".cache" / "photos"

_OFFICIALS = Package(
    "sdist",
    "face_recognition",
    "1.3.0",
    "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec",
)
_IMAGES = "face_recognition-1.3.0/tests/test_images"
_ASTRONAUT = Package("wheel", "scikit-image", "0.26.0")
_GROUPS = Package("npm", "@vladmandic/face-api", "1.7.15")

# key → (file name here, package, path inside it, SHA-256)
PHOTOS: dict[str, tuple[str, Package, str, str]] = {
    "obama": (
        "obama.jpg",
        _OFFICIALS,
        f"{_IMAGES}/obama.jpg",
        "0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6",
    ),
    "obama2": (
        "obama2.jpg",
        _OFFICIALS,
        f"{_IMAGES}/obama2.jpg",
        "a7efcc907375274796f39646510704aa86672d59f6d5469d69af3c85590976a6",
    ),
    "obama3": (
        "obama3.jpg",
        _OFFICIALS,
        f"{_IMAGES}/obama3.jpg",
        "76ac6bf97c36dc2da0ad16a537d6a5ac1b10f48d49aac29a0cca9a17cdbc3ca3",
    ),
    "biden": (
        "biden.jpg",
        _OFFICIALS,
        f"{_IMAGES}/biden.jpg",
        "3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c",
    ),
    "partial1": (
        "obama_partial_face.jpg",
        _OFFICIALS,
        f"{_IMAGES}/obama_partial_face.jpg",
        "c2d1f09e7ef3042352b41e41286e6eb0522f64f88308be13886991b95db52117",
    ),
    "partial2": (
        "obama_partial_face2.jpg",
        _OFFICIALS,
        f"{_IMAGES}/obama_partial_face2.jpg",
        "9a812347f97633542b8cd9992de22def11b74f79d82056bc3ee830f13878e028",
    ),
    "rgba": (
        "32bit.png",
        _OFFICIALS,
        f"{_IMAGES}/32bit.png",
        "44dca895a7d635a4aedddd91a4f37af9a8a5b44e66154282a24645a757b5f627",
    ),
    "astronaut": (
        "astronaut.png",
        _ASTRONAUT,
        "skimage/data/astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    ),
    "group1": (
        "group1.jpg",
        _GROUPS,
        "package/demo/sample1.jpg",
        "8ecae4b267b2d3169e06e00c7dee97097aa2a94635d45216f7732a5f4943cb51",
    ),
    "group2": (
        "group2.jpg",
        _GROUPS,
        "package/demo/sample2.jpg",
        "7d2b60ae6f13bf30f422e04df87451081a02c83de469056f25afb44b7000c691",
    ),
    "group3": (
        "group3.jpg",
        _GROUPS,
        "package/demo/sample3.jpg",
        "8eb081c9efb14370fa94d9feab9e5fbeafd19a627491853a80c2bf67f7ffa936",
    ),
    "group4": (
        "group4.jpg",
        _GROUPS,
        "package/demo/sample4.jpg",
        "729efa5923061d40eb4ed5f267a18cc7b8ba6f852bb2757b16d8b7e4937476fc",
    ),
    "group5": (
        "group5.jpg",
        _GROUPS,
        "package/demo/sample5.jpg",
        "6d45095ebb182d8f975c0790e0e4eefd86fbb40609cf4b271776d92e12662938",
    ),
    "group6": (
        "group6.jpg",
        _GROUPS,
        "package/demo/sample6.jpg",
        "9baad80f9d5e306fb9b8c0913d44445f1e95848df317530efb03d0934c57ba87",
    ),
}


def fetch() -> dict[str, Path]:
    """Fetch what is missing; returns where each picture is."""
    wanted = {
        key: entry
        for key, entry in PHOTOS.items()
        if not (FOLDER / entry[0]).is_file() or sha256_of(FOLDER / entry[0]) != entry[3]
    }
    for package in dict.fromkeys(entry[1] for entry in wanted.values()):
        members = {
            member: (FOLDER / file, sha256) for file, owner, member, sha256 in wanted.values() if owner == package
        }
        extract(package, members)
    return {key: FOLDER / entry[0] for key, entry in PHOTOS.items()}


if __name__ == "__main__":
    fetch()
