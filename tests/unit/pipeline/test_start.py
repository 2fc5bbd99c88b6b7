"""A configuration is read, checked and remarked on before any job."""

import re

import pytest
import yaml
from toyjobs import CONFIG, REGISTRY, ROOT, read_in

from tdro.errors import UserError
from tdro.pipeline.start import check_place, read, remarks


def test_what_stands_twice_in_configuration_and_registry_is_told_together(tmp_path, monkeypatch):
    twice = REGISTRY.replace("  code:", "  faq:")
    with pytest.raises(UserError) as caught:
        read_in(tmp_path, monkeypatch, f"{CONFIG}training: {{steps: 2}}\ntraining: {{steps: 3}}\n", twice)
    config, registry = str(caught.value).splitlines()
    assert config.endswith("config.yaml, line 6: `training` stands here a second time, after line 5; keep one of them.")
    assert registry == "registry.yaml, line 3: `faq` stands here a second time, after line 2; keep one of them."


def test_how_a_word_was_written_in_the_configuration_is_told(tmp_path, monkeypatch):
    for line, said in (
        ("tasks: [faq, no]", "config: `tasks.1`: a text is expected; YAML reads `no` as false"),
        ("seeds: [yes]", "config: `seeds.0`: a number is expected; YAML reads `yes` as true"),
        ("seeds: [010]", "line 5: YAML reads `010` as 8"),
    ):
        with pytest.raises(UserError, match=re.escape(said)):
            read_in(tmp_path, monkeypatch, f"{CONFIG}{line}\n")


def test_the_command_line_still_overrides_the_file(tmp_path, monkeypatch):
    assert read_in(tmp_path, monkeypatch, changes={"seeds": ["7"]}).config.seeds == [7]


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "config").glob("*.yaml")))
def test_the_projects_own_configurations_need_no_remark(name, tmp_path):
    values = yaml.safe_load((ROOT / "config" / name).read_text())
    assert remarks(read(values, ROOT), tmp_path / "none.json") == []


def test_a_project_in_a_folder_with_braces_is_refused(tmp_path):
    check_place(tmp_path / "it's; $(touch x)")
    with pytest.raises(UserError, match=r"the project lies in .*\{x\}, and Snakemake takes braces .* move it"):
        check_place(tmp_path / "{x}")
