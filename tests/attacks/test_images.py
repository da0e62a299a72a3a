"""Hostile pictures, sent to a real server."""

from __future__ import annotations

import io
import random
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image as PillowImage

from tests.api.conftest import Server
from tests.attacks import bombs
from tests.attacks.bombs import HARMLESS, OTHER_FORMATS, REFUSED, TOO_LARGE, chunk, encoded, noise, segment
from tests.attacks.conftest import error, peak
from tests.attacks.fuzz_images import mutants, survive
from visage.vision.image import Limits, decode

WORDS = "Invalid image format. Supported: JPEG, PNG"
SECRET = b"MARK-9f3a-geheim"


def identify(client: httpx.Client, image: bytes, name: str = "photo.jpg") -> httpx.Response:
    """POST /identify."""
    return client.post("/identify", files={"image": (name, image, "image/jpeg")})


@pytest.mark.parametrize("bomb", TOO_LARGE)
def test_a_header_that_promises_too_much_is_refused_before_decoding(
    client: httpx.Client, server: Server, bomb: str
) -> None:
    image = TOO_LARGE[bomb]()
    with peak(server, below_mb=50):
        assert error(identify(client, image)) == (413, "IMAGE_TOO_LARGE")


@pytest.mark.parametrize("bomb", REFUSED)
def test_a_bomb_or_a_broken_picture_is_refused(client: httpx.Client, server: Server, bomb: str) -> None:
    image = REFUSED[bomb]()
    with peak(server, below_mb=50):
        reply = identify(client, image)
    assert error(reply) == (400, "INVALID_IMAGE")
    assert reply.json()["error"]["message"] == WORDS
    assert reply.elapsed.total_seconds() < 2


@pytest.mark.parametrize("bomb", HARMLESS)
def test_what_is_dangerous_beside_the_pixels_is_not_read(client: httpx.Client, server: Server, bomb: str) -> None:
    image = HARMLESS[bomb]()
    with peak(server, below_mb=250):
        reply = identify(client, image)
    assert (reply.status_code, reply.json()["data"]["faces"]) == (200, [])


@pytest.mark.parametrize("kind", OTHER_FORMATS)
def test_another_format_named_jpg_is_refused(client: httpx.Client, kind: str) -> None:
    reply = identify(client, OTHER_FORMATS[kind]())
    assert error(reply) == (400, "INVALID_IMAGE")
    assert reply.json()["error"]["message"] == WORDS


def test_no_other_decoder_is_reached() -> None:
    program = """
import sys, warnings
from visage.errors import VisageError
from visage.vision.image import Limits, decode
before = {name for name in sys.modules if name.startswith("PIL.") and name.endswith("ImagePlugin")}
assert before == {"PIL.JpegImagePlugin", "PIL.PngImagePlugin"}, before
pictures = eval(sys.stdin.read())
opened = []
sys.addaudithook(lambda event, args: opened.append((event, args)) if event in {
    "open", "import", "subprocess.Popen", "os.exec", "socket.connect", "ctypes.dlopen"} else None)
for picture in pictures:
    try:
        decode(picture, Limits())
    except VisageError:
        pass
assert not [args for event, args in opened if event != "import" or "ImagePlugin" in str(args)], opened
print("reached", sorted(name for name in sys.modules if name.startswith("PIL.") and name.endswith("ImagePlugin")))
"""
    recipes = {name: make for group in (OTHER_FORMATS, REFUSED) for name, make in group.items()}
    small = [image for make in recipes.values() if len(image := make()) < 300_000]
    sound = [encoded(noise().convert("CMYK"), "JPEG"), encoded(noise().convert("P"), "PNG")]
    mpo = io.BytesIO()
    noise().save(mpo, "MPO", save_all=True, append_images=[noise()])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        input=repr([*small, *sound, mpo.getvalue()]),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "reached ['PIL.JpegImagePlugin', 'PIL.PngImagePlugin']\n", done.stderr


@pytest.mark.parametrize(
    "tail", [b"PK\x03\x04", b"<html><script>alert(1)</script>", b"\xff\xd8\xff\xe0", bytes(1000)]
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_of_a_polyglot_no_tail_is_stored(
    client: httpx.Client, server: Server, photos: Mapping[str, Path], kind: str, tail: bytes
) -> None:
    with PillowImage.open(photos["obama"]) as image:
        polyglot = encoded(image.convert("RGB"), kind, **({"compress_level": 1} if kind == "PNG" else {}))
    sent = polyglot + tail + SECRET
    registered = client.post("/register", data={"name": "A"}, files={"image": sent}).json()["data"]
    person = client.get(f"/persons/{registered['person_id']}").json()["data"]
    stored = httpx.get(server.url + person["photos"][0]["url"]).content
    assert stored.startswith(b"\xff\xd8\xff")
    assert stored.endswith(b"\xff\xd9")
    assert stored not in sent
    assert SECRET not in stored
    assert_nowhere(server.data_dir, SECRET)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_metadata_and_place_reach_neither_storage_nor_the_stored_picture(
    client: httpx.Client, server: Server, photos: Mapping[str, Path], kind: str
) -> None:
    exif = PillowImage.Exif()
    exif[0x010E] = exif[0x013B] = SECRET.decode()
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 14.6), 3: "E", 4: (11.0, 34.0, 31.2), 29: SECRET.decode()})
    with PillowImage.open(photos["obama"]) as image:
        sent = encoded(image.convert("RGB"), kind, exif=exif)
    if kind == "JPEG":
        xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x>" + SECRET + b"</x>")
        sent = bombs.with_segments(xmp, segment(0xFE, SECRET), segment(0xED, b"Photoshop 3.0\0" + SECRET), jpeg=sent)
    else:
        sent = bombs.with_chunks(chunk(b"tEXt", b"a\0" + SECRET), chunk(b"iTXt", b"b\0\0\0\0\0" + SECRET), png=sent)
    assert sent.count(SECRET) >= 5
    name = f"../{SECRET.decode()}.jpg"
    reply = client.post("/register", data={"name": "A"}, files={"image": (name, sent)}).json()["data"]
    person = client.get(f"/persons/{reply['person_id']}").json()["data"]
    stored = httpx.get(server.url + person["photos"][0]["url"]).content
    with PillowImage.open(io.BytesIO(stored)) as picture:
        assert not picture.getexif()
        assert picture.info.keys() <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert b"Exif" not in stored
    assert_nowhere(server.data_dir, SECRET)


