"""What docs/ makes of the documents for the site, as far as it needs no mkdocs; `make docs` does the rest."""

import runpy

import pytest
from running import ROOT

PAGES = runpy.run_path(str(ROOT / "docs/sitepages.py"))
CHECK = runpy.run_path(str(ROOT / "docs/checksite.py"))


def test_a_list_has_four_spaces_below_its_items_and_a_line_above_them():
    plain = "Do:\n1. This\n   at once.\n\n   ```yaml\n   - key\n   ```\n2. That\n- no item\n\nEnd"
    made = "Do:\n\n1. This\n    at once.\n\n    ```yaml\n    - key\n    ```\n\n2. That\n- no item\n\nEnd\n"
    assert PAGES["four_spaces"](plain) == made


def test_code_is_left_alone():
    code = "```yaml\n- name: a\n  base: b\n- name: c\n```\n"
    assert PAGES["four_spaces"](code) == code
    assert [fenced for _, fenced in PAGES["outside_fences"](f"[a](b)\n\n{code}\n[c](d)")] == [False, True, False]


@pytest.mark.parametrize(
    ("file", "place"),
    [
        ("README.md", "index.md"),
        ("docs/howto/paper.md", "howto/paper.md"),
        ("config/paper.yaml", "files/config/paper.yaml"),
    ],
)
def test_where_a_file_lies_on_the_site(file, place):
    assert PAGES["site_name"](file) == place


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ('<script src="https://cdn.example/x.js"></script>', "loads https://cdn.example/x.js from another machine"),
        ('<link rel="stylesheet" href="//fonts.example/a.css">', "from another machine"),
        ("<style>p { background: url(http://example.org/a.png) }</style>", "from another machine"),
        ('<img src="images/gone.png">', "images/gone.png, which is not there"),
        ('<a href="https://example.org">elsewhere</a><img src="data:image/png;base64,AA=="><img src="here.css">', None),
    ],
)
def test_what_a_page_loads_from_elsewhere_is_found(tmp_path, page, said):
    (tmp_path / "here.css").write_text("p { color: red }")
    (tmp_path / "index.html").write_text(page)
    found = list(CHECK["complaints"](tmp_path))
    assert (len(found) == 1 and said in found[0]) if said else not found


def test_what_a_style_loads_from_elsewhere_is_found(tmp_path):
    (tmp_path / "a.css").write_text('@import "https://example.org/b.css";')
    assert list(CHECK["complaints"](tmp_path)) == ["a.css loads https://example.org/b.css from another machine"]
