"""The append-only record of a study's trials, as Parquet files. Front and report read nothing else.

A ledger is a folder of Parquet files. Every append writes one file to a hidden name and renames it when it is
complete, so a crash at any byte leaves every earlier record readable. Full blocks of files are merged into one file,
so a ledger of any length has few files (see `anon_tune.ledger.parts`). One process, the driver, writes; any number of
processes may read, also while a study runs.

``pandas.read_parquet(folder)`` gives one row per record; sort by ``record`` to get the newest last. After a crash
during a merge, some rows come twice until the next driver opens the ledger; ``drop_duplicates("record")`` removes
them. Rows with a ``repeat`` are measurements that `anon-tune verify` took after the study. Rows with ``lost_s`` are
jobs that ended without a report. A file written before a column existed is read as if the column were empty.
"""

from __future__ import annotations

from anon_tune.ledger.ledger import Ledger
from anon_tune.ledger.record import SCHEMA

__all__ = ["SCHEMA", "Ledger"]