def assert_nowhere(folder: Path, secret: bytes) -> None:
    """No file holds it, by content or name."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert secret not in path.read_bytes(), path
        assert secret.decode() not in path.name


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "YCbCr"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_face_is_found_in_every_kind_of_jpeg(
    client: httpx.Client, photos: Mapping[str, Path], mode: str, progressive: bool
) -> None:
    with PillowImage.open(photos["obama"]) as image:
        sent = encoded(image.resize((455, 568)).convert(mode), "JPEG", progressive=progressive)
    assert len(identify(client, sent).json()["data"]["faces"]) == 1


@pytest.mark.parametrize("mode", ["L", "LA", "P", "PA", "RGB", "RGBA", "I;16", "1"])
def test_every_kind_of_png_is_decoded(client: httpx.Client, photos: Mapping[str, Path], mode: str) -> None:
    with PillowImage.open(photos["obama"]) as opened:
        image = opened.resize((455, 568))
        if mode == "I;16":
            sent = encoded(PillowImage.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257), "PNG")
        elif mode == "PA":
            sent = encoded(image.convert("P"), "PNG", transparency=bytes([255] * 255))
        else:
            sent = encoded(image.convert(mode), "PNG")
    reply = identify(client, sent)
    assert reply.status_code == 200
    assert len(reply.json()["data"]["faces"]) == 1 or mode == "1"


def test_a_face_is_found_in_a_panorama(client: httpx.Client, photos: Mapping[str, Path]) -> None:
    with PillowImage.open(photos["obama"]) as image:
        panorama = PillowImage.new("RGB", (40_000, 700), "grey")  # wider than OpenCV's warp takes: 32,767
        panorama.paste(image.resize((560, 700)), (39_000, 0))
    assert len(identify(client, encoded(panorama, "PNG", compress_level=1)).json()["data"]["faces"]) == 1


def test_pictures_of_50_megapixels_are_decoded_one_at_a_time(client: httpx.Client, server: Server) -> None:
    clear = encoded(PillowImage.new("RGBA", (7000, 7000)), "PNG", compress_level=1)
    with peak(server, below_mb=450), ThreadPoolExecutor(2) as pool:  # 4 bytes a pixel in Pillow, 3 in the result
        replies = list(pool.map(lambda image: identify(client, image), [clear] * 2))
    assert [reply.status_code for reply in replies] == [200] * 2


def test_mutated_pictures_are_decoded_or_refused() -> None:
    assert survive(mutants(random.Random(35), 600)) == 600


def test_mutated_pictures_do_not_break_the_server(client: httpx.Client) -> None:
    for mutant in mutants(random.Random(36), 60):
        reply = identify(client, mutant)
        assert reply.status_code in {200, 400, 413}
        assert reply.json()["success"] is (reply.status_code == 200)


@pytest.mark.parametrize(
    "name", ["../../../../tmp/x", "..\\..\\x", "a%00b", "a\tb", "C:\\x", "CON", "x" * 3900, "'; --", "\u202egpj"]
)
def test_a_file_name_has_no_effect(
    client: httpx.Client, server: Server, photos: Mapping[str, Path], name: str
) -> None:
    before = sorted(server.data_dir.parent.rglob("*"))
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="' + name.encode() + b'"\r\n\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    reply = client.post("/identify", content=head + encoded(noise(), "JPEG") + b"\r\n--x--\r\n", headers=kind)
    assert (reply.status_code, reply.json()["data"]["faces"]) == (200, [])
    assert sorted(server.data_dir.parent.rglob("*")) == before


@pytest.mark.parametrize("name", [b"a\0b", b"x" * 10_000])
def test_a_file_name_that_is_no_name_is_refused_or_has_no_effect(client: httpx.Client, name: bytes) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="' + name + b'"\r\n\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    reply = client.post("/identify", content=head + encoded(noise(), "JPEG") + b"\r\n--x--\r\n", headers=kind)
    assert reply.status_code == 200 or error(reply) == (422, "VALIDATION_ERROR")


@pytest.mark.parametrize("orientation", range(9, 20))
def test_an_orientation_that_does_not_exist_turns_nothing(orientation: int) -> None:
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    assert decode(encoded(noise(), "JPEG", exif=exif), Limits()).shape == (48, 64, 3)
