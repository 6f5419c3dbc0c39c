"""Append-only Parquet record of trials and rungs: the one source that front and report read.

A ledger is a folder of Parquet files, one an append, written to a hidden name and renamed when complete, so
that a crash at any byte leaves every earlier record readable. Full blocks of files are merged into one,
so that a folder of any number of records stays a folder of few files (see `anon_tune.ledger.parts`). One process (the
driver) writes; any number may read, also while a study runs. ``pandas.read_parquet(folder)`` gives one row a
record, newest last after sorting by ``record``; after a crash amidst a merge it gives some rows twice until a
writer comes again, which ``drop_duplicates("record")`` mends. Rows with a ``repeat`` are measurements that
`anon-tune verify` took after the study, rows with ``lost_s`` jobs that ended without a report. Parts older than a
column are read as having none there: no repeat, no cost, no broken constraint, no seconds a frame, no lost job.
"""

from __future__ import annotations

from anon_tune.ledger.ledger import Ledger
from anon_tune.ledger.record import SCHEMA

__all__ = ["SCHEMA", "Ledger"]
