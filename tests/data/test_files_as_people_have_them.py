"""Fifty small tables as people have them: each is read right, or refused in one line that names every problem."""

import bz2
import gzip
import lzma
import re
import zipfile

import numpy as np
import pandas as pd
import pytest
from helpers.table_files import assert_one_line, read

from vade_jax.data.dataset import ExpectedColumns
from vade_jax.system.errors import InputError

NAN = np.nan
PLAIN = "a,b\n1,2.5\n3,4\n"
PLAIN_ROWS = (("a", "b"), [[1, 2.5], [3, 4]])


def text(content, encoding="utf-8", compress=bytes):
    return lambda path: path.write_bytes(compress(content.encode(encoding)))


def archive(**members):
    def write(path):
        with zipfile.ZipFile(path, "w") as file:
            for name, content in members.items():
                file.writestr(name.replace("_slash_", "/").replace("_csv", ".csv"), content)

    return write


def parquet(**columns):
    return lambda path: pd.DataFrame(columns).to_parquet(path)


DATES = "when,x\n{},1\n{},2\n,3\n"
TYPES = (
    "who,sex,age,left,when,unit,nothing,size\n"
    "u1, f,30,True,2021-12-01,kg,,1\nu2,m ,NA,False,2021-12-02,kg,?,2\nu3,f,52,,2021-12-03,kg,,\nu4,m,63,TRUE,,kg,-,4\n"
)
# name -> how it is written, the names and the rows that are read, the levels, and words of the line or the warning
READ = {
    "plain.csv": (text(PLAIN), *PLAIN_ROWS),
    "tabs.tsv": (text(PLAIN.replace(",", "\t")), *PLAIN_ROWS),
    "commas.tsv": (text(PLAIN), *PLAIN_ROWS, (), "the separator ','"),
    "semicolons.csv": (text(PLAIN.replace(",", ";")), *PLAIN_ROWS, (), "the separator ';'"),
    "tabs.csv": (text(PLAIN.replace(",", "\t")), *PLAIN_ROWS, (), "the separator a tab"),
    "bars.csv": (text(PLAIN.replace(",", "|")), *PLAIN_ROWS, (), "the separator '|'"),
    "aligned.txt": (text("a   b\n1 2.5\n3   4\n"), *PLAIN_ROWS, (), "the separator blanks"),
    "windows.csv": (text(PLAIN.replace("\n", "\r\n")), *PLAIN_ROWS),
    "excel.csv": (text("sep=;\r\na;b\r\n1;2,5\r\n3;4\r\n"), *PLAIN_ROWS, (), "the separator ';', decimal commas"),
    "blanks.csv": (text('"a", "b"\n1, "2.5"\n3, 4\n'), *PLAIN_ROWS, (), "blanks after separators"),
    "quoted.csv": (text('"a","b"\n"1","2.5"\n"3","4"\n'), *PLAIN_ROWS),
    "one.csv": (text("my value\n1\n3\n"), ("my value",), [[1], [3]]),
    "european.csv": (text('"size, cm";b\n1.234,5;1.000\n7;0,25\n'), ("size, cm", "b"), [[1234.5, 1000], [7, 0.25]], ()),
    "thousands.csv": (text('a,b\n"1,234,567",0.5\n"2,345",2\n'), ("a", "b"), [[1234567, 0.5], [2345, 2]], (), "thousa"),
    "swiss.csv": (text("a,b\n1'234.5,1\n12,2\n"), ("a", "b"), [[1234.5, 1], [12, 2]], (), "separators of thousands"),
    "money.csv": (
        text('a,b\n"$1,234.50",45%\n-$12,7 %\n'),
        ("a", "b"),
        [[1234.5, 45], [-12, 7]],
        (),
        r"separators of thousands, the unit \$ left out, the unit % left out",
    ),
    "euros.csv": (text("a;b\n1.234,50 €;1\n€ 7;2\n"), ("a", "b"), [[1234.5, 1], [7, 2]], (), "the unit € left out"),
    "gzip.csv.gz": (text(PLAIN, compress=gzip.compress), *PLAIN_ROWS),
    "bzip.tsv.bz2": (text(PLAIN.replace(",", "\t"), compress=bz2.compress), *PLAIN_ROWS),
    "xz.CSV.xz": (text(PLAIN, compress=lzma.compress), *PLAIN_ROWS),
    "mac.zip": (archive(data_csv=PLAIN, __MACOSX_slash_data_csv="\0"), *PLAIN_ROWS),
    "utf8_mark.csv": (text(PLAIN, "utf-8-sig"), *PLAIN_ROWS),
    "utf16.txt": (text(PLAIN.replace(",", "\t"), "utf-16"), *PLAIN_ROWS, (), "the encoding utf-16"),
    "german.csv": (
        text("Größe;Stadt\n1,5;Köln\n2;Zürich\n1;Köln\n2;Zürich\n", "cp1252"),
        ("Größe", "Stadt"),
        [[1.5, 0], [2, 1], [1, 0], [2, 1]],
        ((), ("Köln", "Zürich")),
        "the separator ';', the encoding cp1252, decimal commas",
    ),
    "russian.csv": (
        text("возраст,город\n1,Москва\n2,Тверь\n1,Москва\n2,Тверь\n", "cp1251"),
        ("возраст", "город"),
        [[1, 0], [2, 1], [1, 0], [2, 1]],
        ((), ("Москва", "Тверь")),
        "the encoding cp1251",
    ),
    "gaps.csv": (
        text("a,b,c\n1,?,0.5\nNA,2,-\n3,n/a,\n4,5,missing\n,6,1.5\n"),
        ("a", "b", "c"),
        [[1, NAN, 0.5], [NAN, 2, NAN], [3, NAN, NAN], [4, 5, NAN], [NAN, 6, 1.5]],
    ),
    "gaps_after_blanks.csv": (
        text("a,kind\n1, ?\n?, x\n3, x\n4, y\n5, y\n"),
        ("a", "kind"),
        [[1, NAN], [NAN, 0], [3, 0], [4, 1], [5, 1]],
        ((), ("x", "y")),
    ),
    "short_lines.csv": (text("a,b\n1\n2,3\n4,5\n"), ("a", "b"), [[1, NAN], [2, 3], [4, 5]]),
    "types.csv": (
        text(TYPES),
        ("sex", "age", "left", "size"),
        [[0, 30, 1, 1], [1, NAN, 0, 2], [0, 52, NAN, NAN], [1, 63, 1, 4]],
        (("f", "m"), (), (), ()),
        r"4 columns are left out: who \(text of 4 different values in 4 rows\), when \(dates; .*\), nothing \(no "
        r"values\), unit \(one value\)",
    ),
    "empty_columns.csv": (text("a,b,,\n1,2.5,,\n3,4,,\n"), *PLAIN_ROWS, (), "Unnamed: 2 .no values., Unnamed: 3"),
    "codes.csv": (text("a,b\n1,0\n2,1\n1,0\n2,1\n"), ("a", "b"), [[1, 0], [2, 1]] * 2),
    "types.parquet": (
        parquet(
            sex=pd.Categorical(["f", None, "m", "f", "m"]),
            age=pd.array([1, None, 3, 4, 5], "Int64"),
            ok=pd.array([True, None, False, True, True], "boolean"),
            written=["1", "2.5", "?", "4", "5"],
            when=pd.date_range("2021-12-01", periods=5, tz="Europe/Berlin"),
        ),
        ("sex", "age", "ok", "written"),
        [[0, 1, 1, 1], [NAN, NAN, NAN, 2.5], [1, 3, 0, NAN], [0, 4, 1, 4], [1, 5, 1, 5]],
        (("f", "m"), (), (), ()),
        "1 columns are left out: when",
    ),
}
# name -> how it is written, and the words of its one line
REFUSED = {
    "clear_to_nobody.csv": (
        text('a,b\n"1,234",1\n"2,345",2\n'),
        r"can be thousands or not \('1,234' in the column a, ",
    ),
    "two_marks.csv": (
        text("a;b\n1,5;1.5\n2,5;2.5\n"),
        r"points \('1.5' .*\) and decimal commas \('1,5' in the column a",
    ),
    "two_units.csv": (
        text("a,b\n$5,1\n€6,2\n"),
        r"two units in a column \('\$5' in the column a, row 0 and '€6' in the column a, row 1\), expected one unit",
    ),
    "typos.csv": (
        text("a,b,c,,a\n1,2,inf,1,1\n2,x,3,1,2\n3,4,5,1,3\n4,y,5,1,4\n5,6,7,1,5,9\n"),
        r"with 5 problems: \(1\) several columns called a, \(2\) 1 lines of more values than the 5 names \(line 6 has "
        r"6\), \(3\) the column 'b', which is not numeric \(row 1 holds 'x', 2 such values in all\), \(4\) 1 values "
        r"that are infinite or beyond 1e\+37 \(the first in row 0, column c\), \(5\) a column without a name",
    ),
    "no_names.csv": (text("1,2\n3,4\n"), "with the columns 1, 2, expected a first line of names"),
    "two_files.zip": (
        archive(one_csv=PLAIN, two_csv=PLAIN),
        "cannot be read .it holds 2 files, and one is expected: one",
    ),
    "words.zip": (archive(notes="hello"), "cannot be read .it holds no .csv, .tsv, .txt"),
    "binary.csv": (lambda path: path.write_bytes(b"a,b\n\xff\0\1,2\n"), "cannot be read .it is no text"),
    "only_text.csv": (
        text("a,b\nx,y\nz,w\n"),
        r"no column that can be used: a \(text of 2 different values in 2 rows\), b",
    ),
    "lists.parquet": (parquet(a=[[1], [2]], b=[1, 2]), r"the column 'a', which is not numeric \(row 0 holds '\[1\]'"),
}
DATED = {
    "iso.csv": (DATES.format("2021-01-01", "2021-01-02T12:00"), [[18628, 1], [18629.5, 2], [NAN, 3]], None),
    "german.csv": (DATES.format("31.12.2021", "03.04.2021"), [[18992, 1], [18720, 2], [NAN, 3]], None),
    "american.csv": (DATES.format("12/31/2021", "04/03/2021"), [[18992, 1], [18720, 2], [NAN, 3]], None),
    "times.csv": (DATES.format("12:00", "18:00:00"), [[0.5, 1], [0.75, 2], [NAN, 3]], None),
    "unclear.csv": (
        DATES.format("01/02/2021", "03/04/2021"),
        None,
        "day and month cannot be told apart in the column when",
    ),
}


