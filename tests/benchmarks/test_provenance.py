"""Records know the code that they were measured with: files, digests, marks in tables, the list of older records."""

from pathlib import Path

import pytest
from helpers.seed_records import make_record, make_run

from benchmarks import markdown, notes, provenance, records, seeds, stale

FILES = {
    "main.py": "",
    "benchmarks/a.py": "from benchmarks import b\nfrom vade_jax import VaDE\nRUN = ('-m', 'benchmarks.child')\n",
    "benchmarks/b.py": "def f():\n    from vade_jax.core import late\n",
    "benchmarks/child.py": "import vade_jax.core.deep\n",
    "benchmarks/seeds.py": "PROGRAM = 'main.py'\n",
    "benchmarks/records.py": "from vade_jax.core import unused\n",
    "benchmarks/readme.py": "from benchmarks import a, seeds\n",
    "vade_jax/__init__.py": "if 0:\n    from vade_jax.api import *\n    from vade_jax.estimator import VaDE as VaDE\n",
    "vade_jax/api.py": "",
    "vade_jax/estimator.py": "from vade_jax.networks import NETWORKS\n",
    "vade_jax/networks/__init__.py": "from vade_jax.networks.mlp import NETWORKS\n",
    "vade_jax/networks/mlp.py": "NETWORKS = 1\n",
    "vade_jax/core/late.py": '"""A docstring."""\n\nX = 1  # a comment\n',
    "vade_jax/core/deep.py": "",
    "vade_jax/core/unused.py": "",
    "vade_jax/commands/train.py": "from vade_jax.reports import html_report, label_scores\n",
    "vade_jax/reports/html_report.py": "",
    "vade_jax/reports/label_scores.py": "",
    "vade_jax/configs/base.py": "from vade_jax.settings import defaults\n",
    "vade_jax/configs/har.py": "from vade_jax.configs import base\n",
    "vade_jax/configs/paper/har.py": "from vade_jax.configs import har\n",
    "vade_jax/settings/defaults.py": "K = 10\n",
}
CACHES = (provenance.sources, provenance.of_config, provenance._digest_of, provenance._tree, provenance._code_text)


def clear():
    for cache in CACHES:
        cache.cache_clear()


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    clear()
    yield tmp_path
    clear()


def names(module, **options):
    return {path.relative_to(provenance.ROOT).as_posix() for path in provenance.sources(module, **options)}


def changed(root, name, text):
    """Whether the digest of benchmark a changes if a file has this text."""
    before = provenance.digest("benchmarks.a")
    (root / name).write_text(text)
    clear()
    return provenance.digest("benchmarks.a") != before


def test_a_benchmark_reaches_its_imports_also_late_ones_and_what_it_starts(root):
    assert names("benchmarks.a") == {
        "benchmarks/a.py",
        "benchmarks/b.py",
        "benchmarks/child.py",
        "vade_jax/core/deep.py",
        "vade_jax/core/late.py",
        "vade_jax/estimator.py",
        "vade_jax/networks/__init__.py",
        "vade_jax/networks/mlp.py",
    }


def test_a_run_of_the_program_reaches_training_without_its_pages(root):
    assert names("benchmarks.seeds") == {
        "benchmarks/seeds.py",
        "vade_jax/commands/train.py",
        "vade_jax/reports/label_scores.py",
    }


def test_only_reached_code_counts(root):
    assert not changed(root, "vade_jax/core/unused.py", "Y = 2\n")
    assert not changed(root, "vade_jax/core/late.py", '"""Another\n\nlonger docstring."""\n# a comment\n\nX = 1\n')
    assert changed(root, "vade_jax/core/late.py", "X = 2\n")
    assert changed(root, "vade_jax/core/late.py", "X = '# no comment'\n")


def test_a_run_knows_its_config(root):
    code = provenance.code_of_run("configs/har.py")
    assert code.keys() == {"seeds", "configs/har"}
    assert names("vade_jax.configs.har", with_configs=True) == {
        "vade_jax/configs/base.py",
        "vade_jax/configs/har.py",
        "vade_jax/settings/defaults.py",
    }
    assert provenance.is_of_today(code)
    (root / "vade_jax/settings/defaults.py").write_text("K = 11\n")
    clear()
    assert not provenance.is_of_today(code)
    assert provenance.code_of_run("/elsewhere/my_config.py").keys() == {"seeds"}
    paper = provenance.code_of_run("configs/paper/har.py")
    assert paper.keys() == {"seeds", "configs/paper/har"}
    assert provenance.is_of_today(paper)
    assert names("vade_jax.configs.paper.har", with_configs=True) > {"vade_jax/configs/har.py"}


def test_in_this_project_training_is_reached_and_pages_are_not():
    reached = names("benchmarks.seeds")
    assert reached > {
        "vade_jax/training/epoch.py",
        "vade_jax/networks/encoders_decoders.py",
        "vade_jax/initialization/communities.py",
        "vade_jax/runs/train_many_runs.py",
        "vade_jax/reports/label_scores.py",
    }
    assert not any("html_report" in name or "configs" in name or "estimator/" in name for name in reached)
    assert "vade_jax/estimator/vade.py" in names("benchmarks.mixed")
    assert not any(name.startswith("vade_jax/training") for name in names("benchmarks.changes"))


