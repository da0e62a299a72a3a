"""The tables of an installation, and how they are reached."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import sqlalchemy as sa

metadata = sa.MetaData()

Transactions = Callable[[], AbstractContextManager[sa.Connection]]
"""Begins a transaction on the database that holds them."""
