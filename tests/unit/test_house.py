"""The order of the house: which folder may import which, what stays free of torch, where a module's tests are."""

import ast
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "tests/unit"
GENERATED = runpy.run_path(str(ROOT / "docs/generated.py"))
#: Modules below tdro/ without a test file of their own, behind the file that proves them. An entry goes when the module
#: gets a file: tests/unit/FOLDER/test_MODULE.py.
PROVED_BY = {
    "artifacts/test_files.py": "artifacts/folders artifacts/schemas errors",
    "artifacts/test_shapes.py": "artifacts/foreign",
    "asking/test_ask.py": "asking/embedded asking/hits asking/passagefiles cli/ask report/askline",
    "checking/test_check.py": """
        checking/cuttexts checking/facts checking/findings checking/looks checking/overlaps checking/shares
        checking/table cli/check
    """,
    "cli/test_launch.py": "config/launchfiles models/processes",
    "cli/test_main.py": """
        __main__ cli/arguments cli/completion cli/data cli/dev cli/mining cli/results cli/show cli/training cli/weights
    """,
    "config/test_schema.py": """
        config/complaints config/data config/experts config/mining config/models config/nearest config/prompts
        config/registry config/sections config/training
    """,
    "data/test_collection.py": "data/identifiers",
    "data/test_export_data.py": """
        data/exports/flagembedding data/exports/forms data/exports/released data/exports/rows
        data/exports/sentencetransformers data/exports/stored data/exports/tevatron
    """,
    "dro/test_optimize.py": "dro/heaviest",
    "evaluation/test_dimensions.py": "retrieval/exact",
    "evaluation/test_evaluate.py": "evaluation/topics retrieval/retrievers",
    "evaluation/test_search_corpus.py": "retrieval/rankings",
    "export/test_graphs.py": "export/needs",
    "forecast/test_forecast.py": """
        cli/forecast forecast/choosing forecast/evaluating forecast/learning forecast/readers forecast/table
        forecast/telling forecast/work forecast/works pipeline/threads
    """,
    "forecast/test_rates.py": "forecast/machine",
    "forecast/test_sizes.py": "forecast/tokens",
    "mining/test_encode.py": "mining/queries retrieval/encoder retrieval/makeshards",
    "mining/test_filters.py": "mining/ranks",
    "mining/test_search.py": "mining/candidates",
    "mixtures/test_plan.py": "mixtures/bags mixtures/draws mixtures/repetition",
    "mixtures/test_weights.py": "mixtures/derive",
    "models/test_room.py": "models/cuts",
    "pipeline/screen/test_screen.py": """
        pipeline/screen/course pipeline/screen/handler pipeline/screen/install pipeline/screen/live
        pipeline/screen/logends pipeline/screen/timeleft
    """,
    "pipeline/test_jobs.py": "artifacts/layout config/commands",
    "pipeline/test_soups.py": "config/soups",
    "readers/demo/test_demo.py": """
        readers/demo/arxiv_tags readers/demo/attack_procedure readers/demo/aws_api readers/demo/az_cli
        readers/demo/catalogues readers/demo/cf_names readers/demo/cleaning readers/demo/cwe_cve
        readers/demo/django_xling readers/demo/factbook readers/demo/hpo_synonym readers/demo/icd10cm
        readers/demo/jupyterlab_xling readers/demo/py_code readers/demo/registry_dup readers/demo/research_repo
        readers/demo/zh_dictionary readers/demo/zh_riddle
    """,
    "readers/test_beir.py": "readers/fields",
    "readers/test_fetch.py": "pipeline/fetches readers/hub",
    "readers/test_filekinds.py": "readers/queryfiles",
    "report/scores/test_comparison.py": "report/scores/subjects",
    "report/scores/test_soups.py": "report/scores/curve",
    "report/scores/test_tables.py": "report/scores/forest",
    "report/show/test_models.py": "report/show/notes",
    "report/show/test_scores.py": "report/show/choices report/show/devscores",
    "report/show/test_show.py": "report/show/folders report/show/view",
    "report/show/test_texts.py": "report/show/beside report/show/examples report/show/peek",
    "report/show/test_trained.py": "report/show/runs",
    "report/show/test_trajectories.py": "report/show/drawing",
    "report/study/test_recommend.py": "report/study/devscores",
    "report/test_page.py": "report/figures",
    "report/test_report.py": "formats report/plain",
    "retrieval/test_nearest.py": "retrieval/merging retrieval/ondevice",
    "setup/test_doctor.py": "setup/findings setup/needs",
    "setup/test_newproject.py": "cli/setup setup/proposal setup/questions",
    "text/test_relations.py": "data/echoes",
    "training/test_forward.py": "models/features training/meter",
    "training/test_hostwaits.py": "training/finite",
    "training/test_matryoshka.py": "config/dimensions",
    "training/test_merge.py": "models/alike models/ingredients models/stored training/base",
}