def test_every_benchmark_that_notes_the_commit_notes_the_code():
    folder = Path(provenance.__file__).parent
    noting = {path.name for path in folder.glob("*.py") if "records.commit()" in path.read_text()}
    assert noting == {"faults.py", "provenance.py", "scaling.py", "seeds.py"}
    for name in noting:
        assert "provenance.code" in (folder / name).read_text() or name == "provenance.py"


@pytest.fixture
def today(monkeypatch):
    """All code has the digest 'now'."""
    monkeypatch.setattr(provenance, "digest", lambda module: "now")
    monkeypatch.setattr(provenance, "of_config", lambda name: "now")


def entry(code=None):
    return {"commit": "c", "accuracy": 1.0, **({"code": code} if code else {})}


NOW, OLD, TEXT = {"mixed": "now"}, {"mixed": "now", "configs/har": "then"}, "the digest of a whole tree"


@pytest.mark.parametrize(
    ("record", "marked"),
    [
        ({"x": [entry(NOW)], **entry(NOW)}, False),
        ({"x": [entry(NOW), entry(OLD)]}, True),
        ({"x": {"runs": [entry(NOW), entry()]}}, True),
        (entry(TEXT), True),
        ({"commits": {"a": "c"}, "codes": {"a": NOW}}, False),
        ({"commits": {"a": "c", "b": "c"}, "codes": {"a": NOW}}, True),
        ({}, True),
        (None, True),
    ],
)
def test_a_record_is_marked_unless_all_of_it_is_of_today(record, marked, today):
    assert provenance.mark(record) == (" †" if marked else "")


def test_a_row_is_marked_by_its_own_part(today):
    record = {"a": [entry(NOW)], "b": [entry(OLD)]}
    assert markdown.marked([["a", "1"], ["b", "2"], ["all", "3"]], record) == [["a", "1"], ["b †", "2"], ["all †", "3"]]
    assert markdown.marked([["a", "1"]], {**entry(NOW), "a": [{"accuracy": 1.0}]}) == [["a", "1"]]


def test_what_is_scored_later_has_both_codes(today):
    run = make_run(0, code={"seeds": "then", "configs/har": "now"})
    assert provenance.stamp_of_run(run, "/x/gaps.py") == {
        "commit": "c0",
        "code": {"seeds": "then", "configs/har": "now", "gaps": "now"},
    }
    assert provenance.stamp_of_run(make_run(0, code=None), "/x/gaps.py") == {"commit": "c0"}  # its training is undated
    assert make_record(run)["runs"][0]["code"] == run["code"]
    assert "code" not in make_record(make_run(0, code=None))["runs"][0]


def test_a_run_notes_its_code_before_it_starts(tmp_path, monkeypatch, today):
    monkeypatch.setattr(records, "ROOT", tmp_path)
    monkeypatch.setattr(records, "commit", lambda: "c2")
    (tmp_path / "main.py").write_text("import sys; sys.exit(9)")
    (run,) = seeds.measure("configs/digits.py", [0], tmp_path / "runs", [])
    assert run["code"] == {"seeds": "now", "configs/digits": "now"}


def test_older_records_are_listed(tmp_path, monkeypatch, capsys, today):
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    for name, record in {"new": entry(NOW), "old": [entry(OLD), entry(), entry(NOW)], "computed": {"x": 1}}.items():
        records.write(tmp_path / f"{name}.json", record)
    stale.main()
    assert capsys.readouterr().out.splitlines() == [
        "1 of 2 records are of today's code.",
        "record    entries  stale  undated",
        "old.json  3        1      1",
    ]


def test_notes_name_the_sets_and_seeds_of_tuning():
    assert notes.about_sets({}) == ""
    assert notes.about_sets({"MNIST": {0, 1}, "digits": {3, 100}}) == (
        "Settings were chosen on all these sets. Tuning seeds (below 100) were used on all these sets."
    )
    assert notes.about_sets({"HAR": {1}, "penguins": {100}, "made": {101}}) == (
        "Settings were chosen on HAR, not on penguins, made. "
        "Tuning seeds (below 100) were used on HAR, not on penguins, made."
    )
    assert notes.about_sets({"penguins": {100}}) == (
        "No settings were chosen on these sets. No tuning seed (below 100) was used."
    )
    assert (
        notes.about_sets({"counts, 1:20": set(), "a, b": set()}) == "Settings were chosen on counts, 1:20, not on a, b."
    )
    assert notes.seeds_in({"x": [{"seed": 3}, {"runs": [{"seed": 5}]}], "seed": 7}) == {3, 5, 7}


def test_a_table_has_its_notes_below(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    records.write(tmp_path / "seeds_har.json", make_record(make_run(0)))
    assert notes.below("results", "| har † |\n") == (
        "\n† Measured with older code (`python -m benchmarks.stale`). Settings were chosen on all these sets. "
        "Tuning seeds (below 100) were used on all these sets.\n"
    )
    assert notes.below("speed", "| har |\n") == ""


def test_every_table_of_notes_exists():
    from benchmarks import readme

    assert notes.SETS.keys() <= readme._TABLES.keys()
