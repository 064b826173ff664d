"""What documents say of figures, files and floors is so: placeholders have results, paths exist, README is current."""

import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [
    path
    for path in [*DOCS.glob("*.md"), *DOCS.glob("guide/*.md"), *DOCS.glob("migration/*.md")]
    if path.name not in ("measured.md", "pictures.md")
]


@pytest.fixture(scope="module", autouse=True)
def scripts():
    """The scripts of the site import each other by name."""
    sys.path.insert(0, str(DOCS))
    yield
    sys.path.remove(str(DOCS))


def test_there_are_pages():
    assert {"checks.md", "alternatives.md", "architecture.md"} <= {path.name for path in PAGES}


@pytest.mark.parametrize("path", PAGES, ids=lambda p: str(p.relative_to(DOCS)))
def test_every_figure_of_a_page_is_measured(path):
    import _figures

    filled = _figures.fill(path.read_text(), path.name)
    assert "{{" not in filled


@pytest.mark.parametrize(
    "name",
    ["regression", "quantiles", "survival", "subsampling", "distributed", "streams", "sgd", "mislabeled_text", "pac",
     "multiview", "schrodinger_pca", "distributed_pca", "missdag"],
)  # fmt: skip
def test_a_guide_has_mathematics_choice_failures_code_and_sources(name):
    text = (DOCS / "guide" / f"{name}.md").read_text()
    for heading in ("The mathematics in one page", "How to choose", "When it fails"):
        assert f"\n## {heading}\n" in text
    assert "```python" in text and re.search(r"\((19|20)\d\d\)", text)
    assert f"\n{name}\n" in (DOCS / "guide" / "index.md").read_text()


@pytest.mark.parametrize(
    "placeholder",
    [
        "{{glm/none}}",
        "{{none/at/all}}",
        "{{table none}}",
        "{{glm/logistic/statkit/none}}",
        "{{glm/logistic/work|.2f}}",
    ],
)
def test_what_is_not_measured_fails(placeholder):
    import _figures

    with pytest.raises(_figures.MissingFigureError, match=re.escape(placeholder)):
        _figures.fill(f"as {placeholder} shows", "a page")


def test_figures_are_those_of_the_results():
    import _figures

    work = _figures.line("glm", "logistic")["figures"]
    ours, peer = work["statkit"]["cpu"], work["glum"]["cpu"]
    assert _figures.fill("{{ glm/logistic/statkit/cpu | .3f }}", "p") == f"{ours:.3f}"
    assert (
        _figures.fill("{{glm/logistic/glum/cpu : glm/logistic/statkit/cpu|.2f}}", "p") == f"{peer / ours:.2f}"
    )
    assert _figures.fill("no {braces} here", "p") == "no {braces} here"


def test_readme_is_up_to_date():
    readme = runpy.run_path(str(DOCS / "_readme.py"), run_name="readme")
    text = (ROOT / "README.md").read_text()
    assert {m[2] for m in readme["PART"].finditer(text)} == {"measured", "demo"}
    assert text == readme["made"](text, {"measured": readme["measured"]}), "run python docs/_readme.py"


@pytest.mark.slow
def test_the_demo_in_the_readme_is_what_is_printed():
    readme = runpy.run_path(str(DOCS / "_readme.py"), run_name="readme")
    text = (ROOT / "README.md").read_text()

    def without_seconds(page):
        return re.sub(r"(Seconds +)[\d.]+", r"\1-", page)

    assert without_seconds(text) == without_seconds(readme["made"](text, {"demo": readme["demo"]}))


@pytest.mark.parametrize("path", [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda p: p.name)
def test_files_that_are_named_exist(path):
    named = re.findall(r"`((?:tests|benchmarks|statkit|docs|vignettes)/[\w/.-]+)`", path.read_text())
    made = {"statkit/ROOM/NAME.py", "statkit/families/NAME.py", "statkit/plans/NAME.py"}
    gone = [
        n for n in named if "NAME" not in n and "ROOM" not in n and n not in made and not (ROOT / n).exists()
    ]
    assert not gone, gone


def test_the_page_of_the_floors_lists_those_that_are_checked():
    import _floors

    checked = runpy.run_path(str(ROOT / "tests" / "test_architecture.py"))
    listed = dict(_floors.floors((DOCS / "architecture.md").read_text()))
    for number in range(1, 6):
        assert set(listed[f"floor {number}"]) == checked["FLOORS"][number] - {"__main__"}
    assert set(listed["beside"]) == checked["BESIDE"]
    assert set(listed["ground"]) <= checked["FLOORS"][0]


def test_the_drawing_has_all_rooms_and_no_bow_upwards():
    import _floors

    svg = _floors.picture(DOCS)
    for room in ("cli", "regression", "plans", "rounds", "sources"):
        assert f">{room}</text>" in svg
    bows = re.findall(r'd="M[\d.]+ ([\d.]+)C[^"]* ([\d.]+)"', svg)
    assert len(bows) > 20 and all(float(start) < float(end) for start, end in bows)


def test_names_and_bars_in_docstrings_are_text():
    from _docstrings import plain

    lines = [
        "labels_ : array of shape (n_iter_,); see ``labels_`` and `coef_`, |r| and a |y − η|, 2 | 3.",
        ">>> model.labels_",
        "array of |r|",
        "",
        ":ref:`User Guide <svm>` of x_y_",
        "| a_ | b |",
    ]
    assert plain(lines) == [
        r"labels\_ : array of shape (n_iter\_,); see ``labels_`` and `coef_`, \|r\| and a \|y − η\|, 2 \| 3.",
        ">>> model.labels_",
        "array of |r|",
        "",
        r"User Guide of x_y\_",
        "| a_ | b |",
    ]


class TestSiteCheck:
    def site(self, folder, **pages):
        for name, body in pages.items():
            path = folder / f"{name.replace('__', '/')}.html"
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"<html><body>{body}</body></html>")
        return runpy.run_path(str(DOCS / "_check.py"))["faults"](folder)

    def test_a_good_site(self, tmp_path):
        assert not self.site(
            tmp_path, a='<p id="x"><a href="b.html#y">', b='<a id="y" href="a.html#x"><img src="data:,">'
        )

    @pytest.mark.parametrize(
        ("body", "fault"),
        [
            ('<a href="none.html">', "leads nowhere"),
            ('<a href="a.html#none">', "no such place"),
            ('<a href="#none">', "no such place"),
            ('<script src="https://x.org/a.js">', "from elsewhere"),
            ('<link rel="stylesheet" href="//x.org/a.css">', "from elsewhere"),
            ('<img src="none.png">', "leads nowhere"),
        ],
    )
    def test_faults_are_found(self, tmp_path, body, fault):
        found = self.site(tmp_path, a=body)
        assert len(found) == 1 and fault in found[0] and found[0].startswith("a.html")

    def test_links_to_other_sites_and_canonical_addresses_are_fine(self, tmp_path):
        assert not self.site(
            tmp_path, a='<a href="https://x.org"><link rel="canonical" href="https://x.org/a.html">'
        )

    def test_litter_in_a_notebook_is_found(self, tmp_path):
        found = self.site(
            tmp_path, gallery__n='<div class="output stderr">Traceback (most recent call last)</div>'
        )
        assert len(found) == 2
        assert self.site(tmp_path / "empty") == [f"there are no pages in {tmp_path / 'empty'}"]
