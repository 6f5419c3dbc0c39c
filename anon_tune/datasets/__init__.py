"""Import videos and photographs into a clip store: readers of data sets, labels, pairs, and the journal of an import.

Names resolve on first use, so that reading a list of data sets does not load torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anon_tune.on_demand import on_demand

if TYPE_CHECKING:
    from anon_tune.datasets.decode import BadFile
    from anon_tune.datasets.paired import ImportedPair, import_pair
    from anon_tune.datasets.side_by_side import in_processes
    from anon_tune.datasets.video_folder import ImportResult, import_folder

_MODULES = {
    "BadFile": "anon_tune.datasets.decode",
    "ImportResult": "anon_tune.datasets.video_folder",
    "ImportedPair": "anon_tune.datasets.paired",
    "import_folder": "anon_tune.datasets.video_folder",
    "import_pair": "anon_tune.datasets.paired",
    "in_processes": "anon_tune.datasets.side_by_side",
}

__all__ = [
    "BadFile",
    "ImportResult",
    "ImportedPair",
    "import_folder",
    "import_pair",
    "in_processes",
]

__getattr__ = on_demand(__name__, _MODULES)