@pytest.mark.filterwarnings("default:.*columns are left out")
@pytest.mark.parametrize("name", READ)
def test_a_file_is_read_with_its_values(tmp_path, capsys, recwarn, name):
    write, names, rows, *more = READ[name]
    levels, words = (*more, (), "")[:2] if len(more) != 1 else (more[0], "")
    write(tmp_path / name)
    found = read(tmp_path / name)
    assert found.names == names
    np.testing.assert_allclose(found.x, np.array(rows, float), rtol=1e-6)
    assert found.levels == levels
    said = capsys.readouterr().out + "".join(str(warning.message) for warning in recwarn)
    assert re.search(words, said), said
    assert bool(said) <= (len(more) > 0), said


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_is_refused_in_one_line_that_names_every_problem(tmp_path, name):
    write, words = REFUSED[name]
    write(tmp_path / name)
    with pytest.raises(InputError) as error:
        read(tmp_path / name)
    assert_one_line(error, tmp_path / name, words)


@pytest.mark.parametrize("name", DATED)
def test_dates_become_days_when_asked(tmp_path, name):
    content, rows, words = DATED[name]
    (tmp_path / name).write_text(content)
    if words:
        with pytest.raises(InputError) as error:
            read(tmp_path / name, dates="number")
        assert_one_line(error, tmp_path / name, words)
    else:
        np.testing.assert_allclose(read(tmp_path / name, dates="number").x, rows)
    with pytest.warns(UserWarning, match=r"1 columns are left out: when .dates; --config.data.dates=number"):
        assert read(tmp_path / name).names == ("x",)


