"""Files that were made to harm, and what is odd about honest ones: one sentence, bounded memory, nothing obeyed.

Whatever else a file may hold is the matter of `tests/unit/test_fuzz.py`.
"""

import ast
import gzip
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from finished import Finished
from reading import items, tarred, written, zipped

from tdro.artifacts import strictyaml
from tdro.cli.main import main
from tdro.config.data import Data
from tdro.config.registry import Source, TaskRows
from tdro.data.prepare import prepare_task
from tdro.errors import UserError
from tdro.formats import told, visible
from tdro.readers.archives import Archive

ROOT = Path(__file__).parents[2]
#: Turns the direction of what follows it; clears a terminal.
OVERRIDE, CLEARS = "\u202e", "\x1b[2J"


def refused(call, *words: str) -> str:
    """The sentence that refuses, with some words."""
    with pytest.raises(UserError) as caught:
        call()
    said = str(caught.value)
    assert not [word for word in words if word not in said], said
    assert "\n" not in said
    return said


# Archives.


def header(name="a.jsonl", size=0, kind=tarfile.REGTYPE, content=b""):
    """A member of a tar archive as it stands in it, also one that the library would not write."""
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT) + content.ljust(-(-len(content) // 512) * 512, b"\0")


def packed(path: Path, *members: bytes) -> Path:
    """A packed tar archive of such members."""
    path.write_bytes(gzip.compress(b"".join(members) + b"\0" * 1024))
    return path


ROW = b'{"query": "a", "positive": "b"}\n'
#: Archives made to harm, and what is said of them.
ARCHIVES = {
    "a name longer than memory": ((header(size=8 << 30, kind=tarfile.GNUTYPE_LONGNAME),), "states 8,589,934,592 bytes"),
    "attributes longer than memory": ((header(size=8 << 30, kind=tarfile.XHDTYPE),), "states 8,589,934,592 bytes"),
    "a size below 0": ((header(size=-512),), "states -512 bytes"),
    "a size that no file has": ((header(size=1 << 60),), "states 1,152,921,504,606,846,976 bytes"),
    "a header of other bytes": ((header(size=len(ROW), content=ROW), b"x" * 512), "header is broken"),
}


@pytest.mark.parametrize(("members", "said"), ARCHIVES.values(), ids=ARCHIVES)
def test_headers_of_a_tar_archive_that_harm_are_refused_at_once(members, said, tmp_path):
    path = packed(tmp_path / "task.jsonl.tar.gz", *members)
    refused(lambda: items("released", path), str(path), said)
    refused(lambda: Archive(path), str(path))


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_that_unpacks_to_more_than_data_do_is_refused(kind, tmp_path):
    zeros = bytes(100 << 20)
    file = tmp_path / ("bomb.whl" if kind == "zip" else "bomb.tar.gz")
    if kind == "zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr("m/zeros", zeros)
    else:
        member = tarfile.TarInfo("m/zeros")
        member.size = len(zeros)
        with tarfile.open(file, "w:gz", compresslevel=1) as archive:
            archive.addfile(member, io.BytesIO(zeros))
    refused(lambda: Archive(file).extract("m", tmp_path / "out"), "bomb", "would unpack to 105 MB", "do not use")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["m/../../evil", "m//etc/evil", "m/C:evil", "m/..\\evil", "m/a\0b", "m/" + "x" * 300])
def test_a_name_that_leaves_the_folder_or_none_can_write_is_refused(name, tmp_path):
    content = {"m/good": b"", name: b"evil"}
    path = written(tmp_path / "x.tar.gz", tarred(content) if "\0" not in name else tarred({"m/good": b""}))
    if "\0" in name:
        member = tarfile.TarInfo("m/x")
        member.pax_headers = {"path": name}
        with tarfile.open(path, "w:gz") as archive:
            archive.addfile(member)
    refused(lambda: Archive(path).extract("m", tmp_path / "below/out"), "unsafe path")
    assert not list(tmp_path.rglob("evil"))


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path):
    path = written(tmp_path / "x.whl", zipped({"m/a": b"", "m/a/b": b""}))
    refused(lambda: Archive(path).extract("m", tmp_path / "out"), "unsafe path 'm/a'")


