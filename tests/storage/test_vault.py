"""What a sealed value is: it opens in its place and nowhere else, and as `docs/storage.md` says."""

from __future__ import annotations

import json
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from visage.errors import BankError, DamagedPerson
from visage.storage.vault import (
    OVERHEAD_BYTES,
    DataKey,
    Place,
    Slot,
    Vault,
    key_from_text,
    key_to_text,
    new_key,
    new_recovery_key,
    passphrase_slot,
    recovery_slot,
)

VECTORS = json.loads((Path(__file__).parent / "vectors" / "vault-1.json").read_text())
KEY = DataKey(bytes(range(32)))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
PLACES = st.builds(Place, TEXT, TEXT, TEXT, TEXT)


@given(st.binary(max_size=500), PLACES)
def test_what_is_sealed_opens_again(plaintext: bytes, place: Place) -> None:
    sealed = KEY.seal(plaintext, place)
    assert KEY.open(sealed, place) == plaintext
    assert len(sealed) == len(plaintext) + OVERHEAD_BYTES


@given(st.binary(max_size=60), PLACES, st.data())
def test_any_altered_bit_is_an_error_that_names_the_person(plaintext: bytes, place: Place, data: Any) -> None:
    sealed = bytearray(KEY.seal(plaintext, place))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(DamagedPerson) as error:
        KEY.open(bytes(sealed), place)
    assert error.value.person_id == place.person_id


@given(st.binary(max_size=60), PLACES, st.data())
def test_a_value_cut_short_or_lengthened_is_an_error(plaintext: bytes, place: Place, data: Any) -> None:
    sealed = KEY.seal(plaintext, place)
    for wrong in (sealed[: data.draw(st.integers(0, len(sealed) - 1))], sealed + b"\0"):
        with pytest.raises(DamagedPerson):
            KEY.open(wrong, place)


@given(st.binary(max_size=60), PLACES, PLACES)
def test_a_value_opens_in_no_other_place(plaintext: bytes, place: Place, other: Place) -> None:
    sealed = KEY.seal(plaintext, place)
    for part in ("person_id", "record_id", "field", "model"):
        elsewhere = replace(place, **{part: getattr(other, part)})
        if elsewhere == place:
            continue
        with pytest.raises(DamagedPerson):
            KEY.open(sealed, elsewhere)


@given(TEXT, TEXT)
def test_parts_of_a_place_do_not_run_into_each_other(one: str, other: str) -> None:
    whole = Place(one + other, "", "", "").associated_data()
    assert (Place(one, other, "", "").associated_data() == whole) == (other == "")


def test_the_same_value_is_sealed_differently_each_time() -> None:
    place = Place("p", "r", "f")
    assert len({KEY.seal(b"same", place)[1:13] for _ in range(1000)}) == 1000


@settings(max_examples=20)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_a_data_key_opens_for_its_person_and_master_key_only(one: bytes, other: bytes) -> None:
    vault = Vault(one)
    key, wrapped = vault.new_key("ann")
    place = Place("ann", "x", "f")
    assert vault.key("ann", wrapped).open(key.seal(b"v", place), place) == b"v"
    with pytest.raises(DamagedPerson, match="bob"):
        vault.key("bob", wrapped)
    if one != other:
        with pytest.raises(DamagedPerson):
            Vault(other).key("ann", wrapped)
        assert not Vault(other).fits("bank", vault.key_check("bank"))
    assert vault.fits("bank", vault.key_check("bank"))
    assert not vault.fits("another bank", vault.key_check("bank"))


def test_a_passphrase_opens_its_slot_however_its_accents_are_written() -> None:
    vault = Vault(new_key())
    slot = passphrase_slot("grüne Äpfel", vault, "bank")
    assert slot.open("gru\u0308ne A\u0308pfel", "bank") == vault.master_key
    assert slot.open("grune Apfel", "bank") is None
    assert slot.open("grüne Äpfel", "another bank") is None
    assert (slot.parameters["memory_kib"], slot.parameters["iterations"]) == (65536, 3)


def test_a_recovery_key_is_read_as_people_write_it() -> None:
    vault, recovery_key = Vault(new_key()), new_recovery_key()
    slot = recovery_slot(recovery_key, vault, "bank")
    written = recovery_key.lower().replace("-", " ").replace("o", "0").replace("b", "8").replace("i", "1")
    assert slot.open(written, "bank") == vault.master_key
    assert slot.open(new_recovery_key(), "bank") is None
    for wrong in ("", "ABCD", recovery_key + "A", recovery_key.replace("-", "!")):
        with pytest.raises(BankError, match="recovery key"):
            slot.open(wrong, "bank")


@pytest.mark.parametrize("text", ["", "short", "x" * 44, key_to_text(bytes(31)), key_to_text(bytes(33)), "ä" * 44])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(BankError, match="44 characters"):
        key_from_text(text)


@pytest.mark.parametrize("vector", VECTORS["values"], ids=lambda vector: vector["field"])
def test_the_committed_vectors_of_values(vector: dict[str, str]) -> None:
    place = Place(vector["person_id"], vector["record_id"], vector["field"], vector["model"])
    sealed, plaintext = bytes.fromhex(vector["sealed"]), bytes.fromhex(vector["plaintext"])
    assert place.associated_data().hex() == vector["associated_data"]
    assert DataKey(bytes.fromhex(vector["key"])).open(sealed, place) == plaintext
    # As the document describes it, with nothing of ours.
    data = b"visage\x01" + b"".join(len(p.encode()).to_bytes(4, "big") + p.encode() for p in astuple(place))
    cipher = AESGCM(bytes.fromhex(vector["key"]))
    assert (sealed[0], cipher.decrypt(sealed[1:13], sealed[13:], data)) == (1, plaintext)


def test_the_committed_vectors_of_keys() -> None:
    vault = Vault(key_from_text(VECTORS["master_key"]))
    bank_id = VECTORS["bank_id"]
    assert vault.fits(bank_id, bytes.fromhex(VECTORS["key_check"]))
    for vector in VECTORS["slots"]:
        slot = Slot(vector["kind"], vector["parameters"], bytes.fromhex(vector["wrapped"]))
        assert slot.open(vector["secret"], bank_id) == vault.master_key