MODEL = ExpectedColumns(("size", "sex", "when"), None, ((), ("f", "m"), ()))


def test_new_rows_are_read_by_the_models_columns(tmp_path):
    (tmp_path / "new.csv").write_text("sex;size;when;note\nm;1,5;2021-01-02;x\n f;2,5;;y\nNA;;;z\n")
    found = read(tmp_path / "new.csv", expected=MODEL)
    assert (found.names, found.levels) == (MODEL.names, MODEL.levels)
    np.testing.assert_array_equal(found.x, [[1.5, 1, 18629], [2.5, 0, NAN], [NAN, NAN, NAN]])
    (tmp_path / "one.csv").write_text("sex,size,when\nm,?,\n")
    np.testing.assert_array_equal(read(tmp_path / "one.csv", expected=MODEL).x, [[NAN, 1, NAN]])


def test_categories_that_training_did_not_have_are_gaps_and_named(tmp_path):
    (tmp_path / "new.csv").write_text("sex,size,when\nm,1,\nx,2,\n")
    with pytest.warns(UserWarning, match="categories that training did not have are gaps: x in the column sex"):
        found = read(tmp_path / "new.csv", expected=MODEL)
    np.testing.assert_array_equal(found.x[:, 1], [1, NAN])


def test_text_where_the_model_has_numbers_is_refused(tmp_path):
    (tmp_path / "new.csv").write_text("sex,size,when\nm,large,\nf,small,\n")
    with pytest.raises(InputError) as error:
        read(tmp_path / "new.csv", expected=MODEL)
    assert_one_line(
        error, tmp_path, "the column 'size', which is not numeric .row 0 holds 'large', 2 such values in all"
    )


def test_text_of_many_levels_is_no_category(tmp_path):
    frame = pd.DataFrame({"few": [f"v{i % 100}" for i in range(303)], "many": [f"v{i % 101}" for i in range(303)]})
    frame.assign(x=range(303)).to_csv(tmp_path / "x.csv", index=False)
    with pytest.warns(UserWarning, match=r"1 columns are left out: many .text of 101 different values in 303 rows"):
        assert read(tmp_path / "x.csv").names == ("few", "x")


def test_a_table_of_numbers_alone_keeps_its_constant_columns(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,5\n2,5\n")
    assert read(tmp_path / "x.csv").x.tolist() == [[1, 5], [2, 5]]


def test_a_name_that_was_read_with_a_blank_is_found_without_it(tmp_path):
    (tmp_path / "x.csv").write_text("a, b\n1, 2\n3, 4\n")
    found = read(tmp_path / "x.csv", expected=ExpectedColumns(("a", " b")))
    assert (found.names, found.x.tolist()) == (("a", " b"), [[1, 2], [3, 4]])


def test_a_byte_late_in_a_large_file_decides_its_encoding(tmp_path):
    lines = ["a,kind", *("1,x" for _ in range(300_000)), *["2,é"] * 3, ""]
    (tmp_path / "x.csv").write_bytes("\n".join(lines).encode("cp1252"))
    assert read(tmp_path / "x.csv").levels == ((), ("x", "é"))