@pytest.mark.parametrize("name", ["caf\udce9.jsonl", f"{OVERRIDE}lnosj.jsonl", f"{CLEARS}.jsonl", "a\nb.jsonl"])
def test_names_in_any_encoding_are_shown_harmless(name, tmp_path):
    out = io.BytesIO()
    member = tarfile.TarInfo(name)
    member.size = 2
    with tarfile.open(fileobj=out, mode="w:gz", errors="surrogateescape") as archive:
        archive.addfile(member, io.BytesIO(b"x\n"))
    path = written(tmp_path / "task.jsonl.tar.gz", out.getvalue())
    said = refused_lines(lambda: list(items("released", path)))
    assert OVERRIDE not in said and CLEARS not in said
    said.encode()


def refused_lines(call) -> str:
    """What is said, in one line or several; of a bad row its reason."""
    try:
        return "\n".join(told(f"{row.place} {row.reason}") for row in call())
    except UserError as error:
        return str(error)


def test_links_in_an_archive_of_rows_are_passed_over(tmp_path):
    links = [("link.jsonl", tarfile.SYMTYPE, "/etc/passwd"), ("hard.jsonl", tarfile.LNKTYPE, "../../x")]
    path = written(tmp_path / "task.jsonl.tar.gz", tarred({"a.jsonl": ROW}, links))
    assert [row.query for row in items("released", path)] == ["a"]


# Lines and texts.


