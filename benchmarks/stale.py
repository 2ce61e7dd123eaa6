"""Lists the records that were measured with older code: python -m benchmarks.stale.

An entry is stale if a source file that its result depends on has changed since: see `benchmarks.provenance`. It is
undated if it says nothing of its code. The exit status is 0 in any case: a table with a marked row is still true of the
code that it was measured with.
"""

from pathlib import Path
from typing import Any

from benchmarks import provenance, records, text_tables


def main() -> None:
    """Prints a line for each record in benchmarks/results that is not all of today's code."""
    lines = [describe(path, records.read(path)) for path in sorted(records.RESULTS.glob("*.json"))]
    dated = [line for line in lines if line[1] != "0"]  # the others are computed from records
    older = [line for line in dated if line[2:] != ["0", "0"]]
    print(f"{len(dated) - len(older)} of {len(dated)} records are of today's code.")
    if older:
        print(text_tables.aligned([["record", "entries", "stale", "undated"], *older]))


def describe(path: Path, record: Any) -> list[str]:
    """A record's name and its number of entries, of stale ones and of undated ones, as text."""
    codes = list(provenance.codes(record))
    stale = sum(not provenance.is_of_today(code) for code in codes if code)
    return [path.name, *map(str, (len(codes), stale, sum(not code for code in codes)))]


if __name__ == "__main__":
    main()
