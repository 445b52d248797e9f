"""Who made which numbers: the software and the processor that the last bits of a run depend on.

Every part of a store names its maker. A folder that was filled on two machines, or before and after an
upgrade, has several; their runs agree but for rounding, so they are not paired to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from experiments.storage.identity import SCHEMA
from experiments.storage.provenance import processor, versions
from experiments.storage.store import Store

if TYPE_CHECKING:
    import pandas as pd

FACTS = ("python", "numpy", "scipy", "schema", "blas", "kernel", "simd", "threads", "cpu")
UNKNOWN = "not noted"  # of a part that was written before makers were


def maker(libraries: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what this process would be as a maker, by the names in `FACTS`; each value is a text.

    `libraries` are those that threadpoolctl has found here. blas and kernel are those of NumPy's matrix
    products, threads how many they use at this moment, simd the widest vector instructions that NumPy has
    found. "none found" where no such library is known.
    """
    import numpy as np

    pools = [pool for pool in libraries if pool["user_api"] == "blas"]
    own = [pool for pool in pools if "numpy" in pool["filepath"].replace("\\", "/").rpartition("/")[0]]
    used = (own or pools or [{}])[0]
    simd = np.show_config(mode="dicts").get("SIMD Extensions", {})  # type: ignore[call-overload]
    vectors = [*simd.get("baseline", ()), *simd.get("found", ())] or ["none found"]
    return {
        **{name: versions()[name] for name in ("python", "numpy", "scipy")},
        "schema": str(SCHEMA),
        "blas": f"{used.get('internal_api', 'none found')} {used.get('version') or ''}".strip(),
        "kernel": str(used.get("architecture", "none found")),
        "simd": vectors[-1],
        "threads": str(used.get("num_threads", "unknown")),
        "cpu": processor(),
    }


def makers(store: Store, ids: Iterable[str] | None = None) -> pd.DataFrame:
    """Return a row for each maker of the stored runs, or of these: column `runs`, then those of `FACTS`.

    The maker of most runs comes first. Crashed runs, which have no numbers, are left out. A fact that was not
    noted, as by an earlier version of this program, is "not noted".
    """
    import pandas as pd

    wanted = None if ids is None else set(ids)
    counts: dict[tuple[str, ...], int] = {}
    for run, (status, by) in store.made_by().items():
        if status != "crashed" and (wanted is None or run in wanted):
            key = facts_of_maker(by)
            counts[key] = counts.get(key, 0) + 1
    rows = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return pd.DataFrame([(n, *key) for key, n in rows], columns=["runs", *FACTS])


def facts_of_maker(by: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a part's maker as its texts in the order of `FACTS`."""
    return tuple(str(by.get(name, UNKNOWN)) for name in FACTS)


def of_others(store: Store, mine: Mapping[str, str]) -> set[str]:
    """Return the ids of the stored runs that another maker than `mine` has made."""
    me = facts_of_maker(mine)
    return {run for run, (_, by) in store.made_by().items() if facts_of_maker(by) != me}


def makers_line(table: pd.DataFrame) -> str:
    """Return a sentence on the makers of a folder where there are several, else an empty text."""
    if len(table) < 2:
        return ""
    differing = [name for name in FACTS if len(set(table[name])) > 1]
    each = "; ".join(
        f"{row['runs']} of {', '.join(f'{name} {row[name]}' for name in differing)}"
        for row in table.to_dict("records")
    )
    return (
        f"the runs have {len(table)} makers, whose numbers may differ in the last bits: {each}. "
        "--only-mine trains anew what another than this one has made"
    )