def test_a_line_of_100_mb_is_one_bad_row_in_bounded_memory(tmp_path):
    """In a process of its own, whose memory is bounded below what the line and a copy of it would take."""
    with gzip.open(tmp_path / "long.jsonl.gz", "wb", 1) as file:
        file.write(ROW)
        file.write(b'{"query": "' + b"a" * (100 << 20) + b'"}\n')
        file.write(ROW)
    script = f"""
import resource
from reading import items, bad
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = items("jsonl", {str(tmp_path / "long.jsonl.gz")!r})
print(len(found), *bad(found), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    said, _, grown = done.stdout.strip().rpartition(" ")
    assert said.startswith("3 ('long.jsonl.gz, line 2', 'is too long: a line may hold 67108864 bytes"), done.stderr
    assert int(grown) < 300


def prepared(tmp_path, rows, **data):
    """Queries and passages as a task of these rows stores them."""
    import pyarrow.parquet as pq

    written(tmp_path / "a.jsonl", rows if isinstance(rows, bytes) else "".join(f"{json.dumps(row)}\n" for row in rows))
    source = Source(reader="jsonl", path=str(tmp_path / "a.jsonl"))
    prepare_task("faq", TaskRows(source=source), Data(min_words=1, **data), tmp_path / "out")
    queries = pq.read_table(tmp_path / "out/queries.parquet").to_pylist()
    return queries, pq.read_table(tmp_path / "out/corpus.parquet").to_pylist()


def test_nul_and_halves_of_characters_are_mended_and_controls_go(tmp_path):
    rows = [{"query": "one\0 \ud800 two\x1b[2J", "positive": "\udfff it\x07 is", "query_id": "q\ud800"}]
    (query,), (passage,) = prepared(tmp_path, rows)
    assert (query["query"], passage["text"]) == ("one \ufffd two[2J", "\ufffd it is")
    assert query["query_id"] == "q\ufffd"


def test_identifiers_that_differ_in_case_or_spelling_alone_stay_apart(tmp_path):
    ids = ["Q1", "q1", "caf\u00e9", "cafe\u0301", "\u212a", "K"]
    corpus = [{"_id": name, "title": "", "text": f"passage number {n}"} for n, name in enumerate(ids)]
    written(tmp_path / "b/corpus.jsonl", corpus)
    written(tmp_path / "b/queries.jsonl", [{"_id": name, "text": f"query number {n}"} for n, name in enumerate(ids)])
    written(tmp_path / "b/qrels/train.tsv", "".join(f"{name}\t{name}\t1\n" for name in ids))
    task = TaskRows(source=Source(reader="beir", path=str(tmp_path / "b")))
    prepare_task("faq", task, Data(min_words=1), tmp_path / "out")
    import pyarrow.parquet as pq

    queries = pq.read_table(tmp_path / "out/queries.parquet").to_pylist()
    passages = pq.read_table(tmp_path / "out/corpus.parquet").to_pylist()
    assert [query["query_id"] for query in queries] == ids == [passage["passage_id"] for passage in passages]
    assert [query["positives"] for query in queries] == [[n] for n in range(len(ids))]


def test_a_bomb_of_aliases_and_one_of_depth_are_refused_at_once():
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 12))
    refused(
        lambda: strictyaml.read(f"l0: &l0 [x]\n{levels}\n", "a.yaml"), "a.yaml: its aliases", "write out what is meant"
    )
    merged = "\n".join(f"m{n}: &m{n}\n  <<: [{', '.join([f'*m{n - 1}'] * 9)}]" for n in range(1, 12))
    refused(lambda: strictyaml.read(f"m0: &m0 {{a: 1}}\n{merged}\n", "a.yaml"), "a.yaml: its aliases")
    refused(lambda: strictyaml.read("[" * 5000, "a.yaml"), "nested too deeply")
    refused(lambda: strictyaml.read("a: " + "x" * (1 << 22), "a.yaml"), "4 MB long, which no file of settings is")


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system [touch x]", "!!python/name:os.system ''", "!x y"])
def test_yaml_makes_no_objects(tag, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(lambda: strictyaml.read(f"a: {tag}", "a.yaml"), "a.yaml is not YAML", "could not determine a constructor")
    assert not (tmp_path / "x").exists()


def test_half_of_a_character_in_a_configuration_is_refused():
    for text in ('{"a": "\\ud800"}', 'a: "\\ud800"'):
        refused(lambda text=text: strictyaml.read(text, "a.yaml"), "half of a character, \\ud800")


# What is shown.


def test_what_a_terminal_obeys_is_shown():
    assert visible(f"a{OVERRIDE}b{CLEARS}\u2066c\u2028d\te\n") == "a\\u202eb\\x1b[2J\\u2066c\\u2028d\te\n"
    assert (
        visible("عربي \u200fEnglish\u200e 中文 e\u0301 👩\u200d💻")
        == "عربي \u200fEnglish\u200e 中文 e\u0301 👩\u200d💻"
    )


def test_the_login_of_an_address_is_starred():
    assert told("http://ann:pw@host/x?a=b, s3://k:s@b and a@b.c") == "http://***@host/x?a=b, s3://***@b and a@b.c"
    assert str(UserError("https://t0ken@host is gone")) == "https://***@host is gone"


def test_a_message_with_names_out_of_a_file_is_bounded_and_harmless(tmp_path):
    names = [f"{CLEARS}{OVERRIDE}", *(f"column{n}" * 20 for n in range(500))]
    written(tmp_path / "t.csv", ",".join(names) + "\n" + ",".join("x" * len(names)) + "\n")
    said = refused(lambda: items("table", tmp_path / "t.csv"), "has no column 'query'", "Correct `columns`")
    assert len(said) < 2100 and CLEARS not in said and OVERRIDE not in said


def test_the_page_shows_signs_that_turn_lines_and_lets_none_of_them_work(tmp_path):
    page = Finished(tmp_path, script=f"{OVERRIDE}exe.txt\x07").report().html
    assert "\\u202eexe.txt\\x07" in page
    assert not [sign for sign in page if visible(sign) != sign]


def test_show_prints_nothing_that_a_terminal_obeys(tmp_path, capsys):
    from tdro.artifacts.files import write_table
    from tdro.artifacts.schemas import CORPUS

    rows = {"passage_id": [f"{CLEARS}1"], "title": [OVERRIDE], "text": [f"a {CLEARS} b"]}
    write_table(tmp_path / "corpus.parquet", rows, CORPUS)
    main(["show", str(tmp_path / "corpus.parquet")])
    shown = capsys.readouterr().out
    assert "a \\x1b[2J b" in shown and not [sign for sign in shown if visible(sign) != sign]


# Code.

#: Calls that run what a file says, and the module that has leave to, with the reason.
RUNS = {
    "eval": {},
    "exec": {},
    "compile": {},
    "__import__": {},
    "os.system": {},
    "os.popen": {},
    "marshal.load": {},
    "marshal.loads": {},
    "runpy.run_path": {},
    "yaml.unsafe_load": {},
    "yaml.full_load": {},
    "joblib.load": {},
    "pd.read_pickle": {},
    # A loader is named, and it is the safe one.
    "yaml.load": {"readers/demo/az_cli.py": "_LOADER"},
    # Names of our own modules, out of a list of readers that a registry is checked against.
    "import_module": {"readers/base.py": "tdro.readers.", "readers/testsets/base.py": "tdro.readers.testsets."},
    # A library for the energy of a GPU, by a name that stands in the code.
    "importlib.import_module": {"evaluation/energy.py": "'pynvml'"},
}
#: Modules that run what a file says.
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib", "code", "codeop"}


def calls() -> list[tuple[str, str, ast.Call]]:
    """Every call in the package: its module, what is called, and the call."""
    found = []
    for path in sorted((ROOT / "tdro").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                found.append((str(path.relative_to(ROOT / "tdro")), ast.unparse(node.func), node))
    return found


def test_nothing_runs_what_a_file_says():
    wrong = []
    for module, name, call in calls():
        if name in RUNS and RUNS[name].get(module, "\0") not in ast.unparse(call):
            wrong.append(f"tdro/{module}:{call.lineno} calls {name}")
    assert not wrong


def test_no_module_that_unpickles_is_imported():
    wrong = []
    for path in sorted((ROOT / "tdro").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            wrong += [f"{path}:{node.lineno} imports {name}" for name in names if name.partition(".")[0] in MODULES]
    assert not wrong


def keywords(call: ast.Call) -> dict[str, str]:
    """The named arguments of a call, as they are written."""
    return {keyword.arg or "**": ast.unparse(keyword.value) for keyword in call.keywords}


def test_what_could_unpickle_is_told_not_to():
    """Tensors and arrays are read without objects; no shell takes a line; no model brings code."""
    loads = [(module, call) for module, name, call in calls() if name == "torch.load"]
    assert loads and all(keywords(call).get("weights_only") == "True" for _, call in loads), loads
    arrays = [(module, call) for module, name, call in calls() if name in ("np.load", "numpy.load")]
    assert arrays and all(keywords(call).get("allow_pickle") == "False" for _, call in arrays), arrays
    for module, name, call in calls():
        given = keywords(call)
        assert given.get("shell", "False") == "False", f"tdro/{module}:{call.lineno} gives {name} a shell"
        trusting = given.get("trust_remote_code", "False"), given.get("use_safetensors", "True")
        assert trusting == ("False", "True"), f"tdro/{module}:{call.lineno}"


def test_yaml_is_read_by_the_safe_loader_alone():
    loaders = [name for _, name, _ in calls() if name.startswith("yaml.") and "oad" in name]
    assert {"yaml.SafeLoader"} <= set(loaders) <= {"yaml.SafeLoader", "yaml.safe_load", "yaml.load"}


def test_the_page_is_escaped_but_for_what_is_written_in_its_template():
    """`safe` stands behind literals alone, and every template is escaped."""
    for template in (ROOT / "tdro/report").glob("*.j2"):
        text = template.read_text(encoding="utf-8")
        for use in text.split("| safe")[:-1]:
            assert use.rstrip().endswith("'"), f"{template.name}: {use[-60:]}"
        assert "autoescape" not in text