def test_a_folder_imports_only_those_before_it():
    order, part = GENERATED["ORDER"], GENERATED["part"]
    wrong = []
    for path, name in GENERATED["imports"]():
        above, below = part(path), name.split(".")[1]
        assert above in order, f"tdro/{path}: its folder has no place in ORDER of docs/generated.py"
        if below != "__version__" and order.index(below) > order.index(above):
            wrong.append(f"tdro/{path} imports {name}, and {below} comes after {above}")
    assert not wrong


@pytest.mark.parametrize(("path", "page"), GENERATED["pages"]().items(), ids=lambda value: getattr(value, "stem", ""))
def test_what_documents_say_of_the_code_follows_from_it(path, page):
    assert path.read_text(encoding="utf-8") == page, "make schema writes it"


def modules(folder: str = "") -> list[str]:
    """Modules below tdro/ or one of its folders, such as ``data/dedup``."""
    paths = (ROOT / "tdro" / folder).rglob("*.py")
    return sorted(str(path.relative_to(ROOT / "tdro").with_suffix("")) for path in paths if path.stem != "__init__")


def test_what_the_workflow_loads_is_free_of_models():
    """Snakemake reads its files anew for each job, and each time torch would cost seconds."""
    lines = [f"import tdro.{name.replace('/', '.')}" for folder in ("config", "pipeline") for name in modules(folder)]
    for file in ("workflow/Snakefile", *(f"workflow/rules/{part}.smk" for part in ("common", "inputs", "start"))):
        lines += (found := re.findall(r"^from tdro.*", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE))
        assert found
    script = "\n".join(lines) + "\nimport sys; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "set()\n", done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "tdro").rglob("__init__.py")), ids=lambda path: path.parent.name)
def test_a_folder_starts_with_a_docstring_alone(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    said = [getattr(node, "name", ast.unparse(node).partition(" = ")[0]) for node in tree.body[1:]]
    assert said == (["__version__", "__getattr__"] if path.parent == ROOT / "tdro" else [])


def test_tests_mirror_the_package():
    of_module = {name: UNIT / Path(name).parent / f"test_{Path(name).name}.py" for name in modules()}
    without = {name for name, file in of_module.items() if not file.exists()}
    listed = [name for names in PROVED_BY.values() for name in names.split()]
    assert sorted(listed) == sorted(set(listed)), "PROVED_BY names a module twice"
    assert without - set(listed) == set(), "these need a test file of their own or a place in PROVED_BY"
    assert set(listed) - without == set(), "these are gone or have a test file of their own: take them out of PROVED_BY"
    files = {path for path in UNIT.rglob("test_*.py") if path.parent != UNIT}
    assert files - set(of_module.values()) - {UNIT / file for file in PROVED_BY} == set(), "these are of no module"
    assert {UNIT / file for file in PROVED_BY} - files == set(), "PROVED_BY names these files, which are not there"
